import { describe, expect, it } from 'vitest';
import { fromInteger, cast, add } from '../arithmetic/index.js';
import {
  array,
  f32,
  f64,
  integral,
  struct,
  tagged,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  type Type,
} from '../layout/index.js';
import { codec } from './compiled.js';

const Point = struct('Point', { magic: { type: u16, value: 7 }, x: u16, y: u32 });
const Head = integral('Head', u16, { kind: uint(6), inner: integral('Inner', uint(10), { a: uint(3), b: uint(7) }) });
const Body = tagged('Body', 'head.kind', { one: [1, u8], two: [2, u32] });

const MISSPELT: readonly (readonly [about: string, type: Type, value: unknown, path: string])[] = [
  ['in a struct', Point, { x: 1, z: 2 }, 'Point.z'],
  [
    'in a struct inside an array',
    struct('S', { list: array(Point, 2) }),
    {
      list: [
        { x: 1, y: 2 },
        { x: 1, Y: 2 },
      ],
    },
    'S.list[1].Y',
  ],
  ['in an integral struct', Head, { kind: 1, iner: {} }, 'Head.iner'],
  ['in a nested integral struct', Head, { kind: 1, inner: { a: 1, c: 2 } }, 'Head.inner.c'],
  ['in a union', union('U', { word: u32, half: u16 }), { wrod: 1 }, 'U.wrod'],
  ['in a tagged union', struct('T', { head: Head, body: Body }), { body: { arm: 'one', vlaue: 1 } }, 'T.body.vlaue'],
];

describe('a key that is no field', () => {
  it.each(MISSPELT)('is refused %s, interpreted and compiled', (_about, type, value, path) => {
    const described = codec<unknown>(type);
    for (let round = 0; round < 5; round += 1) {
      expect(() => described.encode(value)).toThrow(expect.objectContaining({ code: 'LAYOUT_NAME', path }));
    }
  });

  it('is no matter where every field is there, nor are fields that are left out', () => {
    const described = codec(Point);
    for (let round = 0; round < 5; round += 1) {
      const more = { x: 1, y: 2, note: 'of the caller' };
      expect(Buffer.from(described.encode(more)).toString('hex')).toBe('0700010002000000');
      expect(Buffer.from(described.encode({ y: 2, x: undefined })).toString('hex')).toBe('0700000002000000');
    }
  });
});

describe('numbers that do not fit', () => {
  it('refuses what no single can hold, and takes what one can, and infinity', () => {
    const described = codec(struct('F', { single: f32, wide: f64 }));
    expect(() => described.encode({ single: 1e39 })).toThrow(
      expect.objectContaining({ code: 'LAYOUT_RANGE', path: 'F.single' }),
    );
    for (const single of [3.4028234663852886e38, Number.NEGATIVE_INFINITY, 0]) {
      expect(described.decode(described.encode({ single, wide: 1e308 }))).toEqual({ single, wide: 1e308 });
    }
  });

  it('takes 64 bits whose top bit is set as an integer of 64 bits, and says how in calculations', () => {
    const Entry = integral('Entry', u64, { no_execute: uint(1), rest: uint(63) });
    expect(fromInteger(Entry, 0xc000_0000_0000_0003n)).toEqual({ no_execute: 1, rest: 0x4000_0000_0000_0003n });
    expect(fromInteger(Entry, -1n)).toEqual({ no_execute: 1, rest: 2n ** 63n - 1n });
    expect(cast(2n ** 64n - 1n, u32).value).toBe(0xffff_ffffn);
    expect(() => fromInteger(Entry, 2n ** 64n)).toThrow(/64 signed bits/);
    expect(() => add(1, 2n ** 63n)).toThrow(/typed\(u64, …\)/);
  });
});
