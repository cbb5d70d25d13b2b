import { MAX_SIZE, ddWindow, roundUpToSector } from '@instar/operands';
import { copyStream, createControl, VmmError } from '@instar/vmm-native';
import { constants } from 'node:fs';
import { seekOffset, warnOfSkip, type DdRequest, type DdResult } from './dd-request.js';
import type { OperationControl } from './operation.js';
import { EngineError, fileError } from './errors.js';
import { closeFile, openFile } from './file-descriptor.js';
import { createOutput, type OutputFile } from './output-file.js';

const PROGRESS_INTERVAL_MS = 100;
const ZEROS = '/dev/zero';

/** A pipe as an output: nothing is created, and nothing can be taken back. */
export function streamOutput(fd: number, exactLength: bigint | undefined): OutputFile {
  return {
    fd,
    start: 0n,
    fresh: false,
    async finish(length) {
      if (exactLength === undefined || exactLength <= length) return length;
      await writeZeros(fd, exactLength - length);
      return exactLength;
    },
    async abandon() {
      return Promise.resolve();
    },
  };
}

async function writeZeros(target: number, count: bigint): Promise<void> {
  const source = await openFile(ZEROS, constants.O_RDONLY);
  try {
    await copyStream({ source, target, skip: 0n, limit: count });
  } finally {
    await closeFile(source);
  }
}

interface StreamCopy {
  readonly source: number;
  readonly skip: bigint;
  readonly limit: bigint;
  readonly total: bigint;
}

async function copy(
  { source, skip, limit, total }: StreamCopy,
  output: OutputFile,
  seekable: boolean,
  control: OperationControl,
): Promise<{ readonly skipped: bigint; readonly copied: bigint }> {
  const { signal, onProgress } = control;
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
    const target = { target: output.fd, ...(seekable ? { targetOffset: output.start } : {}) };
    return await copyStream({ source, skip, limit, ...target }, handle);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', onAbort);
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
  const window = ddWindow({
    virtualSize: inputSize ?? MAX_SIZE,
    bs: request.blockSize,
    count: request.count,
    skip: request.skip,
  });
  warnOfSkip(request, window, control, 'standard input');
  const wanted = outputSize !== undefined && outputSize < window.outVsize ? outputSize : window.outVsize;
  const toStream = 'stream' in target;
  const output = toStream ? streamOutput(target.stream, outputSize) : await createStreamTarget(request, target.path);
  try {
    const { skipped, copied } = await copy(
      {
        source,
        skip: window.outVsize === 0n ? 0n : window.windowStart,
        limit: wanted,
        total: wanted === MAX_SIZE ? 0n : wanted,
      },
      output,
      !toStream,
      control,
    );
    // Without isize= the end of the stream is the end of the disk, which only now is known.
    if (inputSize === undefined && window.outVsize > 0n && skipped < window.windowStart) {
      warnOfSkip(request, { ...window, skipPastEnd: true }, control, 'standard input');
    }
    const bytes = inputSize === undefined ? copied : wanted;
    if (toStream && copied < bytes) await writeZeros(output.fd, bytes - copied);
    const whole = request.seek === undefined ? roundUpToSector(bytes) : bytes;
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
    await output.abandon();
    if (!(error instanceof VmmError)) throw error;
    if (control.signal?.aborted === true) throw new EngineError('ABORTED', 'aborted', { cause: error });
    throw fileError('WRITE_FAILED', request.outputName, 'copying the stream failed', error);
  }
}

async function createStreamTarget(request: DdRequest, path: string): Promise<OutputFile> {
  return createOutput({
    path,
    limit: 0n,
    sparse: false,
    noClobber: request.noClobber === true,
    inPlaceAt: seekOffset(request),
    forceShare: request.forceShare === true,
    inputs: [],
  });
}
