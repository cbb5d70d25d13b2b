import {
  beginUndoLog,
  CURRENT_DIRECTORY,
  joinUndoLog,
  lockForReading,
  lockForWriting,
  readLinkAt,
  releaseEdit,
  settleEdit,
  settleFirst,
  undoLogBelongs,
  unlinkAt,
} from '@instar/vmm-native';
import { constants, lstatSync, type BigIntStats } from 'node:fs';
import { closeFile, closeRead, fchmod, fsync, hasProc, identity, openIn, statFile } from './descriptors.js';
import { HostFileError, hostFileError } from './errors.js';
import { quoteName } from './escape.js';
import { nameBytes, nameText, splitName } from './names.js';
import { statOrUndefined } from './resolve.js';
import { systemErrorName } from './system-errors.js';
import { logNameOf, markEdited, markedLog, unmark } from './undo-mark.js';

// A file that is edited in place has its undo log beside it, named after it. Whoever holds the file's lock as a writer owns
// the log; a log that nobody owns is what an interrupted edit has left.

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
/** The log holds what the file held: who may read and write the one may do so with the other. */
const PERMISSIONS = 0o666;
const OWNER_ONLY = 0o600;

/** Where the log of an open file is to stand. The name is the file's own: symbolic links to it do not matter. */
function logOf(fd: number, path: string, { nlink }: BigIntStats): Buffer | undefined {
  if (nlink === 0n) return undefined;
  // Not by node, whose functions others replace (Yarn's Plug'n'Play): the bytes of the name are needed.
  const name = hasProc() ? readLinkAt(CURRENT_DIRECTORY, Buffer.from(`/proc/self/fd/${fd}`)) : nameBytes(path);
  return hasProc() && name[0] !== 0x2f ? undefined : logNameOf(name);
}

/** A file that is edited together with an image, as its external data file is: open for writing, and locked. */
export interface SecondFile {
  readonly fd: number;
  /** As composed from the name that the image has for it. */
  readonly path: string;
}

/**
 * Opens the file that an image was edited together with, so that what it was before is put back: the one that the image names, where the
 * user allows writing to it. The image is as it was before.
 */
export type OpenSecond = (image: SecondFile) => Promise<SecondFile>;

/** Where the log of an open file may stand: beside the name by which it was opened, or where its mark says. */
function logsOf(fd: number, path: string): Buffer[] {
  const [beside, marked] = [logOf(fd, path, statFile(fd)), markedLog(fd)];
  const elsewhere = marked === undefined || beside?.equals(marked) === true ? [] : [marked];
  return beside === undefined ? elsewhere : [beside, ...elsewhere];
}

async function openExisting(name: Buffer): Promise<number | undefined> {
  try {
    // Nearly always there is none, and looking takes less than a turn of node's threads.
    if (statOrUndefined(CURRENT_DIRECTORY, name) === undefined) return undefined;
    return await openIn(CURRENT_DIRECTORY, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    const code = systemErrorName(error);
    if (code === 'ENOENT' || code === 'ENAMETOOLONG' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Brings to the disk which names a directory has. */
async function syncDirectoryOf(name: Buffer): Promise<void> {
  const directory = await openIn(CURRENT_DIRECTORY, splitName(name).directory, O_RDONLY | O_DIRECTORY);
  try {
    await fsync(directory);
  } finally {
    closeRead(directory);
  }
}

async function remove(name: Buffer): Promise<void> {
  try {
    unlinkAt(CURRENT_DIRECTORY, name);
  } catch (error) {
    // An earlier attempt came so far.
    if (systemErrorName(error) !== 'ENOENT') throw error;
  }
  await syncDirectoryOf(name);
}

/** The log that an interrupted edit of a file has left. */
async function leftLog(fd: number, path: string): Promise<Buffer | undefined> {
  for (const [index, name] of logsOf(fd, path).entries()) {
    if (exists(name) && (index === 0 || (await mayBeItsLog(name, fd)))) return name;
  }
  return undefined;
}

/** Whether the log that a mark names is that of the file still: an edit of another one may have made it since. */
async function mayBeItsLog(name: Buffer, fd: number): Promise<boolean> {
  let log: number;
  try {
    log = await openIn(CURRENT_DIRECTORY, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch {
    return exists(name);
  }
  try {
    return undoLogBelongs(fd, log);
  } finally {
    await closeFile(log);
  }
}

/** An undo log that is being written. */
export interface UndoLog {
  readonly fd: number;
  /** Has it be that of a second file as well, before anything is edited. @throws HostFileError */
  join(second: SecondFile): Promise<void>;
  /**
   * Takes it away, once the edit is complete or undone, and closes it.
   * @param releases whether places that the edit has left are given back to the file system then
   */
  remove(releases?: boolean): Promise<void>;
  /** Leaves it to whoever opens the file next. */
  leave(): Promise<void>;
}

/**
 * Begins the undo log of a file that is open and locked for writing.
 * @throws HostFileError
 */
export async function createUndoLog(fd: number, path: string): Promise<UndoLog> {
  const status = statFile(fd);
  const name = logOf(fd, path, status);
  if (name === undefined || !status.isFile()) {
    const problem =
      'is not a file in a directory, so that no undo log can stand beside it; without one an edit that is interrupted leaves ' +
      'it damaged: choose that with --no-undo';
    throw new HostFileError('FILE_NOT_USABLE', problem, path);
  }
  await markEdited(fd, name, path, status.nlink === 1n ? undefined : `has ${status.nlink} names (hard links)`);
  let log: number;
  try {
    log = await openIn(CURRENT_DIRECTORY, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_ONLY);
  } catch (error) {
    unmark(fd);
    const doing = `its undo log ${quoteName(nameText(name))} cannot be created`;
    throw hostFileError('WRITE_FAILED', path, doing, error);
  }
  try {
    await fchmod(log, Number(status.mode) & PERMISSIONS).catch(() => undefined);
    await beginUndoLog(fd, log);
    await syncDirectoryOf(name);
  } catch (error) {
    unlinkAt(CURRENT_DIRECTORY, name);
    unmark(fd);
    await closeFile(log);
    throw hostFileError('WRITE_FAILED', path, 'its undo log cannot be written', error);
  }
  return {
    fd: log,
    async join(second) {
      if (!statFile(second.fd).isFile()) {
        const problem = 'is no regular file, of which an undo log could hold what it was; choose --no-undo';
        throw new HostFileError('FILE_NOT_USABLE', problem, second.path);
      }
      await markEdited(second.fd, name, second.path, 'is written to together with an image');
      try {
        await joinUndoLog(log, second.fd);
      } catch (error) {
        unmark(second.fd);
        throw hostFileError('WRITE_FAILED', path, 'its undo log cannot be written', error);
      }
    },
    async remove(releases = false) {
      await remove(name);
      unmark(fd);
      // The edit is complete: what is not given back is room that its next one finds.
      if (releases) await releaseEdit(fd, log).catch(() => undefined);
      await closeFile(log);
    },
    async leave() {
      await closeFile(log);
    },
  };
}

function refusal(path: string, log: Buffer, why: string): HostFileError {
  const problem = `an edit of this image was interrupted, and ${quoteName(nameText(log))} holds what it was before; ${why}`;
  return new HostFileError('EDIT_INTERRUPTED', problem, path);
}

const BY_WHOM = 'it is put back by whoever opens the image and may write both of them';
const BY_WHOM_OF_TWO =
  'its external data file was edited with it; both are put back by whoever opens the image, may write to all three, and names the ' +
  'directory of the data file with --allow-path';

/**
 * Puts back what a file was before an edit that was interrupted, where there was one.
 * @param writable descriptor of the file, locked for writing
 * @param openSecond opens the file that was edited together with it; without it such an edit is refused
 * @returns whether there was one
 * @throws HostFileError where that cannot be done: the file is half edited then
 */
export async function settleLocked(writable: number, path: string, openSecond?: OpenSecond): Promise<boolean> {
  let isSettled = false;
  for (const [index, name] of logsOf(writable, path).entries()) {
    // What a mark names may have become the log of another file.
    if (await settleBy(name, { fd: writable, path }, index > 0, openSecond)) isSettled = true;
  }
  if (isSettled) unmark(writable);
  return isSettled;
}

/** @param elsewhere it is no log of this name of the file: that of another file does not matter */
async function settleBy(
  name: Buffer,
  file: SecondFile,
  elsewhere: boolean,
  openSecond: OpenSecond | undefined,
): Promise<boolean> {
  const { fd: writable, path } = file;
  let log: number | undefined;
  try {
    log = await openExisting(name);
  } catch (error) {
    const code = systemErrorName(error);
    throw refusal(path, name, `${BY_WHOM} (${code ?? 'it cannot be opened'})`);
  }
  if (log === undefined) return false;
  try {
    requireTrusted(writable, log, path, name);
    let settled = await settleEdit(writable, undefined, log).catch((error: unknown) => {
      throw notPutBack(path, name, error);
    });
    if (settled === 'needs-second') {
      if (openSecond === undefined) throw refusal(path, name, BY_WHOM_OF_TWO);
      await settleBoth(name, log, file, openSecond);
      settled = 'rolled-back';
    }
    if (settled === 'is-second') {
      const why = 'it is the external data file of another one, beside that log, with which it is put back: open that';
      throw refusal(path, name, why);
    }
    if (settled === 'not-its-log' && elsewhere) return false;
    if (settled === 'not-its-log') {
      const why = 'but of another file of this name; put the two together again, or remove that log';
      throw refusal(path, name, why);
    }
    if (settled === 'damaged') throw refusal(path, name, 'but is damaged; restore the image from a copy');
    await remove(name);
    return true;
  } finally {
    await closeFile(log);
  }
}

function notPutBack(path: string, log: Buffer, error: unknown): HostFileError {
  return hostFileError('WRITE_FAILED', path, `what ${quoteName(nameText(log))} holds cannot be put back`, error);
}

/**
 * Puts back an image and the file that was edited together with it. Which one that is, only the image says, as it was before: it is put
 * back first, and what the log says of the other one must agree with it.
 */
async function settleBoth(name: Buffer, log: number, image: SecondFile, openSecond: OpenSecond): Promise<void> {
  const failed = (error: unknown): never => {
    throw notPutBack(image.path, name, error);
  };
  await settleFirst(image.fd, log).catch(failed);
  const second = await openSecond(image).catch((error: unknown) => {
    const why = error instanceof Error ? error.message.replace(`${image.path}: `, '') : 'unknown';
    throw refusal(image.path, name, `${BY_WHOM_OF_TWO} (${why})`);
  });
  try {
    requireTrusted(second.fd, log, image.path, name);
    const settled = await settleEdit(image.fd, second.fd, log).catch(failed);
    if (settled !== 'rolled-back') {
      const why = `but together with another file than ${quoteName(second.path)}, which the image names; put that one back, or remove the log`;
      throw refusal(image.path, name, why);
    }
    unmark(second.fd);
  } finally {
    await closeFile(second.fd);
  }
}

/**
 * Refuses the log of somebody who could not have edited the file: in a directory that others may write to, it would have us write
 * what they chose.
 */
function requireTrusted(file: number, log: number, path: string, name: Buffer): void {
  const [image, found] = [statFile(file), statFile(log)];
  const own = BigInt(process.geteuid?.() ?? 0);
  if (found.isFile() && (found.uid === image.uid || found.uid === own || found.uid === 0n)) return;
  throw refusal(
    path,
    name,
    `but belongs to user ${found.uid}, who may have made it up; remove it, or let its owner open the image`,
  );
}

/**
 * Sees to it that a file which is about to be read is no half of an edit: puts back what it was before an edit that was
 * interrupted, where there was one.
 * @param fd the file, open for reading and not locked
 * @param putsBack false: it is only refused, because nobody but an image has named it
 * @param openSecond opens the file that was edited together with it; without it such an edit is refused
 * @returns whether something was put back
 * @throws HostFileError `INPUT_IN_USE` where it is being edited, `EDIT_INTERRUPTED` where that cannot be done
 */
export async function settleForReading(
  fd: number,
  path: string,
  putsBack: boolean,
  openSecond?: OpenSecond,
): Promise<boolean> {
  const file = identity(statFile(fd));
  await othersDone(file);
  const name = await leftLog(fd, path);
  if (name === undefined) return false;
  if (!putsBack) {
    await othersDone(file);
    if (!exists(name)) return false;
    // Where its editor still runs, there is nothing to put back.
    if (!isFree(() => lockForReading(fd), path, name)) throw beingEdited(path);
    throw refusal(path, name, `${BY_WHOM}, by its own name`);
  }
  // Here, so that of those who have waited only the first goes on.
  for (let other = beingPutBack.get(file); other !== undefined; other = beingPutBack.get(file)) {
    await other.catch(() => false);
  }
  const work = putBackOf(fd, path, name, openSecond);
  beingPutBack.set(file, work);
  try {
    return await work;
  } finally {
    beingPutBack.delete(file);
  }
}

/** What this process is putting back just now, by device and inode: of several who read a file, one does that, and the others wait. */
const beingPutBack = new Map<string, Promise<boolean>>();

/** Waits for those: until they are done, this process has the file's lock, and the log may be gone already. */
async function othersDone(file: string): Promise<void> {
  for (let other = beingPutBack.get(file); other !== undefined; other = beingPutBack.get(file)) {
    await other.catch(() => false);
  }
}

async function putBackOf(fd: number, path: string, name: Buffer, openSecond?: OpenSecond): Promise<boolean> {
  if (!exists(name)) return false;
  const own = hasProc() ? Buffer.from(`/proc/self/fd/${fd}`) : nameBytes(path);
  let writable: number;
  try {
    writable = await openIn(CURRENT_DIRECTORY, own, O_RDWR | O_NONBLOCK);
  } catch (error) {
    throw refusal(path, name, `${BY_WHOM} (${systemErrorName(error) ?? 'it cannot be opened'})`);
  }
  try {
    if (!isFree(() => lockForWriting(writable), path, name)) {
      // Its owner may have been done just now.
      if (!exists(name)) return false;
      throw beingEdited(path);
    }
    return await settleLocked(writable, path, openSecond);
  } finally {
    await closeFile(writable);
  }
}

function beingEdited(path: string): HostFileError {
  return new HostFileError('INPUT_IN_USE', 'another process is editing this image; wait until it is done', path);
}

/** Whether nobody else uses the file, as a lock on it says; who cannot tell must not touch it. */
function isFree(lock: () => boolean, path: string, log: Buffer): boolean {
  try {
    return lock();
  } catch (error) {
    const code = systemErrorName(error);
    if (code === 'EAGAIN' || code === 'EACCES') return false;
    throw refusal(path, log, `whether its editor still runs cannot be told, for lack of locks (${code ?? 'unknown'})`);
  }
}

function exists(name: Buffer): boolean {
  return lstatSync(name, { throwIfNoEntry: false }) !== undefined;
}
