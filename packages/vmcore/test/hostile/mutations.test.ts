import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../tests/support/random.js';
import { memorySource, repairDump, VmcoreError } from '../../src/index.js';
import { examine } from './examine.js';
import { mutate } from './mutate.js';
import { makeSeeds } from './seeds.js';

/** Damaged dumps of one run; INSTAR_CASES takes more. Each case is a seed of its own, to be told apart in a report. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 200);
const FIRST = Number(process.env['INSTAR_FIRST_CASE'] ?? 1);
/** A case that takes longer hangs (milliseconds). */
const HANGS_AFTER = 60_000;

describe('a damaged dump', () => {
  it('is read or refused with a typed error, soon', async () => {
    const seeds = await makeSeeds();
    const outcomes = new Map<string, number>();
    for (const { bytes, name } of seeds) {
      expect(await examine(memorySource(bytes)), name).toBe(undefined);
    }
    for (let number = FIRST; number < FIRST + CASES; number += 1) {
      const random = new Random(number);
      const seed = seeds[random.below(seeds.length)];
      if (seed === undefined) throw new RangeError('there are seeds');
      const damaged = mutate(seed.bytes, random);
      const started = performance.now();
      const outcome = await examine(memorySource(damaged)).catch((error: unknown) => {
        throw new Error(`case ${number} (${seed.name})`, { cause: error });
      });
      expect(performance.now() - started, `case ${number} (${seed.name})`).toBeLessThan(HANGS_AFTER);
      outcomes.set(outcome ?? 'opened', (outcomes.get(outcome ?? 'opened') ?? 0) + 1);
    }
    // The damage reaches what it is meant for: some dumps open all the same, others are refused in different ways.
    const kinds = ['opened', 'BAD_DUMP', 'TRUNCATED', 'NOT_A_DUMP', 'UNSUPPORTED'];
    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(kinds));
  }, 900_000);

  it('is repaired or refused with a typed error, soon', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'instar-mutations-'));
    const [damaged, repaired] = [join(directory, 'damaged'), join(directory, 'repaired')];
    const seeds = (await makeSeeds()).filter(({ name }) => name.includes('kdump'));
    const outcomes = new Map<string, number>();
    for (let number = FIRST; number < FIRST + CASES / 4; number += 1) {
      const random = new Random(number);
      const seed = seeds[random.below(seeds.length)];
      if (seed === undefined) throw new RangeError('there are seeds');
      writeFileSync(damaged, mutate(seed.bytes, random));
      const started = performance.now();
      const outcome = await repairDump(damaged, { file: repaired }, { threads: 1 }).then(
        () => 'repaired',
        (error: unknown) => {
          if (error instanceof VmcoreError) return error.code;
          throw new Error(`case ${number} (${seed.name})`, { cause: error });
        },
      );
      expect(performance.now() - started, `case ${number} (${seed.name})`).toBeLessThan(HANGS_AFTER);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    rmSync(directory, { recursive: true });
    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(['repaired', 'BAD_DUMP']));
  }, 900_000);
});
