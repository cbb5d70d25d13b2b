import { VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { clipImage } from '../operations/filter.js';
import { MAX_PAGES } from '../read/kdump-header.js';
import type { DumpSink } from '../sink/dump-sink.js';
import { PAGE_DESCRIPTOR_SIZE } from '../structures/diskdump.js';
import { writeBitmaps } from './bitmap-writer.js';
import type { WriteProgress } from './dump-state.js';
import { flagsOf, planKdump, type SplitPart } from './kdump-header-writer.js';
import { compressImage, type CompressedBatch, type Compression } from './page-pipeline.js';
import { countPages } from './page-count.js';

/** How a kdump-compressed dump is written. */
export interface KdumpOptions {
  readonly compression: Compression;
  readonly threads?: number | undefined;
  /** Which part of a split dump to write; by default all of it. */
  readonly part?: SplitPart | undefined;
  /** Time of the header (default: now). */
  readonly time?: Date | undefined;
}

/** Encodes page descriptors into a buffer that is used again: one a page, millions in a dump. */
class DescriptorBuffer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #length = 0;

  constructor(most: number, little: boolean) {
    this.#bytes = new Uint8Array(most * PAGE_DESCRIPTOR_SIZE);
    this.#view = new DataView(this.#bytes.buffer);
    this.#little = little;
  }

  add(offset: number, size: number, flags: number): void {
    const [at, little] = [this.#length, this.#little];
    const [low, high] = [offset >>> 0, Math.floor(offset / 0x1_0000_0000)];
    this.#view.setUint32(at + (little ? 0 : 4), low, little);
    this.#view.setUint32(at + (little ? 4 : 0), high, little);
    this.#view.setUint32(at + 8, size, little);
    this.#view.setUint32(at + 12, flags, little);
    this.#length += PAGE_DESCRIPTOR_SIZE;
  }

  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }
}

/**
 * Writes a kdump-compressed dump: headers and notes, both bitmaps, page descriptors, page data. All pages of zeros share
 * one stored page; a page that does not shrink is stored as it is.
 * @returns bytes of the dump
 * @throws VmcoreError `NOTHING_TO_DUMP`, `UNSUPPORTED`, `WRITE_FAILED`, `ABORTED`
 */
export async function writeKdump(
  image: MemoryImage,
  sink: DumpSink,
  { compression, threads, part, time = new Date() }: KdumpOptions,
  progress: WriteProgress,
): Promise<bigint> {
  const { pageSize } = image;
  checkBitmaps(image);
  const layout = planKdump(image, compression, part, time);
  await sink.write(0n, layout.header);
  const counts = await writeBitmaps(image, sink, layout.bitmap1, layout.bitmap2);
  if (counts.stored === 0n)
    throw new VmcoreError('NOTHING_TO_DUMP', 'there is no memory to write', { file: image.name });

  const size = BigInt(pageSize);
  const clipped = part === undefined ? image : clipImage(image, part.startPfn * size, part.endPfn * size);
  const inPart = part === undefined ? counts : await countPages(clipped);
  progress.total(inPart.bytes);
  const dataAt = layout.descriptors + inPart.stored * BigInt(PAGE_DESCRIPTOR_SIZE);
  // File offsets are numbers here: a dump of 8 PiB does not exist.
  const zeroPage = Number(dataAt);
  await sink.write(dataAt, new Uint8Array(pageSize));
  let position = zeroPage + pageSize;
  let descriptorAt = layout.descriptors;
  const flags = flagsOf(compression);
  const descriptors = new DescriptorBuffer(1 << 16, image.byteOrder === 'little');

  const deliver = async ({ batch, data, sizes }: CompressedBatch): Promise<void> => {
    const start = position;
    for (const stored of sizes) {
      if (stored === 0) descriptors.add(zeroPage, pageSize, 0);
      else descriptors.add(position, stored, stored === pageSize ? 0 : flags);
      position += stored;
    }
    const encoded = descriptors.take();
    await sink.write(descriptorAt, encoded);
    descriptorAt += BigInt(encoded.length);
    if (data.length > 0) await sink.write(BigInt(start), data);
    progress.wrote(batch.extents.reduce((sum, { length }) => sum + length, 0n));
  };
  await compressImage(clipped, { compression, threads, signal: progress.signal }, deliver);
  return BigInt(position);
}

function checkBitmaps(image: MemoryImage): void {
  const size = BigInt(image.pageSize);
  const maxMapnr = (image.addressLimit + size - 1n) / size;
  const [most, limit] = [MAX_PAGES, 1n << 32n];
  const bits32 = image.wordBits === 32 && maxMapnr > limit;
  if (maxMapnr <= most && !bits32) return;
  throw new VmcoreError('UNSUPPORTED', 'the memory does not fit the bitmaps of a kdump-compressed file', {
    file: image.name,
    field: 'max_mapnr',
    found: `${maxMapnr} pages`,
    expected: `at most ${bits32 ? limit : most}`,
  });
}
