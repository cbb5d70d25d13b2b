import { MAX_SIZE } from '@instar/operands';
import { MAP_FLAG, MAP_RESULT_MAGIC, MapConfig, MapRecord, MapResult } from '@instar/shared-abi';
import type { Chain } from '../chain.js';
import { guestOperation, impossibleResult, type GuestContext } from '../guest.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkFileName, checkMapOptions } from '../options/operations.js';
import { openForReading, type ReadOptions } from './reading.js';
import { RecordFile } from './records.js';

/** A range of a disk of which every byte is of one kind. */
export interface MappedExtent {
  /** First virtual byte. */
  readonly start: bigint;
  /** Bytes. */
  readonly length: bigint;
  /** Layer that says so: 0 is the named image, 1 its backing image, and so on. */
  readonly depth: number;
  /** Whether an image of the chain says what the range holds; the others read as zeros. */
  readonly present: boolean;
  /** Whether it reads as zeros without a look at bytes. */
  readonly zero: boolean;
  /** Whether it has bytes in a file. */
  readonly data: boolean;
  /** Whether they are compressed. */
  readonly compressed: boolean;
  /** Where they begin in `filename` (byte offset), where they lie in one piece as they are. */
  readonly offset: bigint | undefined;
  /** File that `offset` is in. */
  readonly filename: string | undefined;
}

/** What is mapped, and how. */
export interface MapOptions extends ReadOptions {
  /** First virtual byte (default 0). */
  readonly start?: bigint | number | undefined;
  /** Bytes (default: to the end of the disk). */
  readonly length?: bigint | number | undefined;
}

/** A disk that was mapped. */
export interface MappedDisk {
  /** Bytes of the disk. */
  readonly virtualSize: bigint;
  /** The extents, once; neighbours are one extent wherever one continues the other. */
  readonly extents: AsyncGenerator<MappedExtent>;
  /** Gives the room of the extents back. */
  close(): Promise<void>;
}

/**
 * Maps an open chain.
 * @throws EngineError
 */
export async function mapChain(
  chain: Chain,
  context: GuestContext,
  range: { readonly start: bigint; readonly end: bigint },
): Promise<MappedDisk> {
  const records = await RecordFile.create();
  try {
    const devices = [...chain.devices, records.device];
    const result = await guestOperation(
      devices,
      { config: MapConfig.encode(range), result: MapResult, magic: MAP_RESULT_MAGIC, outputBytes: records.limit },
      context,
    );
    const { virtual_size: virtualSize, record_count: count } = result;
    if (virtualSize > MAX_SIZE || count > records.limit / BigInt(MapRecord.size)) throw impossibleResult(devices);
    const end = range.end < virtualSize ? range.end : virtualSize;
    const extents = decodeExtents(chain, records.records(MapRecord.size, count), { start: range.start, end });
    return { virtualSize, extents, close: async () => records.close() };
  } catch (error) {
    await records.close();
    throw error;
  }
}

const { PRESENT, ZERO, DATA, COMPRESSED, HAS_OFFSET } = MAP_FLAG.values;
const KNOWN = PRESENT | ZERO | DATA | COMPRESSED | HAS_OFFSET;

/** The guest may be in an attacker's hands: its records count only where they tile the range. */
async function* decodeExtents(
  chain: Chain,
  records: AsyncGenerator<Uint8Array>,
  { start, end }: { readonly start: bigint; readonly end: bigint },
): AsyncGenerator<MappedExtent> {
  let next = start;
  for await (const bytes of records) {
    const record = MapRecord.decode(bytes);
    const has = (flag: number): boolean => (record.flags & flag) !== 0;
    const file = chain.devices[record.device];
    const fits =
      record.start === next &&
      record.length > 0n &&
      record.length <= end - next &&
      record.depth < chain.layers.length &&
      (record.flags & ~KNOWN) === 0 &&
      record.offset <= MAX_SIZE &&
      file !== undefined;
    if (!fits) throw impossibleResult(chain.devices);
    next += record.length;
    yield {
      start: record.start,
      length: record.length,
      depth: record.depth,
      present: has(PRESENT),
      zero: has(ZERO),
      data: has(DATA),
      compressed: has(COMPRESSED),
      offset: has(HAS_OFFSET) ? record.offset : undefined,
      filename: has(HAS_OFFSET) ? file.path : undefined,
    };
  }
  if (next < end) throw impossibleResult(chain.devices);
}

/**
 * What every range of a disk is made of, through all of its chain, as `qemu-img map` tells it: one extent after the other,
 * in bounded memory. The image is parsed inside a sandbox only; no byte of the disk is read.
 * @throws EngineError while it is read
 */
export async function* map(
  file: string,
  givenOptions: MapOptions = {},
  givenControl: OperationControl = {},
): AsyncGenerator<MappedExtent> {
  checkFileName(file);
  const options = checkMapOptions(givenOptions);
  const control = checkControl(givenControl);
  const context = guestContext(control);
  const start = options.start ?? 0n;
  const end = options.length === undefined || options.length > MAX_SIZE - start ? MAX_SIZE : start + options.length;
  const chain = await openForReading(file, options, context);
  try {
    const disk = await mapChain(chain, context, { start, end });
    try {
      yield* disk.extents;
    } finally {
      await disk.close();
    }
  } finally {
    await chain.close();
  }
}
