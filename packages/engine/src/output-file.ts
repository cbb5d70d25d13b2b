import { allocateFileRange, lockForWriting } from '@instar/vmm-native';
import { constants, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { fchmod, fchown, fsync, ftruncate } from './descriptor-calls.js';
import { EngineError, fileError, systemErrorName } from './errors.js';
import { escapeText } from './escape.js';
import { closeFile, identity, kindOf, openFile, statFile } from './file-descriptor.js';

/** What an output is to become. */
export interface OutputRequest {
  /** As the user named it. */
  readonly path: string;
  /** Bytes that it may grow to, from its beginning. */
  readonly limit: bigint;
  /** Leave what is not written as holes; else all of it is allocated. */
  readonly sparse: boolean;
  /** Refuse a file that exists. */
  readonly noClobber: boolean;
  /** Write into the file that exists (or a new one) at this byte offset, leaving the rest as it is. */
  readonly inPlaceAt: bigint | undefined;
  /** Do not look at other programs' locks. */
  readonly forceShare: boolean;
  /** Identities of the files that are read. */
  readonly inputs: readonly { readonly identity: string; readonly path: string }[];
}

/** An output that is being written. Exactly one of `finish` and `abandon` must be called. */
export interface OutputFile {
  readonly fd: number;
  /** Byte offset at which the output begins. */
  readonly start: bigint;
  /** Reads as zeros wherever it is not written. */
  readonly fresh: boolean;
  /**
   * Gives the output its exact length (bytes from `start`), brings it to the disk and puts it under its final name.
   * @returns the length of the file.
   */
  finish(length: bigint): Promise<bigint>;
  /** Removes what was written; a file that existed before is as it was (unless it was written in place). */
  abandon(): Promise<void>;
}

/** Temporary files of this process, so that two operations do not share one. */
const active = new Set<string>();

async function statOrUndefined(file: string): Promise<BigIntStats | undefined> {
  try {
    return await fs.stat(file, { bigint: true });
  } catch (error) {
    if (systemErrorName(error) === 'ENOENT') return undefined;
    throw fileError('WRITE_FAILED', file, 'cannot be written', error);
  }
}

/** Where the bytes go: the target of a symbolic link, which may not exist yet. */
async function finalPath(file: string): Promise<string> {
  let current = path.resolve(file);
  for (let links = 0; links < 40; links += 1) {
    try {
      current = path.resolve(path.dirname(current), await fs.readlink(current));
    } catch {
      // Not a link, or nothing there: this is the name. What is wrong with it shows when it is opened.
      return current;
    }
  }
  throw new EngineError('FILE_NOT_USABLE', 'too many symbolic links', { file });
}

/**
 * Opens an output: beside its final name for files, in place for block devices and `inPlaceAt`.
 * @throws EngineError `SAME_FILE`, `OUTPUT_EXISTS`, `FILE_NOT_USABLE`, `NO_SPACE`, `WRITE_FAILED`; nothing is left then.
 */
export async function createOutput(request: OutputRequest): Promise<OutputFile> {
  const { inputs, noClobber, inPlaceAt } = request;
  const existing = await statOrUndefined(request.path);
  if (existing !== undefined) {
    const same = inputs.find((input) => input.identity === identity(existing));
    if (same !== undefined) {
      throw new EngineError(
        'SAME_FILE',
        `is also an input (${escapeText(same.path)}); writing it would destroy the data`,
        {
          file: request.path,
        },
      );
    }
    if (noClobber) throw new EngineError('OUTPUT_EXISTS', 'exists already', { file: request.path });
    if (!existing.isFile() && !existing.isBlockDevice()) {
      const hint = existing.isFIFO() || existing.isCharacterDevice() ? '; a stream can be written with of=-' : '';
      throw new EngineError('FILE_NOT_USABLE', `is ${kindOf(existing)}, not a file that can be written${hint}`, {
        file: request.path,
      });
    }
  }
  if (existing?.isBlockDevice() === true || inPlaceAt !== undefined) return openInPlace(request, existing);
  return createBeside(request, existing);
}

async function openInPlace(request: OutputRequest, existing: BigIntStats | undefined): Promise<OutputFile> {
  const start = request.inPlaceAt ?? 0n;
  const file = request.path;
  const created = existing === undefined;
  let fd: number;
  try {
    fd = await openFile(
      file,
      constants.O_RDWR | constants.O_NONBLOCK | (created ? constants.O_CREAT | constants.O_EXCL : 0),
    );
  } catch (error) {
    throw fileError('WRITE_FAILED', file, 'cannot be opened for writing', error);
  }
  const abandon = async (): Promise<void> => {
    await closeFile(fd);
    if (created) await fs.unlink(file);
  };
  if (!request.forceShare && !lockOutput(fd)) {
    await abandon();
    throw new EngineError('INPUT_IN_USE', 'another process uses this image (it holds its lock); stop it first', {
      file,
    });
  }
  return {
    fd,
    start,
    fresh: false,
    abandon,
    async finish(length) {
      const end = start + length;
      const before = await statFile(fd);
      if (before.isFile() && before.size < end) await ftruncate(fd, end);
      await fsync(fd);
      const after = await statFile(fd);
      await closeFile(fd);
      return after.size;
    },
  };
}

function lockOutput(fd: number): boolean {
  try {
    return lockForWriting(fd);
  } catch (error) {
    const name = systemErrorName(error);
    // A file system without locks cannot say who else uses the file.
    return name !== 'EAGAIN' && name !== 'EACCES';
  }
}

async function createBeside(request: OutputRequest, existing: BigIntStats | undefined): Promise<OutputFile> {
  const final = await finalPath(request.path);
  const directory = path.dirname(final);
  const name = path.basename(final);
  const temporary = path.join(directory, `.${name}.instar-${process.pid}.tmp`);
  await removeLeftovers(directory, name);
  await checkSpace(directory, request);
  if (active.has(temporary)) {
    throw new EngineError('WRITE_FAILED', 'is already being written by this process', { file: request.path });
  }
  active.add(temporary);
  let fd: number;
  try {
    fd = await openFile(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  } catch (error) {
    active.delete(temporary);
    throw fileError('WRITE_FAILED', request.path, 'cannot be created', error);
  }
  const abandon = async (): Promise<void> => {
    active.delete(temporary);
    await closeFile(fd);
    await fs.unlink(temporary);
  };
  try {
    if (existing !== undefined) await keepOwner(fd, existing);
    // One hole, which writes fill and the guest's zeros allocate: space is not touched twice.
    await ftruncate(fd, request.limit);
    return {
      fd,
      start: 0n,
      fresh: true,
      abandon,
      async finish(length) {
        await setLength(fd, length, request.sparse);
        await fsync(fd);
        await putInPlace(temporary, final, request);
        active.delete(temporary);
        await closeFile(fd);
        await syncDirectory(directory);
        return length;
      },
    };
  } catch (error) {
    await abandon();
    throw fileError('WRITE_FAILED', request.path, 'cannot be prepared', error);
  }
}

async function putInPlace(temporary: string, final: string, request: OutputRequest): Promise<void> {
  try {
    if (!request.noClobber) {
      await fs.rename(temporary, final);
      return;
    }
    // link(2) refuses a name that exists, also one that came into being meanwhile.
    await fs.link(temporary, final);
    await fs.unlink(temporary);
  } catch (error) {
    if (systemErrorName(error) === 'EEXIST') {
      throw new EngineError('OUTPUT_EXISTS', 'exists already', { file: request.path, cause: error });
    }
    throw fileError('WRITE_FAILED', request.path, 'cannot be put under its name', error);
  }
}

/** The replaced file's mode and, where the process may, its owner. */
async function keepOwner(fd: number, existing: BigIntStats): Promise<void> {
  const own = await statFile(fd);
  if (own.uid !== existing.uid || own.gid !== existing.gid) {
    try {
      await fchown(fd, Number(existing.uid), Number(existing.gid));
    } catch (error) {
      if (systemErrorName(error) !== 'EPERM') throw error;
    }
  }
  await fchmod(fd, Number(existing.mode & 0o7777n));
}

/** The exact length. What is added reads as zeros, and is allocated unless the output may have holes. */
async function setLength(fd: number, length: bigint, sparse: boolean): Promise<void> {
  const { size } = await statFile(fd);
  if (size < length && !sparse && allocateFileRange(fd, size, length - size)) return;
  if (size !== length) await ftruncate(fd, length);
}

async function checkSpace(directory: string, request: OutputRequest): Promise<void> {
  if (request.sparse) return;
  let free: bigint;
  try {
    const stats = await fs.statfs(directory, { bigint: true });
    free = (process.getuid?.() === 0 ? stats.bfree : stats.bavail) * stats.bsize;
  } catch (error) {
    throw fileError('WRITE_FAILED', request.path, 'cannot be created', error);
  }
  if (free < request.limit) {
    throw new EngineError('NO_SPACE', `needs ${request.limit} bytes, its file system has ${free} free`, {
      file: request.path,
    });
  }
}

/** Removes what killed processes left of earlier outputs of this name. */
async function removeLeftovers(directory: string, name: string): Promise<void> {
  let entries: string[];
  try {
    entries = await fs.readdir(directory);
  } catch {
    // Whatever is wrong with the directory shows when the output is created.
    return;
  }
  const prefix = `.${name}.instar-`;
  for (const entry of entries) {
    if (!entry.startsWith(prefix)) continue;
    const pid = /^(\d{1,10})\.tmp$/.exec(entry.slice(prefix.length))?.[1];
    if (pid === undefined) continue;
    const file = path.join(directory, entry);
    const ours = Number(pid) === process.pid;
    if (ours ? !active.has(file) : !isAlive(Number(pid))) await fs.rm(file, { force: true });
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

async function syncDirectory(directory: string): Promise<void> {
  const fd = await openFile(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await fsync(fd);
  } catch (error) {
    // Some file systems cannot sync a directory; the rename is then as safe as it gets there.
    if (systemErrorName(error) !== 'EINVAL') throw error;
  } finally {
    await closeFile(fd);
  }
}
