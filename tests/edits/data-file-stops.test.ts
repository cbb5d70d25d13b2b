// Edits that write content into an external data file, stopped: both files are as they were, or both as they were to become.
import { closePool } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { QEMU_IMG, requireJudge, STRACE } from '../support/judge.js';
import { Random } from '../support/random.js';
import { workdir } from '../support/workdir.js';
import { failInTurn } from './stopped.js';
import { failInBoth, recordBoth, stopBoth, STOPPED_EDITS } from './stopped-data-files.js';

/** Stops of all edits together; INSTAR_CASES=2000 has each place many times. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;

afterAll(closePool);

describe('an edit of an image and its data file that is stopped leaves both as they were or both as they were to become', () => {
  it.for(STOPPED_EDITS)(
    '$name: behind each write and sync of both files',
    { timeout: HOURS },
    async (stopped, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const recorded = recordBoth(stopped, workdir());
      const each = Math.ceil(CASES / STOPPED_EDITS.length);
      const { problems, old, finished } = await stopBoth(recorded, each, new Random(SEED));
      expect(problems).toEqual([]);
      expect(old).toBeGreaterThan(0);
      if (each > 2 * recorded.events.length) expect(finished).toBeGreaterThan(0);
    },
  );

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const random = new Random(SEED);
    const failures = await failInTurn(context, STOPPED_EDITS, Math.ceil(CASES / 8), async (edit, tools) => {
      return failInBoth(edit, tools, workdir(), random);
    });
    expect(failures).toEqual({ problems: [], missed: 0 });
  });
});
