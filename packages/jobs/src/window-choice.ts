import type { Image } from '@instar/engine';
import { WINDOW_UNIT } from './payloads.js';

/** Windows begin and end at multiples of this (bytes), the last one at the end of the disk. */
export const UNIT = BigInt(WINDOW_UNIT);
/** What a byte that has to be decompressed costs, and one that reads as zero, where one that is copied costs 16. */
const COSTS = { compressed: 64, copied: 16, zero: 1 } as const;
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
 */
export async function chooseWindows(
  image: Pick<Image, 'virtualSize' | 'extents'>,
  most: number,
  unit: bigint = UNIT,
): Promise<readonly Window[]> {
  const slice = (image.virtualSize / MOST_SLICES / unit + 1n) * unit;
  const costs = new Float64Array(Number((image.virtualSize + slice - 1n) / slice));
  for await (const { start, length, data, zero, compressed } of image.extents()) {
    const cost = compressed ? COSTS.compressed : data && !zero ? COSTS.copied : COSTS.zero;
    const end = start + length;
    for (let index = start / slice; index * slice < end; index += 1n) {
      const from = index * slice > start ? index * slice : start;
      const to = (index + 1n) * slice < end ? (index + 1n) * slice : end;
      const known = costs[Number(index)];
      if (known !== undefined) costs[Number(index)] = known + Number(to - from) * cost;
    }
  }
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const edges = [0n];
  let before = 0;
  costs.forEach((cost, index) => {
    before += cost;
    const end = BigInt(index + 1) * slice;
    // A window ends where the cost so far reaches its share.
    if (edges.length < most && before >= (total * edges.length) / most && end < image.virtualSize) edges.push(end);
  });
  edges.push(image.virtualSize);
  return edges.slice(1).map((end, index) => ({ start: edges[index] ?? 0n, end }));
}
