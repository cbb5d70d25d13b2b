import type { Readable } from 'node:stream';
import { checkAborted, VmcoreError } from '../errors.js';
import type { DumpSink } from '../sink/dump-sink.js';
import { OutputFile } from '../sink/output-file.js';
import { flattenedSink, writableAppender } from '../sink/sequential.js';
import { fillFrom } from '../source/byte-source.js';
import { fileSource } from '../source/file-source.js';
import { checkRecord } from '../source/flattened-index.js';
import { checkFlattenedHeader, isFlattened } from '../source/flattened-source.js';
import { END_FLAG, FLATTENED_HEADER_SIZE, RECORD_HEADER_SIZE, recordHeader } from '../structures/flattened.js';
import type { DumpOutput } from '../write/write-dump.js';
import { nonZeroRuns } from '../zero.js';

/** Bytes that are read at once. */
const CHUNK = 4 << 20;
/** Blocks of zeros of this size are left out of a flattened stream. */
const BLOCK = 64 << 10;

/** How a stream is flattened or rearranged. */
export interface FlattenOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes done and bytes to do (0 when that is not known). */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
}

/** How a flattened stream is rearranged. */
export interface UnflattenOptions extends FlattenOptions {
  /** Bytes of the stream, where they are known. */
  readonly size?: bigint | undefined;
}

/**
 * Writes any dump file as a flattened stream.
 * @throws VmcoreError `INVALID_ARGUMENT` when it is one already, `READ_FAILED`, `WRITE_FAILED`, `ABORTED`
 */
export async function flatten(file: string, output: DumpOutput, options: FlattenOptions = {}): Promise<void> {
  const source = await fileSource(file);
  try {
    const start = new Uint8Array(16);
    if (isFlattened(start.subarray(0, await source.read(0n, start)))) {
      throw new VmcoreError('INVALID_ARGUMENT', 'is a flattened stream already', { file });
    }
    const appender = 'file' in output ? await OutputFile.create(output.file) : writableAppender(output.stream);
    const sink = flattenedSink(appender);
    try {
      const buffer = new Uint8Array(CHUNK);
      for (let at = 0n; at < source.size; at += BigInt(CHUNK)) {
        checkAborted(options.signal);
        const left = source.size - at;
        const data = buffer.subarray(0, left < BigInt(CHUNK) ? Number(left) : CHUNK);
        await fillFrom(source, at, data, 'dump');
        for (const [from, length] of nonZeroRuns(data, BLOCK)) {
          await sink.write(at + BigInt(from), data.subarray(from, from + length));
        }
        options.onProgress?.(at + BigInt(data.length), source.size);
      }
      await sink.finish(source.size);
    } catch (error) {
      await sink.abandon();
      throw error;
    }
  } finally {
    await source.close();
  }
}

/** Reads a stream in pieces of known size, whatever its chunks are. */
class StreamReader {
  readonly #chunks: AsyncIterator<unknown>;
  #held: Uint8Array = new Uint8Array(0);
  /** Bytes that were taken. */
  position = 0n;

  readonly #aborted: Promise<never>;

  constructor(stream: AsyncIterable<unknown>, signal: AbortSignal | undefined) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#aborted = new Promise((_resolve, reject) => {
      const abort = (): void => {
        reject(new VmcoreError('ABORTED', 'cancelled', { cause: signal?.reason }));
      };
      if (signal?.aborted === true) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
    // Whoever waits for bytes is told; when nobody does, nobody need be.
    this.#aborted.catch(() => undefined);
  }

  /** At least one byte and at most so many; undefined at the end. The bytes stay valid until the next call. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0) {
      // A pipe may never deliver anything.
      const next = await Promise.race([this.#chunks.next(), this.#aborted]);
      if (next.done === true) return undefined;
      if (!(next.value instanceof Uint8Array)) throw new TypeError('the stream must deliver bytes');
      this.#held = next.value;
    }
    const taken = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(taken.length);
    this.position += BigInt(taken.length);
    return taken;
  }

  /** Exactly so many bytes; undefined when the stream ends before. */
  async exactly(count: number): Promise<Uint8Array | undefined> {
    const first = await this.some(count);
    if (first === undefined || first.length === count) return first;
    const whole = new Uint8Array(count);
    whole.set(first);
    for (let done = first.length; done < count;) {
      const more = await this.some(count - done);
      if (more === undefined) return undefined;
      whole.set(more, done);
      done += more.length;
    }
    return whole;
  }
}

/**
 * Rearranges a flattened stream into the file that it stands for (makedumpfile -R).
 * @param stream bytes in order, as from a file or a pipe
 * @param name what messages call it
 * @throws VmcoreError `NOT_A_DUMP`, `UNSUPPORTED`, `BAD_DUMP`, `TRUNCATED`, `WRITE_FAILED`, `ABORTED`; no file is left then
 */
export async function unflatten(
  stream: Readable | AsyncIterable<Uint8Array>,
  file: string,
  name: string,
  options: UnflattenOptions = {},
): Promise<void> {
  const reader = new StreamReader(stream, options.signal);
  try {
    await rearrangeInto(reader, file, name, options);
  } catch (error) {
    // A pipe that is still open would keep the program waiting for it.
    if ('destroy' in stream) stream.destroy();
    throw error;
  }
}

async function rearrangeInto(
  reader: StreamReader,
  file: string,
  name: string,
  options: UnflattenOptions,
): Promise<void> {
  const start = await reader.exactly(FLATTENED_HEADER_SIZE);
  if (start === undefined || !isFlattened(start)) {
    throw new VmcoreError('NOT_A_DUMP', 'is no flattened stream', {
      file: name,
      offset: 0n,
      expected: 'a stream that begins with "makedumpfile"',
    });
  }
  checkFlattenedHeader(start, name);
  const output = await OutputFile.create(file);
  try {
    await output.finish(await rearrange(reader, output, name, options));
  } catch (error) {
    await output.abandon();
    throw error;
  }
}

async function rearrange(
  reader: StreamReader,
  output: DumpSink,
  name: string,
  { signal, onProgress, size: total = 0n }: UnflattenOptions,
): Promise<bigint> {
  let length = 0n;
  const ended = (): VmcoreError =>
    new VmcoreError('TRUNCATED', 'the flattened stream ends before its end mark', {
      file: name,
      field: 'makedumpfile_data_header',
      offset: reader.position,
      expected: 'a record of offset -1 and size -1 at the end',
    });
  for (;;) {
    checkAborted(signal);
    const at = reader.position;
    const bytes = await reader.exactly(RECORD_HEADER_SIZE);
    if (bytes === undefined) throw ended();
    const header = recordHeader.decode(bytes);
    if (header.offset === END_FLAG && header.buf_size === END_FLAG) return length;
    checkRecord(header, name, at);
    for (let done = 0n; done < header.buf_size;) {
      const left = header.buf_size - done;
      const data = await reader.some(left < BigInt(CHUNK) ? Number(left) : CHUNK);
      if (data === undefined) throw ended();
      await output.write(header.offset + done, data);
      done += BigInt(data.length);
    }
    if (header.offset + header.buf_size > length) length = header.offset + header.buf_size;
    onProgress?.(reader.position, total);
  }
}
