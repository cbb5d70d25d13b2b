import { MAX_SIZE } from './size.js';

/** The block size of dd when `bs=` is absent, in bytes. */
export const DD_DEFAULT_BLOCK_SIZE = 512n;

/** The largest block size that `bs=` takes, in bytes (2^31 - 1, as in qemu-img). */
export const DD_MAX_BLOCK_SIZE = (1n << 31n) - 1n;

/** Virtual disks are counted in sectors of this many bytes. */
export const SECTOR_SIZE = 512n;

/** What to copy, in the terms of the user. */
export interface DdWindowRequest {
  /** The input's virtual size in bytes, 0 to 2^63 - 1. Virtual disks have whole sectors: see {@link roundUpToSector}. */
  readonly virtualSize: bigint;
  /** Block size in bytes, at least 1. */
  readonly bs: bigint;
  /** Blocks to read, counted from the start of the input (not from `skip`); all of them when absent. */
  readonly count?: bigint | undefined;
  /** Blocks at the start of the input that are left out. */
  readonly skip: bigint;
}

/** What to copy, in bytes. Every field lies between 0 and 2^63 - 1. */
export interface DdWindow {
  /** Where reading ends: `min(virtualSize, count * bs)`. A count never makes the input longer. */
  readonly copyLen: bigint;
  /** Virtual byte offset of the first byte to copy (inclusive): `skip * bs`. Nothing is copied when it is not below `windowEnd`. */
  readonly windowStart: bigint;
  /** Virtual byte offset behind the last byte to copy (exclusive); the same as `copyLen`. */
  readonly windowEnd: bigint;
  /** Bytes to copy: `max(0, copyLen - windowStart)`. The count clamps first, then skipping subtracts. */
  readonly outVsize: bigint;
  /** Whether `skip` goes beyond the end of what may be read, which deserves a warning; exactly at the end does not. */
  readonly skipPastEnd: boolean;
}

/**
 * The window arithmetic of `qemu-img dd`. Products saturate at 2^63 - 1; nothing has to be aligned.
 *
 * @throws RangeError when an argument is negative, above 2^63 - 1, or `bs` is 0: these are the caller's bugs, since
 *   `parseDd` lets no such value through
 */
export function ddWindow({ virtualSize, bs, count, skip }: DdWindowRequest): DdWindow {
  checkRange('virtualSize', virtualSize, 0n);
  checkRange('bs', bs, 1n);
  checkRange('skip', skip, 0n);
  if (count !== undefined) checkRange('count', count, 0n);

  const copyLen = count === undefined ? virtualSize : smaller(virtualSize, count * bs);
  const skipped = skip * bs;
  return {
    copyLen,
    windowStart: smaller(skipped, MAX_SIZE),
    windowEnd: copyLen,
    outVsize: skipped < copyLen ? copyLen - skipped : 0n,
    skipPastEnd: skipped > copyLen,
  };
}

/**
 * The size of a virtual disk that holds so many bytes: the next multiple of 512. A raw file of 1000 bytes is a disk of 1024,
 * and a raw output of `outVsize` 1000 is 1024 bytes long. Exact: sizes above 2^63 - 512 give 2^63.
 */
export function roundUpToSector(bytes: bigint): bigint {
  return ((bytes + SECTOR_SIZE - 1n) / SECTOR_SIZE) * SECTOR_SIZE;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function checkRange(name: string, value: bigint, least: bigint): void {
  if (value < least || value > MAX_SIZE) {
    throw new RangeError(`ddWindow: ${name} is ${value}, expected ${least} to ${MAX_SIZE}`);
  }
}
