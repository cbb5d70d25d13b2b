import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { bitStruct, codec, s390x, x86_64, type Struct } from '../../src/index.js';
import { pokeEmitter } from '../../src/emit/index.js';
import { POKE, printed, runPoke } from '../support/poke.js';
import { RandomTypes } from '../support/random-types.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 400);
const SEED = Number(process.env['INSTAR_SEED'] ?? 7_000_000);
/** Cases for one run of poke; a run compiles their types together. */
const BATCH = 30;
/** Runs at a time. */
const AT_ONCE = 2;

interface Case {
  readonly seed: number;
  readonly type: Struct<Record<string, unknown>>;
  readonly bytes: Buffer;
  readonly bit: number;
}

function makeCase(seed: number): Case {
  const types = new RandomTypes(seed, `S${seed}`);
  const type = bitStruct(`S${seed}Case`, { v: types.type() }) as Struct<Record<string, unknown>>;
  const bit = types.random.chance(2) ? 0 : types.random.below(8);
  const bits = Math.max(codec(type, x86_64).layout.bits, codec(type, s390x).layout.bits);
  const bytes = types.random.bytes(Math.ceil((bits + bit) / 8) + types.random.below(3));
  return { seed, type, bytes, bit };
}

/** Decodes a batch with GNU poke and with us, in both byte orders. Returns how many integers were compared. */
async function compare(cases: readonly Case[]): Promise<number> {
  const types = cases.map((item) => item.type);
  const unit = { title: 'differential test', regions: [], constants: [], sets: [], types };
  const lines = [pokeEmitter.emit(unit, { target: x86_64 })];
  const expected: { readonly about: string; readonly value: bigint }[] = [];
  let start = 0;
  for (const item of cases) {
    for (const target of [x86_64, s390x]) {
      lines.push(`set_endian (ENDIAN_${target.endian.toUpperCase()});`);
      lines.push(`{ var v = ${item.type.name} @ ios : ${start * 8 + item.bit}#b;`);
      for (const { statement, values } of printed(
        item.type,
        codec(item.type, target).decode(item.bytes, 0, item.bit),
        'v',
      )) {
        lines.push(statement);
        const about = `INSTAR_SEED=${item.seed} ${target.endian} ${statement}`;
        for (const value of values) expected.push({ about, value });
      }
      lines.push('}');
    }
    start += item.bytes.length;
  }
  const found = await runPoke(lines.join('\n'), Buffer.concat(cases.map((item) => item.bytes)));
  expect(found).toHaveLength(expected.length);
  found.forEach((line, index) => {
    const { about = '', value = 0n } = expected[index] ?? {};
    if (line !== BigInt.asUintN(64, value).toString()) expect(`${about}: ${value}`).toBe(`${about}: ${line}`);
  });
  return expected.length;
}

describe('decoding as GNU poke decodes through our pickle', () => {
  it(`${CASES} random types and bytes in both byte orders, at any bit`, { timeout: 600_000 }, async (context) => {
    requireJudge(context, POKE);
    const batches: Case[][] = [];
    for (let index = 0; index < CASES; index += BATCH) {
      batches.push(Array.from({ length: Math.min(BATCH, CASES - index) }, (_, at) => makeCase(SEED + index + at)));
    }
    let compared = 0;
    const work = async (): Promise<void> => {
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) compared += await compare(batch);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(compared).toBeGreaterThan(CASES);
  });
});
