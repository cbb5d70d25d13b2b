import { describe, expect, it } from 'vitest';
import { bitField, int, integral, s390x, struct, u16, u32, u64, u8, uint, x86_64 } from './index.js';
import { getField, manifest, setField } from './manifest.js';

describe('manifest constants', () => {
  it('of an integral struct count from the least significant bit, nested ones flattened', () => {
    const Inner = integral('Inner', u16, { x: uint(4), y: int(12) });
    const Outer = integral('Outer', u32, { kind: u16, inner: Inner });
    const found = manifest(Outer, s390x);
    expect(found.map(({ name, shift, width, mask }) => [name, shift, width, mask])).toEqual([
      ['kind', 16, 16, 0xffff0000n],
      ['inner_x', 12, 4, 0xf000n],
      ['inner_y', 0, 12, 0xfffn],
    ]);
    expect(manifest(Outer, x86_64)).toEqual(found);
  });

  it('of C bit fields count in the storage unit, from the end that the byte order says', () => {
    const Regs = struct('Regs', { lead: u8, dst: bitField(u8, 4), src: bitField(u8, 4), flags: bitField(u32, 12) });
    const places = (target: typeof x86_64): unknown =>
      manifest(Regs, target).map(({ name, shift, unit }) => [name, shift, unit?.offset, unit?.bits]);
    expect(places(x86_64)).toEqual([
      ['dst', 0, 1, 8],
      ['src', 4, 1, 8],
      ['flags', 16, 0, 32],
    ]);
    expect(places(s390x)).toEqual([
      ['dst', 4, 1, 8],
      ['src', 0, 1, 8],
      ['flags', 4, 0, 32],
    ]);
  });

  it('of a packed bit field that crosses its type name the bytes that it touches', () => {
    const Odd = struct('Odd', { a: bitField(u8, 3), b: bitField(u64, 64) }, { packing: 'packed' });
    expect(manifest(Odd, x86_64)[1]).toMatchObject({ shift: 3, width: 64, unit: { offset: 0, bits: 72 } });
  });

  it('get and set fields of numbers and of bigints, and refuse what does not fit', () => {
    const [high, low] = manifest(integral('Pair', u64, { high: u32, low: int(32) }), x86_64);
    if (high === undefined || low === undefined) throw new Error('two fields');
    expect(setField(high, 0xffff_ffff_0000_0001n, 2)).toBe(0x2_0000_0001n);
    expect(getField(low, setField(low, 0n, -2))).toBe(-2n);
    expect(getField(low, 7)).toBe(7);
    expect(() => setField(low, 0, 2 ** 31)).toThrow(/2147483648 does not fit i32/);
    expect(() => manifest(u32, x86_64)).toThrow(/found integer, expected an integral struct/);
  });
});
