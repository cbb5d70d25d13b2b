import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, create, openImage, type OperationControl } from '@instar/engine';
import * as v from 'valibot';
import { AttemptFailed } from './outcome.js';
import { FinalFailure, type TakenJob } from './queue.js';
import { UNIT } from './window-choice.js';

/** Bytes that are copied at a time. */
const PIECE = 4 << 20;

/** What all attempts of a job have to agree about: where the disk begins in the file, and how long it is (bytes). */
const keptPlace = v.strictObject({
  at: v.pipe(v.number(), v.integer(), v.minValue(0)),
  length: v.pipe(v.string(), v.regex(/^\d{1,19}$/)),
});
type Place = v.InferOutput<typeof keptPlace>;

/** A control whose progress is not that of the disk. */
function quiet(control: OperationControl): OperationControl {
  return { ...control, onProgress: undefined };
}

function unlike(): AttemptFailed {
  return new AttemptFailed({ code: 'INTERNAL', message: 'the tables of a qcow2 image are not as they were asked for' });
}

/**
 * Makes the tables of a qcow2 image in which each cluster of the disk has its place: what lies at `n` of the disk lies at `at + n`
 * of the file. A sandbox makes them, and says where the disk begins.
 * @param length bytes of the disk, whole sectors
 * @param use given the file that has them, of which the first `at` bytes are tables and all others a hole
 */
async function withTables<T>(
  length: bigint,
  control: OperationControl,
  use: (path: string, at: number) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'instar-tables-'));
  try {
    const path = join(directory, 'tables.qcow2');
    await create(path, length, { format: 'qcow2', layout: { preallocation: 'metadata' } }, quiet(control));
    const image = await openImage(path, { format: 'qcow2' }, quiet(control));
    let next = 0n;
    let at: bigint | undefined;
    try {
      for await (const { start, length: bytes, offset } of image.extents()) {
        at ??= offset;
        if (at === undefined || start !== next || offset !== at + start) break;
        next += bytes;
      }
    } finally {
      await image.close();
    }
    if (at === undefined || next !== length || at % UNIT !== 0n) throw unlike();
    return await use(path, Number(at));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Bytes of an image whose disk begins at `at`: its last cluster counts in full. */
export function lengthWith(at: number, length: bigint): bigint {
  return BigInt(at) + ((length + UNIT - 1n) / UNIT) * UNIT;
}

const lost = (): FinalFailure =>
  new FinalFailure({
    code: 'OUTPUT_LOST',
    message: 'the place of its disk is not the one that its windows were given; submit it anew',
  });

function placeIn(kept: unknown): Place {
  const found = v.safeParse(keptPlace, kept);
  if (!found.success) throw lost();
  return found.output;
}

/**
 * Where the disk of a qcow2 image begins in its file (byte offset).
 * @throws FinalFailure where another attempt, of another version of this package or of another input, has begun to write it elsewhere
 */
export async function placeOfDisk(length: bigint, job: TakenJob, control: OperationControl): Promise<number> {
  const at = await withTables(length, control, async (_, found) => Promise.resolve(found));
  const kept = placeIn(await job.keep({ at, length: String(length) } satisfies Place));
  if (kept.at !== at || kept.length !== String(length)) throw lost();
  return at;
}

/** Writes the tables of a qcow2 image in front of its disk, which is there, and checks the image. */
export async function writeTables(
  file: FileHandle,
  part: string,
  job: TakenJob,
  control: OperationControl,
): Promise<void> {
  const place = placeIn(await job.kept());
  const length = BigInt(place.length);
  await withTables(length, control, async (path, at) => {
    if (at !== place.at) throw lost();
    const tables = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(PIECE);
      for (let done = 0; done < at;) {
        const { bytesRead } = await tables.read(buffer, 0, Math.min(PIECE, at - done), done);
        if (bytesRead === 0) throw unlike();
        await file.write(buffer, 0, bytesRead, done);
        done += bytesRead;
      }
    } finally {
      await tables.close();
    }
    await file.truncate(Number(lengthWith(at, length)));
  });
  const { corruptions, leaks } = await check(part, { format: 'qcow2', forceShare: true, ...quiet(control) });
  if (corruptions + leaks > 0n) throw unlike();
}
