import { constants } from 'node:fs';
import { open, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockForReading, lockForWriting } from '@instar/vmm-native';
import { JobsError } from './errors.js';
import { AttemptFailed } from './outcome.js';
import type { TakenJob } from './queue.js';

/** Bytes of an output's name that stand in that of its part; the rest is for what tells jobs and attempts apart. */
const MOST_NAME = 160;
/** What ends the name of whatever is no output yet. */
export const SUFFIX = '.part';
/** How often, and how long after each other (ms), it is looked whether a job has ended. */
const [LOOKS, LOOK_MS] = [120, 500];

/** The beginning of a name, at most so many bytes of whole characters. */
function beginning(name: string, most: number): string {
  let text = '';
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > most) break;
    text += character;
  }
  return text;
}

/** Where an output lies until it is complete: beside its name, one for each job. */
export function partOf(output: string, id: string): string {
  return join(dirname(output), `.${beginning(basename(output), MOST_NAME)}.instar-${id}${SUFFIX}`);
}

/** Whether a name can be that of a part. */
export function isPart(path: string): boolean {
  return /^\..*\.instar-[0-9a-f-]{36}\.part$/s.test(basename(path));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Opens a file of this name that is nothing but that: no link, no FIFO, and no file that has another name as well. */
export async function openPlain(part: string, flags = 0): Promise<FileHandle> {
  const { O_CREAT, O_EXCL, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(part, flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0o666).catch((error: unknown) => {
    const code = codeOf(error);
    if ((code === 'ENOENT' && (flags & O_CREAT) === 0) || (code === 'EEXIST' && (flags & O_EXCL) !== 0)) throw error;
    if (code === 'ELOOP') throw new JobsError('NOT_ALLOWED', `${JSON.stringify(part)} is a link`);
    const name = JSON.stringify(part);
    throw new AttemptFailed({ code: 'WRITE_FAILED', message: `${name} cannot be opened for writing (${code})` }, error);
  });
  const found = await file.stat();
  if (found.isFile() && found.nlink <= 1) return file;
  await file.close();
  throw new JobsError('NOT_ALLOWED', `${JSON.stringify(part)} is another file than a worker has made`);
}

/**
 * Opens the part of a job, which is made where there is none.
 * @returns the file, and its number where this call has made it
 */
export async function makePart(part: string): Promise<{ readonly file: FileHandle; readonly made?: bigint }> {
  const { O_CREAT, O_EXCL } = constants;
  const made = await openPlain(part, O_CREAT | O_EXCL).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw error;
  });
  if (made === undefined) return { file: await openPlain(part, O_CREAT) };
  return { file: made, made: (await made.stat({ bigint: true })).ino };
}

/** How a part is held: by those who write it, all at once, or by the one who gives it its name. */
export type Hold = 'writing' | 'finishing';

/**
 * Opens the part of a job that goes on, and holds it until the file is closed, be that by a process that stands still. Undefined where
 * there is none any more: the job has ended.
 * @throws AttemptFailed where others hold it
 */
export async function holdPart(part: string, hold: Hold): Promise<FileHandle | undefined> {
  const file = await openPlain(part).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  let held = false;
  try {
    if (!(hold === 'writing' ? lockForReading(file.fd) : lockForWriting(file.fd))) {
      const message =
        hold === 'writing'
          ? 'its output is being finished'
          : 'a worker that was taken for gone still has its output open';
      throw new AttemptFailed({ code: 'INPUT_IN_USE', message });
    }
    // Whoever stood still between opening and holding it may have the finished output now, which is somebody else's.
    held = await isStill(file, part);
    return held ? file : undefined;
  } finally {
    if (!held) await file.close();
  }
}

/** Whether a name still leads to this file. */
export async function isStill(file: FileHandle, name: string): Promise<boolean> {
  const [own, there] = await Promise.all([
    file.stat({ bigint: true }),
    stat(name, { bigint: true }).catch(() => undefined),
  ]);
  return there?.ino === own.ino && there.dev === own.dev;
}

/**
 * Takes back a part that an attempt has made whose job could not be spread. Was it taken for gone, and has another one done the job
 * meanwhile, then nobody takes that part away; does the job go on, then it is that job's.
 * @param made the number of the file
 */
export async function takeBack(part: string, made: bigint, job: TakenJob): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const there = await stat(part, { bigint: true }).catch(() => undefined);
    if (there?.ino !== made) return;
    if (await job.isOver().catch(() => false)) {
      await rm(part, { force: true });
      return;
    }
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}
