import { qemuImg, qemuIo } from '../support/qemu-img.js';
import { lines, noise } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of the disk: no whole number of clusters. */
export const DISK_SIZE = 6 * MIB + 9 * 512;

/** What the images hold: text, noise, zeros; the last bytes are none. */
export function diskContent(): Buffer {
  const disk = Buffer.alloc(DISK_SIZE);
  lines(MIB + 100 * KIB, 3).copy(disk, 0);
  noise(900 * KIB, 4).copy(disk, 1500 * KIB);
  lines(2 * MIB, 5).copy(disk, 3 * MIB - 7);
  noise(512 * KIB, 6).copy(disk, DISK_SIZE - 512 * KIB);
  return disk;
}

/** Kinds of input, with the name of the file that dd reads. */
export const INPUTS = {
  raw: 'disk.raw',
  plain: 'plain.qcow2',
  zlib: 'zlib.qcow2',
  zstd: 'zstd.qcow2',
  chain: 'overlay.qcow2',
  'data file': 'external.qcow2',
} as const;
export type InputKind = keyof typeof INPUTS;

/** Makes one image of every kind below `in/`, all with the same content. */
export function withImages(directory: Workdir): void {
  const disk = diskContent();
  directory.write('in/disk.raw', disk);
  const input = directory.file('in');
  const convert = (...args: readonly string[]): void => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...args)
      .in(input)
      .must();
  };
  convert('disk.raw', 'plain.qcow2');
  convert('-c', 'disk.raw', 'zlib.qcow2');
  convert('-c', '-o', 'compression_type=zstd', 'disk.raw', 'zstd.qcow2');
  convert('-o', 'data_file=external.data', 'disk.raw', 'external.qcow2');
  // The base has other content where the overlay has its own.
  const base = Buffer.from(disk);
  base.fill('of the base only ', MIB, 2 * MIB);
  directory.write('in/base.raw', base).write('in/part', disk.subarray(MIB, 2 * MIB));
  convert('-c', 'base.raw', 'base.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'overlay.qcow2').in(input).must();
  qemuIo('overlay.qcow2', `write -s part ${MIB} ${MIB}`).in(input).must();
  directory.delete('in/base.raw');
  directory.delete('in/part');
}
