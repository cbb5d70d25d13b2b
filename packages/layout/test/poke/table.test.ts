import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import {
  bitStruct,
  codec,
  int,
  integral,
  s390x,
  struct,
  u16,
  u32,
  u64,
  u8,
  uint,
  x86_64,
  type Struct,
  type Type,
} from '../../src/index.js';
import { pokeEmitter } from '../../src/emit/index.js';
import { POKE, printed, runPoke } from '../support/poke.js';

const BYTES = Uint8Array.of(0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80);
const In = integral('In', u16, { x: u8, y: u8 });

/** What is known of GNU poke 2.4: a type, a bit to begin at, and every integer in both byte orders. */
const KNOWN: readonly (readonly [type: Type, bit: number, big: readonly bigint[], little: readonly bigint[]])[] = [
  [integral('RelInfo', u64, { r_sym: u32, r_type: u32 }), 0, [0x10203040n, 0x50607080n], [0x80706050n, 0x40302010n]],
  [struct('Plain', { r_sym: u32, r_type: u32 }), 0, [0x10203040n, 0x50607080n], [0x40302010n, 0x80706050n]],
  [bitStruct('Nibbles', { a: uint(4), b: uint(4) }), 0, [1n, 0n], [1n, 0n]],
  [bitStruct('Mixed', { a: uint(4), b: uint(12) }), 0, [1n, 0x020n], [1n, 0x002n]],
  [integral('Split', u16, { a: uint(4), b: uint(12) }), 0, [1n, 0x020n], [2n, 0x010n]],
  [integral('Nested', u32, { i: In, z: u16 }), 0, [0x10n, 0x20n, 0x3040n], [0x40n, 0x30n, 0x2010n]],
  [integral('Signed', int(32), { hi: u8, lo: int(24) }), 0, [16n, 2109504n], [64n, 3153936n]],
  [integral('Eleven', uint(11), { a: uint(3), b: u8 }), 0, [0n, 129n], [1n, 16n]],
  [uint(11), 0, [129n], [272n]],
  [uint(11), 5, [32n], [4n]],
  [uint(12), 0, [258n], [528n]],
  [uint(12), 4, [32n], [2n]],
  [u16, 4, [515n], [770n]],
  // The registers of an instruction: integral and plain structs keep the order of the nibbles, labels swap them.
  [bitStruct('RegsPlain', { src: uint(4), dst: uint(4) }), 0, [1n, 0n], [1n, 0n]],
  [integral('RegsIntegral', u8, { src: uint(4), dst: uint(4) }), 0, [1n, 0n], [1n, 0n]],
  [
    bitStruct('RegsLabels', {
      src: { type: uint(4), label: { little: 0, big: 4 } },
      dst: { type: uint(4), label: { little: 4, big: 0 } },
    }),
    0,
    [0n, 1n],
    [1n, 0n],
  ],
];

describe('what is known of GNU poke', () => {
  it('is what we decode, and what the installed one says', async (context) => {
    requireJudge(context, POKE);
    const wrapped = KNOWN.map(
      ([type], index) => bitStruct(`Case${index}`, { v: type }) as Struct<Record<string, unknown>>,
    );
    const unit = { title: 'known values', regions: [], constants: [], sets: [], types: wrapped };
    const lines = [pokeEmitter.emit(unit, { target: x86_64 })];
    const expected: bigint[] = [];
    KNOWN.forEach(([, bit, big, little], index) => {
      const type = wrapped[index];
      if (type === undefined) return;
      for (const [target, values] of [[s390x, big] as const, [x86_64, little] as const]) {
        const ours = printed(type, codec(type, target).decode(BYTES, 0, bit), 'v');
        expect(
          ours.flatMap((item) => item.values),
          `${type.name} ${target.endian}`,
        ).toEqual(values);
        lines.push(`set_endian (ENDIAN_${target.endian.toUpperCase()});`, `{ var v = ${type.name} @ ios : ${bit}#b;`);
        lines.push(...ours.map((item) => item.statement), '}');
        expected.push(...values);
      }
    });
    expect(await runPoke(lines.join('\n'), BYTES)).toEqual(expected.map(String));
  });
});

describe('where GNU poke itself is wrong', () => {
  it('writes of little-endian integers inside a byte are judged by reading them back with it', async (context) => {
    requireJudge(context, POKE);
    // Its own write of such an integer reads back as another value, so only its reads judge here.
    const type = bitStruct('Inside', { v: u16 }) as Struct<Record<string, unknown>>;
    const unit = { title: 'writes', regions: [], constants: [], sets: [], types: [type] };
    const lines = [pokeEmitter.emit(unit, { target: x86_64 }), 'set_endian (ENDIAN_LITTLE);'];
    const memory = new Uint8Array(8 * 3);
    const values = [0x1234, 0xabcd, 1, 0x8000, 0xff, 0, 0xfffe, 0x7fff];
    values.forEach((v, bit) => {
      codec(type).encodeInto(memory, { v }, bit * 3, bit);
      lines.push(`printf ("%u64d\\n", (Inside @ ios : ${bit * 24 + bit}#b).v as uint<64>);`);
    });
    expect(await runPoke(lines.join('\n'), memory)).toEqual(values.map(String));
  });
});
