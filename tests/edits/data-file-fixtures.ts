// Images whose data lies in a file of its own, and edits that write content into it.
import { instar, type CommandLine } from '../support/command.js';
import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

const MIB = 1 << 20;

/** Kinds of images, by the options that make them. */
export const KINDS = {
  mapped: 'data_file=data',
  raw: 'data_file=data,data_file_raw=on',
  'mapped, small clusters': 'data_file=data,cluster_size=4k',
  'raw, small clusters': 'data_file=data,data_file_raw=on,cluster_size=4k',
  'raw, subclusters': 'data_file=data,data_file_raw=on,extended_l2=on',
  'mapped, subclusters': 'data_file=data,extended_l2=on',
} as const;

export type Kind = keyof typeof KINDS;

/** An edit of `image`, by two programs. */
export interface ContentEdit {
  readonly name: string;
  /** Images that it cannot be made of. */
  readonly not?: 'raw';
  /** Makes the image, in `data`, and what the edit needs beside it. */
  prepare(directory: Workdir, options: string): void;
  /** Words of the two commands, after their names. */
  readonly words: readonly [string, ...string[]];
  /** Those of qemu-img, where they are others. */
  readonly theirs?: readonly string[];
}

/** An image of 1 MiB and 512 bytes, which has some of its clusters, and of the others in a part of it zeros. */
function image(directory: Workdir, options: string, ...more: readonly string[]): void {
  qemuImg('create', '-q', '-f', 'qcow2', ...more, '-o', options, 'image', String(MIB + 512))
    .in(directory)
    .must();
  directory.write('noise', noise(300_000));
  qemuIo('image', 'write -q -s noise 100k 200k', 'write -q -z 600k 128k', 'write -q -P 7 900k 124k')
    .in(directory)
    .must();
}

/** An image above it, of another size, with content, zeros and a compressed cluster. */
function overlay(directory: Workdir, size: string): void {
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'image', '-F', 'qcow2', '-o', 'cluster_size=8k', 'top', size)
    .in(directory)
    .must();
  qemuIo('top', 'write -q -P 3 0 8k', 'write -q -P 5 128k 70k', 'write -q -z 200k 40k', 'write -q -P 9 640k 3000')
    .in(directory)
    .must();
  qemuIo('top', 'write -q -c -P 11 400k 8k', 'write -q -P 13 1020k 4608').in(directory).must();
}

function commit(name: string, size: string, ...words: readonly string[]): ContentEdit {
  return {
    name,
    prepare(directory, options) {
      image(directory, options);
      overlay(directory, size);
    },
    words: ['commit', '-q', ...words, 'top'],
  };
}

function rebase(name: string, ...words: readonly string[]): ContentEdit {
  return {
    name,
    not: 'raw',
    prepare(directory, options) {
      directory.write('old', noise(MIB));
      directory.write('new', Buffer.concat([directory.read('old').subarray(0, 700_000), noise(500_000)]));
      image(directory, options, '-b', 'old', '-F', 'raw');
    },
    words: ['rebase', '-q', ...words, 'image'],
  };
}

export const CONTENT_EDITS: readonly ContentEdit[] = [
  commit('commit of as much', String(MIB + 512)),
  commit('commit of more', '1500k', '-d'),
  commit('commit of less', String(MIB + 5 * 512), '-d'),
  rebase('rebase', '-b', 'new', '-F', 'raw'),
  rebase('rebase to nothing', '-b', ''),
  {
    name: 'convert -n',
    prepare(directory, options) {
      image(directory, options);
      const zeros = Buffer.alloc(300_000);
      directory.write('source', Buffer.concat([noise(200_000), zeros, noise(400_000)]));
    },
    words: ['convert', '-n', '-f', 'raw', '-O', 'qcow2', 'source', 'image'],
  },
  {
    name: 'bench -w',
    prepare: image,
    words: ['bench', '-w', '-f', 'qcow2', '-c', '60', '-s', '3000', '-S', '17500', '--pattern=77', 'image'],
  },
  {
    name: 'bench -w of whole clusters, flushed',
    prepare: image,
    words: ['bench', '-w', '-f', 'qcow2', '-c', '16', '-d', '1', '-s', '65536', '--flush-interval=4', 'image'],
  },
];

/** The edit, with the directory of the data file allowed. */
export function ours({ words }: ContentEdit, directory: Workdir): CommandLine {
  const [command, ...rest] = words;
  return instar(command, '--allow-path', directory.path, ...rest).in(directory);
}

/** The same by qemu-img. */
export function theirs({ words }: ContentEdit, directory: Workdir): CommandLine {
  return qemuImg(...words).in(directory);
}
