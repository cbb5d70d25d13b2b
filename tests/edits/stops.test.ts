import { closePool } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import { ENCRYPTED_CASES } from './encrypted-fixtures.js';
import { EDIT_CASES as PLAIN_CASES } from './fixtures.js';
import { failInEdit, failInTurn, recordEdit, stopEdit } from './stopped.js';

/** Stops of a run; INSTAR_CASES=4000 has each place several times. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
/** Stops from which on all edits are stopped. */
const THOROUGH = 300;
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261127);
const HOURS = 3_600_000;

afterAll(closePool);

const EDIT_CASES = [...PLAIN_CASES, ...ENCRYPTED_CASES];

describe('an edit that is stopped leaves the image as it was or as it was to become', () => {
  it.for(CASES < THOROUGH ? EDIT_CASES.filter(({ ordinary }) => ordinary) : EDIT_CASES)(
    '$name: behind each write and sync, with and without what was not synced',
    { timeout: HOURS },
    async (edit, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const recorded = recordEdit(edit, workdir());
      const each = Math.ceil(CASES / EDIT_CASES.length);
      const { problems, old, finished } = await stopEdit(recorded, each, new Random(SEED));
      expect(problems).toEqual([]);
      expect(old).toBeGreaterThan(0);
      // The last of many stops is behind the end.
      if (each > 2 * recorded.events.length) expect(finished).toBeGreaterThan(0);
    },
  );

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const random = new Random(SEED);
    const failures = await failInTurn(context, EDIT_CASES, Math.ceil(CASES / 20), async (edit, tools) => {
      return failInEdit(edit, tools, workdir(), random);
    });
    expect(failures).toEqual({ problems: [], missed: 0 });
  });
});
