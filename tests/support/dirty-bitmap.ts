import { readFileSync } from 'node:fs';
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
  const pid = directory.file(`nbd-${servers}.pid`);
  const serve = [
    'qemu-nbd',
    '--fork',
    '--read-only',
    '--pid-file',
    pid,
    '-f',
    'qcow2',
    '-B',
    bitmap,
    '-k',
    socket,
    file,
  ];
  new CommandLine(serve).in(directory).must();
  const options = ['driver=nbd', 'export=', 'server.type=unix', `server.path=${socket}`];
  const asked = [...options, `x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`].join(',');
  const asking = qemuImg('map', '--output=json', '--image-opts', asked).in(directory).run();
  if (asking.status !== 0) {
    // It ends with its first client, which has not come.
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
    throw new Error(asking.stderr);
  }
  const extents = JSON.parse(asking.stdout) as readonly { start: number; length: number; data: boolean }[];
  // What is dirty is told as a hole (docs/interop of QEMU's block driver, x-dirty-bitmap).
  return extents.filter(({ data }) => !data).map(({ start, length }) => ({ start, length }));
}
