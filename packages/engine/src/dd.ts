import {
  DD_DEFAULT_BLOCK_SIZE,
  DD_MAX_BLOCK_SIZE,
  MAX_SIZE,
  ddWindow,
  roundUpToSector,
  type DdWindow,
} from '@instar/operands';
import { CONVERT_FLAG, DEVICE_FLAG, DEVICE_ROLE, IMAGE_FORMAT, NO_PARENT } from '@instar/shared-abi';
import { openChain, type Chain } from './chain.js';
import { EngineError } from './errors.js';
import { forcedFormat, formatName, outputFormat } from './formats.js';
import { guestConvert, type GuestContext, type GuestDevice, type GuestLimits } from './guest.js';
import { openInput } from './input-file.js';
import { createOutput, type OutputFile } from './output-file.js';
import type { PathPolicy } from './path-policy.js';
import { chooseSandbox, kvmUnavailableReason, type Sandbox, type SandboxChoice } from './sandbox.js';
import { ddFromStream, streamOutput } from './stream.js';

/** A file by its path, or a stream by its descriptor. Streams are raw. */
export type Endpoint = { readonly path: string } | { readonly stream: number };

/** What dd copies. All sizes and offsets are bytes, except where blocks are said. */
export interface DdOptions {
  readonly input: Endpoint;
  readonly output: Endpoint;
  /** Which files an image may draw in; `IMAGE_DIRECTORY_ONLY` is the safe choice. */
  readonly pathPolicy: PathPolicy;
  /** Format of the input; absent means that the guest finds out. */
  readonly inputFormat?: string | undefined;
  /** Format of the output (default `raw`). */
  readonly outputFormat?: string | undefined;
  /** Block size, 1 to 2^31 − 1 (default 512). */
  readonly blockSize?: bigint | undefined;
  /** Blocks of the input that are looked at, counted from its start (default: all). */
  readonly count?: bigint | undefined;
  /** Blocks of them that are left out at the start (default 0). */
  readonly skip?: bigint | undefined;
  /** Blocks of an existing or new raw output to leave as they are: writes in place. */
  readonly seek?: bigint | undefined;
  /** Virtual size of the input in place of its own: cut, or extended with zeros. */
  readonly inputSize?: bigint | undefined;
  /** Exact length of a raw output: cut, or extended with zeros. */
  readonly outputSize?: bigint | undefined;
  /** Leave zero regions of the output as holes. */
  readonly sparse?: boolean | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Read an image that another process has locked. */
  readonly forceShare?: boolean | undefined;
}

/** How an operation runs and what it tells. */
export interface OperationControl {
  /** Cancels the operation; it then rejects with `ABORTED`, and everything is as before. */
  readonly signal?: AbortSignal | undefined;
  /** Called a few times a second with bytes done and bytes to do (0 when that is not known). */
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
  /** Called with sentences that a user should see. */
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Which sandbox (default `auto`: KVM where it works). */
  readonly sandbox?: SandboxChoice | undefined;
  readonly limits?: GuestLimits | undefined;
}

/** What dd did. */
export interface DdResult {
  /** Bytes of guest data in the output. */
  readonly bytes: bigint;
  /** Virtual size of the input (bytes). */
  readonly inputVirtualSize: bigint;
  /** Virtual size that the output declares (bytes). */
  readonly outputVirtualSize: bigint;
  /** Length of the output file or stream (bytes). */
  readonly outputLength: bigint;
  /** Format of the input, as found or forced. */
  readonly inputFormat: string;
  readonly outputFormat: string;
  /** Sandbox in which the image was parsed; undefined where nothing had to be parsed. */
  readonly sandbox: Sandbox | undefined;
  /** Wall-clock time (milliseconds). */
  readonly elapsedMs: number;
}

/** Options after their defaults and checks. */
export interface DdRequest extends DdOptions {
  readonly blockSize: bigint;
  readonly skip: bigint;
  readonly format: number;
  readonly outputName: string;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

function checkSize(name: string, value: bigint | undefined, least = 0n, most = MAX_SIZE): void {
  if (value !== undefined && (value < least || value > most)) {
    throw invalid(`${name} is ${value}, expected ${least} to ${most}`);
  }
}

function checkOptions(options: DdOptions): DdRequest {
  const { blockSize = DD_DEFAULT_BLOCK_SIZE, skip = 0n, outputFormat: name = 'raw', output, input } = options;
  checkSize('blockSize', blockSize, 1n, DD_MAX_BLOCK_SIZE);
  checkSize('count', options.count);
  checkSize('skip', skip);
  checkSize('seek', options.seek);
  checkSize('inputSize', options.inputSize);
  checkSize('outputSize', options.outputSize);
  const outputName = 'path' in output ? output.path : 'standard output';
  const format = outputFormat(name, outputName);
  const raw = format === IMAGE_FORMAT.values.RAW;
  const stream = 'stream' in output;
  if (!raw && stream) throw invalid(`a stream is raw: ${name} needs a file to write to`);
  if (!raw && options.seek !== undefined) throw invalid(`seek= writes into raw files only, not ${name}`);
  if (!raw && options.outputSize !== undefined) throw invalid(`osize= is the length of a raw output, not of ${name}`);
  if (stream && options.seek !== undefined) throw invalid('seek= needs a file: a stream has no place to seek to');
  if (stream && options.noClobber === true) throw invalid('--no-clobber needs a file: a stream cannot exist already');
  if (options.seek !== undefined && options.noClobber === true) {
    throw invalid('seek= writes into an existing file, which --no-clobber forbids: leave one of them out');
  }
  if ('stream' in input) {
    if (options.inputFormat !== undefined && options.inputFormat !== 'raw') {
      throw invalid(`a stream is raw: ${options.inputFormat} needs a file that can be read at any place`);
    }
    if (!raw) throw invalid(`a stream has no size beforehand, which ${name} needs: write raw, or read from a file`);
  }
  return { ...options, blockSize, skip, format, outputName };
}

/** Start of the window in the output (bytes). */
export function seekOffset(request: DdRequest): bigint | undefined {
  if (request.seek === undefined) return undefined;
  const offset = request.seek * request.blockSize;
  if (offset > MAX_SIZE) throw invalid(`seek= of ${request.seek} blocks is beyond 2^63 bytes`);
  return offset;
}

/** Bytes that a qcow2 file of so many guest bytes takes at most: the data, its tables, and some clusters of slack. */
function qcow2Limit(bytes: bigint): bigint {
  const cluster = 65536n;
  const perL2 = 8192n * cluster;
  const clusters = (bytes + cluster - 1n) / cluster;
  const l2 = (bytes + perL2 - 1n) / perL2;
  const refcountBlocks = (clusters + l2) / 32768n;
  return (clusters + l2 + refcountBlocks + refcountBlocks / 8192n + l2 / 8192n + 16n) * cluster;
}

/**
 * Copies a window of an image, as `qemu-img dd` does. The image is parsed inside a sandbox only.
 * @throws EngineError; the output is then as it was before.
 */
export async function dd(options: DdOptions, control: OperationControl = {}): Promise<DdResult> {
  const started = performance.now();
  const request = checkOptions(options);
  const { input } = request;
  if ('stream' in input) return ddFromStream(request, input.stream, control, started);
  const probe = forcedFormat(request.inputFormat, input.path);
  const sandbox = chooseSandbox(control.sandbox ?? 'auto');
  warnOfProcess(sandbox, control);
  const context: GuestContext = { sandbox, limits: control.limits ?? {}, signal: control.signal };
  const forceShare = request.forceShare === true;
  const file = await openInput(input.path, forceShare);
  const chain = await openChain(file, probe, request.pathPolicy, forceShare, context);
  try {
    return await copyWindow(request, chain, { ...context, onProgress: control.onProgress }, control, started);
  } finally {
    await chain.close();
  }
}

/** The process sandbox is weaker than a VM, which a user should know. */
export function warnOfProcess(sandbox: Sandbox, control: OperationControl): void {
  if (sandbox !== 'process' || control.sandbox === 'process') return;
  const reason = kvmUnavailableReason() ?? '';
  control.onWarning?.(`using the process sandbox, which is weaker than a VM: ${reason}`);
}

/** Says what qemu-img says when the window begins behind the end. */
export function warnOfSkip(request: DdRequest, window: DdWindow, control: OperationControl, name: string): void {
  if (!window.skipPastEnd) return;
  control.onWarning?.(
    `${name}: cannot skip to specified offset: skip=${request.skip} begins behind the last byte that is to be read`,
  );
}

async function copyWindow(
  request: DdRequest,
  chain: Chain,
  context: GuestContext,
  control: OperationControl,
  started: number,
): Promise<DdResult> {
  const [top] = chain.layers;
  const [topDevice] = chain.devices;
  if (top === undefined || topDevice === undefined) throw new RangeError('a chain has at least one layer');
  const virtualSize = request.inputSize ?? top.info.virtual_size;
  const window = ddWindow({ virtualSize, bs: request.blockSize, count: request.count, skip: request.skip });
  warnOfSkip(request, window, control, top.file.path);

  const raw = request.format === IMAGE_FORMAT.values.RAW;
  const bytes =
    request.outputSize !== undefined && request.outputSize < window.outVsize ? request.outputSize : window.outVsize;
  const stream = 'stream' in request.output;
  const exact = stream || request.seek !== undefined || request.outputSize !== undefined;
  const rawLength = exact ? bytes : roundUpToSector(bytes);
  const output = await openOutput(request, chain, raw ? rawLength : qcow2Limit(bytes));
  try {
    const limit = output.start + (raw ? rawLength : qcow2Limit(bytes));
    const devices: GuestDevice[] = [
      request.inputSize === undefined ? topDevice : withForcedSize(topDevice, request.inputSize),
      ...chain.devices.slice(1),
      outputDevice(request, output, limit, { stream, exact }),
    ];
    const result = await guestConvert(
      devices,
      {
        flags:
          CONVERT_FLAG.values.DD_WINDOW + (request.sparse === true && !stream ? CONVERT_FLAG.values.SKIP_ZEROS : 0),
        input_device_count: chain.devices.length,
        target_format: request.format,
        window_start: window.windowStart,
        window_end: window.outVsize === 0n ? 0n : window.windowStart + bytes,
      },
      context,
      limit + limit,
    );
    // A stream extends itself from what went out; a file is told its length.
    const length = await output.finish(stream ? bytes : (request.outputSize ?? result.output_length));
    context.onProgress?.(bytes, bytes);
    return {
      bytes,
      inputVirtualSize: virtualSize,
      outputVirtualSize: request.outputSize ?? result.output_virtual_size,
      outputLength: length,
      inputFormat: formatName(top.info.format),
      outputFormat: request.outputFormat ?? 'raw',
      sandbox: context.sandbox,
      elapsedMs: performance.now() - started,
    };
  } catch (error) {
    await output.abandon();
    throw error;
  }
}

async function openOutput(request: DdRequest, chain: Chain, limit: bigint): Promise<OutputFile> {
  if ('stream' in request.output) return streamOutput(request.output.stream, request.outputSize);
  return createOutput({
    path: request.output.path,
    limit,
    sparse: request.sparse === true,
    noClobber: request.noClobber === true,
    inPlaceAt: seekOffset(request),
    forceShare: request.forceShare === true,
    inputs: chain.files,
  });
}

function withForcedSize(device: GuestDevice, size: bigint): GuestDevice {
  return {
    ...device,
    entry: { ...device.entry, flags: DEVICE_FLAG.values.FORCE_SIZE, virtual_size: size },
  };
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
