import { VmcoreError } from '../errors.js';

/** Pages of a chunk: 32 KiB of bits. */
const CHUNK = 1 << 18;
/** Most chunks: 64 MiB of bits, for 2 TiB of pages of 4 KiB. */
const MAX_CHUNKS = 1 << 11;

/** A set of page frames, of which only the parts that have some take memory. */
export class PageSet {
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #name: string;

  /** @param name what messages call the dump */
  constructor(name: string) {
    this.#name = name;
  }

  has(page: number): boolean {
    const bit = page % CHUNK;
    const byte = this.#chunks.get(Math.floor(page / CHUNK))?.[bit >>> 3] ?? 0;
    return (byte & (1 << (bit & 7))) !== 0;
  }

  /** @throws VmcoreError `TOO_LARGE` */
  add(first: number, end: number): void {
    for (let page = first; page < end;) {
      const index = Math.floor(page / CHUNK);
      const chunk = this.#chunks.get(index) ?? this.#newChunk(index);
      const until = Math.min(end, (index + 1) * CHUNK);
      for (; page < until; page += 1) {
        const bit = page % CHUNK;
        if ((bit & 7) === 0 && page + 8 <= until) {
          const whole = Math.floor((until - page) / 8);
          chunk.fill(0xff, bit >>> 3, (bit >>> 3) + whole);
          page += whole * 8 - 1;
          continue;
        }
        chunk[bit >>> 3] = (chunk[bit >>> 3] ?? 0) | (1 << (bit & 7));
      }
    }
  }

  #newChunk(index: number): Uint8Array {
    if (this.#chunks.size === MAX_CHUNKS) {
      throw new VmcoreError('TOO_LARGE', 'the dump has more pages than can be told apart', {
        file: this.#name,
        found: `more than ${MAX_CHUNKS * CHUNK} pages`,
        expected: 'fewer; split the dump, and filter its parts',
      });
    }
    const chunk = new Uint8Array(CHUNK / 8);
    this.#chunks.set(index, chunk);
    return chunk;
  }

  /** Takes pages out; returns how many of them were in the set. */
  remove(first: number, end: number): number {
    let count = 0;
    for (let page = first; page < end;) {
      const index = Math.floor(page / CHUNK);
      const until = Math.min(end, (index + 1) * CHUNK);
      const chunk = this.#chunks.get(index);
      for (; chunk !== undefined && page < until; page += 1) {
        const [byte, mask] = [(page % CHUNK) >>> 3, 1 << (page & 7)];
        const value = chunk[byte] ?? 0;
        if ((value & mask) === 0) continue;
        chunk[byte] = value & ~mask;
        count += 1;
      }
      page = until;
    }
    return count;
  }

  /** The first page from one on that is in the set or not, as is wanted; `end` where there is none before it. */
  next(from: number, end: number, wanted: boolean): number {
    for (let page = from; page < end;) {
      const index = Math.floor(page / CHUNK);
      const chunk = this.#chunks.get(index);
      const until = Math.min(end, (index + 1) * CHUNK);
      if (chunk === undefined) {
        if (!wanted) return page;
        page = until;
        continue;
      }
      const skip = wanted ? 0 : 0xff;
      for (; page < until; page += 1) {
        const bit = page % CHUNK;
        const value = chunk[bit >>> 3] ?? 0;
        if (value === skip && (bit & 7) === 0) {
          page += 7;
          continue;
        }
        if (((value & (1 << (bit & 7))) !== 0) === wanted) return page;
      }
      page = Math.min(page, until);
    }
    return end;
  }
}
