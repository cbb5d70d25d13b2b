import fc from 'fast-check';
import { hex } from '../../src/errors.js';
import type { Extent } from '../../src/image.js';
import { providedImage, type MemoryImage, type MemoryProvider, type ProviderRange } from '../../src/index.js';

/** What a page of a made-up memory holds. */
export type PageContent = 'zeros' | 'text' | 'noise';

/** The content of made-up memory follows from the address and a seed alone, so that no copy of it is needed. */
export class MadeUpMemory {
  readonly #seed: number;
  readonly #pageSize: number;

  constructor(seed: number, pageSize: number) {
    this.#seed = seed;
    this.#pageSize = pageSize;
  }

  #mix(value: number): number {
    let mixed = Math.imul(value ^ this.#seed, 0x9e37_79b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca77);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  contentOf(page: bigint): PageContent {
    return (['zeros', 'text', 'noise'] as const)[this.#mix(Number(page % 0x7fff_ffffn)) % 3] ?? 'zeros';
  }

  fill(address: bigint, target: Uint8Array): void {
    for (let done = 0; done < target.length;) {
      const position = address + BigInt(done);
      const page = position / BigInt(this.#pageSize);
      const inPage = Number(position % BigInt(this.#pageSize));
      const length = Math.min(target.length - done, this.#pageSize - inPage);
      this.#fillPage(page, inPage, target.subarray(done, done + length));
      done += length;
    }
  }

  #fillPage(page: bigint, from: number, target: Uint8Array): void {
    const content = this.contentOf(page);
    const salt = this.#mix(Number(page % 0x7fff_ffffn));
    if (content === 'zeros') target.fill(0);
    for (let index = 0; content !== 'zeros' && index < target.length; index += 1) {
      const at = from + index;
      target[index] = content === 'text' ? 0x41 + ((salt + (at >> 6)) & 15) : this.#mix(salt + at) & 0xff;
    }
  }
}

/** A memory map: holes, unaligned ends, memory above 4 GiB. */
export interface MemoryMap {
  readonly seed: number;
  readonly pageSize: number;
  readonly ranges: readonly ProviderRange[];
}

/** Arbitrary memory maps of some pages. @param limit addresses stay below it */
export function memoryMaps(limit: bigint): fc.Arbitrary<MemoryMap> {
  const gap = fc.oneof(
    fc.bigInt({ min: 0n, max: 3n }),
    fc.bigInt({ min: 0n, max: 9000n }),
    fc.bigInt({ min: 0n, max: limit / 256n }).map((value) => value - (value % 4096n)),
  );
  const length = fc.oneof(
    fc.bigInt({ min: 1n, max: 5000n }),
    fc.bigInt({ min: 1n, max: 12n }).map((pages) => pages * 4096n),
  );
  return fc
    .record({
      seed: fc.nat(),
      pageSize: fc.constantFrom(4096, 4096, 65536, 1024),
      parts: fc.array(fc.tuple(gap, length), { minLength: 1, maxLength: 12 }),
    })
    .map(({ seed, pageSize, parts }) => {
      let position = 0n;
      const ranges: ProviderRange[] = [];
      for (const [skip, size] of parts) {
        position += skip;
        if (position + size > limit) break;
        ranges.push({ start: position, length: size });
        position += size;
      }
      return { seed, pageSize, ranges: ranges.length === 0 ? [{ start: 0n, length: 1n }] : ranges };
    });
}

/** An image of made-up memory. */
export function madeUpImage(map: MemoryMap, rest: Omit<MemoryProvider, 'ranges' | 'read' | 'pageSize'>): MemoryImage {
  const memory = new MadeUpMemory(map.seed, map.pageSize);
  return providedImage({
    ...rest,
    pageSize: map.pageSize,
    ranges: map.ranges,
    read: (address, target) => {
      memory.fill(address, target);
    },
  });
}

/** Extents of an image, joined where they touch. */
export async function extentsOf(image: MemoryImage): Promise<{ start: string; length: string; kind: string }[]> {
  const joined: Extent[] = [];
  for await (const extent of image.extents()) {
    const last = joined[joined.length - 1];
    if (last?.kind === extent.kind && last.start + last.length === extent.start) {
      joined[joined.length - 1] = { ...last, length: last.length + extent.length };
    } else joined.push(extent);
  }
  return joined.map(({ start, length, kind }) => ({ start: hex(start), length: hex(length), kind }));
}

/** Ranges rounded to pages and joined: what a format of whole pages makes of them. */
export function pageRanges({ ranges, pageSize }: MemoryMap): { start: string; length: string; kind: string }[] {
  const size = BigInt(pageSize);
  const joined: { start: bigint; end: bigint }[] = [];
  for (const range of ranges) {
    const start = range.start - (range.start % size);
    const end = ((range.start + range.length + size - 1n) / size) * size;
    const last = joined[joined.length - 1];
    if (last !== undefined && start <= last.end) last.end = end > last.end ? end : last.end;
    else joined.push({ start, end });
  }
  return joined.map(({ start, end }) => ({ start: hex(start), length: hex(end - start), kind: 'stored' }));
}
