// Edits that write content into an external data file, stopped: both files are as they were, or both as they were to become.
import { info, closePool, IMAGE_DIRECTORY_ONLY, type PathPolicy } from '@instar/engine';
import { afterAll, describe, expect, it } from 'vitest';
import { buildInjector, inject, type ErrorName } from '../faults/inject.js';
import { QEMU_IMG, requireJudge, skipLoudly, STRACE } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import { CONTENT_EDITS, KINDS, ours, type ContentEdit, type Kind } from './data-file-fixtures.js';
import { afterKill, afterPowerCut, lay, record } from './recording.js';

/** Stops of all edits together; INSTAR_CASES=2000 has each place many times. */
const CASES = Number(process.env['INSTAR_CASES'] ?? 60);
const SEED = Number(process.env['INSTAR_SEED'] ?? 20261128);
const HOURS = 3_600_000;
/** Calls that change a file or bring it to the disk. */
const CALLS = ['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'unlinkat', 'openat', 'fallocate', 'copy_file_range'];

afterAll(closePool);

const STOPPED: readonly { readonly name: string; readonly kind: Kind; readonly edit: ContentEdit }[] =
  CONTENT_EDITS.flatMap((edit) =>
    (['mapped, small clusters', 'raw, small clusters'] as const)
      .filter((kind) => edit.not === undefined || !kind.startsWith(edit.not))
      .map((kind) => ({ name: `${edit.name}, ${kind}`, kind, edit })),
  );

/** Opens the image, which puts both files back where an edit was interrupted. */
async function open(directory: Workdir): Promise<void> {
  const pathPolicy: PathPolicy = { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [directory.path] };
  await info(directory.file('image'), { pathPolicy });
}

/** An image and its data file. */
interface Both {
  readonly image: Buffer;
  readonly data: Buffer;
}

function both(directory: Workdir): Both {
  return { image: directory.read('image'), data: directory.read('data') };
}

function same(one: Both, other: Both): boolean {
  return one.image.equals(other.image) && one.data.equals(other.data);
}

function problemOf(directory: Workdir, before: Both, after: Both): string | undefined {
  if (directory.names().includes('image.instar-undo')) return 'its log is still there';
  const found = both(directory);
  if (same(found, before) || same(found, after)) return undefined;
  const of = (file: keyof Both): string =>
    found[file].equals(before[file]) ? 'old' : found[file].equals(after[file]) ? 'new' : 'neither';
  return `the image is ${of('image')}, the data file ${of('data')}`;
}

/** The edit of `image`, whose other files stay as they are. */
function edited({ edit }: (typeof STOPPED)[number], directory: Workdir) {
  const line = ours(edit, directory);
  // What is above the image is emptied afterwards, by another edit.
  return edit.words[0] === 'commit' && !edit.words.includes('-d') ? line.with('-d') : line;
}

describe('an edit of an image and its data file that is stopped leaves both as they were or both as they were to become', () => {
  it.for(STOPPED)('$name: behind each write and sync of both files', { timeout: HOURS }, async (stopped, context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = workdir();
    stopped.edit.prepare(directory, KINDS[stopped.kind]);
    const before = both(directory);
    const absolute = edited(stopped, directory);
    const { finished, events } = record(directory, absolute);
    expect([finished.status, finished.stderr]).toEqual([0, '']);
    const after = both(directory);
    expect(after.data.equals(before.data)).toBe(false);
    qemuImg('check', '-q', 'image').in(directory).must();
    const played = afterKill(before.image, events, events.length, before.data);
    expect(played.image?.equals(after.image)).toBe(true);
    expect(played.data?.equals(after.data)).toBe(true);
    const random = new Random(SEED);
    const problems: string[] = [];
    const each = Math.ceil(CASES / STOPPED.length);
    let [old, finishedOnes] = [0, 0];
    for (let stop = 0; stop < each; stop += 1) {
      const whole = each > 2 * events.length;
      const count = whole && stop <= events.length ? stop : random.below(events.length + 1);
      const cut = whole ? stop > events.length : random.chance(2);
      lay(
        directory,
        cut
          ? afterPowerCut(before.image, events, count, random, before.data)
          : afterKill(before.image, events, count, before.data),
      );
      await open(directory);
      const problem = problemOf(directory, before, after);
      if (problem !== undefined) problems.push(`${cut ? 'power cut' : 'kill'} behind event ${count}: ${problem}`);
      else if (same(both(directory), before)) old += 1;
      else finishedOnes += 1;
    }
    expect(problems).toEqual([]);
    expect(old).toBeGreaterThan(0);
    if (each > 2 * events.length) expect(finishedOnes).toBeGreaterThan(0);
  });

  it('under a kill and a failure of the system in the calls themselves', { timeout: HOURS }, async (context) => {
    requireJudge(context, QEMU_IMG);
    requireJudge(context, STRACE);
    const directory = workdir();
    const missing = buildInjector(directory);
    if (missing !== undefined) skipLoudly(context, missing);
    const random = new Random(SEED);
    const problems: string[] = [];
    const runs = Math.ceil(CASES / 8);
    let missed = 0;
    for (let run = 0; run < runs; run += 1) {
      const stopped = STOPPED[run % STOPPED.length];
      if (stopped === undefined) break;
      const place = workdir();
      stopped.edit.prepare(place, KINDS[stopped.kind]);
      const before = both(place);
      const command = edited(stopped, place);
      const ground = { output: place.path, input: '/nowhere', device: undefined };
      const counted = await inject(directory, command, ground, undefined);
      if (counted.finished.status !== 0) problems.push(`${stopped.name}, undisturbed: ${counted.finished.stderr}`);
      const after = both(place);
      const calls = CALLS.filter((name) => (counted.counts.get(name) ?? 0) > 0);
      const call = calls[random.below(calls.length)] ?? 'pwrite64';
      const from = random.between(1, counted.counts.get(call) ?? 1);
      const error = random.pick<ErrorName>(['KILL', 'KILL', 'EIO', 'ENOSPC']);
      lay(place, { image: before.image, log: undefined, data: before.data });
      const { finished, injected } = await inject(directory, command, ground, { call, from, times: 1, error });
      const told = `${stopped.name}: ${error} in ${call} ${from}`;
      if (injected !== 1) {
        // Of a call now and then the injector does not learn the file: it is not met then.
        missed += 1;
        if (finished.status !== 0) problems.push(`${told}: was not met, and failed: ${finished.stderr.trim()}`);
      }
      const isTold = error !== 'KILL' && finished.status !== 0 && !place.names().includes('image.instar-undo');
      if (isTold && !same(both(place), before)) problems.push(`${told}: told of a failure, and the files are others`);
      await open(place);
      const problem = problemOf(place, before, after);
      if (problem !== undefined) problems.push(`${told}: ${problem}`);
    }
    expect(problems).toEqual([]);
    expect(missed).toBeLessThanOrEqual(Math.ceil(runs / 20));
  });
});
