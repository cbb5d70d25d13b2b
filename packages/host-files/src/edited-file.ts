import { canRelease, completeEdit, deviceSize, settleEdit } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { closeFile, kindInWords, openFile, statFile } from './descriptors.js';
import { HostFileError, hostFileError, reasonOf } from './errors.js';
import { lockOutput } from './locks.js';
import { createUndoLog, settleLocked, type OpenSecond, type SecondFile } from './undo-log.js';
import { unmark } from './undo-mark.js';

const { O_NONBLOCK, O_RDWR } = constants;

/** A file that is edited in place, locked for that: in the end it is as it was, or as it was to become. */
export interface EditedFile {
  /** Open for reading and writing. */
  readonly fd: number;
  /** As it was named. */
  readonly path: string;
  /** Bytes that it has. */
  readonly size: bigint;
  /** Bytes that it takes on its file system. */
  readonly allocated: bigint;
  /** Names that it has. The undo log stands beside the one that was given. */
  readonly names: number;
  /** What an edit that was interrupted had left of it was put back when it was opened. */
  readonly wasPutBack: boolean;
  /** It has a length that can be changed. */
  readonly resizable: boolean;
  /** Descriptor of the undo log; undefined where none is written. */
  readonly log: number | undefined;
  /**
   * Has another file be edited together with this one: in the end both are as they were, or both as they were to become. To be called
   * before either is edited. The descriptor is closed with this one.
   * @throws HostFileError `FILE_NOT_USABLE` where that cannot be promised; the descriptor is then still the caller's
   */
  join(second: SecondFile): Promise<void>;
  /**
   * Whether places of the file that the edit leaves can be given back to the file system. Where so, those are that its log names,
   * once it is complete.
   */
  releases(): boolean;
  /**
   * What was edited stays; where that fails, it is undone.
   * @param length bytes that the file is to have at most
   */
  complete(length: bigint): Promise<void>;
  /** What was edited is undone. Where there is no log, it stays as far as it came. */
  abandon(): Promise<void>;
}

/**
 * Opens a file that is to be edited. What an earlier edit that was interrupted has left is put back first.
 * @param undo whether an undo log is written, beside the file
 * @param openSecond opens what was edited together with it, where such an edit was interrupted; without it that is refused
 * @throws HostFileError
 */
export async function openEdited(path: string, undo: boolean, openSecond?: OpenSecond): Promise<EditedFile> {
  let fd: number;
  try {
    fd = await openFile(path, O_RDWR | O_NONBLOCK);
  } catch (error) {
    throw hostFileError('READ_FAILED', path, 'cannot be opened for reading and writing', error);
  }
  try {
    const status = statFile(fd);
    if (!status.isFile() && !status.isBlockDevice()) {
      throw new HostFileError('FILE_NOT_USABLE', `is ${kindInWords(status)}, not an image file`, path);
    }
    lockOutput(fd, path);
    const wasPutBack = await settleLocked(fd, path, openSecond);
    const { size, blocks } = statFile(fd);
    const log = undo ? await createUndoLog(fd, path) : undefined;
    let second: SecondFile | undefined;
    const close = async (): Promise<void> => {
      await closeFile(fd);
      if (second !== undefined) await closeFile(second.fd);
    };
    const removeLog = async (releases = false): Promise<void> => {
      await log?.remove(releases);
      if (log !== undefined && second !== undefined) unmark(second.fd);
    };
    let isReleasing = false;
    const abandon = async (): Promise<boolean> => {
      try {
        if (log === undefined) return false;
        const settled = await settleEdit(fd, second?.fd, log.fd);
        await removeLog();
        return settled === 'completed';
      } catch (error) {
        await log?.leave();
        const problem = `what was edited could not be undone yet: ${reasonOf(error)}; whoever opens it next tries again`;
        throw new HostFileError('EDIT_INTERRUPTED', problem, path, error);
      } finally {
        await close();
      }
    };
    return {
      fd,
      path,
      size: status.isFile() ? size : deviceSize(fd),
      allocated: blocks * 512n,
      names: Number(status.nlink),
      wasPutBack,
      resizable: status.isFile(),
      log: log?.fd,
      async join(other) {
        await log?.join(other);
        second = other;
      },
      releases() {
        isReleasing ||= log !== undefined && canRelease(fd, log.fd);
        return isReleasing;
      },
      async complete(length) {
        try {
          await completeEdit(fd, second?.fd, log?.fd, length);
          await removeLog(isReleasing);
        } catch (error) {
          // What the log says to be complete stays so.
          if (await abandon()) return;
          throw hostFileError('WRITE_FAILED', path, 'the edit cannot be completed', error);
        }
        await close();
      },
      async abandon() {
        await abandon();
      },
    };
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}
