import { fillFrom, type ByteSource } from '../source/byte-source.js';
import { isZero } from '../zero.js';

/** Bytes of a bitmap that are read and ranked at once: 2^21 pages. */
const CHUNK_BYTES = 256 << 10;
export const CHUNK_PAGES = CHUNK_BYTES * 8;
/** Bytes of a group of bits whose rank is kept while its chunk is. */
const GROUP_BYTES = 512;
const CACHED_CHUNKS = 4;

/** Set bits of a 32-bit word. */
function bitsSet(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

interface Chunk {
  readonly bytes: Uint8Array;
  /** Set bits before each group. */
  readonly groups: Uint32Array;
  readonly total: number;
}

/** Most of a large bitmap: one chunk of clear bits stands for all. */
const CLEAR: Chunk = {
  bytes: new Uint8Array(CHUNK_BYTES),
  groups: new Uint32Array(CHUNK_BYTES / GROUP_BYTES),
  total: 0,
};

/**
 * Memory that was read into before and that nobody holds: memory that nobody has touched yet is slow. One for all bitmaps,
 * as a split dump has two in each of its parts.
 */
let spare: Uint8Array | undefined;

/** Whether a chunk's bytes are those of a chunk without set bits. */
export function isClear(chunk: Uint8Array): boolean {
  return chunk === CLEAR.bytes;
}

function rankChunk(bytes: Uint8Array): Chunk {
  if (isZero(bytes)) return CLEAR;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const perGroup = GROUP_BYTES / 4;
  const groups = new Uint32Array(CHUNK_BYTES / GROUP_BYTES);
  let total = 0;
  for (let group = 0; group < groups.length; group += 1) {
    groups[group] = total;
    for (let index = group * perGroup; index < (group + 1) * perGroup; index += 1) {
      const word = words[index] ?? 0;
      if (word !== 0) total += bitsSet(word);
    }
  }
  return { bytes, groups, total };
}

/**
 * A bitmap of pages in a file: bit 0 is the least significant bit of byte 0. Nothing of it is held but some chunks and,
 * for each chunk that was passed, how many bits are set before it.
 */
export class PageBitmap {
  readonly #source: ByteSource;
  readonly #offset: bigint;
  /** Pages. */
  readonly length: number;
  readonly #before: number[] = [0];
  readonly #cache = new Map<number, Promise<Chunk>>();

  /** @param length pages; the bytes that they take lie inside the source */
  constructor(source: ByteSource, offset: bigint, length: number) {
    this.#source = source;
    this.#offset = offset;
    this.length = length;
  }

  /** The bits of a chunk, `CHUNK_PAGES` pages each; bits behind the end are clear. */
  async chunk(index: number): Promise<Uint8Array> {
    return (await this.#chunk(index)).bytes;
  }

  async #chunk(index: number): Promise<Chunk> {
    const cached = this.#cache.get(index);
    if (cached !== undefined) {
      this.#cache.delete(index);
      this.#cache.set(index, cached);
      return cached;
    }
    const loading = this.#load(index);
    this.#cache.set(index, loading);
    // What could not be read now may be read later.
    loading.catch(() => {
      if (this.#cache.get(index) === loading) this.#cache.delete(index);
    });
    if (this.#cache.size > CACHED_CHUNKS) this.#cache.delete(this.#cache.keys().next().value ?? index);
    return loading;
  }

  async #load(index: number): Promise<Chunk> {
    const start = this.#offset + BigInt(index) * BigInt(CHUNK_BYTES);
    // Most of a bitmap of sparse memory is a hole, which takes long to read.
    if (this.#source.nextData !== undefined) {
      const data = this.#source.nextData(start);
      if (data === undefined || data >= start + BigInt(CHUNK_BYTES)) return CLEAR;
    }
    const bytes = spare ?? new Uint8Array(CHUNK_BYTES);
    spare = undefined;
    const pages = Math.min(CHUNK_PAGES, this.length - index * CHUNK_PAGES);
    if (pages > 0) {
      const used = bytes.subarray(0, Math.ceil(pages / 8));
      await fillFrom(this.#source, start, used, 'bitmap');
      if (pages % 8 !== 0) used[used.length - 1] = (used[used.length - 1] ?? 0) & ((1 << (pages % 8)) - 1);
    }
    if (pages < CHUNK_PAGES) bytes.fill(0, Math.max(0, Math.ceil(pages / 8)));
    const chunk = rankChunk(bytes);
    if (chunk === CLEAR) spare = bytes;
    return chunk;
  }

  /** Forgets what can be read again. */
  release(): void {
    this.#cache.clear();
  }

  async isSet(page: number): Promise<boolean> {
    if (page >= this.length) return false;
    const bytes = await this.chunk(Math.floor(page / CHUNK_PAGES));
    const bit = page % CHUNK_PAGES;
    return ((bytes[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  }

  /** Set bits in a row from a page on, at most so many. */
  async run(page: number, most: number): Promise<number> {
    const end = Math.min(page + most, this.length);
    let position = page;
    while (position < end) {
      const index = Math.floor(position / CHUNK_PAGES);
      const bytes = await this.chunk(index);
      const stop = Math.min(end, (index + 1) * CHUNK_PAGES);
      for (; position < stop; position += 1) {
        const bit = position % CHUNK_PAGES;
        if (((bytes[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return position - page;
      }
    }
    return Math.max(position - page, 0);
  }

  /** Set bits before a page. */
  async rank(page: number): Promise<number> {
    const index = Math.floor(page / CHUNK_PAGES);
    while (this.#before.length <= index) {
      const last = this.#before.length - 1;
      const total = (await this.#chunk(last)).total;
      // Another call may have come here meanwhile.
      if (this.#before.length === last + 1) this.#before.push((this.#before[last] ?? 0) + total);
    }
    const { bytes, groups } = await this.#chunk(index);
    const bit = page % CHUNK_PAGES;
    const group = Math.floor(bit / (GROUP_BYTES * 8));
    let count = (this.#before[index] ?? 0) + (groups[group] ?? 0);
    for (let byte = group * GROUP_BYTES; byte < bit >>> 3; byte += 1) count += bitsSet(bytes[byte] ?? 0);
    return count + bitsSet((bytes[bit >>> 3] ?? 0) & ((1 << (bit & 7)) - 1));
  }
}
