import { decompressPage, decompressPages, type PageCodec } from '@instar/vmm-native';
import { VmcoreError } from '../errors.js';
import { bytesAt, checkRange, type ByteSource } from '../source/byte-source.js';
import { KDUMP_FLAG, PAGE_DESCRIPTOR_SIZE, PageDescriptor } from '../structures/diskdump.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';
import type { KdumpHeader } from './kdump-header.js';
import { pageExcluded } from './read-memory.js';

/** Stored bytes that are read at once, and the gap between pages that is read along. */
const [SPAN_BYTES, GAP_BYTES] = [8 << 20, 64 << 10];

const CODECS: readonly { readonly flag: number; readonly codec: PageCodec; readonly number: number }[] = [
  { flag: KDUMP_FLAG.values.ZLIB, codec: 'zlib', number: 1 },
  { flag: KDUMP_FLAG.values.LZO, codec: 'lzo', number: 2 },
  { flag: KDUMP_FLAG.values.SNAPPY, codec: 'snappy', number: 3 },
  { flag: KDUMP_FLAG.values.ZSTD, codec: 'zstd', number: 4 },
];
const CODEC_FLAGS = CODECS.reduce((sum, { flag }) => sum | flag, 0);

/** Names of the codecs in a header's status or a page's flags. */
export function codecsOf(flags: number): readonly PageCodec[] {
  return CODECS.filter(({ flag }) => (flags & flag) !== 0).map(({ codec }) => codec);
}

interface StoredPage {
  readonly offset: bigint;
  readonly size: number;
  readonly codec: (typeof CODECS)[number] | undefined;
}

/** Stored pages of a kdump-compressed file, by the index of their descriptors. */
export class PageStore {
  readonly #source: ByteSource;
  readonly #header: KdumpHeader;
  /** Where the page of zeros was seen that all such pages share. */
  #zeroPage: bigint | undefined;

  constructor(source: ByteSource, header: KdumpHeader) {
    this.#source = source;
    this.#header = header;
  }

  async #descriptors(index: number, count: number, page: number): Promise<StoredPage[]> {
    const { descriptors, byteOrder, blockSize } = this.#header;
    const offset = descriptors + BigInt(index) * BigInt(PAGE_DESCRIPTOR_SIZE);
    const bytes = await bytesAt(this.#source, offset, count * PAGE_DESCRIPTOR_SIZE, 'page_desc');
    const codec = structureCodec(PageDescriptor, dumpTarget(byteOrder, 64));
    return codec.decodeArray(bytes, 0, count).map((descriptor, at) => {
      const { offset: data, size, flags } = descriptor;
      if (data === 0n) throw pageExcluded(this.#source, BigInt(page + at) * BigInt(blockSize));
      const used = flags & CODEC_FLAGS;
      const found = used === 0 ? undefined : CODECS.find(({ flag }) => flag === used);
      if ((used !== 0 && found === undefined) || size === 0 || size > blockSize || (used === 0 && size !== blockSize)) {
        throw new VmcoreError('BAD_DUMP', 'a page descriptor is impossible', {
          file: this.#source.name,
          field: 'page_desc',
          offset: offset + BigInt(at * PAGE_DESCRIPTOR_SIZE),
          found: `size ${size}, flags 0x${flags.toString(16)}`,
          expected: `at most one codec, and at most ${blockSize} bytes (as many when it is not compressed)`,
        });
      }
      checkRange(this.#source, data, BigInt(size), 'page_desc.offset, page_desc.size');
      return { offset: data, size, codec: found };
    });
  }

  /** Reads one page. @param page its frame number, for messages */
  async readPage(index: number, page: number): Promise<Uint8Array> {
    const [stored] = await this.#descriptors(index, 1, page);
    if (stored === undefined) throw new RangeError('one descriptor was asked for');
    const data = await bytesAt(this.#source, stored.offset, stored.size, 'page data');
    if (stored.codec === undefined) return data;
    const output = new Uint8Array(this.#header.blockSize);
    try {
      decompressPage(stored.codec.codec, data, output);
    } catch (error) {
      throw this.#badPage(stored, page, error);
    }
    return output;
  }

  /** Reads the pages of consecutive descriptors. @param target as many bytes as the pages have */
  async readPages(index: number, page: number, target: Uint8Array): Promise<void> {
    const { blockSize } = this.#header;
    const count = target.length / blockSize;
    const pages = await this.#descriptors(index, count, page);
    let first = 0;
    while (first < count) {
      if (this.#isZero(pages[first])) {
        target.fill(0, first * blockSize, (first + 1) * blockSize);
        first += 1;
        continue;
      }
      const end = this.#spanEnd(pages, first);
      await this.#readSpan(pages.slice(first, end), page + first, target.subarray(first * blockSize, end * blockSize));
      first = end;
    }
  }

  #isZero(stored: StoredPage | undefined): boolean {
    return stored !== undefined && stored.codec === undefined && stored.offset === this.#zeroPage;
  }

  /** Pages that lie close behind each other are read at once; the shared page of zeros need not lie there. */
  #spanEnd(pages: readonly StoredPage[], first: number): number {
    const start = pages[first]?.offset ?? 0n;
    let position = start;
    let index = first;
    for (; index < pages.length; index += 1) {
      const stored = pages[index];
      if (stored === undefined || this.#isZero(stored)) break;
      const end = stored.offset + BigInt(stored.size);
      const near = stored.offset >= position && stored.offset - position <= BigInt(GAP_BYTES);
      if (index > first && (!near || end - start > BigInt(SPAN_BYTES))) break;
      position = end;
    }
    return index;
  }

  async #readSpan(pages: readonly StoredPage[], page: number, target: Uint8Array): Promise<void> {
    const { blockSize } = this.#header;
    const [first, last] = [pages[0], pages[pages.length - 1]];
    if (first === undefined || last === undefined) return;
    const length = Number(last.offset + BigInt(last.size) - first.offset);
    const data = await bytesAt(this.#source, first.offset, length, 'page data');
    const [offsets, sizes] = [new Uint32Array(pages.length), new Uint32Array(pages.length)];
    const codecs = new Uint8Array(pages.length);
    pages.forEach((stored, index) => {
      offsets[index] = Number(stored.offset - first.offset);
      sizes[index] = stored.size;
      codecs[index] = stored.codec?.number ?? 0;
    });
    try {
      await decompressPages(data, offsets, sizes, codecs, target, { pageSize: blockSize });
    } catch (error) {
      const bad = typeof error === 'object' && error !== null && 'page' in error ? Number(error.page) : 0;
      throw this.#badPage(pages[bad] ?? first, page + bad, error);
    }
    if (pages.length === 1 && first.codec === undefined && target.every((byte) => byte === 0)) {
      this.#zeroPage = first.offset;
    }
  }

  #badPage(stored: StoredPage, page: number, cause: unknown): VmcoreError {
    return new VmcoreError('BAD_DUMP', `page ${page} cannot be decompressed`, {
      file: this.#source.name,
      field: 'page data',
      offset: stored.offset,
      found: `${stored.size} bytes of ${stored.codec?.codec ?? 'no codec'}`,
      expected: `exactly ${this.#header.blockSize} bytes out of them`,
      cause,
    });
  }
}
