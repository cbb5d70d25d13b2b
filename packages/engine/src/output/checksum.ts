import { directoryOf, openFile } from '@instar/host-files';
import { DEVICE_FLAG } from '@instar/shared-abi';
import { createHash, type Hash } from 'node:crypto';
import { constants, read } from 'node:fs';
import { promisify } from 'node:util';
import { openChain, type ChainPolicy } from '../chain.js';
import { EngineError, fileError } from '../errors.js';
import { adoptInput, openInput, type InputFile } from '../input-file.js';
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
 * @param outputs its parts, one behind the other
 * @param context its `onProgress` receives the bytes done, and all as far as they are known
 * @throws EngineError
 */
export async function checksumsOf(
  outputs: readonly WrittenDisk[],
  algorithms: readonly ChecksumAlgorithm[],
  context: GuestContext,
): Promise<Checksums> {
  const sums = new Sums(algorithms, context);
  for (const output of outputs) await sums.add(await openOutput(output, context), output);
  return sums.done();
}

/**
 * Sums up disks that lie one behind the other, as they are read: what an output has that cannot be read back.
 * @param images which are closed here
 * @param size bytes; what the disks lack of it are zeros
 * @throws EngineError
 */
export async function checksumsOfDisks(
  images: AsyncIterable<Image>,
  size: bigint,
  algorithms: readonly ChecksumAlgorithm[],
  context: Pick<GuestContext, 'signal' | 'onProgress'>,
): Promise<Checksums> {
  const sums = new Sums(algorithms, context);
  for await (const image of images) await sums.add(image);
  sums.extend(size);
  return sums.done();
}

/** Several hashes of the same bytes. */
class Sums {
  readonly #hashes: readonly (readonly [ChecksumAlgorithm, Hash])[];
  readonly #context: Pick<GuestContext, 'signal' | 'onProgress'>;
  #bytes = 0n;

  constructor(algorithms: readonly ChecksumAlgorithm[], context: Pick<GuestContext, 'signal' | 'onProgress'>) {
    this.#hashes = algorithms.map((name) => [name, hashOf(name)] as const);
    this.#context = context;
  }

  /** Takes the disk of an image, and closes it. */
  async add(image: Image, output?: WrittenDisk): Promise<void> {
    const end = this.#bytes + image.virtualSize;
    try {
      for await (const bytes of ahead(piecesOf(output, image))) {
        this.#take(bytes);
        this.#context.onProgress?.(this.#bytes, end);
      }
    } finally {
      await image.close();
    }
  }

  /** Takes zeros up to a size (bytes). */
  extend(size: bigint): void {
    while (this.#bytes < size) {
      const left = size - this.#bytes;
      this.#take(ZEROS.subarray(0, left < BigInt(PIECE) ? Number(left) : PIECE));
    }
  }

  done(): Checksums {
    return Object.fromEntries(this.#hashes.map(([name, hash]) => [name, hash.digest('hex')]));
  }

  #take(bytes: Uint8Array): void {
    throwIfAborted(this.#context.signal);
    this.#hashes.forEach(([, hash]) => hash.update(bytes));
    this.#bytes += BigInt(bytes.length);
  }
}

/**
 * Refuses what cannot be computed here, before anything is copied for it.
 * @throws EngineError `INVALID_OPTION`
 */
export function requireHashes(algorithms: readonly ChecksumAlgorithm[]): void {
  algorithms.forEach(hashOf);
}

/** The disk, piece by piece. A piece holds until the one after the next is asked for. */
async function* piecesOf(output: WrittenDisk | undefined, image: Image): AsyncGenerator<Uint8Array> {
  const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)] as const;
  let turn = 0;
  for await (const { start, length, zero, data, offset, filename } of image.extents()) {
    const plain = data && output !== undefined && filename === output.name ? offset : undefined;
    for (let at = 0n; at < length; at += BigInt(PIECE)) {
      const size = length - at < BigInt(PIECE) ? Number(length - at) : PIECE;
      if (zero) yield ZEROS.subarray(0, size);
      else if (plain === undefined || output === undefined) yield await image.read(start + at, size);
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
  const file = { ...(await anotherDescriptor(fd, name)), size: length };
  const below = backing === undefined ? [] : [directoryOf(combinePath(name, backing.name))];
  const references = { ...IMAGE_DIRECTORY_ONLY, allowedDirectories: below };
  return openAlone(file, format, { references, forceShare: true, strict: false }, context);
}

/** A description of its own of an open file. */
async function anotherDescriptor(fd: number, name: string): Promise<InputFile> {
  let own: number;
  try {
    own = await openFile(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } catch (error) {
    throw unreadable(name, error);
  }
  return adoptInput(own, name, true);
}

/** An image in a sandbox of its own. */
async function openAlone(
  file: InputFile,
  format: number,
  policy: ChainPolicy,
  { sandbox, limits, signal, secrets, remote }: GuestContext,
): Promise<Image> {
  const session = new GuestSession({ sandbox, isolation: 'fresh', limits, signal, secrets, remote });
  const chain = await openChain(file, format, policy, session);
  try {
    return new Image(chain, await scratchOf(session));
  } catch (error) {
    await chain.close();
    throw error;
  }
}

/** Inputs that are open, once more: each with its format and how it is opened. */
export async function* openedAgain(
  inputs: readonly { readonly file: InputFile; readonly format: number; readonly policy: ChainPolicy }[],
  context: GuestContext,
): AsyncGenerator<Image> {
  for (const { file, format, policy } of inputs) {
    const { fd, path, remote } = file;
    const again = remote === undefined ? await anotherDescriptor(fd, path) : await openInput(path, true, context);
    yield await openAlone(again, format, { ...policy, forceShare: true }, context);
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
