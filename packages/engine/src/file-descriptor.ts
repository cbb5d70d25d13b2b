import * as fs from 'node:fs';
import { promisify } from 'node:util';

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify<number, fs.BigIntOptions, fs.BigIntStats>(
  fs.fstat as (
    fd: number,
    options: fs.BigIntOptions,
    callback: (error: Error | null, stats: fs.BigIntStats) => void,
  ) => void,
);

/** Opens a path; node sets O_CLOEXEC. The caller closes the descriptor. */
export async function openFile(path: string, flags: number, mode = 0o666): Promise<number> {
  return open(path, flags, mode);
}

/** Closes a descriptor. */
export async function closeFile(fd: number): Promise<void> {
  await close(fd);
}

/** What a descriptor is. */
export async function statFile(fd: number): Promise<fs.BigIntStats> {
  return fstat(fd, { bigint: true });
}

/** What kind of file it is, in words, for messages. */
export function kindOf(stats: fs.BigIntStats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  if (stats.isCharacterDevice()) return 'a character device';
  if (stats.isBlockDevice()) return 'a block device';
  return 'a regular file';
}

/** A file's identity: the same for all its names. */
export function identity(stats: fs.BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}
