import type { Digest } from '../layout/types.js';

/** The first 32 bits of the fractional parts of roots of the first primes (FIPS 180-4, 4.2.2 and 5.3.3). */
function constants(): { readonly square: Uint32Array; readonly cube: Uint32Array } {
  const primes: number[] = [];
  for (let number = 2; primes.length < 64; number += 1) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  // The integer part of the root of a prime times 2^(32 * degree) has the 32 bits that are wanted at its end.
  const root = (prime: number, degree: 2n | 3n): number => {
    const value = BigInt(prime) << (32n * degree);
    let [low, high] = [0n, 1n << 40n];
    while (high - low > 1n) {
      const middle = (low + high) >> 1n;
      if (middle ** degree <= value) low = middle;
      else high = middle;
    }
    return Number(low & 0xffff_ffffn);
  };
  return {
    square: Uint32Array.from(primes.slice(0, 8), (prime) => root(prime, 2n)),
    cube: Uint32Array.from(primes, (prime) => root(prime, 3n)),
  };
}

let known: ReturnType<typeof constants> | undefined;

const rotate = (value: number, by: number): number => (value >>> by) | (value << (32 - by));

/** FIPS 180-4, 6.2. */
function sha256Of(bytes: Uint8Array): Uint8Array {
  const { square, cube } = (known ??= constants());
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const hash = Uint32Array.from(square);
  const words = new Uint32Array(64);
  const word = (index: number): number => words[index] ?? 0;
  for (let block = 0; block < padded.length; block += 64) {
    for (let index = 0; index < 16; index += 1) words[index] = view.getUint32(block + 4 * index);
    for (let index = 16; index < 64; index += 1) {
      const [early, late] = [word(index - 15), word(index - 2)];
      const low = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
      const high = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
      words[index] = word(index - 16) + low + word(index - 7) + high;
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = hash;
    for (let index = 0; index < 64; index += 1) {
      const high = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const first = (h + high + ((e & f) ^ (~e & g)) + (cube[index] ?? 0) + word(index)) | 0;
      const low = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const second = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, index) => (hash[index] = (hash[index] ?? 0) + value));
  }
  const result = new DataView(new ArrayBuffer(32));
  hash.forEach((value, index) => {
    result.setUint32(4 * index, value);
  });
  return new Uint8Array(result.buffer);
}

/** SHA-256, to be given to `digestOf`. */
export const sha256: Digest = { size: 32, of: sha256Of };
