import { MAX_SIZE } from '@instar/operands';
import { MAP_FLAG, MAP_RESULT_MAGIC, MapConfig, MapRecord, MapResult } from '@instar/shared-abi';
import type { Chain } from '../chain.js';
import { guestContext, type OperationControl } from '../operation.js';
import { checkControl } from '../options/control.js';
import { checkFileName, checkMapOptions } from '../options/operations.js';
import { perform } from '../session/operation.js';
import { impossibleResult } from '../session/outcome.js';
import { GuestSession } from '../session/session.js';
import { openForReading, type ReadOptions } from './reading.js';
import { ScratchFile } from './scratch.js';

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

/** Records of one request: some megabytes. */
const MOST_RECORDS = 65_536n;
const { PRESENT, ZERO, DATA, COMPRESSED, HAS_OFFSET } = MAP_FLAG.values;
const KNOWN = PRESENT | ZERO | DATA | COMPRESSED | HAS_OFFSET;

/**
 * Maps an open chain, one request after the other, so that memory is bounded.
 * @param scratch a device of the chain's session already
 * @param turn runs a request when no other one of the session is under way
 * @throws EngineError while it is read
 */
export async function* mapChain(
  chain: Chain,
  scratch: ScratchFile,
  range: { readonly start: bigint; readonly end: bigint },
  turn: <T>(action: () => Promise<T>) => Promise<T> = async (action) => action(),
): AsyncGenerator<MappedExtent> {
  const { session, layers } = chain;
  const [{ file, info }] = layers;
  const end = range.end < info.virtual_size ? range.end : info.virtual_size;
  let next = range.start;
  while (next < end) {
    const start = next;
    const { records, reached } = await turn(async () => {
      const result = await perform(session, {
        config: MapConfig.encode({ start, end, most_records: MOST_RECORDS }),
        result: MapResult,
        magic: MAP_RESULT_MAGIC,
        outputBytes: MOST_RECORDS * BigInt(MapRecord.size),
        subject: file.path,
        last: false,
      });
      const { record_count: count, next: reached } = result;
      const possible = count <= MOST_RECORDS && reached > start && reached <= end;
      if (!possible || result.virtual_size !== info.virtual_size) throw impossibleResult(file.path);
      return { records: await scratch.bytes(Number(count) * MapRecord.size), reached };
    });
    yield* decodeExtents(chain, records, { start, end: reached });
    next = reached;
  }
}

/** The guest may be in an attacker's hands: its records count only where they tile the range. */
function* decodeExtents(
  { session, layers }: Chain,
  records: Uint8Array,
  { start, end }: { readonly start: bigint; readonly end: bigint },
): Generator<MappedExtent> {
  const subject = layers[0].file.path;
  let next = start;
  for (let at = 0; at < records.length; at += MapRecord.size) {
    const record = MapRecord.decode(records, at);
    const has = (flag: number): boolean => (record.flags & flag) !== 0;
    const file = session.devices[record.device];
    const fits =
      record.start === next &&
      record.length > 0n &&
      record.length <= end - next &&
      record.depth < layers.length &&
      (record.flags & ~KNOWN) === 0 &&
      record.offset <= MAX_SIZE &&
      file !== undefined;
    if (!fits) throw impossibleResult(subject);
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
  if (next < end) throw impossibleResult(subject);
}

/**
 * The part of a disk that `start` and `length` name.
 * @param start first virtual byte (default 0)
 * @param length bytes (default: to the end of the disk)
 */
export function rangeOf(start = 0n, length?: bigint): { readonly start: bigint; readonly end: bigint } {
  return { start, end: length === undefined || length > MAX_SIZE - start ? MAX_SIZE : start + length };
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
  const chain = await openForReading(file, options, new GuestSession(guestContext(control)));
  try {
    const scratch = await ScratchFile.create();
    try {
      chain.session.add(scratch.device);
      yield* mapChain(chain, scratch, rangeOf(options.start, options.length));
    } finally {
      await chain.session.close();
      await scratch.close();
    }
  } finally {
    await chain.close();
  }
}
