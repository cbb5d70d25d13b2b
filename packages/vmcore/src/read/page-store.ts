import { BadPageError, decompressPage, decompressPages, type PageCodec } from '@instar/vmm-native';
import { VmcoreError } from '../errors.js';
import { bytesAt, checkRange, fillFrom, MAX_OFFSET, type ByteSource } from '../source/byte-source.js';
import { KDUMP_FLAG, PAGE_DESCRIPTOR_SIZE, PageDescriptor } from '../structures/diskdump.js';
import { dumpTarget, structureCodec } from '../structures/targets.js';
import type { KdumpHeader } from './kdump-header.js';
import { isZero } from '../zero.js';
import { pageExcluded } from './read-memory.js';

/** Stored bytes that are read at once, and the gap between pages that is read along. */
const [SPAN_BYTES, GAP_BYTES] = [8 << 20, 64 << 10];

/** Descriptors that are looked at for the end of a file: the last pages may be zeros, which lie elsewhere. */
const LAST_PAGES = 1 << 14;
/** Pages of which the missing ones are counted: 256 GiB of 4 KiB pages. */
const COUNTED_PAGES = 1 << 26;

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

/** Stored bytes that are read at once. */
interface Span {
  readonly start: bigint;
  readonly length: number;
  /** Index behind its last page. */
  readonly end: number;
}

/** Stored pages of a kdump-compressed file, by the index of their descriptors. */
export class PageStore {
  readonly #source: ByteSource;
  readonly #header: KdumpHeader;
  #spare: Uint8Array | undefined;
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
      if (data === 0n) throw this.#withoutData(BigInt(page + at) * BigInt(blockSize));
      const used = flags & CODEC_FLAGS;
      const found = used === 0 ? undefined : CODECS.find(({ flag }) => flag === used);
      if ((used !== 0 && found === undefined) || size === 0 || size > blockSize || (used === 0 && size !== blockSize)) {
        throw new VmcoreError('BAD_DUMP', 'a page descriptor is not valid', {
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

  /** Forgets what can be read again. */
  release(): void {
    this.#spare = undefined;
  }

  /** A page without data: makedumpfile could not finish, or the stream that was to bring its descriptor broke off. */
  #withoutData(address: bigint): VmcoreError {
    if (this.#source.cutOff === undefined) return pageExcluded(this.#source, address);
    return new VmcoreError('TRUNCATED', 'the stream ends before the memory at this physical address', {
      file: this.#source.name,
      field: 'page_desc.offset',
      offset: address,
    });
  }

  /** Offsets and sizes of some descriptors, as they stand there; fewer where the file ends before them. */
  async #placesOf(index: number, most: number): Promise<(readonly [offset: bigint, size: number])[]> {
    const { descriptors, byteOrder } = this.#header;
    const offset = descriptors + BigInt(index) * BigInt(PAGE_DESCRIPTOR_SIZE);
    const room = offset < this.#source.size ? (this.#source.size - offset) / BigInt(PAGE_DESCRIPTOR_SIZE) : 0n;
    const count = room < BigInt(most) ? Number(room) : most;
    const bytes = await bytesAt(this.#source, offset, count * PAGE_DESCRIPTOR_SIZE, 'page_desc');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const little = byteOrder === 'little';
    return Array.from({ length: count }, (_, at) => [
      view.getBigUint64(at * PAGE_DESCRIPTOR_SIZE, little),
      view.getUint32(at * PAGE_DESCRIPTOR_SIZE + 8, little),
    ]);
  }

  /** Where a file of so many pages should end at least (bytes): behind its descriptors and what the last of them say. */
  async endOf(count: number): Promise<bigint> {
    const { descriptors, blockSize } = this.#header;
    const behind = descriptors + BigInt(count) * BigInt(PAGE_DESCRIPTOR_SIZE);
    if (behind > this.#source.size) return behind;
    const last = await this.#placesOf(Math.max(count - LAST_PAGES, 0), Math.min(count, LAST_PAGES));
    return last.reduce((end, [offset, size]) => {
      // What cannot be a page says nothing of the file's length.
      const until = size > blockSize || offset > MAX_OFFSET ? end : offset + BigInt(size);
      return until > end ? until : end;
    }, behind);
  }

  /** How many of so many pages have no data in the file; undefined where there are too many to look at. */
  async missingOf(count: number): Promise<number | undefined> {
    if (count > COUNTED_PAGES) return undefined;
    let missing = 0;
    for (let index = 0; index < count;) {
      const places = await this.#placesOf(index, Math.min(count - index, LAST_PAGES));
      if (places.length === 0) return missing + count - index;
      for (const [offset, size] of places) {
        if (offset + BigInt(size) > this.#source.size || offset === 0n) missing += 1;
      }
      index += places.length;
    }
    return missing;
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
      if (!(error instanceof BadPageError)) throw error;
      throw this.#badPage(stored, page, error);
    }
    return output;
  }

  /** Reads the pages of consecutive descriptors. @param target as many bytes as the pages have */
  async readPages(index: number, page: number, target: Uint8Array): Promise<void> {
    const { blockSize } = this.#header;
    const pages = await this.#descriptors(index, target.length / blockSize, page);
    let first = 0;
    while (first < pages.length) {
      const span = this.#spanFrom(pages, first);
      const part = target.subarray(first * blockSize, span.end * blockSize);
      await this.#readSpan(pages.slice(first, span.end), span, page + first, part);
      first = span.end;
    }
  }

  #isZero(stored: StoredPage): boolean {
    return stored.codec === undefined && stored.offset === this.#zeroPage;
  }

  /** Pages that lie close behind each other are read at once. The shared page of zeros lies elsewhere, and is not read. */
  #spanFrom(pages: readonly StoredPage[], first: number): Span {
    let [start, position] = [0n, 0n];
    let end = first;
    for (const stored of pages.slice(first)) {
      if (!this.#isZero(stored)) {
        const next = stored.offset + BigInt(stored.size);
        // Pages may share stored bytes, which are read once.
        const near = stored.offset >= start && stored.offset - position <= BigInt(GAP_BYTES);
        if (position === 0n) start = stored.offset;
        else if (!near || next - start > BigInt(SPAN_BYTES)) break;
        if (next > position) position = next;
      }
      end += 1;
    }
    return { start, length: Number(position - start), end };
  }

  async #readSpan(pages: readonly StoredPage[], span: Span, page: number, target: Uint8Array): Promise<void> {
    const { blockSize } = this.#header;
    // Behind the data there is a page of zeros for those that share one.
    const data = this.#scratch(span.length + blockSize);
    await fillFrom(this.#source, span.start, data.subarray(0, span.length), 'page data');
    data.fill(0, span.length, span.length + blockSize);
    const [offsets, sizes] = [new Uint32Array(pages.length), new Uint32Array(pages.length)];
    const codecs = new Uint8Array(pages.length);
    pages.forEach((stored, index) => {
      offsets[index] = this.#isZero(stored) ? span.length : Number(stored.offset - span.start);
      sizes[index] = stored.size;
      codecs[index] = stored.codec?.number ?? 0;
    });
    try {
      await decompressPages(data, offsets, sizes, codecs, target, { pageSize: blockSize });
    } catch (error) {
      // Whatever else can fail here (threads, memory, the addon itself) is no fault of the dump.
      if (!(error instanceof BadPageError)) throw error;
      const stored = pages[error.page];
      throw stored === undefined ? error : this.#badPage(stored, page + error.page, error);
    }
    this.#spare = data.byteLength > (this.#spare?.byteLength ?? 0) ? data : this.#spare;
    const [only] = pages;
    if (pages.length === 1 && only !== undefined && only.codec === undefined && isZero(target)) {
      this.#zeroPage = only.offset;
    }
  }

  /** Memory for stored bytes: what was used before, as memory that nobody has touched yet is slow. */
  #scratch(length: number): Uint8Array {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare !== undefined && spare.length >= length ? spare : new Uint8Array(Math.max(length, SPAN_BYTES / 2));
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
