import type { Extent, MemoryImage, Segment } from '../image.js';
import type { KernelAddresses } from './kernel-addresses.js';

/** Alignment of stored memory in the file: segments lie in it as they lie in their pages (bytes). */
export const PAGE = 4096n;

/** A segment, and where its bytes lie: from the first byte of all memory in the file on. */
export interface PlacedSegment extends Segment {
  readonly place: bigint;
}

/** The memory of an ELF file, as columns: extents in ascending order, each with its place among the bytes of memory. */
export class StoredRanges implements Iterable<PlacedSegment> {
  #starts = new Float64Array(256);
  #lengths = new Float64Array(256);
  /** -1 where nothing is stored. */
  #places = new Float64Array(256);
  #virtual = new BigUint64Array(256);
  count = 0;
  /** Bytes that are stored, and bytes that they take in the file with the gaps between them. */
  bytes = 0n;
  length = 0n;

  add({ start, length, kind, virtual }: Extent): void {
    if (this.count === this.#starts.length) this.#grow();
    const stored = kind === 'stored';
    // Behind what came before, at the same place in its page.
    const place = this.length + ((start - this.length) & (PAGE - 1n));
    this.#starts[this.count] = Number(start);
    this.#lengths[this.count] = Number(length);
    this.#places[this.count] = stored ? Number(place) : -1;
    this.#virtual[this.count] = BigInt.asUintN(64, virtual ?? start);
    this.count += 1;
    if (!stored) return;
    this.length = place + length;
    this.bytes += length;
  }

  #grow(): void {
    const larger = (array: Float64Array): Float64Array<ArrayBuffer> => {
      const copy = new Float64Array(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.#starts = larger(this.#starts);
    this.#lengths = larger(this.#lengths);
    this.#places = larger(this.#places);
    const virtual = new BigUint64Array(2 * this.#virtual.length);
    virtual.set(this.#virtual);
    this.#virtual = virtual;
  }

  *[Symbol.iterator](): Generator<PlacedSegment> {
    for (let index = 0; index < this.count; index += 1) {
      const length = BigInt(this.#lengths[index] ?? 0);
      const place = this.#places[index] ?? -1;
      yield {
        start: BigInt(this.#starts[index] ?? 0),
        length,
        stored: place < 0 ? 0n : length,
        virtual: this.#virtual[index] ?? 0n,
        place: place < 0 ? 0n : BigInt(place),
      };
    }
  }

  /** The first extent that ends behind an address. */
  #at(address: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) + (this.#lengths[middle] ?? 0) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What is stored between two physical addresses. */
  *storedWithin(start: bigint, end: bigint): Generator<PlacedSegment> {
    for (let index = this.#at(Number(start)); index < this.count; index += 1) {
      const [first = 0, length = 0] = [this.#starts[index], this.#lengths[index]];
      const from = first > Number(start) ? BigInt(first) : start;
      if (from >= end) return;
      const until = BigInt(first + length) < end ? BigInt(first + length) : end;
      const { stored, place } = this.from(from, until - from);
      if (stored > 0n) yield { start: from, length: stored, stored, place, virtual: 0n };
    }
  }

  /** What is stored from a physical address on, at most so many bytes. */
  from(start: bigint, most: bigint): { readonly stored: bigint; readonly place: bigint } {
    const address = Number(start);
    const low = this.#at(address);
    const [first = Infinity, length = 0, place = -1] = [this.#starts[low], this.#lengths[low], this.#places[low]];
    if (low >= this.count || first > address || place < 0) return { stored: 0n, place: 0n };
    const room = BigInt(first + length - address);
    return { stored: most < room ? most : room, place: BigInt(place + address - first) };
  }
}

/**
 * The segments of an ELF file: those of the image where it has its own; else its extents, with the virtual addresses that
 * its kernel gives them.
 */
export function segmentsOf(
  image: MemoryImage,
  ranges: StoredRanges,
  kernel: KernelAddresses | undefined,
): () => Iterable<PlacedSegment> {
  const placed = (segment: Segment): PlacedSegment => ({ ...segment, ...ranges.from(segment.start, segment.stored) });
  const { segments } = image;
  if (segments !== undefined) {
    // makedumpfile takes the last one below the kernel's image for the mapping of all memory.
    const isDirect = ({ start, virtual }: Segment): boolean => virtual - start === kernel?.direct;
    return function* own() {
      for (const segment of segments()) if (!isDirect(segment)) yield placed(segment);
      if (kernel?.direct === undefined) return;
      for (const segment of segments()) if (isDirect(segment)) yield placed(segment);
    };
  }
  if (kernel === undefined || kernel.known) return () => ranges;
  return function* mapped() {
    const { start, length, virtual, end, direct } = kernel;
    const { stored } = ranges.from(start, length);
    if (stored > 0n) yield placed({ start, length: stored, stored, virtual });
    // Where pages of the image were left out it goes on behind them, up to its end.
    for (const part of ranges.storedWithin(start + stored, end)) {
      yield { ...part, virtual: virtual + (part.start - start) };
    }
    for (const range of ranges) yield direct === undefined ? range : { ...range, virtual: direct + range.start };
  };
}
