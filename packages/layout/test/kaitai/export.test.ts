import { describe, expect, it } from 'vitest';
import {
  anonymous,
  array,
  bitField,
  bitStruct,
  bytes,
  bytesOf,
  checksum,
  codec,
  f64,
  field,
  i16,
  LayoutError,
  magic,
  optional,
  pointedTo,
  ranged,
  s390x,
  sized,
  struct,
  text,
  textUntil,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  variant,
  when,
  x86_64,
  type Target,
  type Type,
} from '../../src/index.js';
import { ksyEmitter, type NamedDescription } from '../../src/emit/index.js';
import { importKsy } from '../../src/kaitai/index.js';
import { inReferenceForm, referenceReader } from './reference.js';

const Point = struct('Point', { x: i16, y: u32 });
const Fixed = struct('FixedThing', {
  kind: field(u8, 0, 'what it is', 7),
  points: array(Point, 2),
  wide: u64,
  real: f64,
  name: text(6, { encoding: 'ascii' }),
  raw: bytes(3),
  other: uint(32, { endian: 'big' }),
});
const Item = struct('Item', {
  tag: u8,
  body: variant('body', 'tag', { number: [1, u16], point: [2, Point], other: ['otherwise', u8] }),
});
const Varied = struct('Varied', {
  mark: magic(Uint8Array.of(1, 2, 3)),
  count: u8,
  items: array(Item, 'count'),
  length: u16,
  part: sized('length', struct('Part', { label: textUntil(), rest: bytesOf() })),
  sum: checksum(u32, 'crc32', 'count', 'part'),
  place: u8,
  far: pointedTo('place', u32),
});

function emitted(type: NamedDescription, target: Target) {
  const unit = { title: 'a "title": {', regions: [], constants: [], sets: [], types: [type] };
  return JSON.parse(ksyEmitter.emit(unit, { target })) as { meta: Record<string, unknown> };
}

const Bits = struct(
  'Bits',
  {
    kind: u8,
    head: anonymous(bitStruct('Head', { high: uint(3), middle: uint(11, { endian: 'big' }), low: uint(2) })),
    row: bitStruct('Row', { first: uint(4), rest: uint(12) }, { order: 'lsb' }),
    data: bytesOf('kind'),
  },
  { packing: 'packed' },
);
const BITS = { kind: 2, high: 5, middle: 1234, low: 1, row: { first: 9, rest: 0xabc }, data: Uint8Array.of(1, 2) };

const Asked = struct('Asked', {
  flags: u8,
  version: ranged(u16, { least: 2, most: 9 }),
  level: ranged(i16, { most: -1 }),
  count: ranged(u32, { least: 1 }),
  some: optional(u32, when('flags', '&', 6)),
  none: optional(u8, when('flags', '&', 8)),
  new: optional(array(u16, 'count'), when('version', '>=', 3)),
  other: optional(u8, when('version', '!=', 3)),
});
const ASKED = { flags: 2, version: 3, level: -7, some: 5, new: [1, 2, 3] };

const point = { x: -2, y: 70_000 };
const FIXED = {
  kind: 7,
  points: [point, { x: 5, y: 6 }],
  wide: 2n ** 40n,
  real: 1.5,
  name: 'abc',
  raw: Uint8Array.of(1, 2, 3),
  other: 0x01020304,
};
const items = [
  { body: { arm: 'number', value: 300 } },
  { body: { arm: 'point', value: point } },
  { tag: 9, body: { arm: 'other', value: 4 } },
] as const;
const VARIED = { items, part: { label: 'a label', rest: Uint8Array.of(9, 8) }, far: 77 };

describe("what is written in Kaitai's language", () => {
  it.each([
    ['a fixed struct, little endian', Fixed, FIXED, x86_64],
    ['a fixed struct, big endian', Fixed, FIXED, s390x],
    ['a struct that varies, little endian', Varied, VARIED, x86_64],
    ['a struct that varies, big endian', Varied, VARIED, s390x],
    ['conditions and bounds, little endian', Asked, ASKED, x86_64],
    ['conditions and bounds, big endian', Asked, ASKED, s390x],
    ['rows of bits, little endian', Bits, BITS, x86_64],
    ['rows of bits, big endian', Bits, BITS, s390x],
  ] as const)(
    '%s: reads with the reference compiler and when it is imported as it was written',
    async (_what, type, value, target) => {
      const file = codec(type as Type, target).encode(value);
      const decoded = codec(type as Type, target).decode(file);
      const document = emitted(type, target);
      const read = await referenceReader(document);
      const [mine, theirs] = inReferenceForm(decoded, read(file)['value']);
      expect(mine).toEqual(theirs);
      const again = codec(importKsy(document).root, x86_64).decode(file) as { value: object };
      const [imported, reference] = inReferenceForm(again.value, read(file)['value']);
      expect(imported).toEqual(reference);
    },
  );

  it('has the reference compiler refuse what is out of bounds, as we do', async () => {
    const file = codec(Asked, x86_64).encode(ASKED);
    const read = await referenceReader(emitted(Asked, x86_64));
    const other = codec(importKsy(emitted(Asked, x86_64)).root, x86_64);
    for (const [at, byte, isFine] of [
      [1, 9, true],
      [1, 10, false],
      [1, 1, false],
      [4, 0x7f, false],
    ] as const) {
      const changed = Uint8Array.of(...file, 0);
      changed[at] = byte;
      const outcomes = [
        () => codec(Asked, x86_64).decode(changed),
        () => other.decode(changed),
        () => read(changed),
      ].map((run) => {
        try {
          run();
          return true;
        } catch {
          return false;
        }
      });
      expect([at, byte, ...outcomes]).toEqual([at, byte, isFine, isFine, isFine]);
    }
  });

  it.each([
    ['a union', struct('S', { u: union('U', { a: u8, b: u16 }) }), 'U'],
    ['an anonymous union', struct('S', { u: anonymous(union('U', { a: u8, b: u16 })) }), 'S.u'],
    ['a row of bits that ends within a byte', bitStruct('B', { a: uint(3) }), 'B'],
    ['a little-endian number in a row of bits', bitStruct('B', { a: uint(4), b: uint(12) }), 'B.b'],
    ['a label in a row of bits', bitStruct('B', { a: { type: uint(8), label: 0 } }), 'B.a'],
    ['a C bit field', struct('S', { a: bitField(u32, 3) }), 'S.a'],
    ['a choice by a function', struct('S', { a: u8, b: optional(u8, () => true) }), 'S.b'],
    ['integers of odd widths', struct('S', { a: uint(24) }, { packing: 'packed' }), 'S.a'],
    ['names that become one', struct('S', { aB: u8, a_b: u8 }), 'S'],
    ['a name that Kaitai cannot spell', struct('S', { _: u8 }), 'S._'],
  ] as const)('refuses %s by name', (_what, type, path) => {
    expect(() => emitted(type, x86_64)).toThrow(LayoutError);
    expect(() => emitted(type, x86_64)).toThrow(expect.objectContaining({ code: 'LAYOUT_UNSUPPORTED', path }));
  });
});
