import { closePool, info } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { buildInjector, inject, type ErrorName } from '../faults/inject.js';
import { QEMU_IMG, requireJudge, skipLoudly, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { ENCRYPTED_CASES } from './encrypted-fixtures.js';
import { EDIT_CASES as PLAIN_CASES, type EditCase } from './fixtures.js';
import { afterKill, afterPowerCut, lay, record } from './recording.js';

/** Stops of a run; INSTAR_CASES=4000 has each place several times. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
/** Stops from which on all edits are stopped. */
const THOROUGH = 300;
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261127);
const HOURS = 3_600_000;
/** Calls that change a file or bring it to the disk. */
const CALLS = ['pwrite64', 'copy_file_range', 'fdatasync', 'fsync', 'ftruncate', 'unlinkat', 'openat'];

afterAll(closePool);

const EDIT_CASES = [...PLAIN_CASES, ...ENCRYPTED_CASES];

/** What an image was, and what the edit makes of it. */
interface Ends {
  readonly before: Buffer;
  readonly after: Buffer;
}

function problemOf(
  directory: Workdir,
  { before, after }: Ends,
  without: (image: Buffer) => Buffer = (image) => image,
): string | undefined {
  const found = directory.read('image');
  if (directory.names().includes('image.instar-undo')) return 'its log is still there';
  return found.equals(before) || without(found).equals(without(after))
    ? undefined
    : 'it is neither what it was nor what it was to become';
}

function isRaw({ name }: EditCase): boolean {
  return name.includes('raw');
}

/** Whether qemu-img checks images of its format. */
function isChecked(edit: EditCase): boolean {
  return !isRaw(edit) && !/ (vpc|qcow)$|differencing|encrypted/.test(edit.name);
}

describe('an edit that is stopped leaves the image as it was or as it was to become', () => {
  it.for(CASES < THOROUGH ? EDIT_CASES.filter(({ ordinary }) => ordinary) : EDIT_CASES)(
    '$name: behind each write and sync, with and without what was not synced',
    { timeout: HOURS },
    async (edit, context) => {
      requireJudge(context, QEMU_IMG);
      requireJudge(context, STRACE);
      const directory = workdir();
      edit.prepare(directory);
      const before = directory.read('image');
      const { finished, events } = record(directory, edit.command(directory.file('image')));
      if (edit.complains !== true) expect(finished.stderr).toBe('');
      expect(finished.status).toBe(0);
      const after = directory.read('image');
      expect(after.equals(before)).toBe(false);
      const played = afterKill(before, events, events.length);
      expect(played.image?.equals(after)).toBe(true);
      expect(played.log).toBeUndefined();
      if (isChecked(edit)) qemuImg('check', directory.file('image')).must();
      const random = new Random(SEED);
      const problems: string[] = [];
      const each = Math.ceil(CASES / EDIT_CASES.length);
      const options = isRaw(edit) ? { format: 'raw' } : {};
      let [old, finishedOnes] = [0, 0];
      for (let stop = 0; stop < each; stop += 1) {
        // Each place once as a kill where there are enough of them; else any place, as a kill or as a cut of the power.
        const whole = each > 2 * events.length;
        const count = whole && stop <= events.length ? stop : random.below(events.length + 1);
        const cut = whole ? stop > events.length : random.chance(2);
        const files = cut ? afterPowerCut(before, events, count, random) : afterKill(before, events, count);
        lay(directory, files);
        await info(directory.file('image'), options);
        const problem = problemOf(directory, { before, after }, edit.unused);
        if (problem !== undefined) problems.push(`${cut ? 'power cut' : 'kill'} behind event ${count}: ${problem}`);
        else if (directory.read('image').equals(before)) old += 1;
        else finishedOnes += 1;
      }
      expect(problems).toEqual([]);
      expect(old).toBeGreaterThan(0);
      // The last of many stops is behind the end.
      if (each > 2 * events.length) expect(finishedOnes).toBeGreaterThan(0);
    },
  );

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = workdir();
    const missing = buildInjector(directory);
    if (missing !== undefined) skipLoudly(context, missing);
    const random = new Random(SEED);
    const problems: string[] = [];
    const runs = Math.ceil(CASES / 20);
    for (let run = 0; run < runs; run += 1) {
      const edit = EDIT_CASES[run % EDIT_CASES.length];
      if (edit === undefined) break;
      const place = workdir();
      edit.prepare(place);
      const before = place.read('image');
      const command = edit.command(place.file('image')).in(directory);
      const ground = { output: place.path, input: '/nowhere', device: undefined };
      const counted = await inject(directory, command, ground, undefined);
      if (counted.finished.status !== 0) problems.push(`${edit.name}, undisturbed: ${counted.finished.stderr}`);
      const after = place.read('image');
      const calls = CALLS.filter((name) => (counted.counts.get(name) ?? 0) > 0);
      const call = calls[random.below(calls.length)] ?? 'pwrite64';
      const from = random.between(1, counted.counts.get(call) ?? 1);
      const error = random.pick<ErrorName>(['KILL', 'KILL', 'EIO', 'ENOSPC']);
      lay(place, { image: before, log: undefined });
      const { finished, injected } = await inject(directory, command, ground, { call, from, times: 1, error });
      const told = `${edit.name}: ${error} in ${call} ${from}`;
      if (injected !== 1) problems.push(`${told}: was not met (exit ${finished.status}: ${finished.stderr.trim()})`);
      // Who was told of a failure has the image as it was, at once.
      if (
        error !== 'KILL' &&
        finished.status !== 0 &&
        !place.read('image').equals(before) &&
        !place.names().includes('image.instar-undo')
      ) {
        problems.push(`${told}: told of a failure, and the image is another`);
      }
      await info(place.file('image'), isRaw(edit) ? { format: 'raw' } : {});
      const ends = { before, after: edit.name.includes('-c') ? place.read('image') : after };
      const isOld = place.read('image').equals(before);
      const problem =
        problemOf(place, ends, edit.differing ?? edit.unused) ?? (isOld ? undefined : edit.verify?.(place));
      if (problem !== undefined) problems.push(`${told}: ${problem}`);
      if (isChecked(edit) && !place.read('image').equals(before)) qemuImg('check', place.file('image')).must();
    }
    expect(problems).toEqual([]);
  });
});
