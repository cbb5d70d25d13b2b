import type { ValueOf } from '@instar/layout';
import { LOST_RANGES_MAX, type ConvertResult } from '@instar/shared-abi';
import { impossibleResult } from '../session/outcome.js';

/** A range of a disk. */
export interface LostRange {
  /** First virtual byte. */
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
}

/** What of a disk could not be read. */
export interface Lost {
  /** Bytes of all ranges. */
  readonly bytes: bigint;
  /** How many ranges there are. */
  readonly count: bigint;
  /** The first of them, at most 64. */
  readonly ranges: readonly LostRange[];
}

/**
 * What a copy that goes on has left out. The guest may be in an attacker's hands: its ranges count only where they can be.
 * @param size bytes of the disk
 * @returns undefined where nothing was left out
 * @throws EngineError `GUEST_FAILED`
 */
export function lostOf(result: ValueOf<typeof ConvertResult>, size: bigint, subject: string): Lost | undefined {
  const { lost_bytes: bytes, lost_count: count, lost } = result;
  const known = count < BigInt(LOST_RANGES_MAX) ? Number(count) : LOST_RANGES_MAX;
  const ranges = lost.slice(0, known).map(({ start, length }) => ({ start, length }));
  let end = 0n;
  let sum = 0n;
  for (const range of ranges) {
    if (range.start < end || range.length === 0n || range.length > size - range.start) throw impossibleResult(subject);
    end = range.start + range.length;
    sum += range.length;
  }
  const complete = count === BigInt(known);
  if (bytes > size || sum > bytes || (complete && sum !== bytes)) throw impossibleResult(subject);
  return count === 0n ? undefined : { bytes, count, ranges };
}

/** What to tell of it, a sentence each. */
export function lostSentences({ bytes, count, ranges }: Lost, file: string): readonly string[] {
  const further = count - BigInt(ranges.length);
  return [
    ...ranges.map(
      ({ start, length }) =>
        `${file}: ${length} bytes at offset ${start} of the disk cannot be read; the output has zeros there`,
    ),
    ...(further > 0n ? [`${file}: ${further} more ranges cannot be read, ${bytes} bytes in all`] : []),
  ];
}
