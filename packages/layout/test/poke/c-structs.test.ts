import { describe, expect, it } from 'vitest';
import { Random } from '../../../../tests/support/random.js';
import { requireJudge } from '../../../../tests/support/judge.js';
import {
  array,
  bitField,
  codec,
  i16,
  i386,
  int,
  integral,
  iword,
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
  unnamedBits,
  uword,
  x86_64,
  type Target,
  viewOf,
} from '../../src/index.js';
import { pokeEmitter } from '../../src/emit/index.js';
import { POKE, runPoke } from '../support/poke.js';

const Head = integral('Head', u32, { kind: uint(6), rest: uint(26) });
const Everything = struct('Everything', {
  little: u8,
  size: uword,
  a: bitField(u32, 3),
  _0: unnamedBits(u32, 4),
  b: bitField(int(32), 11),
  c: bitField(u16, 9),
  _1: unnamedBits(u16, 0),
  d: bitField(u8, 7),
  delta: i16,
  list: array(array(u16, 2), 3),
  either: union('Either', { whole: u64, halves: array(u32, 2) }),
  name: text(3),
  head: Head,
  body: tagged('Body', 'head.kind', {
    small: [1, struct('Small', { v: u8 })],
    large: [2, struct('Large', { w: iword })],
  }),
  last: u32,
});

/** A field by the path that the pickle gives it, and by ours. */
const PATHS: readonly (readonly [poke: string, ours: (value: ReturnType<typeof decode>) => number | bigint])[] = [
  ['v.little_', (value) => value.little],
  ['v.size', (value) => value.size],
  ['v.bits0.a', (value) => value.a],
  ['v.bits0.b', (value) => value.b],
  ['v.bits0.c', (value) => value.c],
  ['v.bits1.d', (value) => value.d],
  ['v.delta', (value) => value.delta],
  ['v.list[2][1]', (value) => value.list[2]?.[1] ?? -1],
  ['v.either.whole', (value) => value.either.whole ?? -1n],
  ['v.either.halves[1]', (value) => value.either.halves?.[1] ?? -1],
  ['v.name[0]', (value) => value.name.charCodeAt(0)],
  ['v.head.kind', (value) => value.head.kind],
  ['v.last', (value) => value.last],
];

function decode(memory: Uint8Array, target: Target) {
  return codec(Everything, target).decode(memory);
}

describe('C structs in GNU poke', () => {
  for (const target of [x86_64, i386, s390x]) {
    for (const kind of [1, 2]) {
      it(`${target.name}, with the arm ${kind} of the tagged union`, async (context) => {
        requireJudge(context, POKE);
        const random = new Random(kind);
        const memory = new Uint8Array(random.bytes(codec(Everything, target).size));
        const view = viewOf(codec(Everything, target), memory);
        view.head.kind = kind;
        view.name = 'xyz';
        const value = decode(memory, target);
        const unit = { title: 'C structs', regions: [], constants: [], sets: [], types: [Everything] };
        const arm =
          value.body.arm === 'small' ? ['v.body.small.v', value.body.value.v] : ['v.body.large.w', value.body.value.w];
        const paths = [...PATHS.map(([path, ours]) => [path, ours(value)] as const), arm as [string, number | bigint]];
        const found = await runPoke(
          [
            pokeEmitter.emit(unit, { target }),
            `set_endian (ENDIAN_${target.endian.toUpperCase()});`,
            'var v = Everything @ ios : 0#B;',
            ...paths.map(([path]) => `printf ("%u64d\\n", ${path} as uint<64>);`),
            'printf ("%u64d\\n", v\'size / #B);',
          ].join('\n'),
          memory,
        );
        const expected = paths.map(([path, number]) => `${path} = ${BigInt.asUintN(64, BigInt(number))}`);
        expect(found.slice(0, -1).map((line, index) => `${paths[index]?.[0] ?? ''} = ${line}`)).toEqual(expected);
        expect(found.at(-1)).toBe(String(memory.length));
      });
    }
  }
});
