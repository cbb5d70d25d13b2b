import { constants } from 'node:fs';
import { lstat, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { dd, EngineError, info, isInstarError, isRemoteName, type Image, type Json } from '@instar/engine';
import { lockForWriting } from '@instar/vmm-native';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import type { ConvertJob, WindowJob } from './payloads.js';
import { allowedInput, allowedOutput } from './policy.js';
import { FinalFailure, Spread } from './queue.js';
import { convertIntoUpload, sendWindow } from './uploads.js';
import { chooseWindows, COSTS, COSTS_TO_PACK, UNIT } from './window-choice.js';
import { diskLength, isOver, planOf, readWindow, requireAllowed, windowsOf, type WindowRun } from './window-inputs.js';
import { holdPart, isPart, makePart, openPlain, partOf, takeBack } from './window-part.js';
import { isJoined, joinSegments, removeSegments, writeSegment } from './window-segments.js';
import { lengthWith, placeOfDisk, writeTables } from './window-tables.js';

/** Converts an image by several workers: a plan, its windows, and then the name. */
export async function convertInWindows(job: ConvertJob, run: WindowRun): Promise<unknown> {
  const [input, output] = [await allowedInput(job.input, run.policy), await allowedOutput(job.output, run.policy)];
  if (isRemoteName(output)) return convertIntoUpload(job, input, output, run);
  const part = partOf(output, run.job.id);
  try {
    return run.job.spread ? await finish(job, output, part, run) : await plan(job, input, output, part, run);
  } catch (error) {
    if (isOver(error, run.job)) await removeAll(part);
    throw error;
  }
}

/** The part first: whoever still writes a segment sees by that that it is nobody's. */
async function removeAll(part: string): Promise<void> {
  await rm(part, { force: true });
  await removeSegments(part);
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

/**
 * Holds the file that a name leads to, where there is one, until what this gives is closed: no machine and no other program uses it then.
 * @throws AttemptFailed `INPUT_IN_USE`
 */
async function holdOutput(output: string): Promise<FileHandle | undefined> {
  const file = await openPlain(output).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined || lockForWriting(file.fd)) return file;
  await file.close();
  const message = `${JSON.stringify(output)} is used by another process (it holds its lock)`;
  throw new AttemptFailed({ code: 'INPUT_IN_USE', message });
}

/** An image whose bytes are exchanged for others while other images, or its own windows, read them. */
async function requireUnread(output: string, image: Image): Promise<void> {
  const there = await stat(output, { bigint: true }).catch(() => undefined);
  if (there === undefined || image.remoteVersion !== undefined) return;
  for (const { filename } of image.infoChain()) {
    const input = await stat(filename, { bigint: true }).catch(() => undefined);
    if (input?.ino !== there.ino || input.dev !== there.dev) continue;
    throw new EngineError('SAME_FILE', `is also an input (${filename}); writing it would destroy the data`, {
      file: output,
    });
  }
}

async function plan(job: ConvertJob, input: string, output: string, part: string, run: WindowRun): Promise<never> {
  await requirePlainOutput(output);
  await (await holdOutput(output))?.close();
  const { compress = false, compressionType = 'zlib' } = job;
  let made: bigint | undefined;
  try {
    const windows = await planOf(job, input, run, async (image, sources) => {
      await requireUnread(output, image);
      const chosen = await chooseWindows(image, job.windows ?? 1, UNIT, compress ? COSTS_TO_PACK : COSTS);
      const length = diskLength(image);
      const placed = job.outputFormat === 'qcow2' && !compress;
      const at = placed ? await placeOfDisk(length, run.job, run.control) : undefined;
      const opened = await makePart(part);
      made = opened.made;
      try {
        await opened.file.truncate(Number(at === undefined ? length : lengthWith(at, length)));
      } finally {
        await opened.file.close();
      }
      const place = {
        part,
        ...(at === undefined ? {} : { at }),
        ...(compress ? { compress: compressionType } : {}),
      };
      return windowsOf(job, input, chosen, sources).map((window): WindowJob => ({ ...window, ...place }));
    });
    return await run.job.spreadTo(windows);
  } catch (error) {
    // Nobody waits for that: does the job go on, it is the next attempt's part.
    if (!(error instanceof Spread) && made !== undefined) void takeBack(part, made, run.job).catch(() => undefined);
    throw error;
  }
}

/** Writes a part of a disk to its place. Whoever does so again, or at the same time, writes the same bytes. */
export async function writeOneWindow(job: WindowJob, run: WindowRun): Promise<unknown> {
  const { part, upload } = job;
  await requireAllowed(job, run.policy);
  if (upload !== undefined) return sendWindow(job, upload, run);
  if (part === undefined) throw new JobsError('INVALID_JOB', 'a window of no output');
  return writePart(job, await allowedOutput(part, run.policy), run);
}

async function writePart(job: WindowJob, part: string, run: WindowRun): Promise<unknown> {
  if (!isPart(part)) {
    throw new JobsError('NOT_ALLOWED', 'a window is written into the output of a job that goes on, and nowhere else');
  }
  const file = await holdPart(part, 'writing');
  if (file === undefined) throw new JobsError('INVALID_JOB', 'the job of this window has ended');
  try {
    return await (job.compress === undefined ? writeInPlace : writeSegment)(job, part, file, run);
  } finally {
    await file.close();
  }
}

async function writeInPlace(
  job: WindowJob,
  part: string,
  file: FileHandle,
  { policy, control }: WindowRun,
): Promise<unknown> {
  const [start, end] = [BigInt(job.start), BigInt(job.end)];
  const done = await readWindow(job, policy, async (path, access) =>
    dd(
      {
        input: { path },
        // What was opened, and no other file that may be there by now.
        output: { path: `/proc/self/fd/${file.fd}` },
        inputFormat: job.inputFormat,
        blockSize: UNIT,
        skip: start / UNIT,
        seek: (BigInt(job.at ?? 0) + start) / UNIT,
        count: (end + UNIT - 1n) / UNIT,
        sparse: true,
        // The others write it as well.
        forceShare: true,
        pathPolicy: access.pathPolicy,
      },
      { ...control, remote: access.remote },
    ).catch((error: unknown) => {
      throw aboutPart(error, part);
    }),
  );
  // By this its finisher knows what was written, also once that has another name.
  const { ino } = await file.stat({ bigint: true });
  return { bytes: done.bytes, file: String(ino) };
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
  const file = await holdPart(part, 'finishing');
  if (file === undefined) {
    await removeSegments(part);
    return { outputLength: await lengthOfFinished(job, output, run) };
  }
  try {
    if (job.compress === true) {
      await joinSegments(job, output, part, file, run, async (joined) => {
        const whole = await openPlain(joined);
        try {
          await giveName(whole, joined, output);
        } finally {
          await whole.close();
        }
      });
      await removeAll(part);
      return { outputLength: (await stat(output, { bigint: true })).size };
    }
    if (job.outputFormat === 'qcow2') await writeTables(file, part, run.job, run.control);
    else if (job.inputFormat === undefined) await requireUnmistakable(part, run);
    const { size } = await file.stat({ bigint: true });
    await giveName(file, part, output);
    return { outputLength: size };
  } finally {
    await file.close();
  }
}

/**
 * Of a job whose windows are all done, and whose part is gone: only its end takes that away.
 * @throws FinalFailure where the output is not the one that was written
 */
async function lengthOfFinished({ compress }: ConvertJob, output: string, { job }: WindowRun): Promise<bigint> {
  const there = await stat(output, { bigint: true }).catch(() => undefined);
  const written = compress === true ? [] : (await job.partResults()).flatMap(fileOf);
  const mine = compress !== true || (await isJoined(job, output));
  if (there !== undefined && mine && written.every((file) => file === String(there.ino))) return there.size;
  throw new FinalFailure({ code: 'OUTPUT_LOST', message: 'what its windows wrote is gone; submit it anew' });
}

/** As of any raw output: nobody is to take it for an image of another format. */
async function requireUnmistakable(part: string, { control }: WindowRun): Promise<void> {
  const { format } = await info(part, { forceShare: true, ...control });
  if (format === 'raw') return;
  throw new FinalFailure({
    code: 'OUTPUT_MISTAKABLE',
    message: `the raw output would begin as an image of format ${format} does; name the input's format, or write another`,
  });
}

/** Puts a file that is complete in the place of the output. */
async function giveName(file: FileHandle, name: string, output: string): Promise<void> {
  await requirePlainOutput(output);
  const earlier = await holdOutput(output);
  try {
    // Who could read what was there before can read what comes in its place, and nobody else.
    if (earlier !== undefined) await file.chmod((await earlier.stat()).mode & 0o777);
    await file.sync();
    await rename(name, output);
  } finally {
    await earlier?.close();
  }
  const directory = await open(dirname(output), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
