import { checkAborted, hex, VmcoreError } from '../errors.js';
import type { Extent, MemoryImage, Segment } from '../image.js';
import { check } from '../options/calls.js';
import { noMemory } from '../read/read-memory.js';

/** Physical memory that is wanted: QEMU's `begin` and `length` (bytes, any alignment). */
export interface MemoryFilter {
  /** Physical address. */
  readonly begin: bigint;
  /** Bytes, above 0. */
  readonly length: bigint;
}

/** An image of which only the memory from `begin` to before `end` is left. */
export function clipImage(image: MemoryImage, begin: bigint, end: bigint): MemoryImage {
  async function* extents(from = 0n): AsyncGenerator<Extent> {
    for await (const extent of image.extents(from > begin ? from : begin)) {
      if (extent.start >= end) return;
      const start = extent.start > begin ? extent.start : begin;
      const stop = extent.start + extent.length < end ? extent.start + extent.length : end;
      if (stop <= start) continue;
      const virtual = extent.virtual === undefined ? undefined : extent.virtual + (start - extent.start);
      yield { ...extent, start, length: stop - start, virtual };
    }
  }
  const { segments } = image;
  return {
    ...image,
    segments: segments === undefined ? undefined : () => clipSegments(segments(), begin, end),
    addressLimit: image.addressLimit < end ? image.addressLimit : end,
    extents,
    async readInto(address, target) {
      if (address < begin || address + BigInt(target.length) > end) throw noMemory(image, address);
      return image.readInto(address, target);
    },
  };
}

function* clipSegments(segments: Iterable<Segment>, begin: bigint, end: bigint): Generator<Segment> {
  for (const segment of segments) {
    const start = segment.start > begin ? segment.start : begin;
    const limit = segment.start + segment.length;
    const stop = limit < end ? limit : end;
    if (stop <= start) continue;
    const stored = segment.start + segment.stored - start;
    yield {
      start,
      length: stop - start,
      stored: stored < 0n ? 0n : stored < stop - start ? stored : stop - start,
      virtual: BigInt.asUintN(64, segment.virtual + (start - segment.start)),
    };
  }
}

/** The same image, whose extents end with an error when the signal comes. @throws VmcoreError `ABORTED` */
export function abortable(image: MemoryImage, signal: AbortSignal | undefined): MemoryImage {
  if (signal === undefined) return image;
  return {
    ...image,
    async *extents(from) {
      for await (const extent of image.extents(from)) {
        checkAborted(signal);
        yield extent;
      }
    },
  };
}

/**
 * An image of which only a range of physical memory is left.
 * @throws VmcoreError `INVALID_ARGUMENT` when the range is empty or not a range, `NOTHING_TO_DUMP` when no memory lies in it
 */
export async function filterImage(image: MemoryImage, filter: MemoryFilter): Promise<MemoryImage> {
  check.image(image);
  const { begin, length } = check.filter(filter);
  if (begin < 0n || length <= 0n) {
    throw new VmcoreError('INVALID_ARGUMENT', 'the range of memory is empty', {
      found: `begin ${hex(begin)}, length ${hex(length)}`,
      expected: 'a physical address and a length above 0',
    });
  }
  const clipped = clipImage(image, begin, begin + length);
  for await (const { kind } of clipped.extents()) {
    if (kind === 'stored') return clipped;
  }
  throw new VmcoreError('NOTHING_TO_DUMP', 'no memory lies in the range', {
    file: image.name,
    found: `begin ${hex(begin)}, length ${hex(length)}`,
  });
}
