import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { checkAborted, VmcoreError } from '../errors.js';
import { unflatten } from '../operations/unflatten.js';
import { check } from '../options/calls.js';
import { OutputFile } from '../sink/output-file.js';
import { fileSource } from '../source/file-source.js';
import { isFlattened } from '../source/flattened-source.js';
import { systemErrorText } from '../system-error.js';
import type { Dump } from './dump.js';
import { openSource } from './open.js';

/** How a dump is taken from a stream. */
export interface StreamOptions {
  /** Where its bytes are kept while it is open (default: that of temporary files). */
  readonly directory?: string | undefined;
  /** What messages call it (default `stream`). */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that tell a flattened stream from other files. */
const SIGNATURE_BYTES = 16;

type Bytes = Readable | AsyncIterable<Uint8Array>;

/** The first bytes of a stream, and all of it again. The stream itself is what is asked to end. */
async function peek(stream: Bytes): Promise<{ readonly start: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const iterator: AsyncIterator<unknown, unknown> = stream[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  while (length < SIGNATURE_BYTES) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    if (!(value instanceof Uint8Array)) throw new VmcoreError('INVALID_ARGUMENT', 'the stream must deliver bytes');
    first.push(Buffer.from(value));
    length += value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* first;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield value as Uint8Array;
    }
  }
  return { start: Buffer.concat(first), all: all() };
}

async function copy(bytes: AsyncIterable<Uint8Array>, file: string, signal: AbortSignal | undefined): Promise<void> {
  const output = await OutputFile.create(file, { inputs: [] });
  try {
    for await (const piece of bytes) {
      checkAborted(signal);
      await output.append(piece);
    }
    await output.finish();
  } catch (error) {
    await output.abandon();
    throw error;
  }
}

/**
 * Opens a dump out of a stream, as from a pipe: a flattened stream is rearranged, whatever else comes is kept as it is, in
 * a file of mode 0600 that has no name any more when this resolves.
 * @throws VmcoreError as `openDump`, and `READ_FAILED`, `WRITE_FAILED`, `ABORTED`
 */
export async function openStream(stream: Bytes, options: StreamOptions = {}): Promise<Dump> {
  check.unflattenable(stream);
  const { directory = tmpdir(), name = 'stream', signal } = check.stream(options);
  let place: string;
  try {
    place = await mkdtemp(`${directory}/instar-dump-`);
  } catch (error) {
    const problem = `no place for the dump: ${systemErrorText(error)}`;
    throw new VmcoreError('WRITE_FAILED', problem, { file: directory, cause: error });
  }
  const end = (): void => {
    if ('destroy' in stream) stream.destroy();
  };
  signal?.addEventListener('abort', end, { once: true });
  try {
    const file = `${place}/dump`;
    const { start, all } = await peek(stream);
    if (isFlattened(start)) await unflatten(all, file, { signal });
    else await copy(all, file, signal);
    const source = await fileSource(file);
    return await openSource({ ...source, name });
  } catch (error) {
    checkAborted(signal);
    if (error instanceof VmcoreError) throw error;
    throw new VmcoreError('READ_FAILED', `the stream cannot be read: ${systemErrorText(error)}`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', end);
    end();
    await rm(place, { recursive: true, force: true });
  }
}
