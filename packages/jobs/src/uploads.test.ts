import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultOf, partSizeOf } from './uploads.js';

const MIB = 1n << 20n;

describe('parts of an upload', () => {
  it('are as long as S3 takes them, and no more than it takes', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 4n << 40n), (length) => {
        const size = BigInt(partSizeOf(length));
        expect(size).toBeGreaterThanOrEqual(5n * MIB);
        expect(size).toBeLessThanOrEqual(5n << 30n);
        expect((length + size - 1n) / size).toBeLessThanOrEqual(10_000n);
      }),
    );
    expect(() => partSizeOf(5n << 40n)).toThrow('more than an object can have');
  });

  it('are all there, each as long as its place', () => {
    const shape = { length: 40n * MIB, partSize: Number(16n * MIB) };
    const part = (number: number, size: bigint): { number: number; size: number; etag: string } => ({
      number,
      size: Number(size),
      etag: '"x"',
    });
    const [one, two, three] = [part(1, 16n * MIB), part(2, 16n * MIB), part(3, 8n * MIB)] as const;
    expect(faultOf([one, two, three], shape)).toBeUndefined();
    expect(faultOf([one, two], shape)).toBe('its upload has 2 parts, where 3 were sent');
    expect(faultOf([one, two, three, part(4, 1n)], shape)).toBe('its upload has 4 parts, where 3 were sent');
    expect(faultOf([one, three, part(4, 1n)], shape)).toBe('part 2 is missing of its upload');
    expect(faultOf([one, two, part(3, 16n * MIB)], shape)).toMatch(/^part 3 of its upload has 16777216 bytes/);
    expect(faultOf([part(1, 8n * MIB), two, three], shape)).toMatch(/^part 1 of its upload has 8388608 bytes/);
  });
});
