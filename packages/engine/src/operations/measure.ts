import { roundUpToSector } from '@instar/operands';
import { IMAGE_FORMAT } from '@instar/shared-abi';
import { EngineError } from '../errors.js';
import { escapeText } from '@instar/host-files';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkFileName, checkMeasureOptions } from '../options/operations.js';
import { mapChain, rangeOf, type MappedExtent } from './map.js';
import { bitmapBytes, fullQcow2Length, roundUp, type Qcow2Shape } from './qcow2-size.js';
import { GuestSession } from '../session/session.js';
import { ScratchFile } from './scratch.js';
import { openForReading, type ReadOptions } from './reading.js';

/** Formats whose length can be told before they are written. */
export const MEASURABLE_FORMATS = ['raw', 'qcow2'] as const;

/** What an output would be. */
export interface MeasureTarget {
  /** Format (default raw). */
  readonly format?: string | undefined;
  /** qcow2: bytes of a cluster (default 65536). */
  readonly clusterSize?: number | undefined;
  /** qcow2: width of a refcount (default 16). */
  readonly refcountBits?: number | undefined;
  /** qcow2: with subclusters. */
  readonly extendedL2?: boolean | undefined;
  /** qcow2: everything is allocated at once, or counts as if it were, as with a backing file. */
  readonly allocated?: boolean | undefined;
}

/** How an image is measured. */
export interface MeasureOptions extends ReadOptions {
  readonly target?: MeasureTarget | undefined;
}

/** How long an output becomes (bytes). */
export interface Measurement {
  /** What a conversion of the image needs. */
  readonly required: bigint;
  /** What it takes once everything was written. */
  readonly fullyAllocated: bigint;
  /** What the image's bitmaps take besides; undefined where the target has none. */
  readonly bitmaps: bigint | undefined;
}

const LEAST_CLUSTER = 512;
const MOST_CLUSTER = 2 ** 21;
const LEAST_CLUSTER_OF_SUBCLUSTERS = 16384;
/** Entries of the largest L1 table that QEMU opens (32 MiB). */
const MOST_L1_ENTRIES = 4_194_304n;

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0;
}

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/** The shape of a qcow2 target; undefined for raw. */
function shapeOf(target: MeasureTarget): Qcow2Shape | undefined {
  const { format = 'raw', clusterSize = 65536, refcountBits = 16, extendedL2 = false } = target;
  if (format === 'raw') return undefined;
  if (format !== 'qcow2') {
    throw new EngineError(
      'UNSUPPORTED_FORMAT',
      `outputs of format '${escapeText(format)}' cannot be measured; ${MEASURABLE_FORMATS.join(' and ')} can`,
    );
  }
  if (clusterSize < LEAST_CLUSTER || clusterSize > MOST_CLUSTER || !isPowerOfTwo(clusterSize)) {
    throw invalid(`the cluster size is ${clusterSize}, expected a power of two from 512 to 2097152`);
  }
  if (extendedL2 && clusterSize < LEAST_CLUSTER_OF_SUBCLUSTERS) {
    throw invalid(`the cluster size is ${clusterSize}, expected at least 16384 with extended L2 entries`);
  }
  if (refcountBits < 1 || refcountBits > 64 || !isPowerOfTwo(refcountBits)) {
    throw invalid(`the refcount width is ${refcountBits}, expected a power of two from 1 to 64`);
  }
  return { clusterSize: BigInt(clusterSize), refcountBits: BigInt(refcountBits), extendedL2 };
}

/** @throws EngineError `INVALID_OPTION` where no such qcow2 can be */
function requireAddressable(virtualSize: bigint, { clusterSize, extendedL2 }: Qcow2Shape): void {
  const perL1Entry = (clusterSize / (extendedL2 ? 16n : 8n)) * clusterSize;
  if ((virtualSize + perL1Entry - 1n) / perL1Entry > MOST_L1_ENTRIES) {
    throw invalid(
      `a qcow2 image with clusters of ${clusterSize} cannot have ${virtualSize} bytes; use larger clusters`,
    );
  }
}

/**
 * How long an output for a disk of so many bytes becomes, of which nothing is known.
 * @param size virtual size (bytes)
 * @throws EngineError `INVALID_OPTION`, `UNSUPPORTED_FORMAT`
 */
export function measureSize(size: bigint, target: MeasureTarget = {}): Measurement {
  const shape = shapeOf(target);
  const virtualSize = roundUpToSector(size);
  if (shape === undefined) return { required: virtualSize, fullyAllocated: virtualSize, bitmaps: undefined };
  requireAddressable(virtualSize, shape);
  const data = roundUp(virtualSize, shape.clusterSize);
  const fullyAllocated = fullQcow2Length(virtualSize, shape);
  return {
    required: target.allocated === true ? fullyAllocated : fullyAllocated - data,
    fullyAllocated,
    bitmaps: undefined,
  };
}

/** Bytes of the target's clusters that the extents with data touch. */
async function clustersWithData(extents: AsyncIterable<MappedExtent>, clusterSize: bigint): Promise<bigint> {
  let [bytes, counted] = [0n, 0n];
  for await (const { start, length, data, zero } of extents) {
    if (!data || zero) continue;
    const first = start - (start % clusterSize);
    const from = first > counted ? first : counted;
    const to = roundUp(start + length, clusterSize);
    if (to > from) bytes += to - from;
    if (to > counted) counted = to;
  }
  return bytes;
}

/**
 * How long an output becomes when an image is converted, as `qemu-img measure` tells it. The image is parsed inside a sandbox
 * only; no byte of the disk is read.
 * @throws EngineError
 */
export async function measure(
  file: string,
  givenOptions: MeasureOptions = {},
  givenControl: OperationControl = {},
): Promise<Measurement> {
  checkFileName(file);
  const options = checkMeasureOptions(givenOptions);
  const target = options.target ?? {};
  const shape = shapeOf(target);
  const session = new GuestSession(guestContext(checkControl(givenControl)));
  const chain = await openForReading(file, options, session);
  try {
    const { info } = chain.layers[0];
    if (shape === undefined) return measureSize(info.virtual_size, target);
    const empty = measureSize(info.virtual_size, target);
    const scratch = await ScratchFile.create();
    try {
      chain.session.add(scratch.device);
      const extents = mapChain(chain, scratch, rangeOf());
      const data = target.allocated === true ? 0n : await clustersWithData(extents, shape.clusterSize);
      const { QCOW2, PARALLELS } = IMAGE_FORMAT.values;
      // Of the bitmaps of parallels nothing is read, and qemu-img counts none either.
      const hasBitmaps = (info.format === QCOW2 && info.version >= 3) || info.format === PARALLELS;
      const bitmaps = info.bitmaps.slice(0, info.bitmap_count).map((bitmap) => ({
        name: bitmap.name.subarray(0, bitmap.name_len),
        granularity: 1n << BigInt(bitmap.granularity_bits),
      }));
      return {
        required: empty.required + data,
        fullyAllocated: empty.fullyAllocated,
        bitmaps: hasBitmaps ? bitmapBytes(info.virtual_size, bitmaps, shape.clusterSize) : undefined,
      };
    } finally {
      await chain.session.close();
      await scratch.close();
    }
  } finally {
    await chain.close();
  }
}
