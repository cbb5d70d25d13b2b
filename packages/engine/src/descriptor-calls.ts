import * as fs from 'node:fs';
import { promisify } from 'node:util';

/** fchmod(2). */
export const fchmod = promisify(fs.fchmod);
/** fchown(2). */
export const fchown = promisify(fs.fchown);
/** fsync(2). */
export const fsync = promisify(fs.fsync);

const truncate = promisify<number, number>(fs.ftruncate);

/** Sets the length of a file (bytes). */
export async function ftruncate(fd: number, length: bigint): Promise<void> {
  await truncate(fd, Number(length));
}
