import type { MemoryImage } from '../image.js';
import type { DumpSink } from '../sink/dump-sink.js';
import { isZero } from '../zero.js';

/** Bytes of a bitmap that are held at once. */
const CHUNK_BYTES = 256 << 10;
/** The smallest block (bytes): bitmaps end with a block. */
const MIN_BLOCK = 512;
const CHUNK_PAGES = BigInt(CHUNK_BYTES * 8);

/** A bitmap that is set in ascending order and written in chunks; chunks of zeros are not written. */
class BitmapWriter {
  readonly #sink: DumpSink;
  readonly #offset: bigint;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  #index = 0n;
  /** The first page that may still be set. */
  #next = 0n;
  /** Pages that were set. */
  count = 0n;

  constructor(sink: DumpSink, offset: bigint) {
    this.#sink = sink;
    this.#offset = offset;
  }

  /** Sets pages; those before the last one that was set are set already. */
  async set(first: bigint, end: bigint): Promise<void> {
    let page = first > this.#next ? first : this.#next;
    if (page < end) {
      this.count += end - page;
      this.#next = end;
    }
    while (page < end) {
      const index = page / CHUNK_PAGES;
      if (index !== this.#index) {
        await this.flush();
        this.#index = index;
      }
      const stop = (index + 1n) * CHUNK_PAGES;
      const until = end < stop ? end : stop;
      setBits(this.#chunk, Number(page % CHUNK_PAGES), Number(until - index * CHUNK_PAGES));
      page = until;
    }
  }

  async flush(): Promise<void> {
    // Written up to the last set bit's block: what follows is a gap, or what lies behind the bitmap.
    let length = CHUNK_BYTES;
    while (length > 0 && isZero(this.#chunk.subarray(length - MIN_BLOCK, length))) length -= MIN_BLOCK;
    if (length === 0) return;
    await this.#sink.write(this.#offset + this.#index * BigInt(CHUNK_BYTES), this.#chunk.subarray(0, length));
    this.#chunk.fill(0, 0, length);
  }
}

function setBits(bytes: Uint8Array, first: number, end: number): void {
  let bit = first;
  for (; bit < end && (bit & 7) !== 0; bit += 1) bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7));
  const whole = end & ~7;
  if (bit < whole) {
    bytes.fill(0xff, bit >>> 3, whole >>> 3);
    bit = whole;
  }
  for (; bit < end; bit += 1) bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7));
}

/** What the bitmaps of an image come to. */
export interface BitmapCounts {
  /** Pages whose content is written. */
  readonly stored: bigint;
  /** Bytes of memory in them. */
  readonly bytes: bigint;
}

/** Writes the bitmap of the pages that exist and that of the pages that are stored. */
export async function writeBitmaps(
  image: MemoryImage,
  sink: DumpSink,
  existsAt: bigint,
  storedAt: bigint,
): Promise<BitmapCounts> {
  const size = BigInt(image.pageSize);
  const exists = new BitmapWriter(sink, existsAt);
  const stored = new BitmapWriter(sink, storedAt);
  let bytes = 0n;
  for await (const { start, length, kind } of image.extents()) {
    const first = start / size;
    const end = (start + length + size - 1n) / size;
    await exists.set(first, end);
    if (kind === 'stored') {
      await stored.set(first, end);
      bytes += length;
    }
  }
  await exists.flush();
  await stored.flush();
  return { stored: stored.count, bytes };
}
