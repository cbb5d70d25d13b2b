import { ownStream, type OutputFile } from '@instar/host-files';
import { ddWindow, roundUpToSector } from '@instar/operands';
import {
  CONVERT_FLAG,
  CONVERT_RESULT_MAGIC,
  ConvertConfig,
  ConvertResult,
  DEVICE_FLAG,
  DEVICE_ROLE,
  IMAGE_FORMAT,
  NO_PARENT,
  type ValueOf,
} from '@instar/shared-abi';
import { openChain, type Chain } from './chain.js';
import {
  checkOptions,
  seekOffset,
  warnOfSkip,
  type DdOptions,
  type DdRequest,
  type DdResult,
  type Endpoint,
} from './dd-request.js';
import { EngineError } from './errors.js';
import { formatName } from './format-names.js';
import { forcedFormat } from './formats.js';
import { outputIdentity, outputLimit } from './output-layout.js';
import { openInput } from './input-file.js';
import { guestContext, type OperationControl } from './operation.js';
import { checkControl } from './options/control.js';
import { abandonQuietly, openOutputFile } from './output.js';
import type { GuestContext, GuestDevice } from './session/context.js';
import { perform } from './session/operation.js';
import { GuestSession } from './session/session.js';
import { requireOutputSize } from './size-limits.js';
import { checkOutput } from './output-check.js';
import { ddFromStream, streamOutput } from './stream.js';

/**
 * Copies a window of an image, as `qemu-img dd` does. The image is parsed inside a sandbox only.
 * @throws EngineError; the output is then as it was before.
 */
export async function dd(options: DdOptions, givenControl: OperationControl = {}): Promise<DdResult> {
  const started = performance.now();
  const checked = checkOptions(options);
  const control = checkControl(givenControl);
  const request = await throughOwnStreams(checked, options);
  const { input } = request;
  if ('stream' in input) return ddFromStream(request, input.stream, control, started);
  const probe = forcedFormat(request.inputFormat, input.path);
  const context = guestContext(control);
  const forceShare = request.forceShare === true;
  const file = await openInput(input.path, forceShare);
  const policy = { references: request.pathPolicy, forceShare, strict: request.strict === true };
  const session = new GuestSession(context, { inOrder: 'stream' in request.output });
  const chain = await openChain(file, probe, policy, session);
  try {
    const result = await copyWindow(request, chain, { ...context, onProgress: control.onProgress }, control, started);
    control.onProgress?.(result.bytes, result.bytes);
    // Only now: an image that is refused for it has its one line already.
    chain.doubts.forEach((doubt) => control.onWarning?.(doubt));
    return result;
  } finally {
    await chain.close();
  }
}

/** A name that leads to a stream which this process has open (`/dev/stdout` in a pipe) means that stream. */
async function throughOwnStreams(request: DdRequest, options: DdOptions): Promise<DdRequest> {
  const through = async (endpoint: Endpoint, use: 'input' | 'output'): Promise<Endpoint> => {
    const stream = 'path' in endpoint ? await ownStream(endpoint.path, use) : undefined;
    return stream === undefined ? endpoint : { stream };
  };
  const [input, output] = [await through(request.input, 'input'), await through(request.output, 'output')];
  const same = input === request.input && output === request.output;
  return same ? request : checkOptions({ ...options, input, output });
}

async function copyWindow(
  request: DdRequest,
  chain: Chain,
  context: GuestContext,
  control: OperationControl,
  started: number,
): Promise<DdResult> {
  const [top] = chain.layers;
  const { session } = chain;
  const virtualSize = request.inputSize ?? top.info.virtual_size;
  const window = ddWindow({ virtualSize, bs: request.blockSize, count: request.count, skip: request.skip });
  warnOfSkip(request, window, control, top.file.path);

  const raw = request.format === IMAGE_FORMAT.values.RAW;
  const bytes =
    request.outputSize !== undefined && request.outputSize < window.outVsize ? request.outputSize : window.outVsize;
  const stream = 'stream' in request.output;
  const exact = stream || request.seek !== undefined || request.outputSize !== undefined;
  const rawLength = exact ? bytes : roundUpToSector(bytes);
  const most = raw ? rawLength : outputLimit(request.format, bytes, request.layout?.clusterSize);
  requireOutputSize(most, context.limits, request.outputName);
  const output = await openOutput(request, chain, most, bytes, control);
  try {
    const wanted = output.start + most;
    const limit = output.room === undefined || output.room > wanted ? wanted : output.room;
    if (request.inputSize !== undefined) {
      session.describe(top.device, { flags: DEVICE_FLAG.values.FORCE_SIZE, virtual_size: request.inputSize });
    }
    const inputs = session.devices.length;
    session.add(outputDevice(request, output, limit, { stream, exact }));
    const result = await perform(session, {
      config: Buffer.concat([
        ConvertConfig.encode({
          flags: convertFlags(request),
          input_device_count: inputs,
          target_format: request.format,
          output_cluster_bits: Math.log2(request.layout?.clusterSize ?? 1),
          window_start: window.windowStart,
          window_end: window.outVsize === 0n ? 0n : window.windowStart + bytes,
        }),
        outputIdentity(request.outputName),
      ]),
      result: ConvertResult,
      magic: CONVERT_RESULT_MAGIC,
      subject: top.file.path,
      last: true,
      outputBytes: limit + limit,
      onProgress: context.onProgress,
    });
    const expected = { length: raw ? rawLength : undefined, most: limit - output.start, virtualSize: rawLength };
    checkResult(result, expected, top.file.path);
    // A stream extends itself from what went out; a file is told its length.
    const finalLength = stream ? bytes : (request.outputSize ?? result.output_length);
    const whole = !stream && request.seek === undefined;
    if (whole && (!raw || request.inputFormat === undefined)) {
      const { output_length: length, output_virtual_size: size } = result;
      const written = { fd: output.fd, name: request.outputName, format: request.format, length, virtualSize: size };
      const plainInput = chain.layers.length === 1 && !top.declared && top.info.format === IMAGE_FORMAT.values.RAW;
      await allEnded([
        checkOutput({ ...written, plainInput: plainInput && window.windowStart === 0n }, context),
        output.sync(finalLength),
      ]);
    }
    const length = await output.finish(finalLength);
    return {
      bytes,
      inputVirtualSize: virtualSize,
      outputVirtualSize: request.outputSize ?? result.output_virtual_size,
      outputLength: length,
      inputFormat: formatName(top.info.format),
      outputFormat: request.outputFormat ?? 'raw',
      sandbox: context.sandbox.kind,
      elapsedMs: performance.now() - started,
    };
  } catch (error) {
    await abandonQuietly(output);
    throw error;
  }
}

/** Waits until nothing goes on, which would use an output that is given up, and throws the first failure in this order. */
async function allEnded(actions: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(actions)).find((ended) => ended.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function convertFlags({ sparse, output, layout }: DdRequest): number {
  const { DD_WINDOW, SKIP_ZEROS, COMPRESS, ZSTD } = CONVERT_FLAG.values;
  return (
    DD_WINDOW +
    (sparse === true && !('stream' in output) ? SKIP_ZEROS : 0) +
    (layout?.compress === true ? COMPRESS : 0) +
    (layout?.compressionType === 'zstd' ? ZSTD : 0)
  );
}

/** What an output can come to (bytes). */
interface ExpectedOutput {
  /** Undefined where the format decides, up to `most`. */
  readonly length: bigint | undefined;
  readonly most: bigint;
  readonly virtualSize: bigint;
}

/** The guest may be in an attacker's hands: its numbers count only as far as they can be right. */
function checkResult(result: ValueOf<typeof ConvertResult>, expected: ExpectedOutput, file: string): void {
  const impossible = (what: string): EngineError =>
    new EngineError('GUEST_FAILED', `the sandboxed reader reports an output of ${what}, which cannot be`, { file });
  const length = result.output_length;
  if (expected.length === undefined ? length > expected.most : length !== expected.length) {
    throw impossible(`${length} bytes`);
  }
  const size = result.output_virtual_size;
  if (size !== expected.virtualSize) throw impossible(`${size} bytes of disk`);
}

async function openOutput(
  request: DdRequest,
  chain: Chain,
  limit: bigint,
  bytes: bigint,
  control: OperationControl,
): Promise<OutputFile> {
  if ('stream' in request.output) return streamOutput(request.output.stream, request.outputSize, control.signal);
  return openOutputFile(
    {
      path: request.output.path,
      limit,
      // Tables come on top, but how many is for the guest to say.
      atLeast: bytes < limit && !mayShrink(request) ? bytes : undefined,
      mayBeLess: request.format !== IMAGE_FORMAT.values.RAW && mayShrink(request),
      length: request.outputSize,
      sparse: mayShrink(request),
      noClobber: request.noClobber === true,
      inPlaceAt: seekOffset(request),
      forceShare: request.forceShare === true,
      force: request.force === true,
      inputs: chain.files.map((file) => ({ identity: file.identity, path: file.path })),
    },
    control,
  );
}

/** Whether the output may take less room than the disk. */
function mayShrink({ sparse, layout }: DdRequest): boolean {
  return sparse === true || layout?.compress === true;
}

function outputDevice(
  request: DdRequest,
  output: OutputFile,
  limit: bigint,
  { stream, exact }: { readonly stream: boolean; readonly exact: boolean },
): GuestDevice {
  const { STREAM, EXACT, FRESH } = DEVICE_FLAG.values;
  return {
    path: request.outputName,
    entry: {
      role: DEVICE_ROLE.values.OUTPUT,
      format: request.format,
      parent: NO_PARENT,
      flags: (stream ? STREAM : 0) + (exact ? EXACT : 0) + (output.fresh ? FRESH : 0),
      file_size: limit,
      virtual_size: 0n,
      start: output.start,
    },
    options: {
      fd: output.fd,
      access: stream ? 'stream-output' : 'output',
      size: limit,
      fresh: output.fresh,
    },
  };
}
