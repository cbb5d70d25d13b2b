import { deviceSize, unlinkAt } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { closeFile, closeRead, fchmod, fsync, ftruncate, openIn, statFile } from './descriptors.js';
import { hostFileError } from './errors.js';
import { lockOutput } from './locks.js';
import { noSpace, openFolder, roomOf, setLength, syncFolder, syncOnce } from './output-beside.js';
import { checkLength, leastNeeded, type ExistingFile, type OutputFile, type ResolvedOutput } from './output-request.js';

const { O_CREAT, O_EXCL, O_NONBLOCK, O_RDWR } = constants;
const NEW_FILE_MODE = 0o666;

/** Creates the file of an output that is written in place from the first byte on (`seek=` into a new file). */
export async function createInPlace(output: ResolvedOutput): Promise<OutputFile> {
  const { directory, leaf } = output.name;
  let fd: number;
  try {
    fd = await openIn(directory, leaf, O_RDWR | O_NONBLOCK | O_CREAT | O_EXCL, NEW_FILE_MODE);
  } catch (error) {
    throw hostFileError('WRITE_FAILED', output.path, 'cannot be created', error);
  }
  const remove = (): void => {
    unlinkAt(directory, leaf);
  };
  try {
    lockOutput(fd, output.path);
  } catch (error) {
    remove();
    await closeFile(fd);
    throw error;
  }
  return windowOutput(output, fd, undefined, remove);
}

/** An output that is written into a file or block device as it is; what lies outside the window stays. */
export function writeWindow(output: ResolvedOutput, { fd }: ExistingFile, room: bigint | undefined): OutputFile {
  checkLength(output.path, (output.inPlaceAt ?? 0n) + output.limit);
  return windowOutput(output, fd, room);
}

function windowOutput(
  output: ResolvedOutput,
  fd: number,
  room: bigint | undefined,
  remove: () => void = () => undefined,
): OutputFile {
  const start = output.inPlaceAt ?? 0n;
  let open = true;
  const close = async (): Promise<void> => {
    open = false;
    await closeFile(fd);
    output.name.close();
  };
  const sync = syncOnce(output, async (length) => {
    const end = start + length;
    const stats = statFile(fd);
    if (stats.isFile() && stats.size < end) await ftruncate(fd, end);
    await fsync(fd);
  });
  return {
    fd,
    start,
    room,
    fresh: false,
    sync,
    async abandon() {
      if (!open) return;
      try {
        remove();
      } finally {
        await close();
      }
    },
    async finish(length) {
      await sync(length);
      try {
        const folder = openFolder(output);
        await syncFolder(folder);
        if (folder !== undefined) closeRead(folder);
        const size = deviceSize(fd);
        await close();
        return size;
      } catch (error) {
        throw hostFileError('WRITE_FAILED', output.path, 'cannot be completed', error);
      }
    },
  };
}

/**
 * An output that takes the place of a file's whole content without replacing the file. The old content goes before the
 * first byte is written.
 * @param reason why it is not replaced, in words
 */
export async function rewrite(
  output: ResolvedOutput,
  { fd, status }: ExistingFile,
  reason: string,
): Promise<OutputFile> {
  const room = output.sparse ? undefined : roomOf(fd);
  if (room !== undefined && room + status.allocated < leastNeeded(output)) {
    throw noSpace(output.path, leastNeeded(output), room + status.allocated);
  }
  const warn = (problem: string): void => output.onWarning?.(`${output.path}: ${problem}`);
  const hadContent = status.size > 0n;
  if (hadContent) warn(`is written in place, and its old content cannot be kept until the new is complete: ${reason}`);
  try {
    // A length that this file cannot have must show while it has its content.
    if (output.limit > status.size) await ftruncate(fd, output.limit);
    await ftruncate(fd, 0n);
    await ftruncate(fd, output.limit);
  } catch (error) {
    throw hostFileError('WRITE_FAILED', output.path, 'cannot be written in place', error);
  }
  if (output.ownerOnly === true) await fchmod(fd, 0o600).catch(() => undefined);
  let open = true;
  const close = async (): Promise<void> => {
    open = false;
    await closeFile(fd);
    output.name.close();
  };
  const sync = syncOnce(output, async (length) => {
    await setLength(fd, length, output.sparse);
    await fsync(fd);
  });
  return {
    fd,
    start: 0n,
    room: undefined,
    fresh: true,
    sync,
    async abandon() {
      if (!open) return;
      try {
        // A part of an output looks like a whole one; an empty file does not.
        await ftruncate(fd, 0n);
        if (hadContent) warn('is empty now: it was being written in place, and its old content is gone');
      } finally {
        await close();
      }
    },
    async finish(length) {
      await sync(length);
      try {
        await close();
        return length;
      } catch (error) {
        throw hostFileError('WRITE_FAILED', output.path, 'cannot be completed', error);
      }
    },
  };
}
