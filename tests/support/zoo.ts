import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { qemuImg, qemuIo } from './qemu-img.js';
import { lines, noise } from './random.js';
import type { Workdir } from './workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** An image that qemu-img made, for one thing that a reader must get right. */
export interface ZooImage {
  /** Name of the file; the image is read with its directory as the current one. */
  readonly file: string;
  /** As qemu-img names it. */
  readonly format: string;
  /** Its disk lies in files of which `info` alone opens none. */
  readonly inSeveralFiles?: boolean;
  /** What is special about it. */
  readonly about: string;
  readonly build: (directory: Workdir) => void;
}

/** Data, holes and repetition, in pieces that do not fit clusters. */
export function mixed(length: number, seed = 1): Buffer {
  const content = Buffer.alloc(length);
  const pieces = [
    { from: 0, to: 70_000, bytes: noise },
    { from: 200_000, to: 330_123, bytes: lines },
    { from: 600_001, to: 600_002, bytes: noise },
    { from: 786_432, to: 920_000, bytes: lines },
  ];
  for (let base = 0; base < length; base += MIB) {
    for (const { from, to, bytes } of pieces) {
      const end = Math.min(base + to, length);
      if (base + from < end) bytes(end - base - from, seed + base).copy(content, base + from);
    }
  }
  // The last bytes are data, so that a short or padded end shows.
  noise(Math.min(length, 777), seed).copy(content, Math.max(0, length - 777));
  return content;
}

function raw(file: string, length: number): ZooImage {
  return {
    file,
    format: 'raw',
    about: `raw, ${length} bytes`,
    build: (directory) => directory.write(file, mixed(length, length)),
  };
}

function qcow2(file: string, about: string, build: (directory: Workdir) => void): ZooImage {
  return { file, format: 'qcow2', about, build };
}

/** qcow2 with this content, by way of qemu-img convert. */
function converted(file: string, about: string, length: number, ...options: readonly string[]): ZooImage {
  return qcow2(file, about, (directory) => {
    const source = `${file}.source`;
    directory.write(source, mixed(length, length));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, source, file)
      .in(directory)
      .must();
  });
}

function create(directory: Workdir, file: string, ...rest: readonly string[]): void {
  qemuImg('create', '-q', '-f', 'qcow2', ...rest.slice(0, -1), file, ...rest.slice(-1).filter((size) => size !== ''))
    .in(directory)
    .must();
}

function writes(directory: Workdir, file: string, ...commands: readonly string[]): void {
  qemuIo(file, ...commands)
    .in(directory)
    .must();
}

/** Changes bytes of a file in place. */
export function poke(file: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(file, 'r+');
  try {
    writeSync(fd, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(fd);
  }
}

export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function be64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const RAW: readonly ZooImage[] = [
  raw('raw-0.raw', 0),
  raw('raw-1.raw', 1),
  raw('raw-511.raw', 511),
  raw('raw-512.raw', 512),
  raw('raw-513.raw', 513),
  raw('raw-1000.raw', 1000),
  raw('raw-5000.raw', 5000),
  raw('raw-large.raw', 2 * MIB + 300),
  {
    file: 'raw-holes.raw',
    format: 'raw',
    about: 'raw, mostly holes of the file system',
    build(directory) {
      const fd = openSync(directory.file('raw-holes.raw'), 'w');
      writeSync(fd, noise(5000), 0, 5000, 1_000_000);
      ftruncateSync(fd, 3 * MIB);
      closeSync(fd);
    },
  },
];

const QCOW2: readonly ZooImage[] = [
  converted('v3.qcow2', 'version 3, defaults', 2 * MIB),
  converted('v2.qcow2', 'version 2', 2 * MIB, '-o', 'compat=0.10'),
  converted('cluster-512.qcow2', 'clusters of 512 bytes', MIB, '-o', 'cluster_size=512'),
  converted('cluster-4k.qcow2', 'clusters of 4 KiB', MIB, '-o', 'cluster_size=4k'),
  converted('cluster-2m.qcow2', 'clusters of 2 MiB', 5 * MIB, '-o', 'cluster_size=2M'),
  converted('zlib.qcow2', 'zlib-compressed', 2 * MIB, '-c'),
  converted('zlib-512.qcow2', 'zlib-compressed clusters of 512 bytes', 200 * KIB, '-c', '-o', 'cluster_size=512'),
  converted('zlib-2m.qcow2', 'zlib-compressed clusters of 2 MiB', 5 * MIB, '-c', '-o', 'cluster_size=2M'),
  converted('zstd.qcow2', 'zstd-compressed', 2 * MIB, '-c', '-o', 'compression_type=zstd'),
  converted(
    'zstd-2m.qcow2',
    'zstd-compressed clusters of 2 MiB',
    5 * MIB,
    '-c',
    '-o',
    'compression_type=zstd,cluster_size=2M',
  ),
  converted('v2-zlib.qcow2', 'version 2, zlib-compressed', MIB, '-c', '-o', 'compat=0.10'),
  converted('unaligned.qcow2', 'a virtual size that no cluster divides', MIB + 1000, '-o', 'cluster_size=64k'),
  converted('tiny.qcow2', 'a virtual size of 513 bytes, rounded up by qemu-img', 513),
  converted('extended-l2.qcow2', 'extended L2 entries', 2 * MIB, '-o', 'extended_l2=on'),
  converted(
    'extended-l2-zstd.qcow2',
    'extended L2 entries, zstd-compressed',
    2 * MIB,
    '-c',
    '-o',
    'extended_l2=on,cluster_size=128k,compression_type=zstd',
  ),
  converted('refcounts-1.qcow2', 'refcounts of 1 bit', MIB, '-o', 'refcount_bits=1'),
  converted('refcounts-64.qcow2', 'refcounts of 64 bits', MIB, '-o', 'refcount_bits=64'),
  converted('lazy.qcow2', 'lazy refcounts', MIB, '-o', 'lazy_refcounts=on'),
  qcow2('empty.qcow2', 'nothing in it', (directory) => {
    create(directory, 'empty.qcow2', '3M');
  }),
  qcow2('zero-size.qcow2', 'a virtual size of 0', (directory) => {
    create(directory, 'zero-size.qcow2', '0');
  }),
  qcow2('preallocated.qcow2', 'preallocated metadata', (directory) => {
    create(directory, 'preallocated.qcow2', '-o', 'preallocation=metadata', '1M');
    writes(directory, 'preallocated.qcow2', 'write -P 0x5a 100k 200k');
  }),
  qcow2('zeros.qcow2', 'zero clusters, with and without a host cluster, and discarded ones', (directory) => {
    create(directory, 'zeros.qcow2', '2M');
    writes(
      directory,
      'zeros.qcow2',
      'write -P 0x11 0 2M',
      'write -z 64k 64k',
      'write -z -u 256k 128k',
      'discard 1M 192k',
    );
  }),
  qcow2('extended-holes.qcow2', 'single subclusters: data, zeros, unallocated', (directory) => {
    create(directory, 'extended-holes.base', '1M');
    writes(directory, 'extended-holes.base', 'write -P 0x77 0 1M');
    const options = ['-b', 'extended-holes.base', '-F', 'qcow2', '-o', 'extended_l2=on'];
    create(directory, 'extended-holes.qcow2', ...options, '');
    writes(
      directory,
      'extended-holes.qcow2',
      'write -P 1 2k 2k',
      'write -P 2 10k 6k',
      'write -z 20k 4k',
      'write -P 3 61k 7k',
      'write -z 300k 150k',
      'write -P 4 700k 100k',
    );
  }),
  qcow2('snapshots.qcow2', 'internal snapshots; the active state is read', (directory) => {
    create(directory, 'snapshots.qcow2', '1M');
    writes(directory, 'snapshots.qcow2', 'write -P 1 0 500k');
    qemuImg('snapshot', '-c', 'first', 'snapshots.qcow2').in(directory).must();
    writes(directory, 'snapshots.qcow2', 'write -P 2 100k 100k', 'write -z 300k 64k');
    qemuImg('snapshot', '-c', 'second one', 'snapshots.qcow2').in(directory).must();
    writes(directory, 'snapshots.qcow2', 'write -P 3 600k 10k');
  }),
  qcow2('bitmaps.qcow2', 'persistent dirty bitmaps', (directory) => {
    create(directory, 'bitmaps.qcow2', '1M');
    qemuImg('bitmap', '--add', 'bitmaps.qcow2', 'b0').in(directory).must();
    qemuImg('bitmap', '--add', '--disable', '-g', '128k', 'bitmaps.qcow2', 'b1').in(directory).must();
    writes(directory, 'bitmaps.qcow2', 'write -P 9 64k 1k');
  }),
  qcow2('data-file.qcow2', 'external data file', (directory) => {
    create(directory, 'data-file.qcow2', '-o', 'data_file=data-file.data', '1M');
    writes(directory, 'data-file.qcow2', 'write -P 0x21 30k 200k', 'write -z 128k 64k', 'write -P 0x22 800k 1k');
  }),
  qcow2('data-file-raw.qcow2', 'external data file, raw', (directory) => {
    create(directory, 'data-file-raw.qcow2', '-o', 'data_file=data-file-raw.data,data_file_raw=on', '1M');
    writes(directory, 'data-file-raw.qcow2', 'write -P 0x31 30k 200k', 'write -P 0x32 900k 1k');
  }),
  qcow2('odd-size.qcow2', 'a virtual size of 65536 + 1000 bytes in the header', (directory) => {
    create(directory, 'odd-size.qcow2', '128k');
    writes(directory, 'odd-size.qcow2', 'write -P 0x41 0 128k');
    poke(directory.file('odd-size.qcow2'), 24, be64(66_536n));
  }),
  qcow2('dirty.qcow2', 'dirty bit', (directory) => {
    create(directory, 'dirty.qcow2', '1M');
    writes(directory, 'dirty.qcow2', 'write -P 0x51 0 100k');
    poke(directory.file('dirty.qcow2'), 72, be64(1n));
  }),
  qcow2('corrupt.qcow2', 'corrupt bit', (directory) => {
    create(directory, 'corrupt.qcow2', '1M');
    writes(directory, 'corrupt.qcow2', 'write -P 0x52 0 100k');
    poke(directory.file('corrupt.qcow2'), 72, be64(2n));
  }),
  qcow2('cut.qcow2', 'a file that ends inside its last cluster', (directory) => {
    create(directory, 'cut.qcow2', '1M');
    writes(directory, 'cut.qcow2', 'write -P 0x53 0 256k');
    const fd = openSync(directory.file('cut.qcow2'), 'r+');
    ftruncateSync(fd, 327_680 + 3 * 65_536 + 1000);
    closeSync(fd);
  }),
];

const CHAINS: readonly ZooImage[] = [
  qcow2('over-raw.qcow2', 'overlay over a raw image', (directory) => {
    directory.write('over-raw.base', mixed(MIB, 5));
    create(directory, 'over-raw.qcow2', '-b', 'over-raw.base', '-F', 'raw', '');
    writes(directory, 'over-raw.qcow2', 'write -P 0x61 100k 10k', 'write -z 256k 64k');
  }),
  qcow2('over-odd-raw.qcow2', 'overlay over a raw image of 5000 bytes, larger than it', (directory) => {
    directory.write('over-odd-raw.base', noise(5000));
    create(directory, 'over-odd-raw.qcow2', '-b', 'over-odd-raw.base', '-F', 'raw', '-o', 'cluster_size=512', '100k');
    writes(directory, 'over-odd-raw.qcow2', 'write -P 0x62 1k 512');
  }),
  qcow2('over-larger.qcow2', 'overlay smaller than its backing image', (directory) => {
    create(directory, 'over-larger.base', '2M');
    writes(directory, 'over-larger.base', 'write -P 0x63 0 2M');
    create(directory, 'over-larger.qcow2', '-b', 'over-larger.base', '-F', 'qcow2', '700k');
    writes(directory, 'over-larger.qcow2', 'write -P 0x64 300k 1k');
  }),
  qcow2('three-layers.qcow2', 'three layers, the middle one shorter than those around it', (directory) => {
    directory.write('three-layers.bottom', mixed(2 * MIB, 7));
    const options = ['-b', 'three-layers.bottom', '-F', 'raw', '-o', 'cluster_size=4k,extended_l2=off'];
    create(directory, 'three-layers.middle', ...options, '500k');
    writes(directory, 'three-layers.middle', 'write -P 0x65 8k 100k', 'write -z 200k 10k');
    create(directory, 'three-layers.qcow2', '-b', 'three-layers.middle', '-F', 'qcow2', '1500k');
    writes(directory, 'three-layers.qcow2', 'write -P 0x66 40k 1k');
  }),
  qcow2('over-compressed.qcow2', 'overlay over a zstd-compressed image', (directory) => {
    directory.write('over-compressed.source', mixed(MIB, 8));
    const options = ['-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compression_type=zstd'];
    qemuImg('convert', ...options, 'over-compressed.source', 'over-compressed.base')
      .in(directory)
      .must();
    create(directory, 'over-compressed.qcow2', '-b', 'over-compressed.base', '-F', 'qcow2', '');
    writes(directory, 'over-compressed.qcow2', 'write -P 0x67 200k 30k');
  }),
  qcow2('over-data-file.qcow2', 'overlay over an image with an external data file', (directory) => {
    create(directory, 'over-data-file.base', '-o', 'data_file=over-data-file.data', '1M');
    writes(directory, 'over-data-file.base', 'write -P 0x68 0 300k');
    create(directory, 'over-data-file.qcow2', '-b', 'over-data-file.base', '-F', 'qcow2', '');
    writes(directory, 'over-data-file.qcow2', 'write -P 0x69 100k 1k');
  }),
  qcow2('over-undeclared.qcow2', 'a backing image whose format is not declared', (directory) => {
    create(directory, 'over-undeclared.base', '1M');
    writes(directory, 'over-undeclared.base', 'write -P 0x6a 0 300k');
    const options = ['-u', '-b', 'over-undeclared.base', '-F', 'qcow2', '-o', 'compat=0.10'];
    create(directory, 'over-undeclared.qcow2', ...options, '1M');
    // The extension with the format's name becomes the end of the extensions.
    poke(directory.file('over-undeclared.qcow2'), 72, Buffer.alloc(16));
  }),
  qcow2('sub/over-parent.qcow2', 'a backing image named by an absolute path', (directory) => {
    directory.write('sub/over-parent.base', mixed(300 * KIB, 9));
    const base = directory.file('sub/over-parent.base');
    create(directory, 'sub/over-parent.qcow2', '-b', base, '-F', 'raw', '');
    writes(directory, 'sub/over-parent.qcow2', 'write -P 0x6b 100k 1k');
  }),
];

/** An image of another format with data, holes and repetition, by way of qemu-img convert. */
function foreign(format: string, file: string, about: string, length: number, ...options: string[]): ZooImage {
  return {
    file,
    format,
    about,
    build(directory) {
      const source = `${file}.source`;
      directory.write(source, mixed(length, length));
      qemuImg('convert', '-f', 'raw', '-O', format, ...options, source, file)
        .in(directory)
        .must();
    },
  };
}

/** An overlay of another format over a raw image. */
function foreignOverlay(format: string, file: string, ...options: string[]): ZooImage {
  return {
    file,
    format,
    about: `${format}, overlay over a raw image`,
    build(directory) {
      const base = `${file}.base`;
      directory.write(base, mixed(MIB, 11));
      qemuImg('create', '-q', '-f', format, '-b', base, '-F', 'raw', ...options, file)
        .in(directory)
        .must();
      writes(directory, file, 'write -P 0x71 100k 10k', 'write -z 256k 64k', 'write -P 0x72 1000k 1k');
    },
  };
}

/** A disk of VMware in several files. */
function inFiles(file: string, subformat: string): ZooImage {
  const image = foreign('vmdk', file, `vmdk, ${subformat}`, ODD, '-o', `subformat=${subformat}`);
  return { ...image, inSeveralFiles: true };
}

const ODD = 5 * MIB + 512 * 3;

const FOREIGN: readonly ZooImage[] = [
  foreign('vmdk', 'default.vmdk', 'vmdk, monolithicSparse', ODD),
  foreign('vmdk', 'zeroed-grains.vmdk', 'vmdk, with grains of zeros', ODD, '-o', 'zeroed_grain=on'),
  foreign('vmdk', 'stream.vmdk', 'vmdk, streamOptimized', ODD, '-o', 'subformat=streamOptimized'),
  inFiles('flat.vmdk', 'monolithicFlat'),
  inFiles('split-flat.vmdk', 'twoGbMaxExtentFlat'),
  inFiles('split-sparse.vmdk', 'twoGbMaxExtentSparse'),
  {
    file: 'over-link.vmdk',
    format: 'vmdk',
    about: 'vmdk, a link to a parent',
    build(directory) {
      const [base, file] = ['over-link.base.vmdk', 'over-link.vmdk'];
      qemuImg('create', '-q', '-f', 'vmdk', base, '3M').in(directory).must();
      writes(directory, base, 'write -P 0x76 0 2M');
      qemuImg('create', '-q', '-f', 'vmdk', '-b', base, '-F', 'vmdk', file).in(directory).must();
      writes(directory, file, 'write -P 0x77 100k 10k', 'write -P 0x78 2500k 64k');
    },
  },
  foreign('vdi', 'dynamic.vdi', 'vdi, dynamic', ODD),
  foreign('vdi', 'static.vdi', 'vdi, fixed', ODD, '-o', 'static=on'),
  foreign('vpc', 'dynamic.vhd', 'vpc, dynamic, sized by its geometry', ODD),
  foreign('vpc', 'exact.vhd', 'vpc, dynamic, sized exactly', ODD, '-o', 'force_size=on'),
  foreign('vpc', 'fixed.vhd', 'vpc, fixed', ODD, '-o', 'subformat=fixed'),
  foreign('vpc', 'fixed-exact.vhd', 'vpc, fixed, sized exactly', ODD, '-o', 'subformat=fixed,force_size=on'),
  foreign('vhdx', 'dynamic.vhdx', 'vhdx, dynamic', ODD),
  foreign('vhdx', 'small-blocks.vhdx', 'vhdx, blocks of 1 MiB', ODD, '-o', 'block_size=1M'),
  foreign('vhdx', 'fixed.vhdx', 'vhdx, fixed', ODD, '-o', 'subformat=fixed,block_size=1M'),
  foreign('qcow', 'old.qcow', 'qcow, version 1', ODD),
  {
    file: 'old-compressed.qcow',
    format: 'qcow',
    about: 'qcow, version 1, with compressed clusters',
    build(directory) {
      const file = 'old-compressed.qcow';
      qemuImg('create', '-q', '-f', 'qcow', file, '1M').in(directory).must();
      writes(directory, file, 'write -c -P 0x73 64k 4k', 'write -c -P 0x74 68k 4k', 'write -P 0x75 200k 100k');
    },
  },
  foreignOverlay('qcow', 'over-raw.qcow'),
  foreign('qed', 'default.qed', 'qed', ODD),
  foreign('qed', 'small.qed', 'qed, clusters of 4 KiB', ODD, '-o', 'cluster_size=4k,table_size=2'),
  foreignOverlay('qed', 'over-raw.qed'),
  foreign('parallels', 'default.parallels', 'parallels', ODD),
  foreign('parallels', 'small.parallels', 'parallels, clusters of 64 KiB', ODD, '-o', 'cluster_size=64k'),
];

/** Every kind of image that is read. */
export const ZOO: readonly ZooImage[] = [...RAW, ...QCOW2, ...CHAINS, ...FOREIGN];
