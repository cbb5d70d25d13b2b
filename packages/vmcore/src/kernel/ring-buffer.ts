import { VmcoreError } from '../errors.js';
import { CONTINUATION, levelOf, needed, type LogRecord, type LogSource } from './log.js';
import { wordAt } from './words.js';

/** Records, and bytes of text, that a ring may have: powers of two. */
const [MAX_COUNT_BITS, MAX_SIZE_BITS] = [24, 31];
/** Descriptors, and bytes of text, that are read at once. */
const [BATCH, TEXT_BLOCK] = [256, 16 << 10];
/** States of a descriptor whose text is complete: committed and finalized. */
const COMPLETE = [1n, 2n];

interface Ring {
  readonly count: number;
  readonly descriptors: bigint;
  readonly infos: bigint;
  readonly head: bigint;
  readonly tail: bigint;
  readonly textSize: bigint;
  readonly text: bigint;
}

type Offset = (member: string) => number;

const big = (value: number): bigint => BigInt(value);

async function readRing(source: LogSource, offset: Offset): Promise<Ring> {
  const prb = await source.word(source.info.symbol('prb') ?? 0n);
  const ring = prb + big(offset('printk_ringbuffer.desc_ring'));
  const texts = prb + big(offset('printk_ringbuffer.text_data_ring'));
  const counter = big(offset('atomic_long_t.counter'));
  const bits = async (at: bigint, most: number, field: string): Promise<number> => {
    const bytes = await source.read(at, 4);
    const found = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, source.little);
    if (found <= most) return found;
    throw new VmcoreError('BAD_DUMP', 'the ring buffer of the log is not valid', {
      file: source.name,
      field,
      found: `2^${found}`,
      expected: `at most 2^${most}`,
    });
  };
  const countBits = await bits(
    ring + big(offset('prb_desc_ring.count_bits')),
    MAX_COUNT_BITS,
    'prb_desc_ring.count_bits',
  );
  const sizeBits = await bits(texts + big(offset('prb_data_ring.size_bits')), MAX_SIZE_BITS, 'prb_data_ring.size_bits');
  return {
    count: 2 ** countBits,
    descriptors: await source.word(ring + big(offset('prb_desc_ring.descs'))),
    infos: await source.word(ring + big(offset('prb_desc_ring.infos'))),
    head: await source.word(ring + big(offset('prb_desc_ring.head_id')) + counter),
    tail: await source.word(ring + big(offset('prb_desc_ring.tail_id')) + counter),
    textSize: 1n << big(sizeBits),
    text: await source.word(texts + big(offset('prb_data_ring.data'))),
  };
}

/** Where the text of a record lies in its ring; undefined when it has none. */
function blockOf(begin: bigint, next: bigint, { textSize }: Ring, wordBytes: number) {
  // Both the same, or odd: a record without data (BLK_DATALESS).
  if ((begin & 1n) !== 0n || begin === next) return undefined;
  const from = begin % textSize;
  const to = next % textSize === 0n ? textSize : next % textSize;
  // A block that does not fit behind the last one begins the ring anew; each begins with its descriptor's number.
  const start = (from >= to ? 0n : from) + big(wordBytes);
  return start > to ? undefined : { start, room: Number(to - start) };
}

/** Reads texts, which mostly follow each other in their ring, some at once. */
function textReader(source: LogSource, ring: Ring): (start: bigint, length: number) => Promise<Uint8Array> {
  let [from, block] = [0n, new Uint8Array(0)];
  return async (start, length) => {
    if (length === 0) return new Uint8Array(0);
    if (start < from || start + big(length) > from + big(block.length)) {
      const room = ring.textSize - start;
      const size = room < big(TEXT_BLOCK) ? Number(room) : TEXT_BLOCK;
      try {
        [from, block] = [start, Uint8Array.from(await source.read(ring.text + start, Math.max(size, length)))];
      } catch (error) {
        // What lies behind the text may not be in the dump.
        if (!(error instanceof VmcoreError)) throw error;
        return source.read(ring.text + start, length);
      }
    }
    const at = Number(start - from);
    return block.slice(at, at + length);
  };
}

/** The records of kernels since 5.10 (Linux, kernel/printk/printk_ringbuffer.h). */
export async function* readRingBuffer(source: LogSource): AsyncGenerator<LogRecord> {
  const { info, wordBytes, little } = source;
  const offset: Offset = (member) => needed(source, info.offsetOf(member), `OFFSET(${member})`);
  const size = (name: string): number => needed(source, info.sizeOf(name), `SIZE(${name})`);
  const ring = await readRing(source, offset);
  const [descriptorSize, infoSize] = [size('prb_desc'), size('printk_info')];
  const counter = offset('atomic_long_t.counter');
  const stateAt = offset('prb_desc.state_var') + counter;
  const blockAt = offset('prb_desc.text_blk_lpos');
  const [beginAt, nextAt] = [offset('prb_data_blk_lpos.begin'), offset('prb_data_blk_lpos.next')];
  const [sequenceAt, timeAt] = [offset('printk_info.seq'), offset('printk_info.ts_nsec')];
  const [lengthAt, callerAt] = [offset('printk_info.text_len'), offset('printk_info.caller_id')];
  const furthest = Math.max(sequenceAt + 8, timeAt + 8, lengthAt + 4, callerAt + 4);
  if (Math.max(stateAt, blockAt + beginAt, blockAt + nextAt) + wordBytes > descriptorSize || furthest > infoSize) {
    throw new VmcoreError('BAD_DUMP', 'VMCOREINFO has members outside their structures', {
      file: source.name,
      field: 'OFFSET(prb_desc…), OFFSET(printk_info…)',
    });
  }
  // The two highest bits of an identifier's word are the descriptor's state.
  const idBits = wordBytes * 8 - 2;
  const textAt = textReader(source, ring);
  const id = (value: bigint): bigint => BigInt.asUintN(idBits, value);
  const total = Number(id(ring.head - ring.tail) < big(ring.count) ? id(ring.head - ring.tail) + 1n : big(ring.count));
  for (let done = 0; done < total;) {
    const first = Number((id(ring.tail) + big(done)) % big(ring.count));
    const count = Math.min(BATCH, total - done, ring.count - first);
    const descriptors = await source.read(ring.descriptors + big(first * descriptorSize), count * descriptorSize);
    const infos = await source.read(ring.infos + big(first * infoSize), count * infoSize);
    const view = new DataView(infos.buffer, infos.byteOffset, infos.byteLength);
    for (let index = 0; index < count; index += 1) {
      const descriptor = index * descriptorSize;
      const state = wordAt(descriptors, descriptor + stateAt, source);
      const wanted = id(ring.tail + big(done + index));
      if (id(state) !== wanted || !COMPLETE.includes(state >> big(idBits))) continue;
      const begin = wordAt(descriptors, descriptor + blockAt + beginAt, source);
      const next = wordAt(descriptors, descriptor + blockAt + nextAt, source);
      const block = blockOf(begin, next, ring, wordBytes);
      if (block === undefined) continue;
      const at = index * infoSize;
      const length = Math.min(view.getUint16(at + lengthAt, little), block.room);
      const { level, flags } = levelOf(infos[at + lengthAt + 3] ?? 0, little);
      yield {
        sequence: view.getBigUint64(at + sequenceAt, little),
        time: view.getBigUint64(at + timeAt, little),
        level,
        facility: infos[at + lengthAt + 2] ?? 0,
        caller: view.getUint32(at + callerAt, little),
        continuation: (flags & CONTINUATION) !== 0,
        text: await textAt(block.start, length),
      };
    }
    done += count;
  }
}
