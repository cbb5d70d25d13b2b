import type { FileStatus } from '@instar/vmm-native';
import { HostFileError } from './errors.js';
import type { ResolvedName } from './resolve.js';

/** What an output is to become. */
export interface OutputRequest {
  /** As the user named it. */
  readonly path: string;
  /** Bytes that it may grow to while it is written, from its beginning. */
  readonly limit: bigint;
  /** Bytes that it will have in the end, from its beginning, where that is known and more than `limit`. */
  readonly length?: bigint | undefined;
  /** Bytes that it takes in any case, where that is less than `limit`: a smaller device is refused. */
  readonly atLeast?: bigint | undefined;
  /** `limit` is only the worst case, which its file system need not be able to hold. */
  readonly mayBeLess?: boolean | undefined;
  /** Leave what is not written as holes; else all of it is allocated. */
  readonly sparse: boolean;
  /** Refuse a file that exists. */
  readonly noClobber: boolean;
  /** Write into the file that exists (or a new one) at this byte offset, leaving the rest as it is. */
  readonly inPlaceAt?: bigint | undefined;
  /** Do not look at other programs' locks. Where who asks has no option for that, `never`: none is advised. */
  readonly forceShare: boolean | 'never';
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force: boolean;
  /** Mode 0600, whatever was there before. */
  readonly ownerOnly?: boolean | undefined;
  /** Refuse block devices. */
  readonly filesOnly?: boolean | undefined;
  /** The temporary file has a name from the start, so that people see it grow. */
  readonly visible?: boolean | undefined;
  /** Identities of the files that are read. */
  readonly inputs: readonly { readonly identity: string; readonly path: string }[];
  /** Called with sentences that a user should see. The name of the file is in them, not escaped. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/** An output that is being written. `finish` or `abandon` must be called; `abandon` after either does nothing. */
export interface OutputFile {
  readonly fd: number;
  /** Byte offset at which the output begins. */
  readonly start: bigint;
  /** Bytes from its beginning that there is room for; undefined where that shows when it is written. */
  readonly room: bigint | undefined;
  /** Reads as zeros wherever it is not written. */
  readonly fresh: boolean;
  /**
   * Gives the output its exact length (bytes from `start`) and brings it to the disk. It has no name yet that it would not
   * have if it were abandoned. `finish` does it where nobody has.
   */
  sync(length: bigint): Promise<void>;
  /**
   * Puts the output, synced with its exact length (bytes from `start`), under its final name.
   * @returns the length of the file.
   */
  finish(length: bigint): Promise<bigint>;
  /** Removes what was written; a file that existed before is as it was (unless it was written in place). */
  abandon(): Promise<void>;
}

/** A file that exists, open for writing. */
export interface ExistingFile {
  readonly fd: number;
  readonly status: FileStatus;
}

/** An output together with where it goes. Who has one closes `name`, and the existing file. */
export interface ResolvedOutput extends OutputRequest {
  readonly name: ResolvedName;
}

/** Bytes that node can name when it sets the length of a file; no file system holds more. */
const MAX_LENGTH = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Refuses lengths that no file can have.
 * @throws HostFileError `NO_SPACE`
 */
export function checkLength(file: string, length: bigint): void {
  if (length > MAX_LENGTH) throw new HostFileError('NO_SPACE', `${length} bytes are more than a file can have`, file);
}

/** Bytes from its beginning that an output may come to. */
export function mostNeeded({ limit, length = 0n }: OutputRequest): bigint {
  return length > limit ? length : limit;
}

/** Bytes from its beginning that an output needs in any case, of which alone it can be said that there is no room. */
export function leastNeeded({ limit, length, atLeast }: OutputRequest): bigint {
  return length ?? atLeast ?? limit;
}
