import type { MemoryImage } from '../image.js';
import type { BitmapCounts } from './bitmap-writer.js';

/** Counts the pages in which an image has stored memory. */
export async function countPages(image: MemoryImage): Promise<BitmapCounts> {
  const size = BigInt(image.pageSize);
  let [stored, bytes, next] = [0n, 0n, 0n];
  for await (const { start, length, kind } of image.extents()) {
    if (kind !== 'stored') continue;
    const first = start / size > next ? start / size : next;
    const end = (start + length + size - 1n) / size;
    if (end > first) stored += end - first;
    if (end > next) next = end;
    bytes += length;
  }
  return { stored, bytes };
}

/** Readers of split dumps count page frames in words and blocks of their bitmaps: parts begin at multiples of this. */
const PART_ALIGN = 1024n;

/**
 * Cuts memory into parts of about as many stored pages each. Small memory may have fewer parts than are wanted: the last
 * ones are empty then.
 * @returns page frame numbers at which parts begin, with 0 first and the limit of the memory last
 */
export async function partBounds(image: MemoryImage, parts: number): Promise<bigint[]> {
  const size = BigInt(image.pageSize);
  const limit = (image.addressLimit + size - 1n) / size;
  const { stored } = await countPages(image);
  const bounds = [0n];
  let [seen, next] = [0n, 0n];
  const push = (page: bigint): void => {
    const aligned = ((page + PART_ALIGN / 2n) / PART_ALIGN) * PART_ALIGN;
    const least = (bounds[bounds.length - 1] ?? 0n) + PART_ALIGN;
    const bound = aligned < least ? least : aligned;
    bounds.push(bound < limit ? bound : limit);
  };
  for await (const { start, length, kind } of image.extents()) {
    if (kind !== 'stored') continue;
    const first = start / size > next ? start / size : next;
    const end = (start + length + size - 1n) / size;
    while (bounds.length < parts && end > first) {
      const wanted = (stored * BigInt(bounds.length)) / BigInt(parts);
      if (seen + (end - first) <= wanted) break;
      push(first + (wanted - seen));
    }
    if (end > first) seen += end - first;
    if (end > next) next = end;
  }
  while (bounds.length < parts) push(next);
  return [...bounds, limit];
}
