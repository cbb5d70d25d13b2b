import { allocateFileRange } from '@instar/vmm-native';
import { constants, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { fchmod, fchown, fsync, ftruncate } from './descriptor-calls.js';
import { EngineError, fileError, systemErrorName } from './errors.js';
import { closeFile, openFile, statFile } from './file-descriptor.js';
import { lockOutput } from './output-lock.js';
import { checkLength, type OutputFile, type ResolvedOutput } from './output-request.js';
import { createTemporary, removeLeftovers, type TemporaryFile } from './temporary-file.js';

const NEW_FILE_MODE = 0o666;
/** Until it has the mode of the file that it replaces, nobody else may open it. */
const PRIVATE_MODE = 0o600;

/** An output that is written beside its final name and renamed over it when it is complete. */
export async function createBeside(output: ResolvedOutput): Promise<OutputFile> {
  const { target, existing } = output;
  const directory = path.dirname(target);
  const name = path.basename(target);
  checkLength(output.path, needed(output));
  const held = existing === undefined || output.forceShare ? undefined : await holdExisting(output);
  try {
    await removeLeftovers(directory, name);
    await checkSpace(directory, output);
    return await prepare(output, directory, name, held);
  } catch (error) {
    if (held !== undefined) await closeFile(held);
    throw fileError('WRITE_FAILED', output.path, 'cannot be created', error);
  }
}

/** Refuses to replace an image that another process uses; the descriptor keeps the lock until the rename. */
async function holdExisting(output: ResolvedOutput): Promise<number | undefined> {
  let fd: number;
  try {
    fd = await openFile(output.target, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // A file that may be replaced but not read: its locks cannot be seen.
    return undefined;
  }
  if (lockOutput(fd)) return fd;
  await closeFile(fd);
  throw new EngineError(
    'INPUT_IN_USE',
    'another process uses this image (it holds its lock); stop it first, or replace it all the same with -U',
    { file: output.path },
  );
}

async function prepare(
  output: ResolvedOutput,
  directory: string,
  name: string,
  held: number | undefined,
): Promise<OutputFile> {
  const mode = output.existing === undefined ? NEW_FILE_MODE : PRIVATE_MODE;
  const temporary = await createTemporary(directory, name, mode);
  const { fd } = temporary;
  let open = true;
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await closeFile(fd);
    if (held !== undefined) await closeFile(held);
  };
  const abandon = async (): Promise<void> => {
    if (!open) return;
    if (await temporary.isInPlace()) await fs.unlink(temporary.path);
    temporary.release();
    await close();
  };
  try {
    if (output.existing !== undefined) await keepOwner(fd, output.existing);
    // One hole, which writes fill and the guest's zeros allocate: space is not touched twice.
    await ftruncate(fd, output.limit);
  } catch (error) {
    // The descriptor of the existing file is the caller's again.
    if (await temporary.isInPlace()) await fs.unlink(temporary.path);
    temporary.release();
    await closeFile(fd);
    throw error;
  }
  return {
    fd,
    start: 0n,
    fresh: true,
    abandon,
    async finish(length) {
      try {
        await setLength(fd, length, output.sparse);
        await fsync(fd);
        const folder = await openDirectory(directory);
        try {
          await publish(temporary, output);
          temporary.release();
          await close();
          await syncDirectory(folder);
        } finally {
          if (folder !== undefined) await closeFile(folder);
        }
        return length;
      } catch (error) {
        throw fileError('WRITE_FAILED', output.path, 'cannot be completed', error);
      }
    },
  };
}

async function publish(temporary: TemporaryFile, output: ResolvedOutput): Promise<void> {
  if (!(await temporary.isInPlace())) {
    throw new EngineError('WRITE_FAILED', 'its temporary file was removed while it was written', { file: output.path });
  }
  if (!output.noClobber) {
    await fs.rename(temporary.path, output.target);
    return;
  }
  try {
    // link(2) refuses a name that exists, also one that came into being meanwhile.
    await fs.link(temporary.path, output.target);
  } catch (error) {
    if (systemErrorName(error) !== 'EEXIST') throw error;
    throw new EngineError('OUTPUT_EXISTS', 'exists already', { file: output.path, cause: error });
  }
  await fs.unlink(temporary.path);
}

function needed({ limit, length = 0n }: ResolvedOutput): bigint {
  return length > limit ? length : limit;
}

/** The replaced file's mode and, where the process may, its owner. */
async function keepOwner(fd: number, existing: BigIntStats): Promise<void> {
  const own = await statFile(fd);
  if (own.uid !== existing.uid || own.gid !== existing.gid) {
    await allowed(fchown(fd, Number(own.uid), Number(existing.gid)));
    await allowed(fchown(fd, Number(existing.uid), Number(existing.gid)));
  }
  await fchmod(fd, Number(existing.mode & 0o7777n));
}

/** What only a privileged process may do is left when this one is not. */
async function allowed(change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (systemErrorName(error) !== 'EPERM') throw error;
  }
}

/** The exact length. What is added reads as zeros, and is allocated unless the output may have holes. */
async function setLength(fd: number, length: bigint, sparse: boolean): Promise<void> {
  const { size } = await statFile(fd);
  if (size < length && !sparse && allocateFileRange(fd, size, length - size)) return;
  if (size !== length) await ftruncate(fd, length);
}

async function checkSpace(directory: string, output: ResolvedOutput): Promise<void> {
  if (output.sparse) return;
  const stats = await fs.statfs(directory, { bigint: true });
  const free = (process.getuid?.() === 0 ? stats.bfree : stats.bavail) * stats.bsize;
  if (free < needed(output)) {
    throw new EngineError('NO_SPACE', `needs ${needed(output)} bytes, its file system has ${free} free`, {
      file: output.path,
    });
  }
}

/** Opened before the rename, so that nothing can fail after it that could be known before. */
async function openDirectory(directory: string): Promise<number | undefined> {
  try {
    return await openFile(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    // A directory that may be written but not read cannot be synced; the rename is then as safe as it gets.
    return undefined;
  }
}

async function syncDirectory(fd: number | undefined): Promise<void> {
  if (fd === undefined) return;
  try {
    await fsync(fd);
  } catch {
    // Some file systems cannot sync a directory, and the output is in place already.
  }
}
