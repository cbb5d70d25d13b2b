import type { KdumpHeader } from '../read/kdump-header.js';
import { bytesAt, type ByteSource } from '../source/byte-source.js';
import { KDUMP_FLAG, PAGE_DESCRIPTOR_SIZE } from '../structures/diskdump.js';

/** Descriptors that are read at once. */
const BATCH = 4096;
const CODEC_FLAGS: readonly number[] = [
  KDUMP_FLAG.values.ZLIB,
  KDUMP_FLAG.values.LZO,
  KDUMP_FLAG.values.SNAPPY,
  KDUMP_FLAG.values.ZSTD,
];

/** A page descriptor as it stands in the file, whether it makes sense or not. */
export interface Descriptor {
  readonly offset: bigint;
  readonly size: number;
  readonly flags: number;
}

/** The page descriptors of a kdump, some of which may be destroyed. */
export class DescriptorTable {
  readonly #source: ByteSource;
  readonly #header: KdumpHeader;

  constructor(source: ByteSource, header: KdumpHeader) {
    this.#source = source;
    this.#header = header;
  }

  /** Descriptors from an index on, in order; fewer than asked for where the file ends. */
  async *from(index: number, count: number): AsyncGenerator<Descriptor> {
    const { descriptors, byteOrder } = this.#header;
    const little = byteOrder === 'little';
    const room = (this.#source.size - descriptors) / BigInt(PAGE_DESCRIPTOR_SIZE);
    const end = room < BigInt(index + count) ? Number(room) : index + count;
    for (let at = index; at < end; at += BATCH) {
      const many = Math.min(BATCH, end - at);
      const place = descriptors + BigInt(at * PAGE_DESCRIPTOR_SIZE);
      const bytes = await bytesAt(this.#source, place, many * PAGE_DESCRIPTOR_SIZE, 'page_desc');
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let byte = 0; byte < bytes.length; byte += PAGE_DESCRIPTOR_SIZE) {
        yield {
          offset: view.getBigUint64(byte, little),
          size: view.getUint32(byte + 8, little),
          flags: view.getUint32(byte + 12, little),
        };
      }
    }
  }

  /** Whether a descriptor could be one: its data lies behind the descriptors and inside the file. */
  isPossible({ offset, size, flags }: Descriptor): boolean {
    const { blockSize, descriptors } = this.#header;
    if (size === 0 || size > blockSize || offset <= descriptors) return false;
    if (flags === 0 ? size !== blockSize : !CODEC_FLAGS.includes(flags)) return false;
    return offset + BigInt(size) <= this.#source.size;
  }

  /** Where the data of the first page lies, by the first so many descriptors: the least offset of those that can be. */
  async dataStart(count: number): Promise<bigint | undefined> {
    let least: bigint | undefined;
    for await (const descriptor of this.from(0, count)) {
      if (this.isPossible(descriptor) && (least === undefined || descriptor.offset < least)) least = descriptor.offset;
    }
    return least;
  }

  /** Whether nothing stands between so many descriptors and the data of the first page. */
  async isEmptyFrom(count: number): Promise<boolean> {
    const data = await this.dataStart(count);
    if (data === undefined) return false;
    const end = Number((data - this.#header.descriptors) / BigInt(PAGE_DESCRIPTOR_SIZE));
    for await (const { offset, size, flags } of this.from(count, Math.max(end - count, 0))) {
      if (offset !== 0n || size !== 0 || flags !== 0) return false;
    }
    return true;
  }
}
