import { closeFile, identity, openFile, statFile, type OutputFile } from '@instar/host-files';
import { MAX_SIZE, roundUpToSector } from '@instar/operands';
import { copyStream, createControl, VmmError, type StreamOptions, type StreamReport } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { warnOfSkip, type DdRequest, type DdResult } from './dd-request.js';
import { planOf, type Plan } from './plan.js';
import type { OperationControl } from './operation.js';
import { describeSystemError, EngineError, fileError } from './errors.js';
import { abandonQuietly, openOutputFile } from './output/file.js';
import { requireOutputSize, requireVirtualSize } from './size-limits.js';

const PROGRESS_INTERVAL_MS = 100;
const ZEROS = '/dev/zero';

/**
 * A pipe as an output: nothing is created, and nothing can be taken back.
 * @param fresh what is not written is no part of it
 */
export function streamOutput(
  fd: number,
  exactLength: bigint | undefined,
  signal: AbortSignal | undefined,
  fresh = false,
): OutputFile {
  return {
    fd,
    start: 0n,
    room: undefined,
    fresh,
    async sync() {
      return Promise.resolve();
    },
    async finish(length) {
      if (exactLength === undefined || exactLength <= length) return length;
      await writeZeros(fd, exactLength - length, signal);
      return exactLength;
    },
    async abandon() {
      return Promise.resolve();
    },
  };
}

async function writeZeros(target: number, count: bigint, signal: AbortSignal | undefined): Promise<void> {
  const source = await openFile(ZEROS, constants.O_RDONLY);
  try {
    await cancellable({ source, target, skip: 0n, limit: count }, { signal });
  } catch (error) {
    throw streamError(error, 'standard output', signal);
  } finally {
    await closeFile(source);
  }
}

/** Says which side of a copy failed. */
function streamError(error: unknown, output: string, signal: AbortSignal | undefined): unknown {
  if (!(error instanceof VmmError)) return error;
  if (signal?.aborted === true) return new EngineError('ABORTED', 'aborted', { cause: error });
  if (error.code.startsWith('SOURCE_')) {
    const why = describeSystemError(error.code.slice('SOURCE_'.length));
    return new EngineError('READ_FAILED', `cannot be read: ${why}`, { file: 'standard input', cause: error });
  }
  return fileError('WRITE_FAILED', output, 'cannot be written', error);
}

async function cancellable(
  options: StreamOptions,
  { signal, onProgress }: Pick<OperationControl, 'signal' | 'onProgress'>,
  total = 0n,
): Promise<StreamReport> {
  if (signal?.aborted === true) throw new EngineError('ABORTED', 'aborted', { cause: signal.reason });
  const handle = createControl();
  const onAbort = (): void => {
    handle.cancel();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    onProgress &&
    setInterval(() => {
      onProgress(handle.progress().done, total);
    }, PROGRESS_INTERVAL_MS);
  try {
    return await copyStream(options, handle);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Copies a stream to its end.
 * @param output the target, for messages
 * @throws EngineError `READ_FAILED`, `WRITE_FAILED`, `NO_SPACE`, `ABORTED`
 */
export async function copyAll(
  options: StreamOptions,
  output: string,
  control: Pick<OperationControl, 'signal' | 'onProgress'>,
): Promise<void> {
  try {
    await cancellable(options, control);
  } catch (error) {
    throw streamError(error, output, control.signal);
  }
}

/**
 * dd from a stream of raw bytes. Nothing is parsed, so no sandbox runs: bytes go from descriptor to descriptor, and the
 * window applies as they are read.
 */
export async function ddFromStream(
  request: DdRequest,
  source: number,
  control: OperationControl,
  started: number,
): Promise<DdResult> {
  const { output: target, inputSize, outputSize } = request;
  if (request.sparse === true) {
    throw new EngineError('INVALID_OPTION', 'conv=sparse needs an input file: a stream is written as it is read');
  }
  const plan = planOf(request, inputSize ?? MAX_SIZE);
  const { window, bytes: wanted } = plan;
  warnOfSkip(request, window, control, 'standard input');
  const limits = control.limits ?? {};
  if (inputSize !== undefined) requireVirtualSize(inputSize, limits, 'standard input');
  if (inputSize !== undefined || outputSize !== undefined)
    requireOutputSize(outputSize ?? wanted, limits, request.outputName);
  const allowed = limits.maxOutputSize === undefined ? MAX_SIZE : BigInt(limits.maxOutputSize);
  const toStream = 'stream' in target;
  const output = toStream
    ? streamOutput(target.stream, outputSize, control.signal)
    : await createStreamTarget(request, plan, target.path, source, control);
  try {
    const { skipped, copied } = await cancellable(
      {
        source,
        target: output.fd,
        ...(toStream ? {} : { targetOffset: output.start }),
        skip: window.outVsize === 0n ? 0n : window.windowStart,
        limit: allowed < wanted ? allowed : wanted,
      },
      control,
      wanted === MAX_SIZE ? 0n : wanted,
    );
    if (allowed < wanted && copied === allowed) {
      const more = await cancellable({ source, target: output.fd, skip: 1n, limit: 0n }, { signal: control.signal });
      requireOutputSize(copied + more.skipped, { maxOutputSize: allowed }, request.outputName);
    }
    // Without isize= the end of the stream is the end of the disk, which only now is known.
    if (inputSize === undefined && window.outVsize > 0n && skipped < window.windowStart) {
      warnOfSkip(request, { ...window, skipPastEnd: true }, control, 'standard input');
    }
    const bytes = inputSize === undefined ? copied : wanted;
    if (toStream && copied < bytes) await writeZeros(output.fd, bytes - copied, control.signal);
    const whole = plan.kind === 'in place' ? bytes : roundUpToSector(bytes);
    const length = await output.finish(toStream ? bytes : (outputSize ?? whole));
    return {
      bytes,
      inputVirtualSize: inputSize ?? roundUpToSector(skipped + copied),
      outputVirtualSize: length,
      outputLength: length,
      inputFormat: 'raw',
      outputFormat: 'raw',
      sandbox: undefined,
      elapsedMs: performance.now() - started,
    };
  } catch (error) {
    await abandonQuietly(output);
    throw streamError(error, request.outputName, control.signal);
  }
}

async function createStreamTarget(
  request: DdRequest,
  { start }: Plan,
  path: string,
  source: number,
  control: OperationControl,
): Promise<OutputFile> {
  const stats = statFile(source);
  return openOutputFile(
    {
      path,
      limit: 0n,
      length: request.outputSize,
      sparse: false,
      noClobber: request.noClobber === true,
      inPlaceAt: start,
      forceShare: request.replaceInUse ?? request.forceShare === true,
      force: request.force === true,
      // A redirected file is an input as well: reading what was just written would never end.
      inputs: [{ identity: identity(stats), path: 'standard input' }],
    },
    control,
  );
}
