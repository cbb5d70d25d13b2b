import { closeFile } from '@instar/host-files';
import { roundUpToSector } from '@instar/operands';
import {
  CONVERT_FLAG,
  CONVERT_RESULT_MAGIC,
  ConvertConfig,
  ConvertResult,
  DEVICE_FLAG,
  IMAGE_FORMAT,
} from '@instar/shared-abi';
import type { Chain } from '../chain.js';
import { EngineError } from '../errors.js';
import { outputFormat } from '../formats.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkFileName, checkMeasureOptions, checkSize } from '../options/operations.js';
import { layoutFlags, outputConfig, outputLimit, unitSizes } from '../output/config.js';
import { isSplit } from '../output/split-vmdk.js';
import { checkLayout, isAllocated, type ImageLayout } from '../output/layout.js';
import { perform } from '../session/operation.js';
import { GuestSession } from '../session/session.js';
import { openTemporary } from '../temporary.js';
import { mapChain, rangeOf, type MappedExtent } from './map.js';
import { bitmapBytes, fullQcow2Length, roundUp, type Qcow2Shape } from './qcow2-size.js';
import { openForReading, type ReadOptions } from './reading.js';
import { ScratchFile } from './scratch.js';

/** What an output would be: its format, and what it is made with. */
export interface MeasureTarget extends ImageLayout {
  /** Format (default raw). */
  readonly format?: string | undefined;
  /** Everything is allocated at once, or counts as if it were, as with a backing file. */
  readonly allocated?: boolean | undefined;
  /** Version of LUKS of a luks output (default 1). */
  readonly luksVersion?: 1 | 2 | undefined;
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

/** Entries of the largest L1 table that QEMU opens (32 MiB). */
const MOST_L1_ENTRIES = 4_194_304n;

/** Bytes in front of the disk in a container with the longest key, by version. */
const LUKS_HEADERS = { 1: 2_068_480, 2: 16 << 20 } as const;

function invalid(what: string): EngineError {
  return new EngineError('INVALID_OPTION', what);
}

/** A target whose options go together. */
interface CheckedTarget {
  readonly format: number;
  readonly layout: ImageLayout;
  readonly allocated: boolean;
  readonly luksVersion: 1 | 2;
}

function checkedTarget({ format = 'raw', allocated, luksVersion = 1, ...given }: MeasureTarget): CheckedTarget {
  const number = outputFormat(format, 'output');
  checkLayout(given, number);
  // With a data file both files are measured together, as qemu-img does it.
  const { dataFile: _, dataFileRaw: __, ...layout } = given;
  if (isSplit(layout)) throw invalid('subformat: disks in several files are not measured');
  return { format: number, layout, allocated: allocated === true || isAllocated(layout), luksVersion };
}

const { RAW, QCOW2, LUKS } = IMAGE_FORMAT.values;

/** The shape of a qcow2 target; undefined for others. */
function shapeOf({ format, layout }: CheckedTarget): Qcow2Shape | undefined {
  if (format !== QCOW2) return undefined;
  const { clusterSize = 65536, refcountBits = 16, extendedL2 = false } = layout;
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

/** How long a raw or qcow2 output for a disk of so many bytes becomes, of which nothing is known. */
function lengthOf(size: bigint, target: CheckedTarget): Measurement {
  const shape = shapeOf(target);
  const virtualSize = roundUpToSector(size);
  if (shape === undefined) return { required: virtualSize, fullyAllocated: virtualSize, bitmaps: undefined };
  requireAddressable(virtualSize, shape);
  const data = roundUp(virtualSize, shape.clusterSize);
  const fullyAllocated = fullQcow2Length(virtualSize, shape);
  return {
    required: target.allocated ? fullyAllocated : fullyAllocated - data,
    fullyAllocated,
    bitmaps: undefined,
  };
}

/**
 * How long an output for a disk of so many bytes becomes, of which nothing is known.
 * @param size virtual size (bytes)
 * @throws EngineError `INVALID_OPTION`, `UNSUPPORTED_FORMAT`
 */
export async function measureSize(
  size: bigint | number,
  target: MeasureTarget = {},
  control: OperationControl = {},
): Promise<Measurement> {
  const bytes = checkSize(size);
  const checked = checkedTarget(target);
  if (checked.format === RAW || checked.format === QCOW2) return lengthOf(bytes, checked);
  const nothing = await openTemporary();
  try {
    // It is locked, by this process.
    const options = { format: 'raw', forceShare: true };
    const session = new GuestSession(guestContext(checkControl(control)));
    const chain = await openForReading(`/proc/self/fd/${nothing}`, options, session);
    try {
      const { FORCE_SIZE } = DEVICE_FLAG.values;
      const virtualSize = roundUpToSector(bytes);
      session.describe(chain.layers[0].device, { flags: FORCE_SIZE, virtual_size: virtualSize });
      return await measureLayout(chain, virtualSize, checked);
    } finally {
      await chain.close();
    }
  } finally {
    await closeFile(nothing);
  }
}

/** Has the guest lay an output out, which it does not write. */
async function measureLayout(chain: Chain, size: bigint, target: CheckedTarget): Promise<Measurement> {
  const { MEASURE, MEASURE_ALL, DD_WINDOW } = CONVERT_FLAG.values;
  const { format, layout } = target;
  const { path } = chain.layers[0].file;
  const container = format === LUKS ? { mode: '', length: LUKS_HEADERS[target.luksVersion] } : undefined;
  const [required = 0n, fullyAllocated = 0n] = await inTurn([MEASURE, MEASURE + MEASURE_ALL], async (flags, last) => {
    const result = await perform(chain.session, {
      config: Buffer.concat([
        ConvertConfig.encode({
          flags: flags + DD_WINDOW + layoutFlags(layout),
          target_format: format,
          ...unitSizes(format, layout),
          window_end: size,
        }),
        outputConfig('output', { format, layout, sparseSize: 0n, backing: undefined, container }),
      ]),
      result: ConvertResult,
      magic: CONVERT_RESULT_MAGIC,
      subject: path,
      last,
    });
    const most = outputLimit(format, size, layout);
    if (result.output_length > most) {
      throw new EngineError('GUEST_FAILED', 'the sandboxed reader tells an output longer than any can be', {
        file: path,
      });
    }
    return result.output_length;
  });
  return { required: target.allocated ? fullyAllocated : required, fullyAllocated, bitmaps: undefined };
}

async function inTurn<T, R>(items: readonly T[], act: (item: T, last: boolean) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) results.push(await act(item, index === items.length - 1));
  return results;
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
  const target = checkedTarget(options.target ?? {});
  const shape = shapeOf(target);
  const session = new GuestSession(guestContext(checkControl(givenControl)));
  const chain = await openForReading(file, options, session);
  try {
    const { info } = chain.layers[0];
    if (shape === undefined && target.format !== RAW) return await measureLayout(chain, info.virtual_size, target);
    const empty = lengthOf(info.virtual_size, target);
    if (shape === undefined) return empty;
    const scratch = await ScratchFile.create();
    try {
      chain.session.add(scratch.device);
      const extents = mapChain(chain, scratch, rangeOf());
      const data = target.allocated ? 0n : await clustersWithData(extents, shape.clusterSize);
      const { PARALLELS } = IMAGE_FORMAT.values;
      // Of the bitmaps of parallels nothing is read, and qemu-img counts none either.
      const hasBitmaps = (info.format === QCOW2 && info.version >= 3) || info.format === PARALLELS;
      const bitmaps = info.bitmaps.slice(0, info.bitmap_count).map((bitmap) => ({
        name: bitmap.name.subarray(0, bitmap.name_len),
        granularity: 1n << BigInt(bitmap.granularity_bits),
      }));
      return {
        required: empty.required + data,
        fullyAllocated: empty.fullyAllocated,
        bitmaps:
          hasBitmaps && target.layout.version !== 2
            ? bitmapBytes(info.virtual_size, bitmaps, shape.clusterSize)
            : undefined,
      };
    } finally {
      await chain.session.close();
      await scratch.close();
    }
  } finally {
    await chain.close();
  }
}
