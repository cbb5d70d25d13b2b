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
    ordinary: true,
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
    name: 'resize --shrink of a raw image',
    prepare: (directory) => {
      directory.write('image', noise(150_000));
    },
    command: (image) => instar('resize', '-f', 'raw', '--shrink', image, '70000'),
  },
];
