import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CachedSource } from './cached-source.js';
import type { RangeSource } from './source.js';

const MIB = 1 << 20;
const BYTES = new Uint8Array(9 * MIB + 777).map((_, index) => (index * 31 + (index >> 9)) & 0xff);

function source(fails: (count: number) => boolean = () => false): RangeSource & { readonly asked: [bigint, number][] } {
  const asked: [bigint, number][] = [];
  return {
    asked,
    name: 'test',
    identity: 'test',
    size: BigInt(BYTES.length),
    version: { size: BigInt(BYTES.length) },
    close: () => undefined,
    read: async (offset, length) => {
      asked.push([offset, length]);
      if (fails(asked.length)) throw new Error('no');
      return Promise.resolve(BYTES.slice(Number(offset), Number(offset) + length));
    },
  };
}

function expectPart(bytes: Uint8Array, offset: number, length: number): void {
  expect(Buffer.from(bytes).equals(BYTES.subarray(offset, offset + length))).toBe(true);
}

describe('a cache in front of a source', () => {
  it('gives the bytes of the source, in whatever order, and asks for none outside', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(BYTES.length - 1), fc.nat(3 * MIB)), { maxLength: 12 }),
        async (reads) => {
          const plain = source();
          const cache = new CachedSource(plain, MIB);
          await Promise.all(
            reads.map(async ([offset, wanted]) => {
              const length = Math.min(wanted, BYTES.length - offset);
              expectPart(await cache.read(BigInt(offset), length), offset, length);
            }),
          );
          for (const [offset, length] of plain.asked) {
            expect(length).toBeGreaterThan(0);
            expect(length).toBeLessThanOrEqual(4 * MIB);
            expect(offset + BigInt(length)).toBeLessThanOrEqual(plain.size);
          }
          expect(cache.kept * 128 * 1024).toBeLessThanOrEqual(8 * MIB);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('asks for nothing twice that it keeps, and reads ahead of who reads in order', async () => {
    const plain = source();
    const cache = new CachedSource(plain);
    for (let offset = 0; offset < BYTES.length; offset += 65_536) {
      const length = Math.min(65_536, BYTES.length - offset);
      expectPart(await cache.read(BigInt(offset), length), offset, length);
    }
    expect(plain.asked.reduce((sum, [, length]) => sum + length, 0)).toBe(BYTES.length);
    expect(plain.asked.length).toBeLessThan(30);
    const before = plain.asked.length;
    await cache.read(BigInt(5 * MIB), 1000);
    expect(plain.asked.length).toBe(before);
  });

  it('fetches only what is needed of who jumps about', async () => {
    const plain = source();
    const cache = new CachedSource(plain);
    for (const at of [8, 1, 6, 3]) await cache.read(BigInt(at * MIB), 100);
    expect(plain.asked).toEqual([8, 1, 6, 3].map((at) => [BigInt(at * MIB), 128 * 1024]));
  });

  it('keeps no failure', async () => {
    const cache = new CachedSource(source((count) => count === 1));
    await expect(cache.read(0n, 10)).rejects.toThrow('no');
    expectPart(await cache.read(0n, 10), 0, 10);
  });
});
