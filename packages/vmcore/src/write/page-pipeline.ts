import { compressPages, type PageCodec } from '@instar/vmm-native';
import { availableParallelism } from 'node:os';
import { checkAborted } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { fillBatch, pageBatches, type PageBatch } from '../read/read-memory.js';

/** Bytes of pages that are compressed at once, by one thread. */
const BATCH_BYTES = 1 << 20;
/** Bytes of pages that are held at once, and as many of compressed ones: many threads get smaller batches. */
const HELD_BYTES = 48 << 20;

/** Codec of a dump's pages; `none` stores them as they are. */
export type Compression = PageCodec | 'none';

/** A batch of pages after compression. Valid until the call that it was given to resolves. */
export interface CompressedBatch {
  readonly batch: PageBatch;
  /** Stored bytes of the pages, one behind the other. */
  readonly data: Uint8Array;
  /** For each page its stored bytes: 0 for a page of zeros, a page's size for one that did not shrink. */
  readonly sizes: Uint32Array;
}

interface Slot {
  readonly pages: Uint8Array;
  readonly output: Uint8Array;
  readonly sizes: Uint32Array;
}

/** What the pipeline needs to know. */
export interface PipelineOptions {
  readonly compression: Compression;
  /** Threads that compress; by default one for each CPU. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Hands out slots, and waits when all are in use. */
class SlotPool {
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(count: number, pageSize: number, perBatch: number) {
    this.#free = Array.from({ length: count }, () => ({
      pages: new Uint8Array(pageSize * perBatch),
      output: new Uint8Array(pageSize * perBatch),
      sizes: new Uint32Array(perBatch),
    }));
  }

  async take(): Promise<Slot> {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  give(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }
}

/**
 * Reads, compresses and delivers the stored pages of an image: batches are read one after the other, compressed on
 * threads, and delivered in order, all at the same time. Memory is bounded by the count of slots.
 */
export async function compressImage(
  image: MemoryImage,
  { compression, threads = availableParallelism(), signal }: PipelineOptions,
  deliver: (batch: CompressedBatch) => Promise<void>,
): Promise<void> {
  const { pageSize } = image;
  const slots = Math.min(threads + 2, Math.floor(HELD_BYTES / pageSize));
  const perBatch = Math.max(1, Math.floor(Math.min(BATCH_BYTES, HELD_BYTES / slots) / pageSize));
  const pool = new SlotPool(slots, pageSize, perBatch);
  const options = { pageSize, codec: compression, threads: 1 };
  const workers: Promise<unknown>[] = Array.from({ length: threads }, async () => Promise.resolve());
  let turn = 0;
  let delivered = Promise.resolve();
  const outcome = { failed: false };
  const deliverInOrder = async (
    slot: Slot,
    before: Promise<void>,
    batch: PageBatch,
    compressed: Promise<number>,
  ): Promise<void> => {
    try {
      const used = await compressed;
      await before;
      await deliver({ batch, data: slot.output.subarray(0, used), sizes: slot.sizes.subarray(0, batch.count) });
    } catch (error) {
      outcome.failed = true;
      throw error;
    } finally {
      pool.give(slot);
    }
  };
  try {
    for await (const batch of pageBatches(image, perBatch)) {
      checkAborted(signal);
      const slot = await pool.take();
      if (outcome.failed) break;
      await fillBatch(image, batch, slot.pages);
      const pages = slot.pages.subarray(0, batch.count * pageSize);
      const sizes = slot.sizes.subarray(0, batch.count);
      const worker = turn % threads;
      turn += 1;
      const compressed = (workers[worker] ?? Promise.resolve()).then(async () =>
        compressPages(pages, slot.output, sizes, options),
      );
      workers[worker] = compressed;
      delivered = deliverInOrder(slot, delivered, batch, compressed);
      // A failure is thrown at the end, where every later batch has waited for it.
      delivered.catch(() => undefined);
    }
  } finally {
    await delivered.catch(() => undefined);
    await Promise.allSettled(workers);
  }
  await delivered;
}
