import { checkAborted, VmcoreError } from '../errors.js';
import type { Extent, MemoryImage } from '../image.js';
import { cutSegments, partOf, type Cutter } from './cut.js';
import { fillBatch, isBehindDescriptors, pageBatches, type PageBatch } from '../read/read-memory.js';

/** Bytes that are tried at once. */
const BATCH_BYTES = 4 << 20;
/** Most ranges that an image is told to be readable in: 16 bytes each. */
const MAX_RANGES = 1 << 22;

/** What is left of a damaged image. */
export interface Salvaged {
  readonly image: MemoryImage;
  /** Bytes of memory that should be stored and cannot be read. */
  readonly lost: bigint;
}

/** Ascending ranges of physical memory. */
class Ranges implements Cutter {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  add(start: bigint, length: bigint, name: string): void {
    const last = this.#starts.length - 1;
    if (last >= 0 && this.#ends[last] === Number(start)) {
      this.#ends[last] = Number(start + length);
      return;
    }
    if (this.#starts.length === MAX_RANGES) {
      throw new VmcoreError('TOO_LARGE', 'what is left of the dump lies in too many places', {
        file: name,
        found: `more than ${MAX_RANGES} ranges`,
        expected: 'fewer; filter a part of the memory',
      });
    }
    this.#starts.push(Number(start));
    this.#ends.push(Number(start + length));
  }

  /** Cuts an extent into what lies in the ranges and what does not. */
  *cut(extent: Extent): Generator<Extent> {
    const end = Number(extent.start + extent.length);
    let position = Number(extent.start);
    for (let index = this.#behind(position); position < end; index += 1) {
      const [from = Infinity, to = Infinity] = [this.#starts[index], this.#ends[index]];
      if (from > position) {
        const until = Math.min(from, end);
        yield partOf(extent, BigInt(position), BigInt(until), 'excluded');
        position = until;
      }
      if (position >= end) return;
      const until = Math.min(to, end);
      yield partOf(extent, BigInt(position), BigInt(until), 'stored');
      position = until;
    }
  }

  /** Index of the first range that ends behind a position. */
  #behind(position: number): number {
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether an error says that pages are not there, rather than that nothing can be read at all. */
function isLoss(error: unknown, all: boolean): boolean {
  if (!(error instanceof VmcoreError)) return false;
  if (error.code === 'PAGE_EXCLUDED') return true;
  return all && (error.code === 'TRUNCATED' || error.code === 'BAD_DUMP');
}

/** How an image is salvaged. */
export interface SalvageOptions {
  /** Also what is damaged or cut off; else only pages that a dump has no data for. */
  readonly all: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called for each page that cannot be read; where the file has no descriptors any more, for the first of them. */
  readonly onLost?: ((start: bigint, length: bigint, problem: VmcoreError) => void) | undefined;
}

/** Reads what is left page by page. */
async function tryPages(
  image: MemoryImage,
  batch: PageBatch,
  { all, onLost }: SalvageOptions,
  found: Ranges,
): Promise<bigint> {
  const size = BigInt(image.pageSize);
  const page = new Uint8Array(image.pageSize);
  let lost = 0n;
  for (const { start, length } of batch.extents) {
    for (let done = 0n; done < length;) {
      const inPage = size - ((start + done) % size);
      const take = length - done < inPage ? length - done : inPage;
      try {
        await image.readInto(start + done, page.subarray(0, Number(take)));
        found.add(start + done, take, image.name);
      } catch (error) {
        if (!isLoss(error, all)) throw error;
        const rest = isBehindDescriptors(error) ? length - done : take;
        lost += rest;
        if (error instanceof VmcoreError) onLost?.(start + done, rest, error);
        if (rest !== take) break;
      }
      done += take;
    }
  }
  return lost;
}

/**
 * An image of what can be read of another one: all of it is read once to find out. What cannot be read counts as left out.
 * @throws VmcoreError `READ_FAILED`, `ABORTED`, `TOO_LARGE`, and without `all` whatever else is wrong
 */
export async function salvageImage(image: MemoryImage, options: SalvageOptions): Promise<Salvaged> {
  const { all, signal } = options;
  const found = new Ranges();
  let lost = 0n;
  for await (const { missing, length } of image.extents()) {
    checkAborted(signal);
    if (missing === true) lost += length;
  }
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / image.pageSize));
  const buffer = new Uint8Array(perBatch * image.pageSize);
  for await (const batch of pageBatches(image, perBatch)) {
    checkAborted(signal);
    try {
      await fillBatch(image, batch, buffer);
      for (const { start, length } of batch.extents) found.add(start, length, image.name);
    } catch (error) {
      if (!isLoss(error, all)) throw error;
      lost += await tryPages(image, batch, options, found);
    }
  }
  const { segments } = image;
  return {
    lost,
    image: {
      ...image,
      segments: segments === undefined ? undefined : () => cutSegments(segments(), found),
      async *extents(from) {
        for await (const extent of image.extents(from)) {
          if (extent.kind === 'stored') yield* found.cut(extent);
          else yield { ...extent, missing: undefined };
        }
      },
    },
  };
}

/** The same image, whose extents end with an error where a file that was cut off should go on. */
export function strictImage(image: MemoryImage): MemoryImage {
  return {
    ...image,
    async *extents(from) {
      for await (const extent of image.extents(from)) {
        if (extent.missing === true) {
          throw new VmcoreError('TRUNCATED', 'the file was cut off before this memory', {
            file: image.name,
            offset: extent.start,
            expected: 'all of the file; with salvage, what is there is written',
          });
        }
        yield extent;
      }
    },
  };
}
