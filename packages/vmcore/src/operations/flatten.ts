import { checkAborted, VmcoreError } from '../errors.js';
import { check } from '../options/calls.js';
import { OutputFile } from '../sink/output-file.js';
import { flattenedSink, writableAppender } from '../sink/sequential.js';
import { checkStream } from '../sink/stream-identity.js';
import { fillFrom } from '../source/byte-source.js';
import { fileSource } from '../source/file-source.js';
import { isFlattened } from '../source/flattened-source.js';
import type { DumpOutput } from '../write/write-dump.js';
import { nonZeroRuns } from '../zero.js';

/** Bytes that are read at once. */
const CHUNK = 4 << 20;
/** Blocks of zeros of this size are left out of a flattened stream. */
const BLOCK = 64 << 10;

/** How a dump is flattened, or a stream rearranged. */
export interface FlattenOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes done and bytes to do (0 when that is not known). */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  /** Called with sentences that a user should see. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/**
 * Writes any dump file as a flattened stream.
 * @throws VmcoreError `INVALID_ARGUMENT` when it is one already, `SAME_FILE`, `READ_FAILED`, `WRITE_FAILED`, `ABORTED`
 */
export async function flatten(file: string, output: DumpOutput, options: FlattenOptions = {}): Promise<void> {
  check.file(file);
  const target = check.output(output);
  check.progress(options);
  const source = await fileSource(file);
  try {
    const start = new Uint8Array(16);
    if (isFlattened(start.subarray(0, await source.read(0n, start)))) {
      throw new VmcoreError('INVALID_ARGUMENT', 'is a flattened stream already', { file });
    }
    const inputs = source.identity === undefined ? [] : [{ path: file, identity: source.identity }];
    if ('stream' in target) checkStream(target.stream, inputs);
    const appender =
      'file' in target
        ? await OutputFile.create(target.file, { inputs, onWarning: options.onWarning })
        : writableAppender(target.stream, options.signal);
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
