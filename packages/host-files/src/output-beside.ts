import { allocateFileRange, fileSystemStatus } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { carryOver } from './carry-over.js';
import { closeFile, closeRead, fchown, fsync, ftruncate, reopenDirectory, statFile } from './descriptors.js';
import { HostFileError, hostFileError } from './errors.js';
import { systemErrorName } from './system-errors.js';
import {
  leastNeeded,
  type ExistingFile,
  type OutputFile,
  type OutputRequest,
  type ResolvedOutput,
} from './output-request.js';
import { createTemporary, type TemporaryFile } from './temporary-file.js';
import { removeLeftovers } from './temporary-names.js';

const NEW_FILE_MODE = 0o666;
/** Until it has the mode of the file that it replaces, nobody else may open it. */
const PRIVATE_MODE = 0o600;

/** What kept a file from being replaced: then it can only be written in place. */
export class CannotReplace {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Bytes that may still be written to the file system of a directory; undefined where it does not tell. */
export function roomOf(directory: number): bigint | undefined {
  const { size, free, available } = fileSystemStatus(directory);
  // A total of 0 is what ramfs, a tmpfs without a limit and many FUSE file systems say.
  if (size === 0n) return undefined;
  return process.geteuid?.() === 0 ? free : available;
}

/** The refusal of an output that there is no room for. */
export function noSpace(file: string, bytes: bigint, room: bigint, place = 'its file system has'): HostFileError {
  return new HostFileError('NO_SPACE', `needs ${bytes} bytes, ${place} ${room} free`, file);
}

/**
 * An output that is written apart and takes its final name when it is complete.
 * @param existing what it replaces then; it stays the caller's unless an output is returned, which closes it
 * @returns why the existing file cannot be replaced, where that is so; nothing has happened then
 */
export async function createBeside(
  output: ResolvedOutput,
  existing: ExistingFile | undefined,
): Promise<OutputFile | CannotReplace> {
  const { name } = output;
  await removeLeftovers(name, existing?.status.uid);
  const room = output.sparse ? undefined : roomOf(name.directory);
  if (room !== undefined && room < leastNeeded(output)) {
    const inPlace = existing !== undefined && room + existing.status.allocated >= leastNeeded(output);
    if (inPlace) return new CannotReplace('there is no room for the old file and the new one');
    throw noSpace(output.path, leastNeeded(output), room);
  }
  const mode = existing !== undefined || output.ownerOnly === true ? PRIVATE_MODE : NEW_FILE_MODE;
  let temporary: TemporaryFile;
  try {
    temporary = await createTemporary(name, mode, output.visible === true);
  } catch (error) {
    const code = systemErrorName(error);
    const forbidden = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
    if (existing !== undefined && forbidden) return new CannotReplace('no file can be made in its directory');
    throw hostFileError('WRITE_FAILED', output.path, 'cannot be created', error);
  }
  try {
    const kept = existing === undefined ? undefined : await keep(output, existing, temporary.fd);
    if (kept !== undefined) {
      temporary.discard();
      await closeFile(temporary.fd);
      return new CannotReplace(kept);
    }
    // One hole, which writes fill and the guest's zeros allocate: space is not touched twice.
    await makeHole(temporary.fd, output);
  } catch (error) {
    temporary.discard();
    await closeFile(temporary.fd);
    throw hostFileError('WRITE_FAILED', output.path, 'cannot be created', error);
  }
  return besideOutput(output, existing, temporary);
}

/**
 * Makes a new file as long as the output may become. Where that is only its worst case, and longer than a file can be here, it
 * becomes as long as it can.
 */
async function makeHole(fd: number, { limit, mayBeLess }: OutputRequest): Promise<void> {
  for (let length = limit; length > 0n; length /= 2n) {
    try {
      await ftruncate(fd, length);
      return;
    } catch (error) {
      const worstCase = mayBeLess === true && systemErrorName(error) === 'EFBIG';
      if (!worstCase) throw error;
    }
  }
}

async function keep(
  { ownerOnly }: ResolvedOutput,
  { fd, status }: ExistingFile,
  to: number,
): Promise<string | undefined> {
  if (ownerOnly !== true) return carryOver(fd, to);
  // Nobody but the owner may read it, so that the owner is all that is kept, where that is possible.
  await fchown(to, status.uid, status.gid).catch(() => undefined);
  return undefined;
}

function besideOutput(
  output: ResolvedOutput,
  existing: ExistingFile | undefined,
  temporary: TemporaryFile,
): OutputFile {
  const { fd } = temporary;
  let open = true;
  const sync = syncOnce(output, async (length) => {
    await setLength(fd, length, output.sparse);
    await fsync(fd);
  });
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    temporary.discard();
    await closeFile(fd);
    if (existing !== undefined) await closeFile(existing.fd);
    output.name.close();
  };
  return {
    fd,
    start: 0n,
    room: undefined,
    fresh: true,
    abandon: close,
    sync,
    async finish(length) {
      await sync(length);
      try {
        // Opened before the rename, so that nothing can fail after it that could be known before.
        const folder = openFolder(output);
        try {
          await publish(output, existing, temporary);
          await syncFolder(folder);
        } finally {
          if (folder !== undefined) closeRead(folder);
        }
        await close();
        return length;
      } catch (error) {
        throw hostFileError('WRITE_FAILED', output.path, 'cannot be completed', error);
      }
    },
  };
}

async function publish(
  output: ResolvedOutput,
  existing: ExistingFile | undefined,
  temporary: TemporaryFile,
): Promise<void> {
  // One that has a name already is renamed, unless that must not replace what came into being meanwhile.
  if (existing === undefined && (output.noClobber || output.visible !== true)) {
    try {
      await temporary.publish();
      return;
    } catch (error) {
      if (systemErrorName(error) !== 'EEXIST') throw error;
      // Somebody made a file of that name meanwhile.
      if (output.noClobber) throw new HostFileError('OUTPUT_EXISTS', 'exists already', output.path, error);
    }
  }
  await temporary.replace();
}

/** Does `action` the first time that it is called, and gives all callers what came of it. */
export function syncOnce(
  { path }: ResolvedOutput,
  action: (length: bigint) => Promise<void>,
): (length: bigint) => Promise<void> {
  let synced: Promise<void> | undefined;
  return async (length) => {
    synced ??= action(length).catch((error: unknown) => {
      throw hostFileError('WRITE_FAILED', path, 'cannot be completed', error);
    });
    return synced;
  };
}

/** The exact length. What is added reads as zeros, and is allocated unless the output may have holes. */
export async function setLength(fd: number, length: bigint, sparse: boolean): Promise<void> {
  const { size } = statFile(fd);
  if (size < length && !sparse && allocateFileRange(fd, size, length - size)) return;
  if (size !== length) await ftruncate(fd, length);
}

/** The directory of an output, for a sync. */
export function openFolder({ name }: ResolvedOutput): number | undefined {
  try {
    return reopenDirectory(name.directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    // A directory that may be written but not read cannot be synced; the rename is then as safe as it gets.
    return undefined;
  }
}

/** Brings the name of an output to the disk. */
export async function syncFolder(fd: number | undefined): Promise<void> {
  if (fd === undefined) return;
  try {
    await fsync(fd);
  } catch {
    // Some file systems cannot sync a directory, and the output is in place already.
  }
}
