import { randomUUID } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { info, MultipartUpload, openImage, type Image, type ObjectAccess, type UploadedPart } from '@instar/engine';
import * as v from 'valibot';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import { keptUpload, MOST_PART, WINDOW_UNIT, type ConvertJob, type KeptUpload, type WindowJob } from './payloads.js';
import { allowedInput, allowedOutput } from './policy.js';
import { FinalFailure, type TakenJob } from './queue.js';
import { chooseWindows } from './window-choice.js';
import {
  diskLength,
  isOver,
  planOf,
  readWindow,
  requireUnchanged,
  windowsOf,
  type WindowRun,
} from './window-inputs.js';

/** Bytes of a part, at least: S3 takes none below 5 MiB but the last. */
const LEAST_PART = 16n << 20n;
/** Parts that an upload may have; S3 takes 10,000. */
const MOST_PARTS = 9_000n;
/** Parts that a window sends at a time, each of which it holds in memory. */
const IN_FLIGHT = 2;
/** How often the finisher looks again, where a part was sent anew while it looked. */
const LOOKS = 5;
/** Bytes at both ends of a disk in which programs look for what says which format a file has. */
const ENDS = 1n << 20n;

/** How long parts are; with these, the number of a part is that of its place. @throws JobsError `INVALID_JOB` */
export function partSizeOf(length: bigint): number {
  const unit = BigInt(WINDOW_UNIT);
  const fitting = (length / MOST_PARTS / unit + 1n) * unit;
  const size = fitting > LEAST_PART ? fitting : LEAST_PART;
  if (size <= BigInt(MOST_PART)) return Number(size);
  throw new JobsError('INVALID_JOB', `windows: a disk of ${length} bytes is more than an object can have`);
}

function accessTo(name: string, { policy, control }: WindowRun): ObjectAccess {
  return { name, signal: control.signal, stallMs: policy.stallMs };
}

/** What the attempts of a job have kept of an upload to this name. */
async function keptOf(job: TakenJob, output: string): Promise<KeptUpload | undefined> {
  const found = v.safeParse(keptUpload, await job.kept());
  return found.success && found.output.output === output ? found.output : undefined;
}

/** Converts an image into an object by several workers: each sends the parts of its windows. */
export async function convertIntoUpload(
  job: ConvertJob,
  input: string,
  output: string,
  run: WindowRun,
): Promise<unknown> {
  try {
    return run.job.spread ? await finish(output, run) : await plan(job, input, output, run);
  } catch (error) {
    if (isOver(error, run.job)) await abandon(output, run);
    throw error;
  }
}

/** Takes back what was sent. Nobody hears of a failure: what made it necessary counts. */
async function abandon(output: string, run: WindowRun): Promise<void> {
  try {
    const known = await keptOf(run.job, output);
    if (known === undefined) return;
    const upload = await MultipartUpload.join(accessTo(output, run), known.id);
    await upload.abort().finally(() => {
      upload.close();
    });
  } catch {
    // Then the bucket's rule for incomplete uploads does it.
  }
}

async function plan(job: ConvertJob, input: string, output: string, run: WindowRun): Promise<never> {
  const windows = await planOf(job, input, run, async (image, sources) => {
    const length = diskLength(image);
    const partSize = partSizeOf(length);
    if (job.inputFormat === undefined) await requireUnmistakable(image, run);
    const chosen = await chooseWindows(image, job.windows ?? 1, BigInt(partSize));
    const { files } = sources;
    const wanted = { output, partSize, length: String(length), files: [...files] };
    const known = (await keptOf(run.job, output)) ?? (await begin(wanted, run));
    if (known.length !== wanted.length || known.partSize !== partSize) {
      throw new JobsError('INPUT_CHANGED', `${JSON.stringify(input)} was changed while it was converted in windows`);
    }
    const upload = { output, id: known.id, partSize };
    return windowsOf(job, input, chosen, sources).map((window): WindowJob => ({ ...window, upload }));
  });
  return run.job.spreadTo(windows);
}

/** Begins an upload, unless another attempt has: then that one counts. */
async function begin(wanted: Omit<KeptUpload, 'id' | 'token'>, run: WindowRun): Promise<KeptUpload> {
  const token = randomUUID();
  const upload = await MultipartUpload.begin(accessTo(wanted.output, run), token);
  let kept: KeptUpload | undefined;
  try {
    await run.job.keep({ ...wanted, id: upload.id, token });
    kept = await keptOf(run.job, wanted.output);
    if (kept === undefined) throw new AttemptFailed({ code: 'INTERNAL', message: 'the queue keeps nothing of a job' });
    return kept;
  } finally {
    if (kept?.id !== upload.id) await upload.abort().catch(() => undefined);
    upload.close();
  }
}

/** As of any raw output: nobody is to take it for an image of another format. */
async function requireUnmistakable(image: Image, { control }: WindowRun): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'instar-ends-'));
  try {
    const path = join(directory, 'disk.raw');
    const file = await open(path, 'wx', 0o600);
    try {
      const length = diskLength(image);
      await file.truncate(Number(length));
      for (const at of length > ENDS ? [0n, length - ENDS] : [0n]) {
        await file.write(await image.read(at, Number(ENDS)), 0, null, Number(at));
      }
    } finally {
      await file.close();
    }
    const { format } = await info(path, { ...control, onProgress: undefined });
    if (format === 'raw') return;
    throw new FinalFailure({
      code: 'OUTPUT_MISTAKABLE',
      message: `the raw output would begin as an image of format ${format} does; name the input's format, or write another`,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Sends the parts of a window. Whoever does so again, or at the same time, sends the same bytes under the same numbers. */
export async function sendWindow(
  job: WindowJob,
  { output, id, partSize }: NonNullable<WindowJob['upload']>,
  run: WindowRun,
): Promise<unknown> {
  const { policy, control } = run;
  const upload = await MultipartUpload.join(accessTo(await allowedOutput(output, policy), run), id);
  try {
    return await readWindow(job, policy, async (input, access) => {
      const image = await openImage(input, { format: job.inputFormat, ...access, ...control, onProgress: undefined });
      try {
        return await sendParts(image, job, partSize, upload, run);
      } finally {
        await image.close();
      }
    });
  } finally {
    upload.close();
  }
}

async function sendParts(
  image: Image,
  { start, end, files }: WindowJob,
  partSize: number,
  upload: MultipartUpload,
  { job, control }: WindowRun,
): Promise<unknown> {
  const sending = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | undefined;
  let number = start / partSize;
  let part: Buffer | undefined;
  let gathered = 0;
  const length = Number(diskLength(image));
  const send = async (): Promise<void> => {
    if (part === undefined) return;
    // A disk whose last sector is not whole has zeros behind it.
    const bytes = part.fill(0, gathered);
    part = undefined;
    gathered = 0;
    // What was read may be of other bytes by now, and the finisher takes what was sent last.
    await requireUnchanged(files);
    const sent: Promise<void> = upload
      .send((number += 1), bytes)
      .catch((error: unknown) => {
        failed ??= { error };
      })
      .finally(() => sending.delete(sent));
    sending.add(sent);
    if (sending.size >= IN_FLIGHT) await Promise.race(sending);
  };
  let done = 0;
  try {
    for await (const bytes of image.createReadStream({ start, end: end - 1 }) as AsyncIterable<Uint8Array>) {
      control.signal?.throwIfAborted();
      for (let at = 0; at < bytes.length;) {
        part ??= Buffer.allocUnsafe(Math.min(partSize, length - start - done));
        const piece = bytes.subarray(at, at + part.length - gathered);
        part.set(piece, gathered);
        gathered += piece.length;
        at += piece.length;
        done += piece.length;
        if (gathered === part.length) await send();
      }
      job.progress(BigInt(done), BigInt(end - start));
      if (failed !== undefined) break;
    }
    if (failed === undefined) await send();
  } finally {
    // They are on their way as long as there is somebody who sends them.
    await Promise.all(sending);
  }
  // It was set while the parts were waited for.
  const failure = failed as { readonly error: unknown } | undefined;
  if (failure !== undefined) throw failure.error;
  return { bytes: done };
}

/** What is wrong with the parts of an upload; undefined where each is there, and as long as it has to be. */
export function faultOf(
  parts: readonly UploadedPart[],
  { length, partSize }: { readonly length: bigint; readonly partSize: number },
): string | undefined {
  const size = BigInt(partSize);
  const count = Number((length + size - 1n) / size);
  if (parts.length !== count) return `its upload has ${parts.length} parts, where ${count} were sent`;
  for (const [index, part] of parts.entries()) {
    const wanted = index + 1 < count ? size : length - size * BigInt(count - 1);
    if (part.number !== index + 1) return `part ${index + 1} is missing of its upload`;
    if (BigInt(part.size) !== wanted) return `part ${part.number} of its upload has ${part.size} bytes, not ${wanted}`;
  }
  return undefined;
}

async function finish(output: string, run: WindowRun): Promise<unknown> {
  run.job.signal.throwIfAborted();
  const [failed] = await run.job.failedParts();
  if (failed !== undefined)
    throw new FinalFailure({ code: 'WINDOW_FAILED', message: `a window came to nothing: ${failed}` });
  const known = await keptOf(run.job, output);
  const lost = { code: 'OUTPUT_LOST', message: 'what its windows wrote is gone; submit it anew' };
  if (known === undefined) throw new FinalFailure(lost);
  // It lay in the queue.
  for (const { path } of known.files) await allowedInput(path, run.policy);
  const length = BigInt(known.length);
  const upload = await MultipartUpload.join(accessTo(output, run), known.id);
  try {
    for (let look = 0; look < LOOKS; look += 1) {
      const parts = await upload.parts();
      if (parts === undefined) {
        // An earlier attempt completed it, and did not come to say so; or somebody else has ended it.
        if (await upload.hasBecomeObject(known.token)) return { outputLength: length };
        throw new FinalFailure(lost);
      }
      const fault = faultOf(parts, { length, partSize: known.partSize });
      if (fault !== undefined) throw new FinalFailure({ code: 'WINDOW_FAILED', message: fault });
      // Now, after the last look: what has been sent up to here was read of what is there still.
      await requireUnchanged(known.files);
      if ((await upload.complete(parts)) === 'done') return { outputLength: length };
    }
    throw new AttemptFailed({
      code: 'WRITE_FAILED',
      message: 'its parts are sent anew again and again by a worker that was taken for gone',
    });
  } finally {
    upload.close();
  }
}
