import type { BigIntStats } from 'node:fs';
import { EngineError } from './errors.js';

/** What an output is to become. */
export interface OutputRequest {
  /** As the user named it. */
  readonly path: string;
  /** Bytes that it may grow to while it is written, from its beginning. */
  readonly limit: bigint;
  /** Bytes that it will have in the end, from its beginning, where that is known and more than `limit`. */
  readonly length?: bigint | undefined;
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

/** An output that is being written. `finish` or `abandon` must be called; `abandon` after either does nothing. */
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

/** An output together with what stands under its name now. */
export interface ResolvedOutput extends OutputRequest {
  /** Where the bytes go: the end of a chain of symbolic links. */
  readonly target: string;
  readonly existing: BigIntStats | undefined;
}

/** Bytes that node can name when it sets the length of a file; no file system holds more. */
const MAX_LENGTH = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Refuses lengths that no file can have.
 * @throws EngineError `NO_SPACE`
 */
export function checkLength(file: string, length: bigint): void {
  if (length > MAX_LENGTH) throw new EngineError('NO_SPACE', `${length} bytes are more than a file can have`, { file });
}

/** Gives an output up after an error, which is the one that the caller must see. */
export async function abandonQuietly(output: OutputFile): Promise<void> {
  try {
    await output.abandon();
  } catch {
    // What cannot be removed stays as a leftover, which the next run to the same output removes.
  }
}
