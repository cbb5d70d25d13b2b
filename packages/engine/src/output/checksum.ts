import { directoryOf, openFile } from '@instar/host-files';
import { DEVICE_FLAG } from '@instar/shared-abi';
import { createHash, type Hash } from 'node:crypto';
import { constants, read } from 'node:fs';
import { promisify } from 'node:util';
import { openChain } from '../chain.js';
import { EngineError, fileError } from '../errors.js';
import { adoptInput } from '../input-file.js';
import { Image } from '../operations/open-image.js';
import { ScratchFile } from '../operations/scratch.js';
import { combinePath, IMAGE_DIRECTORY_ONLY } from '../path-policy.js';
import type { GuestContext } from '../session/context.js';
import { throwIfAborted } from '../session/run.js';
import { GuestSession } from '../session/session.js';
import type { FinishedOutput } from './check.js';

/** Functions by which the disk of an output is summed up. */
export const CHECKSUM_ALGORITHMS = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const;

/** One of them. */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** An output whose disk is summed up. */
export type WrittenDisk = Pick<FinishedOutput, 'fd' | 'name' | 'format' | 'length' | 'backing'>;

/** Checksums in hexadecimal digits, by their algorithms. */
export type Checksums = Readonly<Partial<Record<ChecksumAlgorithm, string>>>;

const readAt = promisify(read);
/** Bytes that are read and summed up at once. */
const PIECE = 4 << 20;
const ZEROS = new Uint8Array(PIECE);

/**
 * Sums up the disk of an output as it reads back, before it has its name: in a sandbox that has not seen the input, and
 * through what lies below the output. Zeros that its metadata tells of are not read.
 * @throws EngineError
 */
export async function checksumsOf(
  output: WrittenDisk,
  algorithms: readonly ChecksumAlgorithm[],
  context: GuestContext,
): Promise<Checksums> {
  const hashes = algorithms.map((name) => [name, hashOf(name)] as const);
  const image = await openOutput(output, context);
  try {
    let done = 0n;
    for await (const bytes of ahead(piecesOf(output, image))) {
      throwIfAborted(context.signal);
      hashes.forEach(([, hash]) => hash.update(bytes));
      done += BigInt(bytes.length);
      context.onProgress?.(done, image.virtualSize);
    }
  } finally {
    await image.close();
  }
  return Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest('hex')]));
}

/**
 * Refuses what cannot be computed here, before anything is copied for it.
 * @throws EngineError `INVALID_OPTION`
 */
export function requireHashes(algorithms: readonly ChecksumAlgorithm[]): void {
  algorithms.forEach(hashOf);
}

/** The disk, piece by piece. A piece holds until the one after the next is asked for. */
async function* piecesOf(output: WrittenDisk, image: Image): AsyncGenerator<Uint8Array> {
  const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)] as const;
  let turn = 0;
  for await (const { start, length, zero, data, offset, filename } of image.extents()) {
    const plain = data && filename === output.name ? offset : undefined;
    for (let at = 0n; at < length; at += BigInt(PIECE)) {
      const size = length - at < BigInt(PIECE) ? Number(length - at) : PIECE;
      if (zero) yield ZEROS.subarray(0, size);
      else if (plain === undefined) yield await image.read(start + at, size);
      else {
        turn = 1 - turn;
        yield await readBack(output, plain + at, (buffers[turn] ?? buffers[0]).subarray(0, size));
      }
    }
  }
}

/** Asks for the next one while the caller works on one. */
async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    for (let next = source.next(); ;) {
      const found = await next;
      if (found.done === true) return;
      next = source.next();
      // Whoever comes back for it hears of it.
      next.catch(() => undefined);
      yield found.value;
    }
  } finally {
    await source.return(undefined);
  }
}

function hashOf(name: ChecksumAlgorithm): Hash {
  try {
    return createHash(name);
  } catch (error) {
    throw new EngineError('INVALID_OPTION', `checksums: ${name} is not to be had here`, { cause: error });
  }
}

async function openOutput(output: WrittenDisk, context: GuestContext): Promise<Image> {
  const { fd, name, format, length, backing } = output;
  let own: number;
  try {
    // A description of its own, which the image closes.
    own = await openFile(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } catch (error) {
    throw unreadable(name, error);
  }
  const file = { ...(await adoptInput(own, name, true)), size: length };
  const below = backing === undefined ? [] : [directoryOf(combinePath(name, backing.name))];
  const references = { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: below };
  const { sandbox, limits, signal, secrets } = context;
  const session = new GuestSession({ sandbox, isolation: 'fresh', limits, signal, secrets });
  const chain = await openChain(file, format, { references, forceShare: true, strict: false }, session);
  try {
    return new Image(chain, await scratchOf(session));
  } catch (error) {
    await chain.close();
    throw error;
  }
}

async function scratchOf(session: GuestSession): Promise<ScratchFile> {
  const scratch = await ScratchFile.create();
  session.add({ ...scratch.device, entry: { ...scratch.device.entry, flags: DEVICE_FLAG.values.EXACT } });
  return scratch;
}

/** Fills `into`; behind the end of the file there are zeros. */
async function readBack({ fd, name }: WrittenDisk, offset: bigint, into: Uint8Array): Promise<Uint8Array> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await readAt(fd, into, filled, into.length - filled, Number(offset) + filled).catch(
      (error: unknown) => {
        throw unreadable(name, error);
      },
    );
    if (bytesRead === 0) return into.fill(0, filled);
    filled += bytesRead;
  }
  return into;
}

function unreadable(name: string, error: unknown): EngineError {
  return fileError('READ_FAILED', name, 'cannot be read back for its checksum', error);
}
