import type { Readable } from 'node:stream';
import { checkAborted, VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import { OutputFile } from '../sink/output-file.js';
import { streamIdentity } from '../sink/stream-identity.js';
import { WriteGroups } from '../sink/write-groups.js';
import { fileSource } from '../source/file-source.js';
import { checkRecord } from '../source/flattened-index.js';
import { checkFlattenedHeader, isFlattened } from '../source/flattened-source.js';
import { END_FLAG, FLATTENED_HEADER_SIZE, RECORD_HEADER_SIZE, recordHeader } from '../structures/flattened.js';
import { systemErrorText } from '../system-error.js';
import type { FlattenOptions } from './flatten.js';

/** Bytes that are read of a file at once. */
const CHUNK = 4 << 20;

/** A flattened stream piece by piece. A piece may be used again when the one after the next is asked for. */
interface Pieces {
  readonly name: string;
  /** Bytes of the stream; 0 when that is not known. */
  readonly size: bigint;
  /** The next piece; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  readonly identity?: string | undefined;
  close(): Promise<void>;
}

async function piecesOfFile(file: string): Promise<Pieces> {
  const source = await fileSource(file);
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)] as const;
  let position = 0n;
  let turn = 0;
  let reading: Promise<number> = Promise.resolve(0);
  return {
    name: file,
    size: source.size,
    identity: source.identity,
    async next() {
      const buffer = buffers[turn % 2 === 0 ? 0 : 1];
      turn += 1;
      reading = source.read(position, buffer);
      const read = await reading;
      position += BigInt(read);
      return read === 0 ? undefined : buffer.subarray(0, read);
    },
    async close() {
      await reading.catch(() => undefined);
      await source.close();
    },
  };
}

function piecesOfStream(stream: Readable | AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Pieces {
  const iterator: AsyncIterator<unknown> = stream[Symbol.asyncIterator]();
  let giveUp: (() => void) | undefined;
  const onAbort = (): void => giveUp?.();
  signal?.addEventListener('abort', onAbort, { once: true });
  const pull = async (): Promise<IteratorResult<unknown, unknown>> =>
    new Promise((resolve, reject) => {
      // A pipe may never deliver anything. (A race with one promise for all pieces would hold on to each of them.)
      giveUp = () => {
        reject(new VmcoreError('ABORTED', 'cancelled', { cause: signal?.reason }));
      };
      if (signal?.aborted === true) giveUp();
      else {
        iterator.next().then(resolve, (error: unknown) => {
          const problem = `the stream cannot be read: ${systemErrorText(error)}`;
          reject(error instanceof VmcoreError ? error : new VmcoreError('READ_FAILED', problem, { cause: error }));
        });
      }
    });
  return {
    name: 'stream',
    size: 0n,
    async next() {
      const result = await pull();
      if (result.done === true) return undefined;
      const { value } = result;
      if (value instanceof Uint8Array) return value;
      throw new VmcoreError('INVALID_ARGUMENT', 'the stream must deliver bytes');
    },
    async close() {
      signal?.removeEventListener('abort', onAbort);
      // A pipe that is still open would keep the program waiting for it.
      if ('destroy' in stream) stream.destroy();
      // It may wait for something that never comes, and so is not waited for.
      else iterator.return?.().catch(() => undefined);
      return Promise.resolve();
    },
  };
}

/** Takes a flattened stream apart, whatever its pieces are. */
class Rearranger {
  readonly #name: string;
  readonly #output: WriteGroups;
  /** Bytes of a header that came in pieces. */
  readonly #header = new Uint8Array(FLATTENED_HEADER_SIZE);
  #held = 0;
  #started = false;
  /** Where the rest of the current record belongs, and its bytes. */
  #offset = 0n;
  #left = 0n;
  #position = 0n;
  /** Bytes of the rearranged file. */
  length = 0n;
  ended = false;

  constructor(name: string, output: WriteGroups) {
    this.#name = name;
    this.#output = output;
  }

  async take(piece: Uint8Array): Promise<void> {
    let at = 0;
    while (at < piece.length && !this.ended) {
      if (this.#left > 0n) {
        const room = piece.length - at;
        const part = this.#left < BigInt(room) ? Number(this.#left) : room;
        await this.#output.add(this.#offset, piece.subarray(at, at + part));
        this.#offset += BigInt(part);
        this.#left -= BigInt(part);
        at += part;
      } else {
        at += this.#takeHeader(piece, at);
      }
    }
    this.#position += BigInt(piece.length);
  }

  #takeHeader(piece: Uint8Array, at: number): number {
    const size = this.#started ? RECORD_HEADER_SIZE : FLATTENED_HEADER_SIZE;
    const part = piece.subarray(at, at + size - this.#held);
    this.#header.set(part, this.#held);
    this.#held += part.length;
    if (this.#held < size) {
      if (!this.#started && !isFlattened(this.#header.subarray(0, this.#held)) && this.#held >= 16)
        throw this.#foreign();
      return part.length;
    }
    this.#held = 0;
    if (this.#started) this.#startRecord(this.#position + BigInt(at));
    else if (isFlattened(this.#header)) checkFlattenedHeader(this.#header, this.#name);
    else throw this.#foreign();
    this.#started = true;
    return part.length;
  }

  #startRecord(position: bigint): void {
    const header = recordHeader.decode(this.#header);
    if (header.offset === END_FLAG && header.buf_size === END_FLAG) {
      this.ended = true;
      return;
    }
    checkRecord(header, this.#name, position);
    this.#offset = header.offset;
    this.#left = header.buf_size;
    const end = header.offset + header.buf_size;
    // A record without data says nothing, not even how long the file is.
    if (header.buf_size > 0n && end > this.length) this.length = end;
  }

  #foreign(): VmcoreError {
    return new VmcoreError('NOT_A_DUMP', 'is not a flattened stream', {
      file: this.#name,
      offset: 0n,
      expected: 'a stream that begins with "makedumpfile"',
    });
  }

  /** The error of a stream that has ended before its end mark. */
  cutOff(): VmcoreError {
    if (!this.#started) return this.#foreign();
    return new VmcoreError('TRUNCATED', 'the flattened stream ends before its end mark', {
      file: this.#name,
      field: 'makedumpfile_data_header',
      offset: this.#position,
      expected: 'a record of offset -1 and size -1 at the end',
    });
  }
}

/**
 * Rearranges a flattened stream into the file that it stands for (makedumpfile -R).
 * @param input name of a file, or a stream of bytes in order, as from a pipe
 * @param file what is written, beside its name first
 * @throws VmcoreError `NOT_A_DUMP`, `UNSUPPORTED`, `BAD_DUMP`, `TRUNCATED`, `READ_FAILED`, `SAME_FILE`, `WRITE_FAILED`, `ABORTED`; no
 *   file is left then
 */
export async function unflatten(
  input: string | Readable | AsyncIterable<Uint8Array>,
  file: string,
  options: FlattenOptions = {},
): Promise<void> {
  check.unflattenable(input);
  check.file(file);
  check.progress(options);
  const pieces = typeof input === 'string' ? await piecesOfFile(input) : piecesOfStream(input, options.signal);
  try {
    const whose = typeof input === 'string' ? pieces.identity : streamIdentity(input);
    const inputs = whose === undefined ? [] : [{ path: pieces.name, identity: whose }];
    const output = await OutputFile.create(file, { inputs, onWarning: options.onWarning });
    try {
      await output.finish(await rearrange(pieces, output, options));
    } catch (error) {
      await output.abandon();
      throw error;
    }
  } finally {
    await pieces.close();
  }
}

async function rearrange(pieces: Pieces, output: OutputFile, options: FlattenOptions): Promise<bigint> {
  const groups = new WriteGroups(output);
  const rearranger = new Rearranger(pieces.name, groups);
  let done = 0n;
  let next = pieces.next();
  next.catch(() => undefined);
  for (;;) {
    checkAborted(options.signal);
    const piece = await next;
    if (piece === undefined) throw rearranger.cutOff();
    // The next piece is read while this one is written.
    next = pieces.next();
    next.catch(() => undefined);
    await rearranger.take(piece);
    await groups.flush();
    // A pipe may stay open behind the end mark.
    if (rearranger.ended) return rearranger.length;
    done += BigInt(piece.length);
    options.onProgress?.(done, pieces.size);
  }
}
