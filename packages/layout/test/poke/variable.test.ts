import { describe, expect, it } from 'vitest';
import { requireJudge } from '../../../../tests/support/judge.js';
import { codec, LayoutError, s390x, x86_64, type Target, type Type } from '../../src/index.js';
import { pokeEmitter, type NamedDescription } from '../../src/emit/index.js';
import { POKE, runPoke } from '../support/poke.js';
import { printedVariable } from '../support/printed-variable.js';
import { RandomVariable } from '../support/random-variable.js';

const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
const SEED = Number(process.env['INSTAR_SEED'] ?? 9_000_000);
/** Types for one run of poke, which compiles them together, and runs at a time. */
const [BATCH, AT_ONCE] = [20, 2];

interface Case {
  readonly about: string;
  readonly pickle: string;
  readonly type: Type;
  readonly target: Target;
  readonly file: Uint8Array;
}

/** A type with a file of a value, and that file with another byte where it is still read, in both byte orders; nothing for a type that a pickle cannot say. */
function casesOf(seed: number): readonly Case[] {
  const made = new RandomVariable(seed, true, `S${seed}`);
  const { type, value } = made.struct(2, true);
  return [x86_64, s390x].flatMap((target): Case[] => {
    const unit = {
      title: 'differential test',
      regions: [],
      constants: [],
      sets: [],
      types: [type as NamedDescription],
    };
    try {
      const pickle = pokeEmitter.emit(unit, { target });
      const file = codec(type, target).encode(value());
      // What stands behind a list up to the end is written, and not read again.
      codec(type, target).decode(file);
      const about = `INSTAR_SEED=${seed} ${target.name}`;
      const changed = Uint8Array.from(file);
      const at = made.random.below(Math.max(1, file.length));
      if (at < file.length) changed[at] = made.random.pick([0, 1, 2, 0xff]);
      const files = isRead(type, target, changed) ? [file, changed] : [file];
      return files.map((one) => ({ about, pickle, type, target, file: one }));
    } catch (error) {
      if (error instanceof LayoutError) return [];
      throw error;
    }
  });
}

function isRead(type: Type, target: Target, file: Uint8Array): boolean {
  try {
    codec(type, target).decode(file);
    return true;
  } catch {
    return false;
  }
}

async function compare(cases: readonly Case[]): Promise<number> {
  const expected: { readonly about: string; readonly value: bigint }[] = [];
  const lines = cases.flatMap(({ about, pickle, type, target, file }, index) => {
    const value = codec(type, target).decode(file);
    const name = 'name' in type ? type.name : '';
    const statements = printedVariable(type, value, 'v', target);
    for (const { statement, values } of statements) {
      for (const one of values) expected.push({ about: `${about} ${statement}`, value: one });
    }
    return [
      // Each type is declared once: both byte orders have the same pickle.
      ...(cases[index - 1]?.type === type ? [] : [pickle]),
      `set_endian (ENDIAN_${target.endian.toUpperCase()});`,
      `{ var f = open ("bytes${index}"); var v = ${name} @ f : 0#B;`,
      ...statements.map(({ statement }) => statement),
      'close (f); }',
    ];
  });
  const found = await runPoke(
    lines.join('\n'),
    cases.map((item) => item.file),
  ).catch((error: unknown) => {
    throw new Error(`${cases[0]?.about}: ${String(error)}`);
  });
  found.forEach((line, index) => {
    const { about = '', value = 0n } = expected[index] ?? {};
    if (line !== BigInt.asUintN(64, value).toString()) expect(`${about}: ${value}`).toBe(`${about}: ${line}`);
  });
  expect(found).toHaveLength(expected.length);
  return expected.length;
}

describe('pickles of structs whose parts vary', () => {
  it(`are read by GNU poke as we read them: ${CASES} random types`, { timeout: 3_600_000 }, async (context) => {
    requireJudge(context, POKE);
    const all: Case[][] = [];
    let refused = 0;
    for (let seed = SEED; all.length < CASES; seed += 1) {
      const cases = casesOf(seed);
      if (cases.length > 0) all.push([...cases]);
      else refused += 1;
    }
    expect(refused).toBeLessThan(CASES);
    let compared = 0;
    const work = async (): Promise<void> => {
      for (let batch = all.splice(0, BATCH); batch.length > 0; batch = all.splice(0, BATCH)) {
        compared += await compare(batch.flat());
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(compared).toBeGreaterThan(CASES * 4);
  });
});
