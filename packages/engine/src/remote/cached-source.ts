import type { RangeSource } from './source.js';

/** Bytes of a block, in which everything is fetched and kept. */
const BLOCK = 128 * 1024;
/** Bytes that one request fetches at most. */
const MOST_RUN = 4 * 1024 * 1024;
const DEFAULT_CACHE = 32 * 1024 * 1024;
/** Reads one behind the other before anything is read ahead. */
const PATIENCE = 2;

/**
 * Keeps a bounded part of a source, in blocks, the latest used last; what is read in order is read ahead. Requests of
 * neighbouring blocks are one.
 */
export class CachedSource {
  readonly #source: RangeSource;
  readonly #most: number;
  /** By the number of the block; in the order of their last use. */
  readonly #blocks = new Map<bigint, Promise<Uint8Array>>();
  #next = -1n;
  #inOrder = 0;
  #ahead = BLOCK;

  constructor(source: RangeSource, cacheBytes = DEFAULT_CACHE) {
    this.#source = source;
    // Two runs are always kept: one that is read, and the one behind it.
    this.#most = Math.max(Math.ceil(cacheBytes / BLOCK), (2 * MOST_RUN) / BLOCK);
  }

  /** Blocks that are kept. */
  get kept(): number {
    return this.#blocks.size;
  }

  /** Exactly `length` bytes, which must lie within the source. */
  async read(offset: bigint, length: number): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    const block = BigInt(BLOCK);
    const end = offset + BigInt(length);
    const [first, last] = [offset / block, (end - 1n) / block];
    this.#inOrder = offset === this.#next ? this.#inOrder + 1 : 0;
    this.#next = end;
    if (this.#inOrder === 0) this.#ahead = BLOCK;
    const wanted = this.#want(first, last);
    // Again where half of what was read ahead is used: requests are large, and none is waited for.
    if (this.#inOrder >= PATIENCE && !this.#blocks.has(last + BigInt(Math.ceil(this.#ahead / BLOCK / 2)))) {
      this.#ahead = Math.min(this.#ahead * 2, MOST_RUN);
      // Whoever needs it hears of its failure.
      for (const ahead of this.#want(last + 1n, last + BigInt(this.#ahead / BLOCK))) ahead.catch(() => undefined);
    }
    const parts = await Promise.all(wanted);
    const whole = new Uint8Array(length);
    parts.forEach((bytes, index) => {
      const start = (first + BigInt(index)) * block;
      const from = offset > start ? Number(offset - start) : 0;
      const to = end < start + BigInt(bytes.length) ? Number(end - start) : bytes.length;
      whole.set(bytes.subarray(from, to), Number(start + BigInt(from) - offset));
    });
    return whole;
  }

  /** Blocks from `first` to `last`, of which those that are missing are asked for. */
  #want(first: bigint, last: bigint): Promise<Uint8Array>[] {
    const blocks: Promise<Uint8Array>[] = [];
    const count = (this.#source.size + BigInt(BLOCK) - 1n) / BigInt(BLOCK);
    let missing: bigint | undefined;
    const fetchTo = (behind: bigint): void => {
      if (missing !== undefined) this.#fetch(missing, behind);
      missing = undefined;
    };
    const end = last < count ? last + 1n : count;
    for (let number = first; number < end; number += 1n) {
      if (this.#blocks.has(number)) fetchTo(number);
      else missing ??= number;
      if (missing !== undefined && (number + 1n - missing) * BigInt(BLOCK) >= BigInt(MOST_RUN)) fetchTo(number + 1n);
    }
    if (end > first) fetchTo(end);
    for (let number = first; number < end; number += 1n) {
      const found = this.#blocks.get(number);
      if (found === undefined) continue;
      this.#blocks.delete(number);
      this.#blocks.set(number, found);
      blocks.push(found);
    }
    this.#evict(blocks.length);
    return blocks;
  }

  #fetch(first: bigint, behind: bigint): void {
    const offset = first * BigInt(BLOCK);
    const left = this.#source.size - offset;
    const length = Number(behind - first) * BLOCK;
    const run = this.#source.read(offset, left < BigInt(length) ? Number(left) : length);
    for (let number = first; number < behind; number += 1n) {
      const at = Number(number - first) * BLOCK;
      // A copy: a part of the run would keep all of it.
      const block = run.then((bytes) => bytes.slice(at, at + BLOCK));
      this.#blocks.set(number, block);
      block.catch(() => {
        if (this.#blocks.get(number) === block) this.#blocks.delete(number);
      });
    }
  }

  #evict(inUse: number): void {
    const most = Math.max(this.#most, inUse);
    for (const number of this.#blocks.keys()) {
      if (this.#blocks.size <= most) return;
      this.#blocks.delete(number);
    }
  }
}
