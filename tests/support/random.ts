/** Numbers that follow from a seed: the same seed gives the same test on every machine (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number, 0 to `below` − 1. */
  below(below: number): number {
    return this.#next() % below;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(of: number): boolean {
    return this.below(of) === 0;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  bytes(length: number): Buffer {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let index = 0; index < words.length; index += 1) words[index] = this.#next();
    return Buffer.from(words.buffer, 0, length);
  }
}

/** Content without repetitions, so that a byte from the wrong place shows. */
export function noise(length: number, seed = 1): Buffer {
  return new Random(seed).bytes(length);
}

/** Content that compresses: numbered lines. */
export function lines(length: number, seed = 1): Buffer {
  const text = Buffer.alloc(length);
  for (let at = 0, line = 0; at < length; line += 1) {
    at += text.write(`line ${line} of ${seed}\n`, at, 'latin1');
  }
  return text;
}
