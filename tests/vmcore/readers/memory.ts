import type { ProviderRange } from '@instar/vmcore';

import { Random } from '../../support/random.js';
import type { Wanted } from '../judges/reading.js';

/** Physical memory of a machine that does not exist: each page follows from its address, but for those that were set. */
export class InventedMemory {
  readonly ranges: readonly ProviderRange[];
  readonly pageSize: number;
  /** One page in so many holds something; the others are zeros. */
  readonly #density: number;
  readonly #pages = new Map<bigint, Buffer>();

  constructor(ranges: readonly ProviderRange[], pageSize: number, density = 1) {
    this.ranges = ranges;
    this.pageSize = pageSize;
    this.#density = density;
  }

  /** Puts bytes at a physical address, inside one page. */
  set(address: bigint, bytes: Uint8Array): this {
    this.#page(address / BigInt(this.pageSize)).set(bytes, Number(address % BigInt(this.pageSize)));
    return this;
  }

  /** Fills a buffer, as a provider of `@instar/vmcore` does. */
  readonly read = (address: bigint, target: Uint8Array): void => {
    for (let done = 0; done < target.length;) {
      const position = address + BigInt(done);
      const offset = Number(position % BigInt(this.pageSize));
      const part = this.#page(position / BigInt(this.pageSize)).subarray(offset, offset + target.length - done);
      target.set(part, done);
      done += part.length;
    }
  };

  bytes({ address, length }: Wanted): Buffer {
    const bytes = Buffer.alloc(length);
    this.read(address, bytes);
    return bytes;
  }

  /** Places to look at, all inside of ranges; many at the edges of ranges and pages. */
  places(count: number, random: Random): Wanted[] {
    return Array.from({ length: count }, (): Wanted => {
      const range = this.ranges[random.below(this.ranges.length)];
      if (range === undefined) throw new Error('no memory');
      const length = random.between(1, 16);
      const last = range.length - BigInt(length);
      const somewhere = (BigInt(random.below(2 ** 31)) * 4096n + BigInt(random.below(4096))) % (last + 1n);
      const edge = somewhere - (somewhere % BigInt(this.pageSize)) - BigInt(random.below(length));
      const offset = [somewhere, somewhere, somewhere, edge < 0n ? 0n : edge, last][random.below(5)] ?? 0n;
      return { address: range.start + offset, length };
    });
  }

  #page(number: bigint): Buffer {
    const known = this.#pages.get(number);
    if (known !== undefined) return known;
    const made = this.#make(number);
    this.#pages.set(number, made);
    return made;
  }

  #make(number: bigint): Buffer {
    const page = Buffer.alloc(this.pageSize);
    const seed = Number(BigInt.asUintN(32, number * 2_654_435_761n + 1n));
    const random = new Random(seed);
    if (random.below(this.#density) !== 0) return page;
    switch (random.below(4)) {
      case 0:
        return page;
      case 1:
        return random.bytes(this.pageSize);
      case 2:
        return page.fill(random.between(1, 255));
      default:
        for (let at = 0; at < page.length; at += 8)
          page.writeBigUInt64LE(number * BigInt(this.pageSize) + BigInt(at), at);
        return page;
    }
  }
}
