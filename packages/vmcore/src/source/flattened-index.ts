import { VmcoreError } from '../errors.js';
import { END_FLAG, FLATTENED_HEADER_SIZE, RECORD_HEADER_SIZE, recordHeader } from '../structures/flattened.js';
import { MAX_OFFSET, type ByteSource } from './byte-source.js';
import { disjoint, type Pieces } from './disjoint.js';

/** Bytes of data in a run of several records: what a random read may have to take in. */
const RUN_BYTES = 64 << 10;
/** Runs after which they become four times as long: an index of few runs is worth more in a large stream. */
const RUNS_OF_A_SIZE = 256 << 10;
/** Records above this are runs of their own. */
const SMALL_RECORD = 32 << 10;
/** Most runs that are indexed: some 50 bytes each in memory, more while they are gathered, and 1.3 TiB of stream. */
const MAX_RUNS = 4 * RUNS_OF_A_SIZE;
const [WIDE_WINDOW, NARROW_WINDOW] = [256 << 10, 4 << 10];
/** Milliseconds of reading after which others get their turn. */
const REST_AFTER = 5;

/**
 * Records of a flattened stream, by where their data belongs. A run is one record, or several small ones that follow
 * each other both in the stream and in the file that it stands for.
 */
export interface FlattenedIndex {
  /** Ascending pieces of the rearranged file; what lies between them is zeros. Later records hide earlier ones. */
  readonly pieces: Pieces;
  /** For each run: where its first record's header stands in the stream, its place in the file, bytes, records. */
  readonly streams: Float64Array;
  readonly targets: Float64Array;
  readonly lengths: Float64Array;
  readonly records: Uint8Array;
  /** Bytes of the rearranged file. */
  readonly size: bigint;
  /** Where the stream ends before its end mark; undefined when it has one. */
  readonly cutOff: bigint | undefined;
}

class Runs {
  streams = new Float64Array(1024);
  targets = new Float64Array(1024);
  lengths = new Float64Array(1024);
  records = new Uint8Array(1024);
  count = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** @param alone whether the record's header does not say its length, so that it cannot be one of several */
  add(stream: number, target: number, length: number, alone: boolean): boolean {
    const last = this.count - 1;
    const [lastTarget = 0, lastLength = 0, lastRecords = 0] = [
      this.targets[last],
      this.lengths[last],
      this.records[last],
    ];
    const continues =
      last >= 0 &&
      !alone &&
      lastTarget + lastLength === target &&
      length <= SMALL_RECORD &&
      lastLength + length <= RUN_BYTES << (2 * Math.floor(this.count / RUNS_OF_A_SIZE)) &&
      lastRecords < 255;
    if (continues) {
      this.lengths[last] = lastLength + length;
      this.records[last] = lastRecords + 1;
      return true;
    }
    if (this.count >= this.#most) return false;
    if (this.count === this.streams.length) this.#grow();
    this.streams[this.count] = stream;
    this.targets[this.count] = target;
    this.lengths[this.count] = length;
    this.records[this.count] = 1;
    this.count += 1;
    return true;
  }

  #grow(): void {
    const larger = (array: Float64Array): Float64Array<ArrayBuffer> => {
      const copy = new Float64Array(array.length * 2);
      copy.set(array);
      return copy;
    };
    this.streams = larger(this.streams);
    this.targets = larger(this.targets);
    this.lengths = larger(this.lengths);
    const records = new Uint8Array(this.records.length * 2);
    records.set(this.records);
    this.records = records;
  }
}

/** A window of the stream that moves forward over the records' headers. */
class HeaderWindow {
  readonly #source: ByteSource;
  readonly #buffer = new Uint8Array(WIDE_WINDOW);
  #start = 0n;
  #length = 0;
  #rested = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async headerAt(position: bigint, narrow: boolean): Promise<{ offset: bigint; buf_size: bigint } | undefined> {
    const size = BigInt(RECORD_HEADER_SIZE);
    if (position + size > this.#source.size) return undefined;
    if (this.#source.readNow !== undefined) return this.#headerNow(position, this.#source.readNow);
    if (position < this.#start || position + size > this.#start + BigInt(this.#length)) {
      this.#start = position;
      this.#length = await this.#source.read(position, this.#buffer.subarray(0, narrow ? NARROW_WINDOW : WIDE_WINDOW));
      if (this.#length < RECORD_HEADER_SIZE) return undefined;
    }
    return recordHeader.decode(this.#buffer, Number(position - this.#start));
  }

  /** Each header says where the next one is: waiting for every one of them would take most of the time. */
  async #headerNow(
    position: bigint,
    readNow: NonNullable<ByteSource['readNow']>,
  ): Promise<{ offset: bigint; buf_size: bigint } | undefined> {
    const now = performance.now();
    if (now - this.#rested > REST_AFTER) {
      await new Promise(setImmediate);
      this.#rested = performance.now();
    }
    const header = this.#buffer.subarray(0, RECORD_HEADER_SIZE);
    return readNow(position, header) < RECORD_HEADER_SIZE ? undefined : recordHeader.decode(header);
  }
}

/**
 * Checks a record's header.
 * @throws VmcoreError `BAD_DUMP` when its numbers cannot be
 */
export function checkRecord(header: { offset: bigint; buf_size: bigint }, file: string, position: bigint): void {
  const { offset, buf_size: size } = header;
  if (size < 0n || offset < 0n || offset > MAX_OFFSET || size > MAX_OFFSET - offset) {
    throw new VmcoreError('BAD_DUMP', 'a record of the flattened stream is not valid', {
      file,
      field: 'makedumpfile_data_header',
      offset: position,
      found: `offset ${offset}, size ${size}`,
      expected: 'both from 0 to 2^53',
    });
  }
}

/**
 * Indexes a stream. One that was cut off is indexed as far as it goes.
 * @param taken runs of other streams of the same dump
 * @throws VmcoreError `BAD_DUMP`, `TOO_LARGE`
 */
export async function indexFlattened(source: ByteSource, taken = 0): Promise<FlattenedIndex> {
  const runs = new Runs(MAX_RUNS - taken);
  const window = new HeaderWindow(source);
  let position = BigInt(FLATTENED_HEADER_SIZE);
  let size = 0n;
  let narrow = false;
  let cutOff: bigint | undefined;
  for (;;) {
    const header = await window.headerAt(position, narrow);
    if (header === undefined) {
      cutOff = source.size;
      break;
    }
    if (header.offset === END_FLAG && header.buf_size === END_FLAG) break;
    checkRecord(header, source.name, position);
    const data = position + BigInt(RECORD_HEADER_SIZE);
    const next = data + header.buf_size;
    if (next > source.size) cutOff = source.size;
    const length = next > source.size ? source.size - data : header.buf_size;
    // A record without data says nothing, not even how long the file is.
    const empty = length === 0n;
    if (!empty && !runs.add(Number(position), Number(header.offset), Number(length), cutOff !== undefined)) {
      throw new VmcoreError('TOO_LARGE', 'the flattened stream has too many records to be read in place', {
        file: source.name,
        offset: position,
        found: `more than ${MAX_RUNS} runs of records`,
        expected: 'fewer; rearrange it with unflatten first',
      });
    }
    const end = header.offset + length;
    if (!empty && end > size) size = end;
    if (cutOff !== undefined) break;
    narrow = header.buf_size > BigInt(WIDE_WINDOW);
    position = next;
  }
  return {
    pieces: disjoint(runs.targets, runs.lengths, runs.count, true),
    // Copies would take as much again.
    streams: runs.streams.subarray(0, runs.count),
    targets: runs.targets.subarray(0, runs.count),
    lengths: runs.lengths.subarray(0, runs.count),
    records: runs.records.subarray(0, runs.count),
    size,
    cutOff,
  };
}
