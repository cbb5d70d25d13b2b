import { closePool } from '@instar/engine';
import { afterAll, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge } from '../support/judge.js';
import { workdir } from '../support/workdir.js';
import { runSequence } from './random-sequences.js';

/** Sequences of a run; INSTAR_CASES=600 is a thorough one. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 4);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;

afterAll(closePool);

it('random sequences of edits come to what qemu-img makes of them', { timeout: HOURS }, async (context) => {
  requireJudge(context, QEMU_IMG);
  const problems: string[] = [];
  let edits = 0;
  for (let sequence = 0; sequence < CASES; sequence += 1) {
    const ran = await runSequence(workdir(), SEED + sequence);
    problems.push(...ran.problems);
    edits += ran.edits;
  }
  expect(problems).toEqual([]);
  expect(edits).toBeGreaterThan(0);
});
