import { lockExclusive } from '@instar/vmm-native';
import { constants, unlinkSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { systemErrorName } from './errors.js';
import { closeFile, identity, openFile, statFile } from './file-descriptor.js';

/** Bytes of a file name (NAME_MAX of the Linux file systems). */
const NAME_MAX = 255;
/** Room for the dot, `.instar-`, a pid, a number and `.tmp`. */
const DECORATION = 32;
const ATTEMPTS = 100;

/** A file beside its final name. Its lock says that someone is writing it, also across containers and hosts. */
export interface TemporaryFile {
  readonly fd: number;
  readonly path: string;
  /** Whether the name still leads to this file: nobody has removed or replaced it. */
  isInPlace(): Promise<boolean>;
  /** Forgets it: it is published, or gone. */
  release(): void;
}

/** Temporary files of this process. */
const active = new Set<string>();

function removeActive(): void {
  for (const file of active) {
    try {
      unlinkSync(file);
    } catch {
      // It is gone, or cannot be removed; the process ends either way.
    }
  }
}

function prefixOf(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= NAME_MAX - DECORATION) return `.${name}.instar-`;
  const kept = bytes
    .subarray(0, NAME_MAX - DECORATION)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
  return `.${kept}.instar-`;
}

/**
 * Creates `.<name>.instar-<pid>.tmp` in a directory, and locks it. Where the name is taken (another container may have
 * the same pid), a number is added.
 * @param mode permissions, before the umask
 */
export async function createTemporary(directory: string, name: string, mode: number): Promise<TemporaryFile> {
  if (active.size === 0) process.once('exit', removeActive);
  for (let attempt = 0; ; attempt += 1) {
    const suffix = attempt === 0 ? '' : `-${attempt}`;
    const file = path.join(directory, `${prefixOf(name)}${process.pid}${suffix}.tmp`);
    let fd: number;
    try {
      fd = await openFile(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode);
    } catch (error) {
      if (systemErrorName(error) === 'EEXIST' && attempt < ATTEMPTS) continue;
      throw error;
    }
    active.add(file);
    const temporary: TemporaryFile = {
      fd,
      path: file,
      async isInPlace() {
        try {
          return identity(await fs.lstat(file, { bigint: true })) === identity(await statFile(fd));
        } catch {
          return false;
        }
      },
      release() {
        active.delete(file);
        if (active.size === 0) process.off('exit', removeActive);
      },
    };
    // Between its creation and its lock another run may have taken it for a leftover.
    if (tryLock(fd) !== false && (await temporary.isInPlace())) return temporary;
    temporary.release();
    await closeFile(fd);
    if (attempt >= ATTEMPTS) throw new Error(`${file} is removed again and again`);
  }
}

/** Undefined where the file system has no locks. */
function tryLock(fd: number): boolean | undefined {
  try {
    return lockExclusive(fd);
  } catch {
    return undefined;
  }
}

/** Removes what killed processes left of earlier outputs of this name. What cannot be removed is left. */
export async function removeLeftovers(directory: string, name: string): Promise<void> {
  let entries: string[];
  try {
    entries = await fs.readdir(directory);
  } catch {
    // Whatever is wrong with the directory shows when the output is created.
    return;
  }
  const prefix = prefixOf(name);
  for (const entry of entries) {
    if (!entry.startsWith(prefix)) continue;
    const pid = /^(\d{1,10})(?:-\d{1,3})?\.tmp$/.exec(entry.slice(prefix.length))?.[1];
    if (pid === undefined) continue;
    const file = path.join(directory, entry);
    const ours = Number(pid) === process.pid;
    if (ours ? active.has(file) : isAlive(Number(pid))) continue;
    await removeUnlocked(file);
  }
}

/** The pid may be that of another container: only a file that nobody has locked is a leftover. */
async function removeUnlocked(file: string): Promise<void> {
  let fd: number;
  try {
    fd = await openFile(file, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch {
    return;
  }
  try {
    if ((await statFile(fd)).isFile() && tryLock(fd) !== false) await fs.unlink(file);
  } catch {
    // Not ours to remove.
  } finally {
    await closeFile(fd);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorName(error) !== 'ESRCH';
  }
}
