import { listAttributes, removeAttribute, setAttribute } from '@instar/vmm-native';
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { fsync } from './descriptors.js';
import { HostFileError } from './errors.js';
import { splitName } from './names.js';
import { systemErrorName } from './system-errors.js';

// A file that is edited bears a mark: where its undo log stands. Only by it is a log found from another name of the file, a hard
// link or one that it was given after the edit was interrupted. A mark without a log says nothing: the log goes first.

/** What the name of an undo log ends with. */
const LOG_SUFFIX = Buffer.from('.instar-undo');
/** Bytes of the longest name in a directory. */
const MOST_NAME = 255;
/** Bytes of a name by which a long one is known. */
const DIGEST = 16;
/** Extended attribute that holds the name of the log. */
const MARK = Buffer.from('user.instar.undo');
const SLASH = 0x2f;

/** Where the undo log of a file stands: beside it, under its name and a suffix. Of a name that is too long for that, the beginning and a digest. */
export function logNameOf(file: Buffer): Buffer {
  const { leaf } = splitName(file);
  const most = MOST_NAME - LOG_SUFFIX.length;
  if (leaf.length <= most) return Buffer.concat([file, LOG_SUFFIX]);
  const digest = createHash('sha256').update(leaf).digest('hex').slice(0, DIGEST);
  const kept = file.length - leaf.length + most - DIGEST;
  return Buffer.concat([file.subarray(0, kept), Buffer.from(digest), LOG_SUFFIX]);
}

/** Whether an attribute is the mark: it speaks of one file, and of no copy of that. */
export function isUndoMark(name: Buffer): boolean {
  return name.equals(MARK);
}

/**
 * Marks a file that is about to be edited, and brings the mark to the disk.
 * @param log name of its log, from the root on
 * @param why the log is found by the mark alone, in words: without one it stands beside the file
 * @throws HostFileError `FILE_NOT_USABLE` where the log is found by the mark alone, and there are no marks
 */
export async function markEdited(fd: number, log: Buffer, path: string, why: string | undefined): Promise<void> {
  try {
    setAttribute(fd, MARK, log);
  } catch (error) {
    if (why === undefined) return;
    const problem =
      `${why}, and cannot be marked (${systemErrorName(error) ?? 'unknown'}), so that who opens it by another name, or ` +
      'alone, would not find its undo log; without a log an edit that is interrupted leaves it damaged: ' +
      'choose that with --no-undo';
    throw new HostFileError('FILE_NOT_USABLE', problem, path, error);
  }
  await fsync(fd);
}

/** Takes the mark away, once the log is gone. It says nothing then, so that nothing depends on it. */
export function unmark(fd: number): void {
  try {
    removeAttribute(fd, MARK);
  } catch {
    // There is none, or it stays.
  }
}

/**
 * The log that a file's mark names. Whoever gave the file chose that name: no name that no log has is looked at, and only
 * a regular file counts.
 */
export function markedLog(fd: number): Buffer | undefined {
  let log: Buffer | undefined;
  try {
    log = listAttributes(fd).find(({ name }) => isUndoMark(name))?.value;
  } catch {
    return undefined;
  }
  if (log?.[0] !== SLASH || log.includes(0) || !log.subarray(-LOG_SUFFIX.length).equals(LOG_SUFFIX)) return undefined;
  try {
    return lstatSync(log, { throwIfNoEntry: false })?.isFile() === true ? log : undefined;
  } catch {
    return undefined;
  }
}
