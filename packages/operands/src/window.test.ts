import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MAX_SIZE } from './size.js';
import { ddWindow, roundUpToSector, type DdWindow, type DdWindowRequest } from './window.js';

describe('ddWindow', () => {
  const SIZE = 5120n;

  it.each<[string, Omit<DdWindowRequest, 'virtualSize'>, Partial<DdWindow>]>([
    ['a block size that does not divide the size', { bs: 700n, skip: 0n }, { outVsize: SIZE, windowEnd: SIZE }],
    ['a count beyond the end', { bs: 512n, count: 99n, skip: 0n }, { copyLen: SIZE, outVsize: SIZE }],
    ['a count inside', { bs: 512n, count: 3n, skip: 0n }, { copyLen: 1536n, windowEnd: 1536n, outVsize: 1536n }],
    ['count 0', { bs: 512n, count: 0n, skip: 0n }, { copyLen: 0n, outVsize: 0n, skipPastEnd: false }],
    ['a skip inside', { bs: 512n, skip: 2n }, { windowStart: 1024n, windowEnd: SIZE, outVsize: 4096n }],
    ['a skip past the end', { bs: 512n, skip: 11n }, { outVsize: 0n, skipPastEnd: true, windowStart: 5632n }],
    ['a skip past the clamped end', { bs: 512n, count: 2n, skip: 3n }, { outVsize: 0n, skipPastEnd: true }],
    ['a skip exactly to the end', { bs: 512n, skip: 10n }, { outVsize: 0n, skipPastEnd: false }],
    ['a skip exactly to the clamped end', { bs: 512n, count: 4n, skip: 4n }, { outVsize: 0n, skipPastEnd: false }],
    ['a skip with count 0', { bs: 512n, count: 0n, skip: 1n }, { outVsize: 0n, skipPastEnd: true }],
    ['skip and count', { bs: 512n, count: 4n, skip: 1n }, { windowStart: 512n, windowEnd: 2048n, outVsize: 1536n }],
    ['an odd block size', { bs: 700n, count: 3n, skip: 1n }, { windowStart: 700n, windowEnd: 2100n, outVsize: 1400n }],
    ['an unaligned start', { bs: 513n, skip: 1n }, { windowStart: 513n, outVsize: 4607n }],
    ['a count whose product overflows', { bs: 512n, count: MAX_SIZE, skip: 0n }, { copyLen: SIZE }],
    ['a skip whose product overflows', { bs: 512n, skip: MAX_SIZE }, { windowStart: MAX_SIZE, skipPastEnd: true }],
  ])('computes %s', (_, request, expected) => {
    expect(ddWindow({ virtualSize: SIZE, ...request })).toMatchObject(expected);
  });

  it('warns about an overflowing skip even on the largest input', () => {
    const window = ddWindow({ virtualSize: MAX_SIZE, bs: 2n, skip: MAX_SIZE / 2n + 1n });
    expect(window).toEqual({
      copyLen: MAX_SIZE,
      windowStart: MAX_SIZE,
      windowEnd: MAX_SIZE,
      outVsize: 0n,
      skipPastEnd: true,
    });
  });

  it.each([
    { virtualSize: -1n, bs: 1n, skip: 0n },
    { virtualSize: MAX_SIZE + 1n, bs: 1n, skip: 0n },
    { virtualSize: 0n, bs: 0n, skip: 0n },
    { virtualSize: 0n, bs: 1n, skip: -1n },
    { virtualSize: 0n, bs: 1n, skip: 0n, count: -1n },
  ])('throws on arguments that parseDd cannot produce', (request) => {
    expect(() => ddWindow(request)).toThrow(RangeError);
  });

  it('copies exactly the bytes that a loop over blocks would', () => {
    const small = fc.record({
      virtualSize: fc.bigInt({ min: 0n, max: 300n }),
      bs: fc.bigInt({ min: 1n, max: 70n }),
      count: fc.option(fc.bigInt({ min: 0n, max: 40n }), { nil: undefined }),
      skip: fc.bigInt({ min: 0n, max: 40n }),
    });
    fc.assert(
      fc.property(small, (request) => {
        const copied = copiedByLoop(request);
        const window = ddWindow(request);
        expect(window.outVsize).toBe(BigInt(copied.length));
        if (copied.length > 0) {
          expect(window.windowStart).toBe(copied[0]);
          expect(window.windowEnd).toBe((copied.at(-1) ?? 0n) + 1n);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is what unsigned 64-bit arithmetic with saturation gives', () => {
    const size = fc.oneof(
      fc.bigInt({ min: 0n, max: MAX_SIZE }),
      fc.bigInt({ min: 0n, max: 1n << 34n }),
      fc.bigInt({ min: MAX_SIZE - 5000n, max: MAX_SIZE }),
    );
    const request = fc.record({
      virtualSize: size,
      bs: fc.oneof(fc.bigInt({ min: 1n, max: 2147483647n }), fc.constantFrom(1n, 2n, 512n, 2147483647n)),
      count: fc.option(size, { nil: undefined }),
      skip: size,
    });
    fc.assert(
      fc.property(request, (given) => {
        expect(ddWindow(given)).toEqual(saturating64(given));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('roundUpToSector', () => {
  it.each([
    [0n, 0n],
    [1n, 512n],
    [511n, 512n],
    [512n, 512n],
    [513n, 1024n],
    [5000n, 5120n],
  ])('rounds %d to %d', (bytes, rounded) => {
    expect(roundUpToSector(bytes)).toBe(rounded);
  });
});

/** Offsets of the bytes that get copied, found the way a person would: block by block, byte by byte. */
function copiedByLoop({ virtualSize, bs, count, skip }: DdWindowRequest): bigint[] {
  const copied: bigint[] = [];
  for (let block = 0n; block * bs < virtualSize; block += 1n) {
    if (count !== undefined && block >= count) break;
    if (block < skip) continue;
    for (let offset = block * bs; offset < (block + 1n) * bs && offset < virtualSize; offset += 1n) copied.push(offset);
  }
  return copied;
}

/** The same by division instead of multiplication, so that nothing here ever exceeds 64 bits. */
function saturating64({ virtualSize, bs, count, skip }: DdWindowRequest): DdWindow {
  const fits = (blocks: bigint): boolean => blocks <= MAX_SIZE / bs;
  let copyLen = virtualSize;
  if (count !== undefined && fits(count) && BigInt.asUintN(64, count * bs) < virtualSize) {
    copyLen = BigInt.asUintN(64, count * bs);
  }
  if (!fits(skip)) {
    return { copyLen, windowStart: MAX_SIZE, windowEnd: copyLen, outVsize: 0n, skipPastEnd: true };
  }
  const start = BigInt.asUintN(64, skip * bs);
  const past = start > copyLen;
  return { copyLen, windowStart: start, windowEnd: copyLen, outVsize: past ? 0n : copyLen - start, skipPastEnd: past };
}
