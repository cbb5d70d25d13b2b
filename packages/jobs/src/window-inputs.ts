import { stat } from 'node:fs/promises';
import { isInstarError, openImage, type Image, type OperationControl, type RemoteVersion } from '@instar/engine';
import { JobsError } from './errors.js';
import type { ConvertJob, WindowJob } from './payloads.js';
import { AttemptFailed, verdictOf } from './outcome.js';
import { allowedInput, engineAccess, type WorkerPolicy } from './policy.js';
import { FinalFailure, Spread, type TakenJob } from './queue.js';
import type { Window } from './window-choice.js';

/** What a job in windows runs with. */
export interface WindowRun {
  readonly job: TakenJob;
  readonly policy: WorkerPolicy;
  readonly control: OperationControl;
}

type FileVersion = WindowJob['files'][number];

/** What the windows of a job read: files, or what a URL leads to. */
export type Sources = Pick<WindowJob, 'files' | 'version'>;

async function versionOf(path: string): Promise<FileVersion> {
  const { size, mtimeNs } = await stat(path, { bigint: true });
  return { path, size: String(size), modified: String(mtimeNs) };
}

function inputChanged(name: string, cause?: unknown): JobsError {
  return new JobsError('INPUT_CHANGED', `${JSON.stringify(name)} was changed while it was converted in windows`, cause);
}

/** @throws JobsError `INPUT_CHANGED` */
export async function requireUnchanged(files: readonly FileVersion[]): Promise<void> {
  for (const known of files) {
    const now = await versionOf(known.path).catch(() => undefined);
    if (now?.size !== known.size || now.modified !== known.modified) throw inputChanged(known.path);
  }
}

const SECTOR = 512n;

/** Bytes of the raw disk of an image: whole sectors. */
export function diskLength({ virtualSize }: Pick<Image, 'virtualSize'>): bigint {
  return ((virtualSize + SECTOR - 1n) / SECTOR) * SECTOR;
}

/** Whether nobody comes after this failure who would need what there is of the output. */
export function isOver(error: unknown, { lastAttempt, signal }: TakenJob): boolean {
  if (error instanceof Spread) return false;
  if (lastAttempt || error instanceof FinalFailure) return true;
  const cancelled = signal.reason instanceof JobsError && signal.reason.code === 'CANCELLED';
  return cancelled || (!(error instanceof AttemptFailed) && 'refused' in verdictOf(error));
}

/**
 * Opens the input of a job that is to be spread.
 * @param plan told of the image, and of which bytes it is made
 * @throws JobsError `INVALID_JOB` where no window could say whether it reads the same image
 */
export async function planOf<T>(
  job: ConvertJob,
  input: string,
  { policy, control }: WindowRun,
  plan: (image: Image, sources: Sources) => Promise<T>,
): Promise<T> {
  const image = await openImage(input, { format: job.inputFormat, ...engineAccess(policy) }, control);
  try {
    if (image.virtualSize === 0n) throw new JobsError('INVALID_JOB', 'windows: the disk is empty, so there are none');
    const { remoteVersion: found } = image;
    if (found === undefined) {
      const files = await Promise.all(image.infoChain().map(async ({ filename }) => versionOf(filename)));
      return await plan(image, { files });
    }
    if (found.etag === undefined && found.modified === undefined) {
      throw new JobsError(
        'INVALID_JOB',
        'windows: the server of the input gives neither ETag nor Last-Modified, so that no window could say whether it reads the same image; convert without windows',
      );
    }
    return await plan(image, { files: [], version: storedVersion(found) });
  } finally {
    await image.close();
  }
}

function storedVersion({ size, etag, modified, versionId }: RemoteVersion): NonNullable<WindowJob['version']> {
  return {
    size: String(size),
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { modified }),
    ...(versionId === undefined ? {} : { versionId }),
  };
}

/** What each window of a plan names, besides where it is written. */
export function windowsOf(
  { inputFormat }: ConvertJob,
  input: string,
  windows: readonly Window[],
  { files, version }: Sources,
): readonly Omit<WindowJob, 'part' | 'upload'>[] {
  return windows.map(({ start, end }) => ({
    kind: 'window',
    input,
    ...(inputFormat === undefined ? {} : { inputFormat }),
    start: Number(start),
    end: Number(end),
    files: [...files],
    ...(version === undefined ? {} : { version }),
  }));
}

/**
 * A job comes from a queue, and what it names from whoever can write there.
 * @throws JobsError `NOT_ALLOWED`
 */
export async function requireAllowed({ input, files }: WindowJob, policy: WorkerPolicy): Promise<void> {
  for (const name of [input, ...files.map(({ path }) => path)]) await allowedInput(name, policy);
}

/**
 * Reads the input of a window, which must be the image that was planned with.
 * @param read given its name and what the engine may do of it
 * @throws JobsError `INPUT_CHANGED`, `NOT_ALLOWED`
 */
export async function readWindow<T>(
  job: WindowJob,
  policy: WorkerPolicy,
  read: (input: string, access: ReturnType<typeof engineAccess>) => Promise<T>,
): Promise<T> {
  const input = await allowedInput(job.input, policy);
  const { remote, ...access } = engineAccess(policy);
  const { version } = job;
  await requireUnchanged(job.files);
  try {
    const done = await read(input, {
      ...access,
      ...(version === undefined
        ? {}
        : { remote: { ...remote, expected: { [input]: { ...version, size: BigInt(version.size) } } } }),
    });
    await requireUnchanged(job.files);
    return done;
  } catch (error) {
    throw isInstarError(error) && error.code === 'REMOTE_CHANGED' ? inputChanged(job.input, error) : error;
  }
}
