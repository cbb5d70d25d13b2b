import {
  closeFile,
  closeRead,
  identity,
  kindInWords,
  lockInput,
  nameBytes,
  openFile,
  settleForReading,
  statFile,
  type OpenSecond,
} from '@instar/host-files';
import { statSync } from 'node:fs';
import { deviceSize, hasBytes } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { EngineError, fileError, withEngineErrors } from './errors.js';
import type { RemoteContext, RemoteInput } from './remote/input.js';
import { isRemoteName } from './remote/names.js';

/** A file that is read. It is opened once: what was checked is what is read. */
export interface InputFile {
  /** -1 where it is no file of this machine. */
  readonly fd: number;
  /** As named by the user or composed from an image's reference. */
  readonly path: string;
  /** Bytes. */
  readonly size: bigint;
  /** Bytes that it takes on its file system. */
  readonly allocated: bigint;
  /** The same for all names of one file. */
  readonly identity: string;
  /** What answers in the place of a file. */
  readonly remote?: RemoteInput;
}

/** Closes an input. */
export async function closeInput({ fd, remote }: InputFile): Promise<void> {
  if (remote !== undefined) remote.close();
  else await closeOpened(fd);
}

async function closeOpened(fd: number): Promise<void> {
  if (isNamedFile(fd)) closeRead(fd);
  else await closeFile(fd);
}

/** Closing anything else may take its time: a device writes what others wrote, a file without a name is freed. */
function isNamedFile(fd: number): boolean {
  try {
    const status = statFile(fd);
    return status.isFile() && status.nlink > 0n;
  } catch {
    return false;
  }
}

/**
 * Opens a file that the user named. Links are followed, block devices are fine; anything else is refused by name.
 * @param context where names of other machines may be given: how they are reached
 * @param openSecond opens the data file of an image whose edit was interrupted, so that both are put back (default: that is refused)
 * @throws EngineError `READ_FAILED`, `FILE_NOT_USABLE`, `INPUT_IN_USE`, `REMOTE_REFUSED`, `REMOTE_CHANGED`
 */
export async function openInput(
  path: string,
  forceShare: boolean,
  context: RemoteContext = {},
  openSecond?: OpenSecond,
): Promise<InputFile> {
  if (context.remote !== undefined && isRemoteName(path)) {
    const { openRemote } = await import('./remote/input.js');
    return openRemote(path, context);
  }
  let fd: number;
  try {
    fd = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError('READ_FAILED', path, 'cannot be opened', error);
  }
  return adoptInput(fd, path, forceShare, { openSecond, onWarning: context.onWarning });
}

/** What is to be known of a file that the user named. */
interface Named {
  readonly openSecond: OpenSecond | undefined;
  readonly onWarning: RemoteContext['onWarning'];
}

/** What is told once of an image of which an interrupted edit had left half. */
export const WAS_PUT_BACK =
  'an edit of this image had been interrupted; it was put back as it was before, or as the edit was to leave it where that was complete';

/**
 * Takes over a descriptor that was opened; closes it when the file cannot be used.
 * @param named where the user named it: what an interrupted edit has left of it is put back, and told
 */
export async function adoptInput(fd: number, path: string, forceShare: boolean, named?: Named): Promise<InputFile> {
  try {
    let stats = statFile(fd);
    if (!stats.isFile() && !stats.isBlockDevice()) {
      const hint =
        stats.isFIFO() || stats.isCharacterDevice() ? '; a stream is read by dd with if=-, by convert with -' : '';
      throw new EngineError('FILE_NOT_USABLE', `is ${kindInWords(stats)}, not an image file${hint}`, { file: path });
    }
    const settle = async (): Promise<boolean> => settleForReading(fd, path, named !== undefined, named?.openSecond);
    if (await withEngineErrors(settle)) named?.onWarning?.(`${path}: ${WAS_PUT_BACK}`);
    if (!forceShare) {
      await withEngineErrors(() => {
        lockInput(fd, path);
      });
    }
    // Who put it back, or edited it, until it was locked may have given it another length.
    stats = statFile(fd);
    if (stats.isFile() && stats.size === 0n && hasBytes(fd)) {
      throw new EngineError(
        'FILE_NOT_USABLE',
        'states no length, though it has content, as files of the kernel do; copy it first, or read it with if=-',
        { file: path },
      );
    }
    const size = stats.isFile() ? stats.size : deviceSize(fd);
    return { fd, path, size, allocated: stats.blocks * 512n, identity: identity(stats) };
  } catch (error) {
    await closeOpened(fd);
    throw error;
  }
}

/** What a name leads to; undefined where there is nothing. */
export function identityOf(name: string): string | undefined {
  try {
    const status = statSync(nameBytes(name), { bigint: true, throwIfNoEntry: false });
    return status === undefined ? undefined : identity(status);
  } catch {
    return undefined;
  }
}
