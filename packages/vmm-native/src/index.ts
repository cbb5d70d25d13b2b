import { binding } from './binding.js';
import { toVmmError } from './errors.js';
import type {
  PoolOptions,
  PoolRunOptions,
  RunControl,
  RunOptions,
  RunReport,
  SandboxPool,
  SettledEdit,
  StreamOptions,
  StreamReport,
} from './generated/native.js';

export { errnoName } from './errno.js';
export { objectMessage, optionProblem, optionSentence } from './option-problem.js';
export type { OptionProblem, SchemaIssue } from './option-problem.js';
export { BadPageError, VmmError } from './errors.js';
export {
  CURRENT_DIRECTORY,
  fileSystemStatus,
  linkAt,
  linkDescriptor,
  listAttributes,
  openAt,
  randomBytes,
  readDirectory,
  readLinkAt,
  removeAttribute,
  renameAt,
  setAttribute,
  statAt,
  unlinkAt,
  removeNameAtEnd,
  keepName,
  type FileAttribute,
  type FileStatus,
  type FileSystemStatus,
} from './files.js';
export {
  ZstdEncoder,
  compressPages,
  decompressPage,
  decompressPages,
  type CompressPagesOptions,
  type DecompressPagesOptions,
  type PageCodec,
} from './pages.js';
export { RemoteDevice, type RemoteCallbacks } from './remote.js';
export type {
  CommandFailure,
  DeviceAccess,
  DeviceOptions,
  DumpReport,
  DumpRunOptions,
  FaultReport,
  LimitOptions,
  PoolOptions,
  PoolRunOptions,
  PoolStatistics,
  RequestOptions,
  RunAnswer,
  RunControl,
  RunOptions,
  RunProgress,
  RunReport,
  RunStatistics,
  SandboxKind,
  SandboxPool,
  SettledEdit,
  StreamOptions,
  SegmentReport,
  StreamReport,
  VmCoreInfoReport,
} from './generated/native.js';

function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw toVmmError(error);
  }
}

async function settled<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toVmmError(error);
  }
}

/** A handle that cancels one run or stream copy and tells how far it is. */
export function createControl(): RunControl {
  return guarded(() => new (binding().RunControl)());
}

/**
 * Runs a guest image in a sandbox, on a thread of its own.
 * @returns a report of how the run ended, whatever the guest did.
 * @throws VmmError when the run cannot start.
 */
export async function runGuest(options: RunOptions, control: RunControl = createControl()): Promise<RunReport> {
  return settled(() => binding().runGuest(options, control));
}

/**
 * Sandboxes that are kept for runs of one guest image. Nothing of a run is there in the next: what ended in any other way
 * than a working guest ends is destroyed, the rest restored.
 */
export function createSandboxPool(options: PoolOptions): SandboxPool {
  return guarded(() => new (binding().SandboxPool)(options));
}

/**
 * Runs a guest in a kept sandbox.
 * @returns a report of how the run ended, whatever the guest did.
 * @throws VmmError when the run cannot start.
 */
export async function runInPool(
  pool: SandboxPool,
  options: PoolRunOptions,
  control: RunControl = createControl(),
): Promise<RunReport> {
  return settled(() => pool.run(options, control));
}

/** Copies raw bytes from a stream, on a thread of its own. Offsets and lengths in bytes. */
export async function copyStream(options: StreamOptions, control: RunControl = createControl()): Promise<StreamReport> {
  return settled(() => binding().copyStream(options, control));
}

/** Why KVM cannot be used here (with the remedy), or null when it can. */
export function probeKvm(): string | null {
  return guarded(() => binding().probeKvm());
}

/** Why the process sandbox cannot be used here, or null when it can. */
export function probeProcess(helper: string): string | null {
  return guarded(() => binding().probeProcess(helper));
}

/**
 * Opens `name` read-only below `dir` (openat2 with RESOLVE_BENEATH). The caller closes the descriptor.
 * @throws VmmError with the name of the system error; `EXDEV` when the name leads out of the directory.
 */
export function openBeneath(dir: string, name: string): number {
  return guarded(() => binding().openBeneath(dir, name));
}

/** Bytes of a file or block device. */
export function deviceSize(fd: number): bigint {
  return guarded(() => binding().deviceSize(fd));
}

/** Whether a file has at least one byte, whatever length it states: files of the kernel state none. */
export function hasBytes(fd: number): boolean {
  return guarded(() => binding().hasBytes(fd));
}

/** The first byte from `offset` on that is not in a hole (lseek SEEK_DATA); null when only a hole follows. */
export function nextData(fd: number, offset: bigint): bigint | null {
  return guarded(() => binding().nextData(fd, offset));
}

/**
 * Allocates what `length` bytes at `offset` of a file have of holes (fallocate); its bytes do not change, and the file
 * grows where it is shorter. False where the file system cannot.
 */
export function allocateFileRange(fd: number, offset: bigint, length: bigint): boolean {
  return guarded(() => binding().allocateFileRange(fd, offset, length));
}

/** Takes an exclusive lock on a whole file, which ends with the descriptor. False: someone else has one. */
export function lockExclusive(fd: number): boolean {
  return guarded(() => binding().lockExclusive(fd));
}

/** Takes the image locks of a reader, as QEMU does; they end with the descriptor. False: another process writes it. */
export function lockForReading(fd: number): boolean {
  return guarded(() => binding().lockForReading(fd));
}

/** Takes the image locks of a writer, as QEMU does; they end with the descriptor. False: another process uses it. */
export function lockForWriting(fd: number): boolean {
  return guarded(() => binding().lockForWriting(fd));
}

/**
 * Begins the undo log of a file that is about to be edited: what it says is on the disk before anything is overwritten. Where the file
 * system shares blocks, the log gets a clone of the file.
 * @param log an empty file, open for reading and writing
 */
export async function beginUndoLog(fd: number, log: number): Promise<void> {
  await settled(() => binding().beginUndoLog(fd, log));
}

/**
 * Has a log that was begun, and of which nothing was written yet, be that of a second file as well, which is about to be edited together
 * with the first.
 */
export async function joinUndoLog(log: number, second: number): Promise<void> {
  await settled(() => binding().joinUndoLog(log, second));
}

/** Whether an undo log is that of a file, be it the second one; a log that is damaged may be. */
export function undoLogBelongs(fd: number, log: number): boolean {
  return guarded(() => binding().undoLogBelongs(fd, log));
}

/**
 * Whether a file can give places back to its file system that an edit leaves. Where its log holds a clone of it, the edit leaves none: what
 * the file holds is overwritten where it is.
 */
export function canRelease(fd: number, log: number): boolean {
  return guarded(() => binding().canRelease(fd, log));
}

/** Gives back what an edit has left, once it is complete and its log has no name any more. */
export async function releaseEdit(fd: number, log: number): Promise<void> {
  await settled(() => binding().releaseEdit(fd, log));
}

/**
 * Brings edited files to the disk, and cuts the first to `length` bytes where it is longer. Then their log may be removed.
 * @param second undefined where one file is edited
 * @param log undefined where none was written
 */
export async function completeEdit(
  fd: number,
  second: number | undefined,
  log: number | undefined,
  length: bigint,
): Promise<void> {
  await settled(() => binding().completeEdit(fd, second, log, length));
}

/**
 * Brings files whose edit was interrupted to what they were before, or to what they were to become where that had been reached.
 * The caller holds their locks, and removes the log where that was done.
 * @param second the file that was edited together with the first, where there is one
 */
export async function settleEdit(fd: number, second: number | undefined, log: number): Promise<SettledEdit> {
  return settled(() => binding().settleEdit(fd, second, log));
}

/**
 * The same of the first of two files alone, so that it can be looked at: `needs-second` then, and the edit is not settled by that. The
 * caller holds its lock.
 */
export async function settleFirst(fd: number, log: number): Promise<SettledEdit> {
  return settled(() => binding().settleFirst(fd, log));
}
