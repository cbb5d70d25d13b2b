import { VmcoreError } from '../errors.js';
import {
  FLATTENED_HEADER_SIZE,
  FLATTENED_SIGNATURE,
  FLATTENED_TYPE,
  FLATTENED_VERSION,
  flattenedHeader,
  RECORD_HEADER_SIZE,
  recordHeader,
} from '../structures/flattened.js';
import { bytesAt, checkRange, fillFrom, type ByteSource } from './byte-source.js';
import { pieceAt } from './disjoint.js';
import { indexFlattened, type FlattenedIndex } from './flattened-index.js';

/** Bytes of runs that are kept: 64 KiB each, in large streams up to 4 MiB. */
const CACHED_BYTES = 8 << 20;

/** Whether the first bytes of a file are those of a flattened stream. */
export function isFlattened(start: Uint8Array): boolean {
  const signature = new TextEncoder().encode(`${FLATTENED_SIGNATURE}\0`);
  return start.length >= signature.length && signature.every((byte, index) => start[index] === byte);
}

/**
 * Checks the header of a flattened stream.
 * @throws VmcoreError `UNSUPPORTED`
 */
export function checkFlattenedHeader(start: Uint8Array, file: string): void {
  const { header_type: type, version } = flattenedHeader.decode(start);
  if (type === FLATTENED_TYPE && version === FLATTENED_VERSION) return;
  throw new VmcoreError('UNSUPPORTED', 'this version of the flattened format is not known', {
    file,
    field: 'makedumpfile_header',
    offset: 16n,
    found: `type ${type}, version ${version}`,
    expected: 'type 1, version 1',
  });
}

/** What several streams may take together: runs that were indexed in those before, and how many streams there are. */
export interface StreamBudget {
  readonly parts: number;
  runs: number;
}

/** A flattened stream, read in place as the file that it stands for. Closing it closes the stream's source. */
export async function flattenedSource(stream: ByteSource, budget?: StreamBudget): Promise<ByteSource> {
  checkFlattenedHeader(await bytesAt(stream, 0n, FLATTENED_HEADER_SIZE, 'makedumpfile_header'), stream.name);
  const index = await indexFlattened(stream, budget?.runs);
  if (budget !== undefined) budget.runs += index.streams.length;
  const most = CACHED_BYTES / (budget?.parts ?? 1);
  const cache = new Map<number, Promise<Uint8Array>>();

  let held = 0;
  const forget = (run: number): void => {
    if (cache.delete(run)) held -= index.lengths[run] ?? 0;
  };

  const runData = async (run: number): Promise<Uint8Array> => {
    const cached = cache.get(run);
    if (cached !== undefined) {
      cache.delete(run);
      cache.set(run, cached);
      return cached;
    }
    const loading = gather(stream, index, run);
    cache.set(run, loading);
    // What could not be read now may be read later.
    loading.catch(() => {
      if (cache.get(run) === loading) forget(run);
    });
    held += index.lengths[run] ?? 0;
    for (const oldest of cache.keys()) {
      if (held <= most || oldest === run) break;
      forget(oldest);
    }
    return loading;
  };

  return {
    name: stream.name,
    size: index.size,
    cutOff: index.cutOff,
    async read(offset, target) {
      if (offset >= index.size) return 0;
      const start = Number(offset);
      const length = Math.min(target.length, Number(index.size) - start);
      await readPieces(stream, index, runData, start, target.subarray(0, length));
      return length;
    },
    nextData(offset) {
      if (offset >= index.size) return undefined;
      const piece = pieceAt(index.pieces, Number(offset));
      if (piece === index.pieces.count) return undefined;
      const start = BigInt(index.pieces.starts[piece] ?? 0);
      return start > offset ? start : offset;
    },
    close: async () => stream.close(),
  };
}

async function readPieces(
  stream: ByteSource,
  index: FlattenedIndex,
  runData: (run: number) => Promise<Uint8Array>,
  start: number,
  target: Uint8Array,
): Promise<void> {
  const { pieces } = index;
  const end = start + target.length;
  let position = start;
  for (let piece = pieceAt(pieces, start); position < end && piece < pieces.count; piece += 1) {
    const [from = 0, to = 0, run = 0] = [pieces.starts[piece], pieces.ends[piece], pieces.owners[piece]];
    if (from >= end) break;
    if (from > position) {
      target.fill(0, position - start, from - start);
      position = from;
    }
    const until = Math.min(to, end);
    const skip = position - (index.targets[run] ?? 0);
    const part = target.subarray(position - start, until - start);
    if (index.records[run] === 1) {
      const data = BigInt(index.streams[run] ?? 0) + BigInt(RECORD_HEADER_SIZE + skip);
      await fillFrom(stream, data, part, 'record of the flattened stream');
    } else {
      const data = await runData(run);
      part.set(data.subarray(skip, skip + part.length));
    }
    position = until;
  }
  target.fill(0, position - start);
}

/** Most bytes that are read while everything else waits, and where they go: they are taken apart before others are read. */
const AT_ONCE = new Uint8Array(128 << 10);

/** Undefined where it cannot be read at once. The bytes are valid until somebody else has a turn. */
function spanNow(stream: ByteSource, start: bigint, length: number): Uint8Array | undefined {
  if (stream.readNow === undefined || length > AT_ONCE.length) return undefined;
  const span = AT_ONCE.subarray(0, length);
  checkRange(stream, start, BigInt(length), 'records');
  if (stream.readNow(start, span) === length) return span;
  throw new VmcoreError('TRUNCATED', 'the file has become shorter', { file: stream.name, offset: start });
}

/** The data of a run of small records, without their headers. */
async function gather(stream: ByteSource, index: FlattenedIndex, run: number): Promise<Uint8Array> {
  const [records = 0, length = 0, start = 0] = [index.records[run], index.lengths[run], index.streams[run]];
  const stored = length + records * RECORD_HEADER_SIZE;
  // Nothing is awaited between reading at once and taking apart.
  const span = spanNow(stream, BigInt(start), stored) ?? (await bytesAt(stream, BigInt(start), stored, 'records'));
  const data = new Uint8Array(length);
  let [from, to] = [0, 0];
  for (let record = 0; record < records; record += 1) {
    const size = Number(recordHeader.decode(span, from).buf_size);
    from += RECORD_HEADER_SIZE;
    // The file may have changed since it was indexed.
    if (!(size >= 0) || to + size > length) {
      throw new VmcoreError('BAD_DUMP', 'the flattened stream has changed while it was read', { file: stream.name });
    }
    data.set(span.subarray(from, from + size), to);
    from += size;
    to += size;
  }
  return data;
}
