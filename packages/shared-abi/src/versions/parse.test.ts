import { describe, expect, it } from 'vitest';
import { canonicalText } from '../emit/json.js';
import {
  array,
  bitField,
  bitStruct,
  bool,
  bytes,
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

describe('canonical JSON', () => {
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
        either: union('Either', { a: u32, b: array(u16, 2) }),
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
    [
      'a keyword',
      { structs: [{ name: 'S', fields: [{ name: 'type', type: 'u8' }] }] },
      /^S\.type at byte 0: found "type"/,
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
  ])('refuses %s', (_, json, message) => {
    expect(() => parseInterface(json)).toThrow(message);
  });
});
