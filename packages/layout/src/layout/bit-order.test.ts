import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { codec } from '../codec/compiled.js';
import { viewArrayOf, viewOf } from '../codec/in-place.js';
import { bitStruct, struct } from './struct.js';
import { array } from './array.js';
import { u16, u8, uint } from './types.js';
import { s390x } from './target.js';

/** RFC 1951, 3.2.3 and 3.2.4: a stored block. */
const Stored = bitStruct(
  'Stored',
  { last: uint(1), kind: uint(2), fill: uint(5), length: uint(16), not: uint(16) },
  { order: 'lsb' },
);

/** A frame of a CAN bus: one signal in Intel order, one in Motorola order, as its database says where. */
const Frame = bitStruct('Frame', {
  speed: { type: uint(12, { order: 'lsb' }), label: 4 },
  counter: uint(3),
  torque: { type: uint(12, { endian: 'big' }), label: 24 },
});

describe('bits that are counted from the least significant one on', () => {
  it('are those of what zlib writes', () => {
    const data = Buffer.from('stored, not compressed');
    for (const target of [undefined, s390x]) {
      const block = codec(Stored, target).decode(deflateRawSync(data, { level: 0 }));
      expect(block).toEqual({ last: 1, kind: 0, fill: 0, length: data.length, not: 0xffff - data.length });
      expect(Buffer.from(codec(Stored, target).encode(block))).toEqual(
        deflateRawSync(data, { level: 0 }).subarray(0, 5),
      );
    }
    expect(codec(Stored).decode(deflateRawSync('aaaaaaaaaa')).kind).toBe(1);
  });

  it('stand in arrays, at labels, beside others, and in views', () => {
    // Entries of 12 bits: 0xff8 0xfff 0x003 0x004, as FAT12 has them.
    const bytes6 = Uint8Array.from(Buffer.from('f8ffff034000', 'hex'));
    const Table = bitStruct('Table', { entries: array(uint(12), 4) }, { order: 'lsb' });
    expect(codec(Table).decode(bytes6).entries).toEqual([0xff8, 0xfff, 3, 4]);
    expect(Array.from(viewOf(codec(Table), bytes6).entries)).toEqual([0xff8, 0xfff, 3, 4]);
    const long = new Uint8Array(60).map((_, index) => index * 37);
    const entry = codec(uint(12, { order: 'lsb' }));
    expect(Array.from(viewArrayOf(entry, long))).toEqual(entry.decodeArray(long));
    // 0xabc from bit 4 on; 0x5d6 most significant bit first.
    const frame = Uint8Array.of(0xc0, 0xab, 0x05, 0x5d, 0x60);
    expect(codec(Frame).decode(frame)).toEqual({ speed: 0xabc, counter: 0, torque: 0x5d6 });
    expect(Buffer.from(codec(Frame).encode({ speed: 0xabc, torque: 0x5d6 })).toString('hex')).toBe('c0ab005d60');
  });

  it.each([
    [
      'a bit that another order has',
      { a: { type: uint(4, { order: 'lsb' as const }), label: 4 }, b: { type: uint(4), label: 0 } },
      'LAYOUT_OVERLAP',
    ],
    ['the other order inside a byte', { a: uint(4, { order: 'lsb' as const }), b: uint(4) }, 'LAYOUT_UNSUPPORTED'],
    [
      'the other order behind a byte that is not whole, in a struct',
      { a: { type: uint(4), label: 9 }, b: { type: bitStruct('L', { x: uint(4) }, { order: 'lsb' }), label: 5 } },
      'LAYOUT_UNSUPPORTED',
    ],
  ])('refuses %s', (_about, fields, code) => {
    expect(() => codec(bitStruct('Mixed', fields))).toThrow(expect.objectContaining({ code }));
  });

  it('takes the same byte for two orders where their bits differ', () => {
    const both = bitStruct('Both', {
      low: { type: uint(4, { order: 'lsb' }), label: 0 },
      high: { type: uint(4), label: 0 },
    });
    expect(codec(both).decode(Uint8Array.of(0x5a))).toEqual({ low: 0xa, high: 5 });
  });
});

describe('integers of whole bytes that C lacks', () => {
  const Frame2 = struct(
    'Frame2',
    { length: uint(24), kind: u8, address: uint(48, { endian: 'big' }), list: array(uint(24), 2) },
    { packing: 'packed' },
  );
  it('stand in packed structs, in the byte order that is theirs', () => {
    const data = Buffer.from('00010207aabbccddeeff010000020000', 'hex');
    for (let round = 0; round < 4; round += 1) {
      const value = codec(Frame2).decode(data);
      expect(value).toEqual({ length: 0x020100, kind: 7, address: 0xaabbccddeeffn, list: [1, 2] });
      expect(Buffer.from(codec(Frame2).encode(value))).toEqual(data);
      expect(codec(Frame2, s390x).decode(data)).toMatchObject({ length: 0x000102, list: [0x010000, 0x020000] });
    }
  });

  it('do not stand in structs that C aligns', () => {
    expect(() => codec(struct('S', { length: uint(24), b: u16 }))).toThrow(/packed struct around it/);
    expect(() => codec(struct('S', { a: uint(16, { order: 'lsb' }) }))).toThrow(/width that C has/);
  });
});
