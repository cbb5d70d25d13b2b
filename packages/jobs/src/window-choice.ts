import type { Image } from '@instar/engine';
import { WINDOW_UNIT } from './payloads.js';

/** Windows begin and end at multiples of this (bytes), the last one at the end of the disk. */
export const UNIT = BigInt(WINDOW_UNIT);
/** What a byte that has to be decompressed costs, and one that reads as zero, where one that is copied costs 16. */
export const COSTS = { compressed: 64, copied: 16, zero: 1 } as const;
/** The same where what is not zeros is compressed, which takes longer than all else. */
export const COSTS_TO_PACK = { compressed: 64, copied: 64, zero: 1 } as const;
/** Slices of a disk whose costs are told apart. */
const MOST_SLICES = 16_384n;

/** A part of a disk: its first byte, and the one behind its last. */
export interface Window {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Parts of a disk that take about as long as each other. An image may have more extents than there is memory for: what they cost
 * is summed up in slices, at whose ends parts begin.
 * @param most how many there are at most
 * @param unit they begin at multiples of this (bytes)
 * @param costs what a byte costs
 */
export async function chooseWindows(
  image: Pick<Image, 'virtualSize' | 'extents'>,
  most: number,
  unit: bigint = UNIT,
  costs: Readonly<Record<keyof typeof COSTS, number>> = COSTS,
): Promise<readonly Window[]> {
  const slice = (image.virtualSize / MOST_SLICES / unit + 1n) * unit;
  const sums = new Float64Array(Number((image.virtualSize + slice - 1n) / slice));
  for await (const { start, length, data, zero, compressed } of image.extents()) {
    const cost = compressed ? costs.compressed : data && !zero ? costs.copied : costs.zero;
    const end = start + length;
    for (let index = start / slice; index * slice < end; index += 1n) {
      const from = index * slice > start ? index * slice : start;
      const to = (index + 1n) * slice < end ? (index + 1n) * slice : end;
      const known = sums[Number(index)];
      if (known !== undefined) sums[Number(index)] = known + Number(to - from) * cost;
    }
  }
  const total = sums.reduce((sum, cost) => sum + cost, 0);
  const edges = [0n];
  let before = 0;
  sums.forEach((cost, index) => {
    before += cost;
    const end = BigInt(index + 1) * slice;
    // A window ends where the cost so far reaches its share.
    if (edges.length < most && before >= (total * edges.length) / most && end < image.virtualSize) edges.push(end);
  });
  edges.push(image.virtualSize);
  return edges.slice(1).map((end, index) => ({ start: edges[index] ?? 0n, end }));
}
