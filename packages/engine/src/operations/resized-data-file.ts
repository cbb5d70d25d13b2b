import { closeFile, fsync, ftruncate, quoteName, statFile, type EditedFile } from '@instar/host-files';
import { INFO_FLAG } from '@instar/shared-abi';
import { deviceSize } from '@instar/vmm-native';
import { EngineError, fileError } from '../errors.js';
import type { PathPolicy, ReferenceFile } from '../path-policy.js';
import type { ImageInfo } from '../session/look.js';
import { allocate } from './allocate.js';
import { hasDataFile, openDataFile } from './data-file.js';

// A disk of another size takes a data file of another length, and nothing else of that: no byte that the disk has before and
// afterwards changes its place. So that one order of writes does in the place of a log: what is larger is so before the image says
// it, what is smaller afterwards. Stopped between the two, the data file is longer than the disk, which nobody reads.

/** What the disk becomes. */
export interface NewDisk {
  /** Bytes that it has, and is to have. */
  readonly before: bigint;
  readonly after: bigint;
  /** What is added has its place at once. */
  readonly preallocated: boolean;
  /** What is added is allocated on the file system. */
  readonly allocated: boolean;
}

/** The external data file of an image whose disk gets another size; locked until it is closed. */
export interface ResizedDataFile {
  /** Gives it the bytes that the disk gets, on the disk before the image says so. @throws EngineError */
  grow(disk: NewDisk): Promise<void>;
  /** Takes away what the disk has lost, once the image says so. @throws EngineError */
  cut(): Promise<void>;
  /** Takes back what it was given. */
  undo(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the external data file of an image that is edited, for giving it another length; undefined where the image has none.
 * @param policy it is written to only in a directory that this allows by name: what the image says is not enough
 * @throws EngineError `PATH_REFUSED`, `REFERENCE_MISSING`, `READ_FAILED`, `CHAIN_LOOP`, `INPUT_IN_USE`, `EDIT_INTERRUPTED`
 */
export async function openResizedDataFile(
  image: EditedFile,
  info: ImageInfo,
  policy: PathPolicy,
): Promise<ResizedDataFile | undefined> {
  if (!hasDataFile(info)) return undefined;
  const opened = await openDataFile(image, info, policy);
  try {
    const isRaw = (info.flags & INFO_FLAG.values.DATA_FILE_RAW) !== 0;
    return withLengths(opened, image.path, isRaw);
  } catch (error) {
    await closeFile(opened.fd);
    throw error;
  }
}

/** @param isRaw it is a raw image of the disk */
function withLengths({ fd, path }: ReferenceFile, image: string, isRaw: boolean): ResizedDataFile {
  const status = statFile(fd);
  const length = status.isFile() ? status.size : deviceSize(fd);
  let wanted = length;
  const undo = async (): Promise<void> => {
    if (wanted <= length) return;
    try {
      await ftruncate(fd, length);
    } catch {
      // It is longer than the disk then.
    }
  };
  return {
    async grow({ before, after, preallocated, allocated }) {
      // What has a place is not cut off: where the disk has grown, it is the disk's.
      const keepsRest = after >= before && (isRaw || preallocated);
      wanted = keepsRest && length > after ? length : after;
      if (wanted === length) return;
      if (!status.isFile()) {
        const problem = `is a block device of ${length} bytes and would need ${wanted}; a device gets no other size here`;
        throw new EngineError('FILE_NOT_USABLE', problem, { file: path });
      }
      if (wanted < length) return;
      try {
        await ftruncate(fd, wanted);
        if (allocated) allocate(fd, length, wanted - length, path);
        await fsync(fd);
      } catch (error) {
        await undo();
        throw fileError('WRITE_FAILED', path, 'cannot be given the bytes that the disk gets', error);
      }
    },
    async cut() {
      if (wanted >= length) return;
      try {
        await ftruncate(fd, wanted);
        await fsync(fd);
      } catch (error) {
        const doing = `the disk of ${quoteName(image)} has its new size, but what lies behind it cannot be cut off`;
        throw fileError('WRITE_FAILED', path, doing, error);
      }
    },
    undo,
    async close() {
      await closeFile(fd);
    },
  };
}
