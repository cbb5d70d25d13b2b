// Edits of an image and its external data file that are stopped: behind each write and sync of both, and in a call of the system.
import { IMAGE_DIRECTORY_ONLY, info, type PathPolicy } from '@instar/engine';
import { inject, type ErrorName } from '../faults/inject.js';
import type { CommandLine } from '../support/command.js';
import { qemuImg } from '../support/qemu-img.js';
import type { Random } from '../support/random.js';
import type { Workdir } from '../support/workdir.js';
import { CONTENT_EDITS, KINDS, ours, type ContentEdit, type Kind } from './data-file-fixtures.js';
import { afterKill, afterPowerCut, lay, record, type Event } from './recording.js';
import type { Failed, Stops } from './stopped.js';

/** Calls that change a file or bring it to the disk. */
const CALLS = [
  ...['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'unlinkat', 'openat', 'fallocate', 'copy_file_range'],
  'clone_range',
];

/** An edit of a kind of images. */
export interface StoppedEdit {
  readonly name: string;
  readonly kind: Kind;
  readonly edit: ContentEdit;
}

export const STOPPED_EDITS: readonly StoppedEdit[] = CONTENT_EDITS.flatMap((edit) =>
  (['mapped, small clusters', 'raw, small clusters'] as const)
    .filter((kind) => edit.not === undefined || !kind.startsWith(edit.not))
    .map((kind) => ({ name: `${edit.name}, ${kind}`, kind, edit })),
);

/** An image and its data file. */
export interface Both {
  readonly image: Buffer;
  readonly data: Buffer;
}

/** Opens the image, which puts both files back where an edit was interrupted. */
async function open(directory: Workdir): Promise<void> {
  const pathPolicy: PathPolicy = { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: [directory.path] };
  await info(directory.file('image'), { pathPolicy });
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
function edited({ edit }: StoppedEdit, directory: Workdir): CommandLine {
  const line = ours(edit, directory);
  // What is above the image is emptied afterwards, by another edit.
  return edit.words[0] === 'commit' && !edit.words.includes('-d') ? line.with('-d') : line;
}

/** An edit of both files that was done in a directory, undisturbed. */
export interface RecordedBoth {
  readonly directory: Workdir;
  readonly before: Both;
  readonly after: Both;
  readonly events: readonly Event[];
}

/** Does an edit and records it. @throws Error where it fails, or where what was recorded is not what it did */
export function recordBoth(stopped: StoppedEdit, directory: Workdir): RecordedBoth {
  stopped.edit.prepare(directory, KINDS[stopped.kind]);
  const before = both(directory);
  const { finished, events } = record(directory, edited(stopped, directory));
  if (finished.status !== 0 || finished.stderr !== '') {
    throw new Error(`${stopped.name}: ${finished.status ?? ''} ${finished.stderr}`);
  }
  const after = both(directory);
  qemuImg('check', '-q', 'image').in(directory).must();
  const played = afterKill(before.image, events, events.length, before.data);
  const isPlayed = played.image?.equals(after.image) === true && played.data?.equals(after.data) === true;
  if (after.data.equals(before.data) || !isPlayed) {
    throw new Error(`${stopped.name}: what was recorded is not what it did`);
  }
  return { directory, before, after, events };
}

/** Stops an edit `count` times: each place once as a kill, and then any as a cut of the power, where that is enough for it; else any. */
export async function stopBoth(recorded: RecordedBoth, count: number, random: Random): Promise<Stops> {
  const { directory, before, after, events } = recorded;
  const problems: string[] = [];
  let [old, finished] = [0, 0];
  const whole = count > 2 * events.length;
  for (let stop = 0; stop < count; stop += 1) {
    const place = whole && stop <= events.length ? stop : random.below(events.length + 1);
    const cut = whole ? stop > events.length : random.chance(2);
    lay(
      directory,
      cut
        ? afterPowerCut(before.image, events, place, random, before.data)
        : afterKill(before.image, events, place, before.data),
    );
    await open(directory);
    const problem = problemOf(directory, before, after);
    if (problem !== undefined) problems.push(`${cut ? 'power cut' : 'kill'} behind event ${place}: ${problem}`);
    else if (same(both(directory), before)) old += 1;
    else finished += 1;
  }
  return { problems, old, finished };
}

/**
 * Does an edit in `place`, and again with a call that fails or in which it is killed. Tells what is wrong then.
 * @param tools the directory that has the injector
 */
export async function failInBoth(
  stopped: StoppedEdit,
  tools: Workdir,
  place: Workdir,
  random: Random,
): Promise<Failed> {
  const problems: string[] = [];
  stopped.edit.prepare(place, KINDS[stopped.kind]);
  const before = both(place);
  const command = edited(stopped, place);
  const ground = { output: place.path, input: '/nowhere', device: undefined };
  const counted = await inject(tools, command, ground, undefined);
  if (counted.finished.status !== 0) problems.push(`${stopped.name}, undisturbed: ${counted.finished.stderr}`);
  const after = both(place);
  const calls = CALLS.filter((name) => (counted.counts.get(name) ?? 0) > 0);
  const call = calls[random.below(calls.length)] ?? 'pwrite64';
  const from = random.between(1, counted.counts.get(call) ?? 1);
  const error = random.pick<ErrorName>(['KILL', 'KILL', 'EIO', 'ENOSPC']);
  lay(place, { image: before.image, log: undefined, data: before.data });
  const { finished, injected } = await inject(tools, command, ground, { call, from, times: 1, error });
  const told = `${stopped.name}: ${error} in ${call} ${from}`;
  const isMet = injected === 1;
  if (!isMet && finished.status !== 0) problems.push(`${told}: was not met, and failed: ${finished.stderr.trim()}`);
  const isTold = error !== 'KILL' && finished.status !== 0 && !place.names().includes('image.instar-undo');
  if (isTold && !same(both(place), before)) problems.push(`${told}: told of a failure, and the files are others`);
  await open(place);
  const problem = problemOf(place, before, after);
  if (problem !== undefined) problems.push(`${told}: ${problem}`);
  return { problems, isMet };
}
