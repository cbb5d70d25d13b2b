import type { Writable } from 'node:stream';
import { ZstdEncoder } from '@instar/vmm-native';
import { VmcoreError } from '../errors.js';
import { systemErrorText } from '../system-error.js';
import {
  END_FLAG,
  FLATTENED_HEADER_SIZE,
  FLATTENED_SIGNATURE,
  FLATTENED_TYPE,
  FLATTENED_VERSION,
  flattenedHeader,
  recordHeader,
} from '../structures/flattened.js';
import type { Appender, DumpSink } from './dump-sink.js';

const ZEROS = new Uint8Array(1 << 16);

/**
 * Writes to a stream of Node: a pipe, a socket, standard output. The stream is ended with the dump. One call at a time.
 * @param signal ends a call that waits for a stream which takes nothing
 */
export function writableAppender(stream: Writable, signal?: AbortSignal): Appender {
  const failed = (cause: unknown): VmcoreError => {
    return new VmcoreError('WRITE_FAILED', `the stream cannot be written: ${systemErrorText(cause)}`, { cause });
  };
  // A stream that stalls, or that somebody destroys, never says what became of the bytes that it was given.
  let lost: VmcoreError | undefined;
  let giveUp: ((error: VmcoreError) => void) | undefined;
  const lose = (error: VmcoreError): void => {
    lost ??= error;
    giveUp?.(lost);
  };
  const onAbort = (): void => {
    lose(new VmcoreError('ABORTED', 'cancelled', { cause: signal?.reason }));
  };
  const onClose = (): void => {
    lose(failed(new Error('it was closed before the dump was complete')));
  };
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  stream.once('close', onClose);
  const release = (): void => {
    signal?.removeEventListener('abort', onAbort);
    stream.off('close', onClose);
  };
  const wait = async (begin: (done: (error?: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (lost !== undefined) {
        reject(lost);
        return;
      }
      giveUp = reject;
      begin((error) => {
        giveUp = undefined;
        if (error === null || error === undefined) resolve();
        else reject(failed(error));
      });
    });
  // A stream that is never listened to throws its errors; they are told by the calls as well.
  const ignore = (): void => undefined;
  stream.on('error', ignore);
  return {
    async append(...data) {
      for (const bytes of data) {
        if (bytes.length > 0) await wait((done) => stream.write(bytes, done));
      }
    },
    async finish() {
      // The callback gets the error of a stream that could not keep its last bytes.
      await wait((done) => stream.end(done));
      release();
    },
    async abandon() {
      // What a reader has got cannot be taken back; that the end is missing tells it.
      release();
      stream.destroy();
      return Promise.resolve();
    },
  };
}

/** Compresses everything into one zstd stream. */
export function zstdAppender(inner: Appender): Appender {
  const encoder = new ZstdEncoder();
  return {
    async append(...data) {
      for (const bytes of data) await inner.append(await encoder.compress(bytes));
    },
    async finish() {
      await inner.append(await encoder.finish());
      await inner.finish();
    },
    abandon: async () => inner.abandon(),
  };
}

/** A dump in the order of its bytes: gaps become zeros, and nothing can be written before what was written. */
export function sequentialSink(appender: Appender): DumpSink {
  let position = 0n;
  const fill = async (until: bigint): Promise<void> => {
    while (position < until) {
      const left = until - position;
      const part = left < BigInt(ZEROS.length) ? ZEROS.subarray(0, Number(left)) : ZEROS;
      await appender.append(part);
      position += BigInt(part.length);
    }
  };
  return {
    async write(offset, data) {
      if (offset < position) throw new RangeError('a sequential output is written in order');
      await fill(offset);
      await appender.append(data);
      position += BigInt(data.length);
    },
    async finish(length) {
      await fill(length);
      await appender.finish();
    },
    abandon: async () => appender.abandon(),
  };
}

/** A dump as a flattened stream: each write is a record that says where its data belongs. */
export function flattenedSink(appender: Appender): DumpSink {
  let started = false;
  let end = 0n;
  const start = async (): Promise<void> => {
    if (started) return;
    started = true;
    const header = new Uint8Array(FLATTENED_HEADER_SIZE);
    const [type, version] = [FLATTENED_TYPE, FLATTENED_VERSION];
    flattenedHeader.encodeInto(header, { signature: FLATTENED_SIGNATURE, header_type: type, version });
    await appender.append(header);
  };
  const record = async (offset: bigint, data: Uint8Array): Promise<void> => {
    await start();
    await appender.append(recordHeader.encode({ offset, buf_size: BigInt(data.length) }), data);
    if (offset + BigInt(data.length) > end) end = offset + BigInt(data.length);
  };
  return {
    write: record,
    async finish(length) {
      await start();
      // The length of what is rearranged is where its last record ends.
      if (end < length) await record(length - 1n, ZEROS.subarray(0, 1));
      await appender.append(recordHeader.encode({ offset: END_FLAG, buf_size: END_FLAG }));
      await appender.finish();
    },
    abandon: async () => appender.abandon(),
  };
}
