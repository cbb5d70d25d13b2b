import { describe, expect, it } from 'vitest';
import {
  bitField,
  bitStruct,
  defineEnum,
  integral,
  struct,
  tagged,
  u16,
  u32,
  u64,
  u8,
  i64,
  uint,
  union,
  x86_64,
} from '../../src/index.js';
import { cEmitter, pokeEmitter, rustEmitter, type Interface } from '../../src/emit/index.js';
import { requireJudge } from '../../../../tests/support/judge.js';
import { ASKED, refusals, rustRefusals } from '../support/compilers.js';
import { POKE, runPoke } from '../support/poke.js';

const DOC = 'ends */ here\r\nand goes on \u202e backwards';

function unit(parts: Partial<Interface>): Interface {
  return { title: 'test */ x', regions: [], constants: [], sets: [], types: [], ...parts };
}

const [HERE] = ASKED;
const target = x86_64;

describe('names and comments that another language minds', () => {
  const words = unit({
    constants: [
      { name: 'LEAST', value: -(2n ** 63n) },
      { name: 'LEAST32', value: -(2n ** 31n) },
    ],
    sets: [defineEnum('Type', DOC, { self: [1, DOC] }), defineEnum('Words', '', { A: [1, ''] })],
    types: [
      struct('Words', { load: u8, load_: u8, a: bitField(u32, 4), bits0: u8, wide: u64, pad0_: u8 }, { doc: DOC }),
      struct('any', { a: { type: u16, doc: DOC } }),
      // Keywords of C, of Rust, of both and of neither, and names that emitted Rust and C use themselves.
      struct('u32', {
        type: u32,
        match: u16,
        int: u8,
        self: u8,
        crate: u8,
        default: u32,
        yield: u16,
        fn_: u8,
        fn: u8,
        _: u8,
      }),
      struct('core', { ref: bitField(u32, 4), in: bitField(u32, 4), register: u64, bool: u8 }),
      struct('match', { type: struct('uint32_t', { a: u32 }), take: integral('take', u16, { loop: u8, type: u8 }) }),
      union('struct', { impl: u32, enum: u8 }),
      bitStruct('static', { use: uint(4), mut: uint(4) }),
      // A field with the name of a type that is used behind it.
      struct('Around', {
        match: struct('bytes_of', { x: u8 }),
        bytes_of: u8,
        other: struct('Self', { a: u16 }),
        again: struct('str', { b: u8 }),
      }),
      struct('Behind', { core: u8, inner: struct('bool', { x: u32 }), bool: u8, last: struct('offset_t', { y: u8 }) }),
      struct('Uses', { a: struct('string', { a: u8 }), tag: i64, body: tagged('B', 'tag', { a: [-(2n ** 63n), u8] }) }),
    ],
  });

  it('are written so that C takes them', (context) => {
    if (HERE === undefined) throw new Error('a compiler');
    expect(refusals(context, HERE, cEmitter.emit(words, { target }))).toBe('');
    expect(cEmitter.emit(words, { target })).not.toMatch(/\p{Bidi_Control}/u);
  });

  it('are written so that Rust takes them', async (context) => {
    expect(await rustRefusals(context, rustEmitter.emit(words, { target }))).toBe('');
  });

  it('are written so that GNU poke takes them', async (context) => {
    requireJudge(context, POKE);
    const pickle = `${pokeEmitter.emit(words, { target })}printf ("%i64d %i32d\\n", LEAST, LEAST32);`;
    expect(await runPoke(pickle, new Uint8Array(64))).toEqual([`${-(2n ** 63n)} ${-(2n ** 31n)}`]);
  });

  it.for([
    bitStruct('Labels', { a: { type: uint(4), label: { little: 0, big: 4 } } }),
    union('Bits', { a: bitField(u32, 3), b: u8 }),
  ])('Rust has the functions that $name alone needs', async (type, context) => {
    expect(await rustRefusals(context, rustEmitter.emit(unit({ types: [type] }), { target }))).toBe('');
  });
});

describe('names that would be one name', () => {
  it('of macros are refused for C', () => {
    const types = [integral('S', u16, { fooBar: u8, foo_bar: u8 })];
    expect(() => cEmitter.emit(unit({ types }), { target })).toThrow(/^S_FOO_BAR_SHIFT at byte 0: found two C macros/);
  });

  it.for([
    ['set_x', integral('S', u16, { x: u8, set_x: u8 })],
    ['set_x', bitStruct('S', { x: uint(4), set_x: uint(4) })],
    ['set_x', struct('S', { x: bitField(u8, 4), set_x: bitField(u8, 4) })],
    ['from_bytes', bitStruct('S', { from_bytes: u8 })],
    ['_pad_1', struct('S', { a: u8, b: u32, _pad_1: u8 })],
  ] as const)('of functions and members are refused for Rust: %s', ([name, type]) => {
    expect(() => rustEmitter.emit(unit({ types: [type] }), { target })).toThrow(new RegExp(`^S\\.${name} at byte `));
  });

  it('of slices inside a slice and beside it are refused', () => {
    const types = [integral('S', u32, { i: integral('In', u16, { x: u8, y: u8 }), i_x: u16 })];
    expect(() => cEmitter.emit(unit({ types }), { target })).toThrow(
      /^S\.i_x at byte 0: found the constants of i_x twice/,
    );
  });
});
