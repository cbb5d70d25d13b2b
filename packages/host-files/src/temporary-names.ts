import { keepName, readDirectory, removeNameAtEnd, statAt, unlinkAt } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { closeFile, closeRead, identity, kindOf, openIn, reopenDirectory, statFile } from './descriptors.js';
import { systemErrorName } from './system-errors.js';
import { tryLock } from './locks.js';
import type { Place } from './temporary-file.js';

/** Bytes of a file name (NAME_MAX of the Linux file systems). */
const NAME_MAX = 255;
/** Room for the dot, `.instar-`, a pid, the random part and `.tmp`. */
const DECORATION = 40;
const RANDOM_BYTES = 8;

interface ActiveName {
  readonly directory: number;
  readonly name: Buffer;
  /** Of the promise that it goes when this thread is terminated, which runs no exit handlers. */
  readonly atEnd: number;
}

/** Temporary names of this thread. */
const active = new Map<string, ActiveName>();

function key(directory: number, name: Buffer): string {
  return `${directory}/${name.toString('latin1')}`;
}

function removeActive(): void {
  for (const { directory, name } of active.values()) {
    try {
      unlinkAt(directory, name);
    } catch {
      // It is gone, or cannot be removed; the process ends either way.
    }
  }
}

/** A name that is to go when the process or this worker thread ends. The directory must stay open until then. */
export function rememberName(directory: number, name: Buffer): void {
  if (active.size === 0) process.once('exit', removeActive);
  active.set(key(directory, name), { directory, name, atEnd: removeNameAtEnd(directory, name) });
}

/** The name is gone, or final. */
export function forgetName(directory: number, name: Buffer): void {
  const known = active.get(key(directory, name));
  if (known === undefined) return;
  keepName(known.atEnd);
  active.delete(key(directory, name));
  if (active.size === 0) process.off('exit', removeActive);
}

function prefixOf(leaf: Buffer): Buffer {
  let length = Math.min(leaf.length, NAME_MAX - DECORATION);
  // Not within a character: some file systems refuse what is no text.
  while (length < leaf.length && length > 0 && ((leaf[length] ?? 0) & 0xc0) === 0x80) length -= 1;
  return Buffer.concat([Buffer.from('.'), leaf.subarray(0, length), Buffer.from('.instar-')]);
}

/** A name that nobody can guess, so that nobody can take it beforehand. */
export function temporaryName(leaf: Buffer, random: (bytes: number) => Buffer): Buffer {
  const rest = `${process.pid}-${random(RANDOM_BYTES).toString('hex')}.tmp`;
  return Buffer.concat([prefixOf(leaf), Buffer.from(rest)]);
}

/**
 * Removes what killed processes left of earlier outputs of this name: files of exactly such a name and no other, which
 * belong to this user or to the owner of the output, and which nobody has locked. What cannot be removed is left.
 */
export async function removeLeftovers(place: Place, owner: number | undefined): Promise<void> {
  let listed: number;
  try {
    listed = reopenDirectory(place.directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    // A directory that cannot be read; whatever else is wrong with it shows when the output is created.
    return;
  }
  try {
    const prefix = prefixOf(place.leaf);
    for (const name of readDirectory(listed)) {
      if (!name.subarray(0, prefix.length).equals(prefix)) continue;
      const pid = /^(\d{1,10})-[0-9a-f]{16}\.tmp$/.exec(name.subarray(prefix.length).toString('latin1'))?.[1];
      if (pid === undefined) continue;
      const ours = Number(pid) === process.pid;
      if (ours ? active.has(key(place.directory, name)) : isAlive(Number(pid))) continue;
      await removeLeftover(place.directory, name, owner);
    }
  } catch {
    // Cleaning up is a courtesy.
  } finally {
    closeRead(listed);
  }
}

/** The pid may be that of another container: only a file that nobody has locked is a leftover. */
async function removeLeftover(directory: number, name: Buffer, owner: number | undefined): Promise<void> {
  let fd: number | undefined;
  try {
    const found = statAt(directory, name);
    const mayBeOurs = found.uid === process.geteuid?.() || found.uid === owner;
    if (kindOf(found) !== 'file' || found.nlink !== 1 || !mayBeOurs) return;
    fd = await openIn(directory, name, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (identity(statFile(fd)) === identity(found) && tryLock(fd) !== false) unlinkAt(directory, name);
  } catch {
    // Not ours to remove.
  } finally {
    if (fd !== undefined) await closeFile(fd);
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
