import { BadPageError, decompressPage, type PageCodec } from '@instar/vmm-native';
import type { KdumpHeader } from '../read/kdump-header.js';
import { codecsOf } from '../read/page-store.js';
import { bytesAt, type ByteSource } from '../source/byte-source.js';
import { KDUMP_FLAG } from '../structures/diskdump.js';
import { isZero } from '../zero.js';
import type { Descriptor } from './descriptor-table.js';

/** Most pages in a row, and their bytes, whose descriptors are found by trying to decompress. */
const [MAX_TRIED, MAX_TRIED_BYTES] = [1024, 16 << 20];
/** Bytes that are tried at most for all of a dump: a page of 4 KiB takes about one MiB. */
const TRIES = 2 ** 31;

const FLAGS: Readonly<Record<PageCodec, number>> = {
  zlib: KDUMP_FLAG.values.ZLIB,
  lzo: KDUMP_FLAG.values.LZO,
  snappy: KDUMP_FLAG.values.SNAPPY,
  zstd: KDUMP_FLAG.values.ZSTD,
};

/** Finds out what stored bytes are, where their page descriptors are destroyed: pages lie one behind the other. */
export class StoredPages {
  readonly #source: ByteSource;
  readonly #blockSize: number;
  readonly #codecs: readonly PageCodec[];
  readonly #page: Uint8Array;
  #tries = TRIES;

  constructor(source: ByteSource, { blockSize, status }: Pick<KdumpHeader, 'blockSize' | 'status'>) {
    this.#source = source;
    this.#blockSize = blockSize;
    this.#codecs = codecsOf(status);
    this.#page = new Uint8Array(blockSize);
  }

  /** Whether a page of zeros is stored at an offset. */
  async isZeroPage(offset: bigint): Promise<boolean> {
    if (offset + BigInt(this.#blockSize) > this.#source.size) return false;
    return isZero(await bytesAt(this.#source, offset, this.#blockSize, 'page data'));
  }

  /**
   * Descriptors of so many pages that fill a range of the file; undefined where that cannot be told.
   * @param open whether the range may end before its end, as the last one of a file
   */
  async between(from: bigint, to: bigint, count: number, open: boolean): Promise<Descriptor[] | undefined> {
    const size = BigInt(this.#blockSize);
    if (to - from > BigInt(count) * size && !open) return undefined;
    const length = to - from > BigInt(count) * size ? count * this.#blockSize : Number(to - from);
    // Pages that are not compressed need no tries, and nothing can be told from their bytes.
    if (length === count * this.#blockSize && !open) return this.#plain(from, count);
    if (count === 1 && !open) return this.#only(from, length);
    if (count > MAX_TRIED || length > MAX_TRIED_BYTES) return undefined;
    const bytes = await bytesAt(this.#source, from, length, 'page data');
    const found: Descriptor[] = [];
    let at = 0;
    while (found.length < count && at < bytes.length) {
      const next = this.#first(bytes.subarray(at), from + BigInt(at));
      if (next === undefined) return undefined;
      found.push(next);
      at += next.size;
    }
    return found.length === count && (open || at === bytes.length) ? found : undefined;
  }

  #plain(from: bigint, count: number): Descriptor[] {
    const size = this.#blockSize;
    return Array.from({ length: count }, (_, index) => ({ offset: from + BigInt(index * size), size, flags: 0 }));
  }

  async #only(offset: bigint, size: number): Promise<Descriptor[] | undefined> {
    const bytes = await bytesAt(this.#source, offset, size, 'page data');
    const codec = this.#codecs.find((name) => this.#decompresses(name, bytes));
    return codec === undefined ? undefined : [{ offset, size, flags: FLAGS[codec] }];
  }

  /** The page with which some bytes begin: the fewest that make a page, or one that is not compressed. */
  #first(bytes: Uint8Array, offset: bigint): Descriptor | undefined {
    const most = Math.min(bytes.length, this.#blockSize - 1);
    for (let size = 1; size <= most; size += 1) {
      this.#tries -= size;
      if (this.#tries < 0) return undefined;
      const codec = this.#codecs.find((name) => this.#decompresses(name, bytes.subarray(0, size)));
      if (codec !== undefined) return { offset, size, flags: FLAGS[codec] };
    }
    return bytes.length < this.#blockSize ? undefined : { offset, size: this.#blockSize, flags: 0 };
  }

  #decompresses(codec: PageCodec, bytes: Uint8Array): boolean {
    try {
      decompressPage(codec, bytes, this.#page);
      return true;
    } catch (error) {
      if (error instanceof BadPageError) return false;
      throw error;
    }
  }
}
