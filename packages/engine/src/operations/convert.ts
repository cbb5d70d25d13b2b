import { ownStream } from '@instar/host-files';
import { copy, type CopyResult } from '../copy.js';
import { checkOptions } from '../dd-request.js';
import { EngineError } from '../errors.js';
import type { OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkConvertOptions, checkFileName } from '../options/operations.js';
import { checkBacking, type BackingFile } from '../output/backing.js';
import type { ImageLayout } from '../output/layout.js';
import type { ChecksumAlgorithm } from '../output/checksum.js';
import type { ReadOptions } from './reading.js';

/** How a disk is converted. */
export interface ConvertOptions extends ReadOptions {
  /** Format of the output (default `raw`). */
  readonly outputFormat?: string | undefined;
  /** What the output is made with. */
  readonly layout?: ImageLayout | undefined;
  /** The image below the output, which then holds only what differs from it (qcow2, qcow, qed). */
  readonly backing?: BackingFile | undefined;
  /** Leave out what holds zeros (default true). */
  readonly sparse?: boolean | undefined;
  /** Least zeros that are left out: bytes, a multiple of 512 up to 16 MiB (default 4096). */
  readonly sparseSize?: bigint | number | undefined;
  /** Write into a raw output that exists and has room; what lies behind the disk stays (default false). */
  readonly existing?: boolean | undefined;
  /** An existing output reads as zeros, so that zeros need not be written (default false). */
  readonly targetIsZero?: boolean | undefined;
  /**
   * Sum up the disk of the output, as it reads back, with these. It costs the time of reading and hashing the disk, zeros
   * included (some GiB a second).
   */
  readonly checksums?: readonly ChecksumAlgorithm[] | undefined;
  /** Refuse an output that exists. */
  readonly noClobber?: boolean | undefined;
  /** Write to a block device that is mounted or otherwise in use. */
  readonly force?: boolean | undefined;
}

/** What a conversion did. */
export type ConvertResult = CopyResult;

const SECTOR = 512n;
const MOST_SPARSE_SIZE = 1n << 24n;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/**
 * Copies the whole disk of an image, through all that it reads from, into an image of another format, as
 * `qemu-img convert` does. The output gets its name when it is complete.
 * @param input one image, or several whose disks become one
 * @throws EngineError; the output is then as it was before (unless it was written in place).
 */
export async function convert(
  input: string | readonly string[],
  output: string,
  givenOptions: ConvertOptions = {},
  givenControl: OperationControl = {},
): Promise<ConvertResult> {
  const started = performance.now();
  const [first, ...further] = typeof input === 'string' ? [input] : input;
  if (first === undefined) throw invalid('input: expected at least one image');
  [first, ...further, output].forEach(checkFileName);
  const options = checkConvertOptions(givenOptions);
  const {
    format: inputFormat,
    sparse,
    sparseSize,
    existing,
    targetIsZero,
    backing,
    checksums: wanted = [],
    ...rest
  } = options;
  const control = checkControl(givenControl);
  if (existing === true && (rest.outputFormat ?? 'raw') !== 'raw') {
    throw invalid('existing: only raw outputs are written into');
  }
  const request = checkOptions({
    ...rest,
    input: { path: first },
    output: { path: output },
    inputFormat,
    sparse: sparse ?? true,
    ...(existing === true ? { seek: 0n } : {}),
  });
  if (backing !== undefined) checkBacking(backing, request.format);
  if (backing !== undefined && further.length > 0) throw invalid('backing: several inputs have no backing file');
  if (rest.snapshot !== undefined && further.length > 0) throw invalid('snapshot: needs one input, found several');
  if (backing !== undefined && (rest.layout?.preallocation ?? 'off') !== 'off') {
    throw invalid('backing and preallocation exclude each other');
  }
  if (sparseSize !== undefined && (sparseSize % SECTOR !== 0n || sparseSize > MOST_SPARSE_SIZE)) {
    throw invalid(`sparseSize: expected a multiple of 512 up to ${MOST_SPARSE_SIZE}, found ${sparseSize}`);
  }
  if (targetIsZero === true && existing !== true) throw invalid('targetIsZero: needs an output that exists');
  for (const path of [first, ...further]) await refuseStream(path);
  const checksums = wanted.length > 0 ? wanted : undefined;
  const more = { further, sparseSize, mustExist: existing, targetIsZero, backing, checksums };
  return copy({ ...request, ...more }, first, control, started);
}

async function refuseStream(input: string): Promise<void> {
  if ((await ownStream(input, 'input')) === undefined) return;
  const problem = 'is a stream, and an image is read at any place: save it first, or copy raw bytes with dd if=-';
  throw new EngineError('FILE_NOT_USABLE', problem, { file: input });
}
