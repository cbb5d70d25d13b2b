import { describe, expect, it } from 'vitest';
import {
  aarch64,
  aarch64_be,
  array,
  bitField,
  bitStruct,
  i386,
  i64,
  int,
  integral,
  LayoutError,
  s390x,
  struct,
  tagged,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  uword,
  x86_64,
  type Target,
  type Type,
} from '../layout/index.js';
import { codec } from './compiled.js';
import { viewArrayOf, viewOf } from './in-place.js';

const BYTES = Uint8Array.of(0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80);
const BIG = s390x;
const LITTLE = x86_64;

function decoded<T>(type: Type<T>, target: Target, bit = 0): T {
  return codec(type, target).decode(BYTES, 0, bit);
}

// What GNU poke 2.4 prints for these bytes, big endian and little endian.
describe('decoding as GNU poke does', () => {
  const RelInfo = integral('RelInfo', u64, { r_sym: u32, r_type: u32 });
  const In = integral('In', u16, { x: u8, y: u8 });
  const table: readonly (readonly [about: string, type: Type, big: unknown, little: unknown])[] = [
    [
      'an integral struct of 64 bits',
      RelInfo,
      { r_sym: 0x10203040, r_type: 0x50607080 },
      { r_sym: 0x80706050, r_type: 0x40302010 },
    ],
    [
      'a struct of two words',
      struct('Plain', { r_sym: u32, r_type: u32 }),
      { r_sym: 0x10203040, r_type: 0x50607080 },
      { r_sym: 0x40302010, r_type: 0x80706050 },
    ],
    ['nibbles of a struct', bitStruct('N', { a: uint(4), b: uint(4) }), { a: 1, b: 0 }, { a: 1, b: 0 }],
    ['4 and 12 bits of a struct', bitStruct('M', { a: uint(4), b: uint(12) }), { a: 1, b: 0x020 }, { a: 1, b: 0x002 }],
    [
      '4 and 12 bits of an integer',
      integral('I', u16, { a: uint(4), b: uint(12) }),
      { a: 1, b: 0x020 },
      { a: 2, b: 0x010 },
    ],
    [
      'a nested integral struct',
      integral('O', u32, { i: In, z: u16 }),
      { i: { x: 0x10, y: 0x20 }, z: 0x3040 },
      { i: { x: 0x40, y: 0x30 }, z: 0x2010 },
    ],
    [
      'a signed container',
      integral('S', int(32), { hi: u8, lo: int(24) }),
      { hi: 16, lo: 2109504 },
      { hi: 64, lo: 3153936 },
    ],
    ['a container of 11 bits', integral('E', uint(11), { a: uint(3), b: u8 }), { a: 0, b: 129 }, { a: 1, b: 16 }],
    ['11 bits', uint(11), 129, 272],
    ['12 bits', uint(12), 258, 528],
  ];
  for (const [about, type, big, little] of table) {
    it(about, () => {
      expect(decoded(type, BIG)).toEqual(big);
      expect(decoded(type, LITTLE)).toEqual(little);
    });
  }

  it('integers that begin inside a byte', () => {
    expect([decoded(uint(11), BIG, 5), decoded(uint(11), LITTLE, 5)]).toEqual([32, 4]);
    expect([decoded(uint(12), BIG, 4), decoded(uint(12), LITTLE, 4)]).toEqual([32, 2]);
    expect([decoded(u16, BIG, 4), decoded(u16, LITTLE, 4)]).toEqual([0x0203, 0x0302]);
  });
});

describe('C bit fields', () => {
  it('fill from the least significant bit on little-endian targets and from the most significant one on others', () => {
    const Regs = struct('regs', { dst: bitField(u8, 4), src: bitField(u8, 4) });
    const at = (target: Target): unknown => codec(Regs, target).decode(Uint8Array.of(0x12));
    expect([at(x86_64), at(aarch64)]).toEqual([
      { dst: 2, src: 1 },
      { dst: 2, src: 1 },
    ]);
    expect([at(s390x), at(aarch64_be)]).toEqual([
      { dst: 1, src: 2 },
      { dst: 1, src: 2 },
    ]);
  });

  it('a label that depends on the byte order says the same', () => {
    const Regs = bitStruct('regs', {
      src: { type: uint(4), label: { little: 0, big: 4 } },
      dst: { type: uint(4), label: { little: 4, big: 0 } },
    });
    expect(codec(Regs, x86_64).decode(Uint8Array.of(0x12))).toEqual({ src: 1, dst: 2 });
    expect(codec(Regs, s390x).decode(Uint8Array.of(0x12))).toEqual({ src: 2, dst: 1 });
  });
});

describe('word-sized fields', () => {
  it('have the width and the alignment of the target', () => {
    const Node = struct('Node', { kind: u8, next: uword, size: u64 });
    expect(codec(Node, x86_64).size).toBe(24);
    expect(codec(Node, i386).size).toBe(16);
    expect(codec(Node, i386).decode(Uint8Array.from({ length: 16 }, (_, index) => index)).next).toBe(0x07060504n);
  });
});

describe('tagged unions', () => {
  const Header = integral('CapHeader', u32, { alloc_count: uint(20), restr: uint(6), kind: uint(6) });
  const Capability = struct('Capability', {
    header: Header,
    body: tagged('CapBody', 'header.kind', {
      none: [0, struct('CapNone', { pad: u64 })],
      number: [3, struct('CapNumber', { value: i64 })],
      entry: [17, struct('CapEntry', { index: u32, flags: u32 })],
    }),
  });

  it('are read by a tag of six bits', () => {
    const bytes = codec(Capability).encode({
      header: { alloc_count: 5, kind: 17 },
      body: { arm: 'entry', value: { index: 9 } },
    });
    expect([...bytes.subarray(0, 12)]).toEqual([0x11, 0x50, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
    const value = codec(Capability).decode(bytes);
    expect(value.body).toEqual({ arm: 'entry', value: { index: 9, flags: 0 } });
  });

  it('fill in the tag of the arm that is given', () => {
    const bytes = codec(Capability).encode({ body: { arm: 'number', value: { value: -1n } } });
    expect(codec(Capability).decode(bytes)).toMatchObject({
      header: { kind: 3 },
      body: { arm: 'number', value: { value: -1n } },
    });
  });

  it('refuse a tag without an arm and an arm that the tag does not choose', () => {
    const wrong = (): unknown => codec(Capability).decode(Uint8Array.of(1, ...new Uint8Array(15)));
    expect(wrong).toThrow(
      /^Capability\.body at byte 8: found the tag 1 in header\.kind, expected 0 \(none\), 3 \(number\), 17 \(entry\)$/,
    );
    const contradiction = (): unknown =>
      codec(Capability).encode({ header: { kind: 3 }, body: { arm: 'entry', value: {} } });
    expect(contradiction).toThrow(LayoutError);
  });
});

describe('encoding over what was there', () => {
  it('leaves nothing of it behind a shorter arm', () => {
    const Either = union('Either', { narrow: u8, wide: u32 });
    const memory = new Uint8Array(4).fill(0xff);
    codec(Either).encodeInto(memory, { narrow: 1 });
    expect([...memory]).toEqual([1, 0, 0, 0]);
    const Chosen = struct('Chosen', { kind: u32, body: tagged('Arms', 'kind', { narrow: [0, u8], wide: [1, u32] }) });
    const record = new Uint8Array(8).fill(0xff);
    codec(Chosen).encodeInto(record, { body: { arm: 'narrow', value: 2 } });
    expect([...record]).toEqual([0, 0, 0, 0, 2, 0, 0, 0]);
  });
});

describe('text', () => {
  const Name = struct('Name', { name: text(8) });

  it('comes back as it was, a byte order mark included', () => {
    for (const name of ['', 'a', '\ufeffa', 'ß€', '12345678']) {
      expect(codec(Name).decode(codec(Name).encode({ name }))).toEqual({ name });
    }
  });

  it('is refused where it is too long in UTF-8 or has no UTF-8', () => {
    expect(() => codec(Name).encode({ name: '€€€' })).toThrow(/^Name\.name at byte 0: 9 bytes do not fit 8$/);
    expect(() => codec(Name).encode({ name: 'a\ud800' })).toThrow(/half of a surrogate pair/);
    expect(() => codec(Name).encode({ name: 'a\0b' })).toThrow(/zero character/);
  });
});

describe('the value of empty memory', () => {
  it('has zeros and constants', () => {
    const All = struct('All', {
      magic: { type: u32, value: 7 },
      wide: u64,
      list: array(struct('Item', { a: u16, b: { type: u16, value: 3 } }), 2),
      info: integral('Info', u32, { hi: uint(12), lo: uint(20) }),
      name: text(4),
    });
    expect(codec(All).zero()).toEqual(codec(All).decode(codec(All).encode({})));
    expect(codec(All).zero()).toMatchObject({
      magic: 7,
      wide: 0n,
      list: [
        { a: 0, b: 3 },
        { a: 0, b: 3 },
      ],
      name: '',
    });
  });
});

describe('views', () => {
  const Rela = struct('Elf64_Rela', {
    r_offset: u64,
    r_info: integral('RelInfo', u64, { r_sym: u32, r_type: u32 }),
    r_addend: i64,
  });

  it('read and write in place', () => {
    const bytes = new Uint8Array(48);
    const view = viewOf(codec(Rela), bytes, 24);
    view.r_info.r_type = 8;
    view.r_addend = -2n;
    expect(codec(Rela).decode(bytes, 24)).toEqual({ r_offset: 0n, r_info: { r_sym: 0, r_type: 8 }, r_addend: -2n });
    expect([...bytes.subarray(32, 36)]).toEqual([8, 0, 0, 0]);
    expect(() => {
      view.r_info.r_sym = 2 ** 32;
    }).toThrow(/4294967296 does not fit u32/);
  });

  it('of arrays count records and refuse what lies outside', () => {
    const bytes = codec(Rela).encodeArray([{ r_offset: 1n }, { r_offset: 2n }]);
    const records = viewArrayOf(codec(Rela), bytes);
    expect([...records].map((record) => record.r_offset)).toEqual([1n, 2n]);
    expect(() => records.at(2)).toThrow(/found index 2, expected 0 to 1/);
  });

  it('of packed integers', () => {
    const packed = codec(array(uint(11), 16), BIG);
    const values = Array.from({ length: 16 }, (_, index) => index * 127);
    const bytes = packed.encode(values);
    expect(bytes.length).toBe(22);
    expect([...viewOf(packed, bytes)]).toEqual(values);
    expect(packed.decode(bytes)).toEqual(values);
  });
});
