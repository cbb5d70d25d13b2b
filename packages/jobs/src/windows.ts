import { constants } from 'node:fs';
import { lstat, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { dd, info, isInstarError, isRemoteName, type Json } from '@instar/engine';
import { lockForReading, lockForWriting } from '@instar/vmm-native';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import type { ConvertJob, WindowJob } from './payloads.js';
import { allowedInput, allowedOutput } from './policy.js';
import { FinalFailure } from './queue.js';
import { convertIntoUpload, sendWindow } from './uploads.js';
import { chooseWindows, UNIT } from './window-choice.js';
import { lengthWith, placeOfDisk, writeTables } from './window-tables.js';
import { diskLength, isOver, planOf, readWindow, requireAllowed, windowsOf, type WindowRun } from './window-inputs.js';

/** Where an output lies until it is complete: beside its name, one for each job. */
export function partOf(output: string, id: string): string {
  return join(dirname(output), `.${basename(output).slice(0, 180)}.instar-${id}.part`);
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
  if (isRemoteName(output)) return convertIntoUpload(job, input, output, run);
  const part = partOf(output, run.job.id);
  try {
    return run.job.spread ? await finish(job, output, part, run) : await plan(job, input, output, part, run);
  } catch (error) {
    if (isOver(error, run.job)) await rm(part, { force: true });
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
  await requirePlainOutput(output);
  const windows = await planOf(job, input, run, async (image, sources) => {
    const chosen = await chooseWindows(image, job.windows ?? 1);
    const length = diskLength(image);
    const at = job.outputFormat === 'qcow2' ? await placeOfDisk(length, run.job, run.control) : undefined;
    const file = await openPlain(part, constants.O_CREAT);
    try {
      await file.truncate(Number(at === undefined ? length : lengthWith(at, length)));
    } finally {
      await file.close();
    }
    const place = { part, ...(at === undefined ? {} : { at }) };
    return windowsOf(job, input, chosen, sources).map((window): WindowJob => ({ ...window, ...place }));
  });
  return run.job.spreadTo(windows);
}

/** Writes a part of a disk to its place. Whoever does so again, or at the same time, writes the same bytes. */
export async function writeOneWindow(job: WindowJob, run: WindowRun): Promise<unknown> {
  const { part, upload } = job;
  await requireAllowed(job, run.policy);
  if (upload !== undefined) return sendWindow(job, upload, run);
  if (part === undefined) throw new JobsError('INVALID_JOB', 'a window of no output');
  return writePart(job, await allowedOutput(part, run.policy), run);
}

async function writePart(job: WindowJob, part: string, { policy, control }: WindowRun): Promise<unknown> {
  if (!/^\..*\.instar-[0-9a-f-]{36}\.part$/.test(basename(part))) {
    throw new JobsError('NOT_ALLOWED', 'a window is written into the output of a job that goes on, and nowhere else');
  }
  const file = await openPart(part);
  if (file === undefined) throw new JobsError('INVALID_JOB', 'the job of this window has ended');
  try {
    // Held for as long as anything is written, also by a process that stands still: the output gets its name after that.
    if (!lockForReading(file.fd))
      throw new AttemptFailed({ code: 'INPUT_IN_USE', message: 'its output is being finished' });
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
    if (job.outputFormat === 'qcow2') await writeTables(file, part, run.job, run.control);
    else if (job.inputFormat === undefined) {
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
