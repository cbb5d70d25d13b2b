import { dirname } from 'node:path';
import { instar, type CommandLine } from '../support/command.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

/** An edit of an image, from what it finds. */
export interface EditCase {
  readonly name: string;
  /** It is among those of an ordinary run. */
  readonly ordinary?: boolean;
  /** Makes `image` in a directory. */
  readonly prepare: (directory: Workdir) => void;
  /** @param image its name in the current directory */
  readonly command: (image: string) => CommandLine;
  /** It says on standard error what it does. */
  readonly complains?: boolean;
  /** The image without what does not count any more, and is overwritten when all else is done. */
  readonly unused?: (image: Buffer) => Buffer;
  /** The image without what differs whenever it is edited so. */
  readonly differing?: (image: Buffer) => Buffer;
  /** What is wrong with an image that was edited. */
  readonly verify?: (directory: Workdir) => string | undefined;
}

const KIB = 1024;

/** An image with data, zeros, compressed clusters and two snapshots, between which it was written to. */
export function withSnapshots(directory: Workdir, ...options: readonly string[]): void {
  const image = directory.file('image');
  directory.write('content.raw', Buffer.concat([noise(200 * KIB), Buffer.alloc(200 * KIB), lines(112 * KIB)]));
  const joined = options.length === 0 ? [] : ['-o', options.join()];
  qemuImg('convert', '-c', '-O', 'qcow2', ...joined, directory.file('content.raw'), image).must();
  for (const [name, pattern] of [
    ['first', 1],
    ['second', 2],
  ] as const) {
    qemuImg('snapshot', '-c', name, image).must();
    qemuIo(image, `write -P ${pattern} ${pattern * 90}k 100k`, `write -z ${pattern * 7}k 64k`).must();
  }
}

/** Miscounts the clusters of an image: one that is used is free, one that is free is used, and entries are marked wrongly. */
export function miscount(directory: Workdir): void {
  const bytes = directory.read('image');
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
  bytes.writeUInt16BE(0, block + 2 * 5);
  bytes.writeUInt16BE(2, block + 2 * 40);
  const l1 = Number(bytes.readBigUInt64BE(40));
  bytes.writeUInt8(bytes.readUInt8(l1) & 0x7f, l1);
  directory.write('image', bytes);
}

/** An image with zeros for the clusters that nothing refers to: an edit gives those that it has left back when all else is done. */
export function withoutFree(image: Buffer): Buffer {
  const copy = Buffer.from(image);
  const cluster = 2 ** image.readUInt32BE(20);
  const perBlock = cluster / 2;
  const table = Number(image.readBigUInt64BE(48));
  for (let number = 0; number * cluster < image.length; number += 1) {
    const at = table + 8 * Math.floor(number / perBlock);
    const block = Number(image.readBigUInt64BE(at));
    const isFree = block === 0 || image.readUInt16BE(block + 2 * (number % perBlock)) === 0;
    if (isFree) copy.fill(0, number * cluster, Math.min(copy.length, (number + 1) * cluster));
  }
  return copy;
}

/** An image over another, with data of its own and data below. */
function withBacking(directory: Workdir, overlay: string, below: string): void {
  directory.write(below, Buffer.concat([noise(60 * KIB), Buffer.alloc(100 * KIB), lines(96 * KIB)]));
  const [top, base] = [directory.file(overlay), directory.file(below)];
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-b', base, '-F', 'raw', top).must();
  qemuIo(top, 'write -P 3 50k 30k', 'write -z 90k 20k', 'write -P 4 200k 5k').must();
}

/** A VHDX without what is drawn anew whenever it is written to: the identities in both headers, and the sums over these. */
function withoutIdentities(image: Buffer): Buffer {
  const copy = Buffer.from(image);
  for (const header of [64 * KIB, 128 * KIB]) copy.fill(0, header + 4, header + 8).fill(0, header + 16, header + 48);
  return copy;
}

/** What differs whenever an image of a format is written to. */
function drawnAnew(format: string): Pick<EditCase, 'differing'> {
  return format === 'vhdx' ? { differing: withoutIdentities } : {};
}

/** A disk that is written into an image of a format: over what that has, and beside it. */
function writing(format: string, options: string, ordinary = false): EditCase {
  return {
    name: `convert -n into ${format}`,
    ordinary,
    ...drawnAnew(format),
    prepare: (directory) => {
      const image = directory.file('image');
      qemuImg('create', '-q', '-f', format, ...(options === '' ? [] : ['-o', options]), image, '3M').must();
      qemuIo(image, `write -P 1 100k 70k`).must();
      directory.write('source.raw', Buffer.concat([noise(150 * KIB), Buffer.alloc(2000 * KIB), lines(40 * KIB)]));
    },
    command: (image) => instar('convert', '-n', '-f', 'raw', '-O', format, `${dirname(image)}/source.raw`, image),
  };
}

/** An edit of a differencing disk, or of its parent. */
function differencing(format: string, edit: 'commit' | 'rebase'): EditCase {
  const [top, base] = edit === 'commit' ? ['top', 'image'] : ['image', 'base'];
  return {
    name: `${edit} of a differencing ${format}`,
    ...drawnAnew(format),
    prepare: (directory) => {
      const options = format === 'vpc' ? ['-o', 'force_size=on'] : ['-o', 'block_size=1M'];
      qemuImg('create', '-q', '-f', format, ...options, base, '3M')
        .in(directory)
        .must();
      qemuIo(directory.file(base), `write -P 1 100k 70k`).must();
      instar('create', '-q', '-f', format, '-b', base, '-F', format, top).in(directory).must();
      directory.write('source.raw', Buffer.concat([noise(150 * KIB), Buffer.alloc(2882 * KIB), lines(40 * KIB)]));
      const words = ['-n', '--target-is-zero', '-f', 'raw', '-O', format, 'source.raw', top];
      instar('convert', ...words)
        .in(directory)
        .must();
      if (edit !== 'rebase') return;
      directory.write('other', directory.read(base));
      qemuIo(directory.file('other'), `write -P 3 1M 70k`).must();
    },
    command: (image) => {
      const here = dirname(image);
      return edit === 'rebase'
        ? instar('rebase', '-f', format, '-b', 'other', '-F', format, image)
        : instar('commit', '-q', '-d', '-f', format, `${here}/top`);
    },
  };
}

/** A resize of an image of another format, for which its tables move. */
function growth(format: string, options: string, size: string): EditCase {
  return {
    name: `resize of ${format}`,
    ...drawnAnew(format),
    prepare: (directory) => {
      directory.write('content.raw', Buffer.concat([noise(1100 * KIB), Buffer.alloc(1000 * KIB), lines(1100 * KIB)]));
      const files = [directory.file('content.raw'), directory.file('image')];
      const chosen = options === '' ? [] : ['-o', options];
      qemuImg('convert', '-f', 'raw', '-O', format, ...chosen, ...files).must();
    },
    command: (image) => instar('resize', image, size),
  };
}

/** One case for each edit, over images that differ in what edits have to count and copy. */
export const EDIT_CASES: readonly EditCase[] = [
  {
    name: 'snapshot -c',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=4k');
    },
    command: (image) => instar('snapshot', '-c', 'third', image),
  },
  {
    name: 'snapshot -a',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=16k', 'extended_l2=on');
    },
    command: (image) => instar('snapshot', '-a', 'first', image),
  },
  {
    name: 'snapshot -d',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=2k', 'refcount_bits=64');
    },
    command: (image) => instar('snapshot', '-d', 'second', image),
  },
  {
    name: 'resize',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=512');
    },
    command: (image) => instar('resize', image, '+8M'),
  },
  {
    name: 'resize --shrink',
    ordinary: true,
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=1k');
    },
    command: (image) => instar('resize', '--shrink', image, '200k'),
  },
  {
    name: 'check -r all',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=2k');
      miscount(directory);
    },
    command: (image) => instar('check', '-r', 'all', image),
    complains: true,
  },
  {
    name: 'check -r all of a parallels disk',
    prepare: (directory) => {
      directory.write('content.raw', Buffer.concat([noise(900 * KIB), Buffer.alloc(200 * KIB), lines(900 * KIB)]));
      const options = ['-O', 'parallels', '-o', 'cluster_size=64k'];
      qemuImg('convert', '-f', 'raw', ...options, directory.file('content.raw'), directory.file('image')).must();
      const bytes = directory.read('image');
      // Two entries that name one cluster, one that names none of the file, a mark, and a tail.
      bytes.writeUInt32LE(bytes.readUInt32LE(64), 64 + 4 * 3);
      bytes.writeUInt32LE(0x7fff_ff00, 64 + 4 * 5);
      bytes.writeUInt32LE(0x746f_6e59, 44);
      directory.write('image', Buffer.concat([bytes, noise(150 * KIB)]));
    },
    command: (image) => instar('check', '-r', 'all', image),
    complains: true,
  },
  {
    name: 'bitmap',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=1k');
      qemuImg('bitmap', '--add', '-g', '512', directory.file('image'), 'old').must();
      qemuIo(directory.file('image'), 'write -P 5 10k 30k').must();
    },
    command: (image) => instar('bitmap', '--add', '--merge', 'old', '--disable', image, 'new'),
  },
  {
    name: 'bench -w',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=4k');
    },
    command: (image) => instar('bench', '-w', '--pattern', '9', '-c', '40', '-s', '3k', '-S', '11k', image),
  },
  {
    name: 'amend',
    prepare: (directory) => {
      withSnapshots(directory, 'cluster_size=1k');
    },
    command: (image) => instar('amend', '-o', 'refcount_bits=64,lazy_refcounts=on', image),
  },
  {
    name: 'rebase',
    prepare: (directory) => {
      withBacking(directory, 'image', 'below');
    },
    command: (image) => instar('rebase', '-b', '', image),
  },
  {
    name: 'rebase, compressed',
    prepare: (directory) => {
      withBacking(directory, 'image', 'below');
    },
    command: (image) => instar('rebase', '-c', '-b', '', image),
  },
  {
    name: 'commit',
    ordinary: true,
    prepare: (directory) => {
      withBacking(directory, 'image', 'below');
      const above = directory.file('above');
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'image', '-F', 'qcow2', above).must();
      qemuIo(above, 'write -P 6 40k 50k', 'write -z 200k 20k').must();
    },
    command: (image) => instar('commit', '-d', `${dirname(image)}/above`),
    unused: withoutFree,
  },
  {
    name: 'commit into what an earlier one has left, which makes the file shorter',
    ordinary: true,
    prepare: (directory) => {
      const [image, above] = [directory.file('image'), directory.file('above')];
      directory.write('content', noise(256 * KIB));
      const small = ['-o', 'cluster_size=4k'];
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...small, directory.file('content'), image).must();
      qemuImg('create', '-q', '-f', 'qcow2', ...small, '-b', 'image', '-F', 'qcow2', above).must();
      qemuIo(above, 'write -P 6 10k 150k', 'write -P 7 170k 30k').must();
      instar('commit', '-q', '-d', above).must();
      qemuIo(above, 'write -P 8 0 100k', 'write -z 100k 20k', 'write -P 9 120k 136k').must();
    },
    command: (image) => instar('commit', '-d', `${dirname(image)}/above`),
    unused: withoutFree,
  },
  {
    name: 'commit that empties its image',
    ordinary: true,
    prepare: (directory) => {
      withBacking(directory, 'below', 'bottom');
      const image = directory.file('image');
      qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-b', 'below', '-F', 'qcow2', image).must();
      qemuIo(image, 'write -P 6 40k 50k', 'write -z 200k 20k').must();
      qemuImg('snapshot', '-c', 'first', image).must();
      qemuIo(image, 'write -P 7 60k 100k').must();
    },
    command: (image) => instar('commit', '-q', image),
    unused: withoutFree,
  },
  {
    name: 'resize of an overlay that ends within a cluster',
    ordinary: true,
    prepare: (directory) => {
      const [below, image] = [directory.file('below'), directory.file('image')];
      directory.write('content', noise(200 * KIB));
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', directory.file('content'), below).must();
      const small = ['-o', 'cluster_size=4k'];
      qemuImg('create', '-q', '-f', 'qcow2', ...small, '-b', 'below', '-F', 'qcow2', image, '101k').must();
      qemuIo(image, 'write -P 6 40k 50k', 'write -P 7 100k 512').must();
    },
    command: (image) => instar('resize', '-q', image, '150k'),
    unused: withoutFree,
  },
  {
    name: 'resize --shrink of a raw image',
    prepare: (directory) => {
      directory.write('image', noise(150_000));
    },
    command: (image) => instar('resize', '-f', 'raw', '--shrink', image, '70000'),
  },
  growth('vdi', '', '300M'),
  growth('vpc', 'force_size=on', '300M'),
  growth('vhdx', 'block_size=1M', '150G'),
  growth('vmdk', '', '300M'),
  writing('vdi', ''),
  writing('vpc', 'force_size=on', true),
  writing('vhdx', 'block_size=1M'),
  writing('vmdk', '', true),
  writing('qed', 'cluster_size=4k'),
  writing('parallels', ''),
  writing('qcow', ''),
  differencing('vpc', 'rebase'),
  differencing('vpc', 'commit'),
  differencing('vhdx', 'rebase'),
];
