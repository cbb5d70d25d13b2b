import { constants } from 'node:fs';
import { lstat, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { dd, info, isInstarError, openImage, type Image, type Json, type OperationControl } from '@instar/engine';
import { lockForReading, lockForWriting } from '@instar/vmm-native';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import { WINDOW_UNIT, type ConvertJob, type WindowJob } from './payloads.js';
import { allowedInput, allowedOutput, engineAccess, type WorkerPolicy } from './policy.js';
import { FinalFailure, Spread, type TakenJob } from './queue.js';

/** Windows begin and end at multiples of this (bytes), the last one at the end of the disk. */
const UNIT = BigInt(WINDOW_UNIT);
const SECTOR = 512n;
/** What a byte that has to be decompressed costs, and one that reads as zero, where one that is copied costs 16. */
const COSTS = { compressed: 64, copied: 16, zero: 1 } as const;
/** Slices of a disk whose costs are told apart. */
const MOST_SLICES = 16_384n;

/** What a job in windows runs with. */
export interface WindowRun {
  readonly job: TakenJob;
  readonly policy: WorkerPolicy;
  readonly control: OperationControl;
}

type FileVersion = WindowJob['files'][number];

/** Where an output lies until it is complete: beside its name, one for each job. */
export function partOf(output: string, id: string): string {
  return join(dirname(output), `.${basename(output).slice(0, 180)}.instar-${id}.part`);
}

async function versionOf(path: string): Promise<FileVersion> {
  const { size, mtimeNs } = await stat(path, { bigint: true });
  return { path, size: String(size), modified: String(mtimeNs) };
}

async function requireUnchanged(files: readonly FileVersion[]): Promise<void> {
  for (const known of files) {
    const now = await versionOf(known.path).catch(() => undefined);
    if (now?.size !== known.size || now.modified !== known.modified) {
      throw new JobsError(
        'INPUT_CHANGED',
        `${JSON.stringify(known.path)} was changed while it was converted in windows`,
      );
    }
  }
}

/**
 * Parts of a disk that take about as long as each other. An image may have more extents than there is memory for: what they cost
 * is summed up in slices, at whose ends parts begin.
 * @param most how many there are at most
 */
export async function chooseWindows(
  image: Pick<Image, 'virtualSize' | 'extents'>,
  most: number,
): Promise<readonly { readonly start: bigint; readonly end: bigint }[]> {
  const slice = (image.virtualSize / MOST_SLICES / UNIT + 1n) * UNIT;
  const costs = new Float64Array(Number((image.virtualSize + slice - 1n) / slice));
  for await (const { start, length, data, zero, compressed } of image.extents()) {
    const cost = compressed ? COSTS.compressed : data && !zero ? COSTS.copied : COSTS.zero;
    const end = start + length;
    for (let index = start / slice; index * slice < end; index += 1n) {
      const from = index * slice > start ? index * slice : start;
      const to = (index + 1n) * slice < end ? (index + 1n) * slice : end;
      const known = costs[Number(index)];
      if (known !== undefined) costs[Number(index)] = known + Number(to - from) * cost;
    }
  }
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const edges = [0n];
  let before = 0;
  costs.forEach((cost, index) => {
    before += cost;
    const end = BigInt(index + 1) * slice;
    // A window ends where the cost so far reaches its share.
    if (edges.length < most && before >= (total * edges.length) / most && end < image.virtualSize) edges.push(end);
  });
  edges.push(image.virtualSize);
  return edges.slice(1).map((end, index) => ({ start: edges[index] ?? 0n, end }));
}

/** Opens a file of this name that is nothing but that: no link, no FIFO, and no file that has another name as well. */
async function openPlain(part: string, flags = 0): Promise<FileHandle> {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(part, flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0o666).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' && (flags & constants.O_CREAT) === 0) throw error;
    if (code === 'ELOOP') throw new JobsError('NOT_ALLOWED', `${JSON.stringify(part)} is a link`);
    const name = JSON.stringify(part);
    throw new AttemptFailed({ code: 'WRITE_FAILED', message: `${name} cannot be opened for writing (${code})` }, error);
  });
  const found = await file.stat();
  if (found.isFile() && found.nlink <= 1) return file;
  await file.close();
  throw new JobsError('NOT_ALLOWED', `${JSON.stringify(part)} is another file than a worker has made`);
}

async function openPart(part: string): Promise<FileHandle | undefined> {
  return openPlain(part).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Converts an image by several workers: a plan, its windows, and then the name. */
export async function convertInWindows(job: ConvertJob, run: WindowRun): Promise<unknown> {
  const [input, output] = [await allowedInput(job.input, run.policy), await allowedOutput(job.output, run.policy)];
  const part = partOf(output, run.job.id);
  try {
    return run.job.spread ? await finish(job, output, part, run) : await plan(job, input, output, part, run);
  } catch (error) {
    // An attempt that failed is followed by another; else nobody comes who would need what there is.
    const { lastAttempt, signal } = run.job;
    const cancelled = signal.reason instanceof JobsError && signal.reason.code === 'CANCELLED';
    const over = error instanceof FinalFailure || error instanceof JobsError || cancelled || lastAttempt;
    if (over && !(error instanceof Spread)) await rm(part, { force: true });
    throw error;
  }
}

/** An output in windows gets its name when it is complete: there must be nothing of that name that is more than a file. */
async function requirePlainOutput(output: string): Promise<void> {
  const there = await lstat(output).catch(() => undefined);
  if (there === undefined || (there.isFile() && there.nlink === 1)) return;
  const what = there.isFile() ? 'has other names (hard links)' : 'is a link, a device or a directory';
  throw new JobsError(
    'NOT_ALLOWED',
    `${JSON.stringify(output)} ${what}, which a file that is put in its place would not be; convert without windows writes through it`,
  );
}

async function plan(job: ConvertJob, input: string, output: string, part: string, run: WindowRun): Promise<never> {
  const { spreadTo } = run.job;
  if (spreadTo === undefined)
    throw new JobsError('INVALID_JOB', 'windows: this queue does not spread jobs; use BullMQ');
  const access = { format: job.inputFormat, ...engineAccess(run.policy), ...run.control };
  await requirePlainOutput(output);
  const image = await openImage(input, access);
  let windows: readonly { readonly start: bigint; readonly end: bigint }[];
  let files: readonly FileVersion[];
  try {
    files = await Promise.all(image.infoChain().map(async ({ filename }) => versionOf(filename)));
    windows = await chooseWindows(image, job.windows ?? 1);
    const file = await openPlain(part, constants.O_CREAT);
    try {
      await file.truncate(Number(((image.virtualSize + SECTOR - 1n) / SECTOR) * SECTOR));
    } finally {
      await file.close();
    }
  } finally {
    await image.close();
  }
  const { inputFormat } = job;
  return spreadTo(
    windows.map(({ start, end }): WindowJob => ({
      kind: 'window',
      input,
      ...(inputFormat === undefined ? {} : { inputFormat }),
      part,
      start: Number(start),
      end: Number(end),
      files: [...files],
    })),
  );
}

/** Writes a part of a disk to its place. Whoever does so again, or at the same time, writes the same bytes. */
export async function writeOneWindow(job: WindowJob, { policy, control }: WindowRun): Promise<unknown> {
  const [input, part] = [await allowedInput(job.input, policy), await allowedOutput(job.part, policy)];
  if (!/^\..*\.instar-[0-9a-f-]{36}\.part$/.test(basename(part))) {
    throw new JobsError('NOT_ALLOWED', 'a window is written into the output of a job that goes on, and nowhere else');
  }
  // A job comes from a queue, and what it names from whoever can write there.
  for (const { path } of job.files) await allowedInput(path, policy);
  const file = await openPart(part);
  if (file === undefined) throw new JobsError('INVALID_JOB', 'the job of this window has ended');
  try {
    // Held for as long as anything is written, also by a process that stands still: the output gets its name after that.
    if (!lockForReading(file.fd))
      throw new AttemptFailed({ code: 'INPUT_IN_USE', message: 'its output is being finished' });
    await requireUnchanged(job.files);
    const [start, end] = [BigInt(job.start), BigInt(job.end)];
    const done = await dd({
      input: { path: input },
      // What was opened, and no other file that may be there by now.
      output: { path: `/proc/self/fd/${file.fd}` },
      inputFormat: job.inputFormat,
      blockSize: UNIT,
      skip: start / UNIT,
      seek: start / UNIT,
      count: (end + UNIT - 1n) / UNIT,
      sparse: true,
      // The others write it as well.
      forceShare: true,
      ...engineAccess(policy),
      ...control,
    }).catch((error: unknown) => {
      throw aboutPart(error, part);
    });
    await requireUnchanged(job.files);
    // By this its finisher knows what was written, also once that has another name.
    const { ino } = await file.stat({ bigint: true });
    return { bytes: done.bytes, file: String(ino) };
  } finally {
    await file.close();
  }
}

/** An error of a write into the part, which was written by the number of its descriptor, with its name. */
function aboutPart(error: unknown, part: string): unknown {
  if (!isInstarError(error) || (error.code !== 'NO_SPACE' && error.code !== 'WRITE_FAILED')) return error;
  const message = error.message.replace(/^\/proc\/self\/fd\/\d+/, part);
  return new AttemptFailed({ code: error.code, message }, error);
}

/** The file that a window says that it wrote into. */
function fileOf(result: Json): readonly string[] {
  const known = typeof result === 'object' && result !== null && 'file' in result ? result['file'] : undefined;
  return typeof known === 'string' ? [known] : [];
}

async function finish(job: ConvertJob, output: string, part: string, run: WindowRun): Promise<unknown> {
  run.job.signal.throwIfAborted();
  const [failed] = await run.job.failedParts();
  if (failed !== undefined)
    throw new FinalFailure({ code: 'WINDOW_FAILED', message: `a window came to nothing: ${failed}` });
  const file = await openPart(part);
  if (file === undefined) {
    // All windows are done, and only the end of the job takes the part away: an earlier attempt gave it its name.
    const there = await stat(output, { bigint: true }).catch(() => undefined);
    const written = (await run.job.partResults()).flatMap(fileOf);
    if (there === undefined || written.some((file) => file !== String(there.ino))) {
      throw new FinalFailure({ code: 'OUTPUT_LOST', message: 'what its windows wrote is gone; submit it anew' });
    }
    return { outputLength: there.size };
  }
  try {
    if (!lockForWriting(file.fd)) {
      throw new AttemptFailed({
        code: 'INPUT_IN_USE',
        message: 'a worker that was taken for gone still has its output open',
      });
    }
    if (job.inputFormat === undefined) {
      // As of any raw output: nobody is to take it for an image of another format.
      const seen = await info(part, { forceShare: true, ...run.control });
      if (seen.format !== 'raw') {
        throw new FinalFailure({
          code: 'OUTPUT_MISTAKABLE',
          message: `the raw output would begin as an image of format ${seen.format} does; name the input's format, or write another`,
        });
      }
    }
    const { size } = await file.stat({ bigint: true });
    await requirePlainOutput(output);
    const earlier = await stat(output).catch(() => undefined);
    // Who could read what was there before can read what comes in its place, and nobody else.
    if (earlier !== undefined) await file.chmod(earlier.mode & 0o777);
    await file.sync();
    await rename(part, output);
    const directory = await open(dirname(output), constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return { outputLength: size };
  } finally {
    await file.close();
  }
}
