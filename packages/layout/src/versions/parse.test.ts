import { describe, expect, it } from 'vitest';
import { canonicalText } from '../emit/json.js';
import {
  array,
  bitField,
  bitStruct,
  bool,
  bytes,
  defineEnum,
  f64,
  integral,
  iword,
  pointer,
  struct,
  tablePointer,
  tagged,
  text,
  u16,
  u32,
  u64,
  u8,
  uint,
  union,
  unnamedBits,
  uword,
} from '../layout/index.js';
import { parseInterface } from './parse.js';

function nested(depth: number): unknown {
  let type: unknown = 'u8';
  for (let index = 0; index < depth; index += 1) type = { array: type, count: 1 };
  return type;
}

function chain(length: number): unknown[] {
  return Array.from({ length }, (_, index) => ({
    name: `S${index}`,
    fields: [{ name: 'a', type: index === length - 1 ? 'u8' : { struct: `S${index + 1}` } }],
  }));
}

describe('canonical JSON', () => {
  it('reads the same whatever the order of its keys, as jq -S writes them', () => {
    const fields = [
      { name: 'a', type: { align: 8, bytes: 24 } },
      { name: 'b', type: { stride: 16, table: 'T' } },
      { name: 'c', type: { count: 2, array: 'u32' } },
    ];
    expect(parseInterface({ structs: [{ name: 'S', fields }] }).types[0]).toEqual(
      struct('S', { a: bytes(24, 8), b: tablePointer('T', 16), c: array(u32, 2) }),
    );
  });

  it('reads values below zero', () => {
    const sets = [defineEnum('E', '', { LOW: [-1, ''], HIGH: [0xffff_ffff, ''] })];
    const once = canonicalText({ title: '', regions: [], constants: [], sets, types: [] });
    expect(canonicalText(parseInterface(JSON.parse(once)))).toBe(once);
  });

  it('reads back to the same, whatever is in it', () => {
    const word = integral('Word', uint(32, { endian: 'big' }), { kind: uint(6), rest: { type: uint(26), value: 0 } });
    const body = tagged('Body', 'head.kind', { none: [0, bytes(8, 8)], big: [63, u64] });
    const all = struct(
      'All',
      {
        head: word,
        body,
        flags: bitField(u32, 5),
        _1: unnamedBits(u32, 0),
        on: bitField(bool, 1),
        name: text(12),
        place: pointer('All'),
        entry: tablePointer('OTEntry', 16),
        size: uword,
        delta: iword,
        value: f64,
        either: union('Either', { a: { type: u32, align: 8 }, b: array(u16, 2), c: { type: u8, value: 1 } }),
        bits: bitStruct('Bits', { a: uint(3), b: { type: uint(5), label: { little: 3, big: 3 } } }),
        last: { type: u8, align: 4 },
      },
      { tail: 'last', align: 16 },
    );
    const unit = {
      title: 'layouts',
      regions: [],
      constants: [{ name: 'A', value: 2n ** 60n }],
      sets: [],
      types: [all],
    };
    const once = canonicalText(unit);
    expect(canonicalText(parseInterface(JSON.parse(once)))).toBe(once);
  });

  const field = { name: 'a', type: 'u32' };
  it.each([
    ['no object', [], /^the file at byte 0: found a list, expected an object$/],
    ['a width of 65', { structs: [{ name: 'S', fields: [{ name: 'a', type: 'u65' }] }] }, /found 65, expected 1 to 64/],
    ['a width of 0', { structs: [{ name: 'S', fields: [{ name: 'a', type: 'u0' }] }] }, /found 0, expected 1 to 64/],
    [
      'a type that nobody knows',
      { structs: [{ name: 'S', fields: [{ name: 'a', type: 'long' }] }] },
      /^S\.a at byte 0: found "long"/,
    ],
    [
      'the same field twice',
      { structs: [{ name: 'S', fields: [field, field] }] },
      /^S\.a at byte 0: found the name twice/,
    ],
    [
      'the same type twice',
      {
        structs: [
          { name: 'S', fields: [field] },
          { name: 'S', fields: [] },
        ],
      },
      /found a second type S/,
    ],
    ['a prototype', { structs: [{ name: 'S', fields: [{ name: '__proto__', type: 'u8' }] }] }, /"__proto__"/],
    [
      'a wrong total',
      { structs: [{ name: 'S', size: 8, fields: [field] }] },
      /^S at byte 4: declared 8 bytes, the fields need 4$/,
    ],
    [
      'a wrong offset',
      { structs: [{ name: 'S', fields: [{ ...field, offset: 4 }] }] },
      /^S\.a at byte 0: declared at 4, but it lies at 0$/,
    ],
    [
      'a name without a type',
      { structs: [{ name: 'S', fields: [{ name: 'a', type: { struct: 'T' } }] }] },
      /found "T", expected the name of a struct/,
    ],
    [
      'a cycle',
      {
        structs: [
          { name: 'S', fields: [{ name: 'a', type: { struct: 'T' } }] },
          { name: 'T', fields: [{ name: 'b', type: { array: { struct: 'S' }, count: 2 } }] },
        ],
      },
      /^T\.b at byte 0: found S inside itself, expected a finite size$/,
    ],
    [
      'slices that do not fill their container',
      { integrals: [{ name: 'I', container: 'u16', fields: [{ name: 'a', type: 'u4' }] }] },
      /^I\.a at byte 0: found fields of 4 bits together, expected 16$/,
    ],
    [
      'labels on the same bits',
      {
        structs: [
          {
            name: 'S',
            packing: 'bits',
            fields: [
              { name: 'a', type: 'u8' },
              { name: 'b', type: 'u8', label: 4 },
            ],
          },
        ],
      },
      /^S\.b at byte 0: found at bit 4, where a \(bits 0 to 7\) lies$/,
    ],
    [
      'an array without a count',
      { structs: [{ name: 'S', fields: [{ name: 'a', type: { array: 'u8', count: -1 } }] }] },
      /^S\.a/,
    ],
    [
      'arrays of arrays without end',
      { structs: [{ name: 'S', fields: [{ name: 'a', type: nested(10_000) }] }] },
      /^S\.a at byte 0: found more than 100 types inside each other$/,
    ],
    ['structs in structs without end', { structs: chain(5000) }, /found more than 100 types inside each other$/],
    [
      'the same, inner ones first',
      { structs: chain(5000).reverse() },
      /^S4899 at byte 0: found more than 100 types inside each other$/,
    ],
    [
      'a size that no number holds',
      {
        structs: [
          { name: 'S', fields: [{ name: 'a', type: { array: { array: 'u8', count: 2 ** 48 }, count: 2 ** 48 } }] },
        ],
      },
      /^S at byte 0: found 7\.9\d+e\+28 bytes, expected at most 281474976710656$/,
    ],
    [
      'fields without end',
      {
        structs: [
          { name: 'S', fields: Array.from({ length: 200_000 }, (_, index) => ({ name: `f${index}`, type: 'u8' })) },
        ],
      },
      /^S at byte 0: found 200000 fields, expected at most 20000$/,
    ],
    ['a constant of 65 bits', { constants: { A: String(2n ** 64n) } }, /^A at byte 0: found .*at most 64 bits$/],
    [
      'code as the name of a constant',
      { constants: { 'A 1\n#include "x"': 1 } },
      /^constants .*expected an identifier$/,
    ],
    ['code as the name of a value', { sets: { S: { kind: 'enum', values: { 'A;': 1 } } } }, /expected an identifier$/],
    ['code as the name of a set', { sets: { 'S {': { kind: 'enum', values: {} } } }, /expected an identifier$/],
    [
      'code as the name of a region',
      { regions: [{ name: 'a\nb', start: 0, size: 1, protection: 'r' }] },
      /expected an identifier$/,
    ],
    ['control characters in a version', { version: '1\u001b[2J' }, /^version .*a version such as 1\.2$/],
    [
      'control characters in what a pointer leads to',
      { structs: [{ name: 'S', fields: [{ name: 'a', type: { pointer: '\u009b31m' } }] }] },
      /^S\.a .*the name of a type$/,
    ],
  ])('refuses %s', (_, json, message) => {
    expect(() => parseInterface(json)).toThrow(message);
  });
});
