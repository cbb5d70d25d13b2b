// Edits that are stopped: behind each write and sync, and in a call of the system.
import { info } from '@instar/engine';
import type { TestContext } from 'vitest';
import { buildInjector, inject, type ErrorName } from '../faults/inject.js';
import { skipLoudly } from '../support/judge.js';
import { qemuImg } from '../support/qemu-img.js';
import type { Random } from '../support/random.js';
import { workdir, type Workdir } from '../support/workdir.js';
import type { EditCase } from './fixtures.js';
import { afterKill, afterPowerCut, lay, record, type Event } from './recording.js';

/** Calls that change a file or bring it to the disk. */
const CALLS = ['pwrite64', 'copy_file_range', 'fdatasync', 'fsync', 'ftruncate', 'unlinkat', 'openat', 'clone_range'];

/** What an image was, and what the edit makes of it. */
export interface Ends {
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

/** Opens an image, as whoever comes next: what was interrupted is put back. */
async function open(directory: Workdir, edit: EditCase): Promise<void> {
  await info(directory.file('image'), isRaw(edit) ? { format: 'raw' } : {});
}

/** An edit that was done in a directory, undisturbed. */
export interface Recorded extends Ends {
  readonly edit: EditCase;
  readonly directory: Workdir;
  readonly events: readonly Event[];
}

/** Does an edit and records it. @throws Error where it fails, or where what was recorded is not what it did */
export function recordEdit(edit: EditCase, directory: Workdir): Recorded {
  edit.prepare(directory);
  const before = directory.read('image');
  const { finished, events } = record(directory, edit.command(directory.file('image')));
  const said = edit.complains === true ? '' : finished.stderr;
  if (finished.status !== 0 || said !== '')
    throw new Error(`${edit.name}: ${finished.status ?? ''} ${finished.stderr}`);
  const after = directory.read('image');
  const played = afterKill(before, events, events.length);
  const isPlayed = played.image?.equals(after) === true && played.log === undefined;
  if (after.equals(before) || !isPlayed) throw new Error(`${edit.name}: what was recorded is not what it did`);
  if (isChecked(edit)) qemuImg('check', directory.file('image')).must();
  return { edit, directory, before, after, events };
}

/** What came of stops. */
export interface Stops {
  readonly problems: readonly string[];
  /** Stops after which the image was as before. */
  readonly old: number;
  /** Stops after which it was what it was to become. */
  readonly finished: number;
}

/**
 * Stops an edit: each place once as a kill, and then any as a cut of the power, where `count` is enough for that; else any place, as a kill
 * or as a cut of the power.
 */
export async function stopEdit(recorded: Recorded, count: number, random: Random): Promise<Stops> {
  const { edit, directory, before, events } = recorded;
  const problems: string[] = [];
  let [old, finished] = [0, 0];
  const whole = count > 2 * events.length;
  for (let stop = 0; stop < count; stop += 1) {
    const place = whole && stop <= events.length ? stop : random.below(events.length + 1);
    const cut = whole ? stop > events.length : random.chance(2);
    lay(directory, cut ? afterPowerCut(before, events, place, random) : afterKill(before, events, place));
    await open(directory, edit);
    const problem = problemOf(directory, recorded, edit.unused);
    if (problem !== undefined) problems.push(`${cut ? 'power cut' : 'kill'} behind event ${place}: ${problem}`);
    else if (directory.read('image').equals(before)) old += 1;
    else finished += 1;
  }
  return { problems, old, finished };
}

/** What came of a call that failed. */
export interface Failed {
  readonly problems: readonly string[];
  /** Whether the call was met. */
  readonly isMet: boolean;
}

/**
 * Does edits in turn, each with a call that fails or in which it is killed; skips the test where no injector can be built.
 * @param runs how many
 * @param fail does one; `tools` is the directory that has the injector
 */
export async function failInTurn<Edit>(
  context: TestContext,
  edits: readonly Edit[],
  runs: number,
  fail: (edit: Edit, tools: Workdir) => Promise<Failed>,
): Promise<{ readonly problems: readonly string[]; readonly missed: number }> {
  const tools = workdir();
  const missing = buildInjector(tools);
  if (missing !== undefined) skipLoudly(context, missing);
  const problems: string[] = [];
  let missed = 0;
  for (let run = 0; run < runs; run += 1) {
    const edit = edits[run % edits.length];
    if (edit === undefined) break;
    const failed = await fail(edit, tools);
    problems.push(...failed.problems);
    if (!failed.isMet) missed += 1;
  }
  return { problems, missed };
}

/**
 * Does an edit in `place`, and again with a call that fails or in which it is killed. Tells what is wrong then.
 * @param tools the directory that has the injector
 */
export async function failInEdit(edit: EditCase, tools: Workdir, place: Workdir, random: Random): Promise<Failed> {
  const problems: string[] = [];
  edit.prepare(place);
  const before = place.read('image');
  const command = edit.command(place.file('image')).in(tools);
  const ground = { output: place.path, input: '/nowhere', device: undefined };
  const counted = await inject(tools, command, ground, undefined);
  if (counted.finished.status !== 0) problems.push(`${edit.name}, undisturbed: ${counted.finished.stderr}`);
  const after = place.read('image');
  const calls = CALLS.filter((name) => (counted.counts.get(name) ?? 0) > 0);
  const call = calls[random.below(calls.length)] ?? 'pwrite64';
  const from = random.between(1, counted.counts.get(call) ?? 1);
  const drawn = random.pick<ErrorName>(['KILL', 'KILL', 'EIO', 'ENOSPC']);
  // Without room for a clone the edit does what it does on other file systems: another image comes of it.
  const error = call === 'clone_range' && drawn === 'ENOSPC' ? 'EIO' : drawn;
  lay(place, { image: before, log: undefined });
  const { finished, injected } = await inject(tools, command, ground, { call, from, times: 1, error });
  const told = `${edit.name}: ${error} in ${call} ${from}`;
  const isMet = injected === 1;
  if (!isMet && finished.status !== 0) problems.push(`${told}: was not met, and failed: ${finished.stderr.trim()}`);
  // Who was told of a failure has the image as it was, at once.
  // Where only what does not count any more could not be overwritten, the rest is done, and that is what is told.
  const { unused } = edit;
  const isDone = unused?.(place.read('image')).equals(unused(after)) === true;
  if (
    error !== 'KILL' &&
    finished.status !== 0 &&
    !place.read('image').equals(before) &&
    !place.names().includes('image.instar-undo') &&
    !(isDone && finished.stderr.includes('what they held was not overwritten'))
  ) {
    problems.push(`${told}: told of a failure, and the image is another`);
  }
  await open(place, edit);
  const ends = { before, after: edit.name.includes('-c') ? place.read('image') : after };
  const isOld = place.read('image').equals(before);
  const problem = problemOf(place, ends, edit.differing ?? edit.unused) ?? (isOld ? undefined : edit.verify?.(place));
  if (problem !== undefined) problems.push(`${told}: ${problem}`);
  if (isChecked(edit) && !isOld) qemuImg('check', place.file('image')).must();
  return { problems, isMet };
}
