import { describe, expect, it } from 'vitest';
import { LayoutError, type LayoutErrorCode } from './errors.js';
import { resolve } from './resolve.js';
import { anonymous, bitStruct, integral, struct, tagged, union } from './struct.js';
import { i386, TARGETS, x86_64 } from './target.js';
import { array } from './array.js';
import { bitField, bytes, text, u16, u32, u64, u8, uint, unnamedBits, uword, type Type } from './types.js';

function refusal(define: () => Type): LayoutError {
  try {
    for (const target of TARGETS) resolve(define(), target);
  } catch (error) {
    if (error instanceof LayoutError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const recursive = (): Type => {
  const inner = struct('Node', { a: u32 });
  // No description that is written down is a cycle; one that was tampered with can be.
  (inner.fields as unknown[]).push({ name: 'self', type: inner, doc: '' });
  return inner;
};

const CASES: readonly (readonly [about: string, define: () => Type, code: LayoutErrorCode, message: RegExp])[] = [
  ['a width of 0', () => uint(0), 'LAYOUT_WIDTH', /uint\(0\) at byte 0: found 0, expected 1 to 64/],
  ['a width of 65', () => uint(65), 'LAYOUT_WIDTH', /found 65, expected 1 to 64/],
  ['a width that is no number', () => uint(Number.NaN), 'LAYOUT_WIDTH', /found NaN/],
  ['a count below zero', () => array(u8, -1), 'LAYOUT_WIDTH', /found -1/],
  ['a name that is no identifier', () => struct('S', { 'a-b': u8 }), 'LAYOUT_NAME', /S\.a-b/],
  ['a name that every object has', () => struct('S', { toString: u8 }), 'LAYOUT_NAME', /S\.toString/],
  [
    'a name that an anonymous member has too',
    () => struct('S', { size: u8, more: anonymous(union('U', { size: u8, word: u32 })) }),
    'LAYOUT_NAME',
    /S\.more .*size twice/,
  ],
  ['a wrong total', () => struct('S', { a: u32 }, { size: 8 }), 'LAYOUT_SIZE', /declared 8 bytes, the fields need 4/],
  [
    'a wrong offset',
    () => struct('S', { a: u8, b: { type: u32, at: 1 } }),
    'LAYOUT_OFFSET',
    /S\.b at byte 4: declared at 1/,
  ],
  ['undeclared padding', () => struct('S', { a: u8, b: u32 }, { explicit: true }), 'LAYOUT_OFFSET', /S\.b at byte 4/],
  [
    'undeclared padding at the end',
    () => struct('S', { a: u32, b: u8 }, { explicit: true }),
    'LAYOUT_SIZE',
    /end at 5, expected padding up to 8/,
  ],
  ['a type inside itself', recursive, 'LAYOUT_CYCLE', /Node .*inside itself/],
  [
    'slices that are too wide',
    () => integral('I', u8, { a: uint(4), b: uint(5) }),
    'LAYOUT_SIZE',
    /I\.b .*found fields of 9 bits together, expected 8/,
  ],
  [
    'slices that are too narrow',
    () => integral('I', u8, { a: uint(4) }),
    'LAYOUT_SIZE',
    /I\.a .*found fields of 4 bits together, expected 8/,
  ],
  [
    'an array in an integral struct',
    () => integral('I', u16, { a: array(u8, 2) }),
    'LAYOUT_UNSUPPORTED',
    /I\.a .*found array/,
  ],
  ['a text in an integral struct', () => integral('I', u16, { a: text(2) }), 'LAYOUT_UNSUPPORTED', /I\.a .*found text/],
  [
    'a struct in an integral struct',
    () => integral('I', u8, { a: struct('P', { x: u8 }) }),
    'LAYOUT_UNSUPPORTED',
    /I\.a .*found struct/,
  ],
  [
    'a label in an integral struct',
    () => integral('I', u8, { a: { type: u8, label: 0 } }),
    'LAYOUT_UNSUPPORTED',
    /I\.a/,
  ],
  [
    'a byte order inside an integer',
    () => integral('I', u16, { a: uint(16, { endian: 'big' }) }),
    'LAYOUT_UNSUPPORTED',
    /I\.a/,
  ],
  [
    'fields on the same bits',
    () => bitStruct('S', { a: u8, b: { type: u8, label: 4 } }),
    'LAYOUT_OVERLAP',
    /S\.b .*found at bit 4, where a \(bits 0 to 7\) lies/,
  ],
  ['a label in a C struct', () => struct('S', { a: { type: u8, label: 0 } }), 'LAYOUT_UNSUPPORTED', /S\.a/],
  [
    'a label of half a bit',
    () => bitStruct('S', { a: { type: u8, label: 0.5 } }),
    'LAYOUT_OFFSET',
    /label of 0\.5 bits/,
  ],
  [
    'a width that C lacks in a C struct',
    () => struct('S', { a: uint(24) }),
    'LAYOUT_UNSUPPORTED',
    /S\.a .*integer of 24 bits/,
  ],
  ['a bit field outside a struct', () => bitField(u8, 4), 'LAYOUT_UNSUPPORTED', /only be a field of a struct/],
  [
    'a bit field in a struct packed to the bit',
    () => bitStruct('S', { a: bitField(u8, 4) }),
    'LAYOUT_UNSUPPORTED',
    /S\.a/,
  ],
  ['a bit field wider than its type', () => bitField(u8, 9), 'LAYOUT_WIDTH', /found 9, expected 1 to 8/],
  ['a named bit field of width 0', () => bitField(u8, 0), 'LAYOUT_WIDTH', /found 0, expected 1 to 8/],
  ['a bit field of a type that C lacks', () => bitField(uint(24), 4), 'LAYOUT_UNSUPPORTED', /no integer of 24 bits/],
  ['an array of bit fields', () => array(bitField(u8, 4), 2), 'LAYOUT_UNSUPPORTED', /no arrays of bit fields/],
  [
    'a constant that does not fit',
    () => struct('S', { a: { type: u8, value: 256 } }),
    'LAYOUT_RANGE',
    /found 256, expected 0 to 255/,
  ],
  [
    'a constant of the wrong type',
    () => struct('S', { a: { type: u64, value: 1 as never } }),
    'LAYOUT_VALUE',
    /found number, expected bigint/,
  ],
  [
    'a constant that is not an integer',
    () => struct('S', { a: { type: bytes(1), value: Uint8Array.of(1) } }),
    'LAYOUT_VALUE',
    /S\.a/,
  ],
  [
    'an alignment that is no power of two',
    () => struct('S', { a: { type: u8, align: 3 } }),
    'LAYOUT_WIDTH',
    /found an alignment of 3/,
  ],
  [
    'two arms with one tag',
    () => tagged('T', 'kind', { a: [1, u8], b: [1, u16] }),
    'LAYOUT_TAG',
    /T\.b .*found the tag 1, which a has already/,
  ],
  ['a union without an arm', () => union('U', {}), 'LAYOUT_UNSUPPORTED', /needs an arm/],
  [
    'a tail that does not begin with a field',
    () => struct('S', { a: u8 }, { tail: 'b' }),
    'LAYOUT_NAME',
    /found b as the start of the tail/,
  ],
];

describe('a definition is refused for', () => {
  it.each(CASES)('%s', (_, define, code, message) => {
    const error = refusal(define);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe('resolving for a target', () => {
  it('pads as C does and follows the word size', () => {
    const type = struct('Node', { kind: u8, next: uword, count: u16, total: u64 });
    const places = (target: typeof i386): unknown => resolve(type, target).fields.map((item) => item.offset);
    expect(places(x86_64)).toEqual([0, 8, 16, 24]);
    expect(places(i386)).toEqual([0, 4, 8, 12]);
  });

  it('gives unnamed bit fields no value', () => {
    const type = struct('S', { a: bitField(u32, 3), _0: unnamedBits(u32, 5), b: bitField(u32, 8) });
    expect(resolve(type, x86_64).fields.map((item) => [item.name, item.bit, item.unnamed])).toEqual([
      ['a', 0, false],
      ['_0', 3, true],
      ['b', 8, false],
    ]);
  });
});
