import { ExtractError } from './errors.js';

/** Bytes of data that an assembly may hold; a header that asks for more is an attack on memory, or no header. */
const MOST_BYTES = 64 * 1024 * 1024;

/** How much the sections of one assembly may still grow. */
export interface Budget {
  left: number;
}

/** What the sections of one assembly may come to. */
export function newBudget(): Budget {
  return { left: MOST_BYTES };
}

/** The bytes of a section while it is read. */
export class SectionBytes {
  #bytes = new Uint8Array(256);
  #length = 0;
  readonly #budget: Budget;
  readonly #empty: boolean;

  /** @param empty the section has no bytes in a file (`.bss`): only its length counts, and all of it is zeros */
  constructor(budget: Budget, empty: boolean) {
    this.#budget = budget;
    this.#empty = empty;
  }

  get length(): number {
    return this.#length;
  }

  push(...bytes: readonly number[]): void {
    this.#grow(bytes.length);
    if (!this.#empty) this.#bytes.set(bytes, this.#length - bytes.length);
  }

  /** Adds `count` bytes of one value. */
  fill(value: number, count: number): void {
    this.#grow(count);
    if (!this.#empty) this.#bytes.fill(value, this.#length - count, this.#length);
  }

  /** Writes an integer over bytes that are there. */
  put(at: number, size: number, value: bigint, endian: 'little' | 'big'): void {
    if (this.#empty) return;
    for (let index = 0; index < size; index += 1) {
      const shift = endian === 'little' ? index : size - 1 - index;
      this.#bytes[at + index] = Number((value >> BigInt(shift * 8)) & 0xffn);
    }
  }

  /** A copy of a part; zeros where the section has no bytes. */
  slice(start = 0, end = this.#length): Uint8Array {
    return this.#empty ? new Uint8Array(end - start) : this.#bytes.slice(start, end);
  }

  #grow(count: number): void {
    if (!Number.isSafeInteger(count) || count < 0 || (!this.#empty && count > this.#budget.left)) {
      throw new ExtractError('EXTRACT_ASSEMBLY', `the header makes data of more than ${MOST_BYTES} bytes`);
    }
    const needed = this.#length + count;
    this.#length = needed;
    if (this.#empty) return;
    this.#budget.left -= count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
