import { DD_DEFAULT_BLOCK_SIZE, MAX_SIZE, type DdWindow } from '@instar/operands';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { checkEncryption, type OutputEncryption } from './encryption/output.js';
import { EngineError } from './errors.js';
import { escapeText } from '@instar/host-files';
import { outputFormat } from './formats.js';
import type { OperationControl } from './operation.js';
import { checkDdOptions, type CheckedDdOptions } from './options/operations.js';
import type { PathPolicy } from './path-policy.js';
import { checkLayout, type ImageLayout } from './output/layout.js';
import type { Sandbox } from './sandbox.js';
import type { SnapshotSelector } from './snapshot.js';

/** A file by its path, or a stream by its descriptor. Streams are raw. */
export type Endpoint = { readonly path: string } | { readonly stream: number };

/** What dd copies. All sizes and offsets are bytes, except where blocks are said; numbers must be safe integers. */
export interface DdOptions {
  readonly input: Endpoint;
  readonly output: Endpoint;
  /** Which files an image may draw in (default: the safe choice, `IMAGE_DIRECTORY_ONLY`). */
  readonly pathPolicy?: PathPolicy | undefined;
  /** Format of the input; absent means that the guest finds out. */
  readonly inputFormat?: string | undefined;
  /** Format of the output (default `raw`). */
  readonly outputFormat?: string | undefined;
  /** Block size, 1 to 2^31 − 1 (default 512). */
  readonly blockSize?: bigint | number | undefined;
  /** What the output is made with. */
  readonly layout?: ImageLayout | undefined;
  /** How the output is encrypted (luks, qcow2). */
  readonly encryption?: OutputEncryption | undefined;
  /** Blocks of the input that are looked at, counted from its start (default: all). */
  readonly count?: bigint | number | undefined;
  /** Blocks of them that are left out at the start (default 0). */
  readonly skip?: bigint | number | undefined;
  /** Blocks of an existing or new raw output to leave as they are: writes in place. */
  readonly seek?: bigint | number | undefined;
  /** Virtual size of the input in place of its own: cut, or extended with zeros. */
  readonly inputSize?: bigint | number | undefined;
  /** Exact length of a raw output: cut, or extended with zeros. */
  readonly outputSize?: bigint | number | undefined;
  /** Leave zero regions of the output as holes. */
  readonly sparse?: boolean | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Read an image that another process has locked. */
  readonly forceShare?: boolean | undefined;
  /** Replace an output that another process has locked (default: as `forceShare`). */
  readonly replaceInUse?: boolean | undefined;
  /** Refuse an image that is not whole, in place of a warning and zeros. */
  readonly strict?: boolean | undefined;
  /** Internal snapshot that is read in the place of the image (qcow2). The virtual size is that of the image. */
  readonly snapshot?: SnapshotSelector | undefined;
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force?: boolean | undefined;
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
export interface DdRequest extends CheckedDdOptions {
  readonly blockSize: bigint;
  readonly skip: bigint;
  readonly format: number;
  readonly outputName: string;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/**
 * Fills in defaults and refuses what does not fit together.
 * @throws EngineError `INVALID_OPTION`, `UNSUPPORTED_FORMAT`; nothing was opened then.
 */
export function checkOptions(given: DdOptions): DdRequest {
  const options = checkDdOptions(given);
  const { blockSize = DD_DEFAULT_BLOCK_SIZE, skip = 0n, outputFormat: name = 'raw', output, input } = options;
  const outputName = 'path' in output ? output.path : 'standard output';
  const format = outputFormat(name, outputName);
  const raw = format === IMAGE_FORMAT.values.RAW;
  const stream = 'stream' in output;
  checkLayout(options.layout ?? {}, format);
  checkEncryption(options.encryption, format, options.layout ?? {});
  const { SIMG, VMDK } = IMAGE_FORMAT.values;
  const streamOptimized = format === VMDK && options.layout?.subformat === 'streamOptimized';
  if (!raw && !streamOptimized && format !== SIMG && stream) {
    throw invalid(`a stream is raw, simg or a streamOptimized vmdk: ${name} needs a file to write to`);
  }
  if (!raw && options.seek !== undefined) throw invalid(`seek= writes into raw files only, not ${name}`);
  if (!raw && options.outputSize !== undefined) throw invalid(`osize= is the length of a raw output, not of ${name}`);
  if (stream && options.seek !== undefined) throw invalid('seek= needs a file: a stream has no place to seek to');
  if (stream && options.noClobber === true) throw invalid('--no-clobber needs a file: a stream cannot exist already');
  if (options.seek !== undefined && options.noClobber === true) {
    throw invalid('seek= writes into an existing file, which --no-clobber forbids: leave one of them out');
  }
  if ('stream' in input) {
    if (options.inputFormat !== undefined && options.inputFormat !== 'raw') {
      throw invalid(`a stream is raw: ${escapeText(options.inputFormat)} needs a file that can be read at any place`);
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

/** Says what qemu-img says when the window begins behind the end. */
export function warnOfSkip(request: DdRequest, window: DdWindow, control: OperationControl, name: string): void {
  const { count, skip } = request;
  if (!window.skipPastEnd && count !== undefined && count > 0n && skip >= count) {
    control.onWarning?.(
      `${escapeText(name)}: skip=${skip} leaves nothing of count=${count}, which counts from the start of the input; for ` +
        `${count} blocks behind those that are skipped write count=${count + skip}`,
    );
  }
  if (!window.skipPastEnd) return;
  control.onWarning?.(
    `${escapeText(name)}: cannot skip to specified offset: skip=${request.skip} begins behind the last byte that is to be read`,
  );
}
