import { lockInput } from '@instar/host-files';
import type { ValueOf } from '@instar/layout';
import { BENCH_FLAG, BENCH_RESULT_MAGIC, BenchConfig, BenchResult, DEVICE_ROLE } from '@instar/shared-abi';
import { openChain } from '../chain.js';
import { EngineError, withEngineErrors } from '../errors.js';
import { forcedFormat } from '../formats.js';
import { openInput } from '../input-file.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkBenchOptions, type CheckedBenchOptions } from '../options/bench.js';
import { checkFileName } from '../options/operations.js';
import { IMAGE_DIRECTORY_ONLY } from '../path-policy.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { dataFilePutBack } from './data-file.js';
import { editInSession, type EditOptions } from './edit.js';
import { openForReading, type ReadOptions } from './reading.js';

/** Which requests a disk gets. */
export interface BenchOptions
  extends Pick<ReadOptions, 'pathPolicy' | 'forceShare' | 'snapshot'>, Pick<EditOptions, 'format' | 'undo'> {
  /** How many (default 75,000). */
  readonly count?: bigint | number | undefined;
  /** Bytes of each (default 4,096). */
  readonly requestLength?: bigint | number | undefined;
  /** Bytes from the beginning of one to that of the next (default: those of a request); behind the end it begins again. */
  readonly step?: bigint | number | undefined;
  /** First virtual byte of the first (default 0). */
  readonly offset?: bigint | number | undefined;
  /** How many reads may be under way at once (default 64). Writes are made one after the other. */
  readonly depth?: number | undefined;
  /** Write this byte (0 to 255), in place of reading: **the content of the disk is lost where it is written**. */
  readonly pattern?: number | undefined;
  /** After how many writes what was written is brought to the disk (default: in the end only). */
  readonly flushInterval?: number | undefined;
  /** Called when the image is open and the requests begin. */
  readonly onStart?: (() => void) | undefined;
}

/** What a disk did. */
export interface BenchReport {
  /** Requests that were made. */
  readonly requests: bigint;
  /** Bytes that were read or written. */
  readonly bytes: bigint;
  /** Milliseconds that they took together: without the start of the sandbox, and without the opening of the image. */
  readonly milliseconds: number;
}

/** Bytes that the tables of an image may need beside what is written. */
const ROOM = 1n << 30n;

function configOf(options: CheckedBenchOptions): Uint8Array {
  const { count, requestLength, step, offset, depth, pattern, flushInterval } = options;
  return BenchConfig.encode({
    flags: pattern === undefined ? 0 : BENCH_FLAG.values.WRITE,
    count,
    request_length: requestLength,
    step: step === 0n ? requestLength : step,
    offset,
    depth,
    flush_interval: flushInterval,
    pattern: pattern ?? 0,
  });
}

/** Has the guest make the requests. */
async function measured(
  session: GuestSession,
  file: string,
  options: CheckedBenchOptions,
  control: OperationControl,
  outputBytes: bigint | undefined,
): Promise<BenchReport> {
  const { count, requestLength } = options;
  options.onStart?.();
  const before = performance.now();
  const result = await perform(session, {
    config: configOf(options),
    result: BenchResult,
    magic: BENCH_RESULT_MAGIC,
    subject: file,
    last: true,
    onProgress: control.onProgress,
    ...(outputBytes === undefined ? {} : { outputBytes }),
  });
  const milliseconds = performance.now() - before;
  requireAll(result, file, options);
  return { requests: count, bytes: count * requestLength, milliseconds };
}

/** @throws EngineError where a request would end behind the disk */
function requireAll(
  { requests, offset, virtual_size: size }: ValueOf<typeof BenchResult>,
  file: string,
  { count, requestLength }: CheckedBenchOptions,
): void {
  if (requests === count) return;
  if (requests > count || offset + requestLength <= size) throw impossibleResult(file);
  throw new EngineError(
    'INVALID_OPTION',
    `request ${requests + 1n} would end behind the disk: ${requestLength} bytes at offset ${offset}, where the disk has ${size}`,
    { file },
  );
}

/**
 * Measures how fast the disk of an image is read or written, as `qemu-img bench` does: many requests of one length, in the
 * sandbox that everything else is done in.
 * @throws EngineError; an image that was written is then as it was before
 */
export async function bench(
  file: string,
  givenOptions: BenchOptions = {},
  givenControl: OperationControl = {},
): Promise<BenchReport> {
  checkFileName(file);
  const options = checkBenchOptions(givenOptions);
  const control = checkControl(givenControl);
  if (options.pattern !== undefined) return benchOfWrites(file, options, control);
  const session = new GuestSession(guestContext(control));
  const { format, pathPolicy, forceShare, snapshot } = options;
  const chain = await openForReading(file, { format, pathPolicy, forceShare, snapshot }, session);
  try {
    return await measured(session, file, options, control, undefined);
  } finally {
    await chain.close();
  }
}

async function benchOfWrites(
  file: string,
  options: CheckedBenchOptions,
  control: OperationControl,
): Promise<BenchReport> {
  if (options.snapshot !== undefined) throw new EngineError('INVALID_OPTION', 'a snapshot is read only', { file });
  const forced = forcedFormat(options.format, file);
  const policy = { references: options.pathPolicy ?? IMAGE_DIRECTORY_ONLY, forceShare: true, strict: false };
  return withEngineErrors(async () => {
    const session = new GuestSession(guestContext(control), { inOrder: true });
    // Without locks of its own: what is edited is locked when it is, the others here.
    const putBack = dataFilePutBack(session.context, policy.references);
    const top = await openInput(file, true, { onWarning: session.context.onWarning }, putBack);
    const chain = await openChain(top, forced, policy, session, DEVICE_ROLE.values.COMPARED);
    try {
      for (const layer of chain.layers) if (layer.file !== top) lockInput(layer.file.fd, layer.file.path);
      const { format, virtual_size: size } = chain.layers[0].info;
      const { dataFile } = chain.layers[0];
      const beside = chain.files.filter((other) => other !== dataFile);
      const { references } = policy;
      const about = { path: file, identity: top.identity, format, undo: options.undo, references, beside };
      const written = options.count * options.requestLength;
      return await editInSession(session, about, async () =>
        // Of a unit of the image, as much as two mebibytes, a request may be the smallest part.
        measured(
          session,
          file,
          options,
          control,
          (top.size + size) * 2n + written + options.count * (2n << 20n) + ROOM,
        ),
      );
    } finally {
      await session.close();
      await chain.close();
    }
  });
}
