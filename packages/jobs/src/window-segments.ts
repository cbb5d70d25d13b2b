import { randomBytes } from 'node:crypto';
import { lstat, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { check, convert, dd, type Json } from '@instar/engine';
import * as v from 'valibot';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import type { ConvertJob, WindowJob } from './payloads.js';
import { FinalFailure, type TakenJob } from './queue.js';
import { UNIT } from './window-choice.js';
import { readWindow, type WindowRun } from './window-inputs.js';
import { isStill, SUFFIX } from './window-part.js';

/** Bytes of randomness by which attempts are told apart. */
const RANDOM = 6;

/** What a window says of its segment. */
const segment = v.object({
  start: v.pipe(v.number(), v.integer(), v.minValue(0)),
  end: v.pipe(v.number(), v.integer(), v.minValue(1)),
  segment: v.pipe(v.string(), v.regex(/^[0-9a-f]{12}$/)),
});
type Segment = v.InferOutput<typeof segment>;

/** What the attempts of a job agree about: the number of the file that becomes its output. */
const keptFile = v.strictObject({ file: v.pipe(v.string(), v.regex(/^\d{1,20}$/)) });

/** A further file of a job, beside its part. */
function beside(part: string, word: string): string {
  return `${part.slice(0, -SUFFIX.length)}.${word}${SUFFIX}`;
}

function joinedOf(part: string): string {
  return beside(part, 'joined');
}

/**
 * Writes a window as a compressed image of its own. Whoever does so again, or at the same time, writes another file.
 * @param held the part of the job, for as long as it goes on
 */
export async function writeSegment(job: WindowJob, part: string, held: FileHandle, run: WindowRun): Promise<unknown> {
  const { start, end, compress } = job;
  const name = randomBytes(RANDOM).toString('hex');
  const path = beside(part, name);
  const done = await readWindow(job, run.policy, async (input, { pathPolicy, remote }) =>
    dd(
      {
        input: { path: input },
        output: { path },
        inputFormat: job.inputFormat,
        outputFormat: 'qcow2',
        layout: { compress: true, compressionType: compress },
        blockSize: UNIT,
        skip: BigInt(start) / UNIT,
        count: (BigInt(end) + UNIT - 1n) / UNIT,
        sparse: true,
        noClobber: true,
        forceShare: true,
        pathPolicy,
      },
      { ...run.control, remote },
    ),
  );
  // Whoever ends the job takes the part away first, and then what there is of segments.
  if (await isStill(held, part)) return { bytes: done.bytes, start, end, segment: name };
  await rm(path, { force: true });
  throw new JobsError('INVALID_JOB', 'the job of this window has ended');
}

/** Takes away what there is besides the part of a job, which is gone already. What cannot be taken away is nobody's segment. */
export async function removeSegments(part: string): Promise<void> {
  const beginning = basename(part).slice(0, -SUFFIX.length);
  const names = await readdir(dirname(part)).catch(() => []);
  for (const name of names) {
    // The second is what a killed worker leaves where a file must have a name from the start, as on NFS.
    const segment = name.startsWith(`${beginning}.`) && name.endsWith(SUFFIX);
    const unfinished = name.startsWith(`.${beginning}.`) && name.endsWith('.tmp');
    if (segment || unfinished) await rm(join(dirname(part), name), { force: true }).catch(() => undefined);
  }
}

/** The names of segments, which must be what workers have written: no links, and no names of other files. */
async function filesOf(segments: readonly Segment[], part: string): Promise<readonly string[]> {
  const files = segments.map((one) => beside(part, one.segment));
  for (const file of files) {
    const there = await lstat(file).catch(() => undefined);
    if (there?.isFile() !== true || there.nlink !== 1) throw lost();
  }
  return files;
}

function lost(): FinalFailure {
  return new FinalFailure({ code: 'OUTPUT_LOST', message: 'what its windows wrote is gone; submit it anew' });
}

/** The segments that make up a disk, one behind the other. */
function segmentsOf(results: readonly Json[], length: bigint): readonly Segment[] {
  const found = results.map((result) => v.safeParse(segment, result));
  const segments = found.flatMap((one) => (one.success ? [one.output] : [])).sort((a, b) => a.start - b.start);
  const inOrder = segments.every(({ start }, index) => start === (segments[index - 1]?.end ?? 0));
  const end = BigInt(segments.at(-1)?.end ?? 0);
  if (segments.length === found.length && inOrder && end >= length) return segments;
  throw new FinalFailure({ code: 'WINDOW_FAILED', message: 'its windows are not the whole disk' });
}

async function keptOf(job: TakenJob): Promise<string | undefined> {
  const found = v.safeParse(keptFile, await job.kept());
  return found.success ? found.output.file : undefined;
}

async function numberOf(path: string): Promise<string | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.ino.toString();
}

/** Whether an output is the one that an attempt of this job has made. */
export async function isJoined(job: TakenJob, output: string): Promise<boolean> {
  const kept = await keptOf(job);
  return kept !== undefined && (await numberOf(output)) === kept;
}

/**
 * Makes one compressed image of the segments of a disk.
 * @param held the part of the job, which is as long as the disk
 * @param name gives the image its name, where it does not have it already
 */
export async function joinSegments(
  { outputFormat, compressionType }: ConvertJob,
  output: string,
  part: string,
  held: FileHandle,
  { job, control }: WindowRun,
  name: (joined: string) => Promise<void>,
): Promise<void> {
  const joined = joinedOf(part);
  if (await isJoined(job, output)) return;
  const kept = await keptOf(job);
  if (kept === undefined || (await numberOf(joined)) !== kept) {
    const { size } = await held.stat({ bigint: true });
    const segments = segmentsOf(await job.partResults(), size);
    const inputs = await filesOf(segments, part);
    const layout = { compress: true, compressionType };
    const options = { format: 'qcow2', outputFormat, layout, noClobber: true, forceShare: true } as const;
    // Of an attempt that did not come to say so.
    await rm(joined, { force: true });
    const { outputVirtualSize } = await convert(inputs, joined, options, control);
    const { corruptions, leaks } = await check(joined, { format: 'qcow2', ...control, onProgress: undefined });
    if (outputVirtualSize !== size || corruptions + leaks > 0n) {
      throw new AttemptFailed({ code: 'INTERNAL', message: 'the segments of a disk are not what was written' });
    }
    const file = (await numberOf(joined)) ?? '';
    const agreed = v.safeParse(keptFile, await job.keep({ file }));
    if (!agreed.success || agreed.output.file !== file) throw lost();
  }
  await name(joined);
}
