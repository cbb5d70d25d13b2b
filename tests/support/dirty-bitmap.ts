import { qemuImg } from './qemu-img.js';
import { CommandLine } from './command.js';
import type { Workdir } from './workdir.js';

/** The server of QEMU's disks, which tells clients of bitmaps. */
export const QEMU_NBD = { program: 'qemu-nbd', probe: ['--version'], package: 'qemu-utils' } as const;

/** A range of a disk. */
export interface DirtyRange {
  readonly start: number;
  readonly length: number;
}

/** A server may still be there when the next one is started. */
let servers = 0;

/** The ranges whose bits are set in a bitmap of an image (qcow2), as QEMU's server tells its clients. */
export function dirtyRanges(directory: Workdir, file: string, bitmap: string): readonly DirtyRange[] {
  servers += 1;
  const socket = directory.file(`nbd-${servers}.sock`);
  new CommandLine(['qemu-nbd', '--fork', '--read-only', '-f', 'qcow2', '-B', bitmap, '-k', socket, file])
    .in(directory)
    .must();
  const options = ['driver=nbd', 'export=', 'server.type=unix', `server.path=${socket}`];
  const asked = [...options, `x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`].join(',');
  const { stdout } = qemuImg('map', '--output=json', '--image-opts', asked).in(directory).must();
  const extents = JSON.parse(stdout) as readonly { start: number; length: number; data: boolean }[];
  // What is dirty is told as a hole (docs/interop of QEMU's block driver, x-dirty-bitmap).
  return extents.filter(({ data }) => !data).map(({ start, length }) => ({ start, length }));
}
