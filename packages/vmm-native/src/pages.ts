import { pagesBinding } from './binding.js';
import { BadPageError, toVmmError } from './errors.js';
import type { ZstdStream } from './generated/pages.js';

/** A codec of pages in kdump-compressed dumps. */
export type PageCodec = 'zlib' | 'lzo' | 'snappy' | 'zstd';

/** How {@link compressPages} stores pages. */
export interface CompressPagesOptions {
  /** Bytes of a page: a power of two from 512 to 65536. */
  readonly pageSize: number;
  /** `none` only leaves pages of zeros out. */
  readonly codec: PageCodec | 'none';
  /** Threads to work on; as many as the machine runs at once by default. */
  readonly threads?: number;
}

/** How {@link decompressPages} works. */
export interface DecompressPagesOptions {
  /** Bytes of a page: a power of two from 512 to 65536. */
  readonly pageSize: number;
  /** Threads to work on; as many as the machine runs at once by default. */
  readonly threads?: number;
}

/** A rejected promise of the addon has `code`, the page of a bad page, and the message on lines of their own. */
function pageError(error: unknown): Error {
  const found = toVmmError(error);
  if (found.code !== 'BAD_PAGE') return found;
  const [, page, message] = /^(\d+)\n([^]*)$/.exec(found.message) ?? [];
  return new BadPageError(Number(page ?? 0), message ?? found.message, { cause: error });
}

/** An absent property is not the same as one that is undefined to the addon. */
function batchOptions({ pageSize, threads }: DecompressPagesOptions): { pageSize: number; threads?: number } {
  return threads === undefined ? { pageSize } : { pageSize, threads };
}

/**
 * Stores pages as a kdump-compressed dump does, on threads of its own. The buffers must be left alone until the promise
 * is settled, and must not overlap.
 * @param pages `sizes.length` pages, one behind the other.
 * @param output receives the stored pages, one behind the other; at least as long as `pages`.
 * @param sizes receives the stored bytes of each page: 0 for a page of zeros, of which nothing is stored; `pageSize`
 *   where it is stored raw because it did not shrink; else its compressed size.
 * @returns the bytes used of `output`.
 * @throws VmmError `BAD_ARGUMENT` when lengths contradict each other.
 */
export async function compressPages(
  pages: Uint8Array,
  output: Uint8Array,
  sizes: Uint32Array,
  options: CompressPagesOptions,
): Promise<number> {
  try {
    return await pagesBinding().compressPages(pages, output, sizes, options.codec, batchOptions(options));
  } catch (error) {
    throw pageError(error);
  }
}

/**
 * Decompresses stored pages on threads of its own; whatever `data` holds, nothing is written beyond each page. The
 * buffers must be left alone until the promise is settled; `output` must not overlap another.
 * @param data holds the stored pages.
 * @param offsets where each begins in `data` (bytes).
 * @param sizes stored bytes of each.
 * @param codecs how each is stored: 0 raw, 1 zlib, 2 lzo, 3 snappy, 4 zstd.
 * @param output receives the pages, one behind the other; exactly as long as they are.
 * @throws BadPageError naming the first page that does not decompress to exactly `pageSize` bytes; what `output` holds
 *   is then undefined.
 * @throws VmmError `BAD_ARGUMENT` when lengths contradict each other.
 */
export async function decompressPages(
  data: Uint8Array,
  offsets: Uint32Array,
  sizes: Uint32Array,
  codecs: Uint8Array,
  output: Uint8Array,
  options: DecompressPagesOptions,
): Promise<void> {
  try {
    await pagesBinding().decompressPages(data, offsets, sizes, codecs, output, batchOptions(options));
  } catch (error) {
    throw pageError(error);
  }
}

/**
 * Decompresses one stored page at once, for random reads.
 * @param output receives the page, which must fill it.
 * @throws BadPageError when it does not; what `output` holds is then undefined.
 */
export function decompressPage(codec: PageCodec, data: Uint8Array, output: Uint8Array): void {
  try {
    pagesBinding().decompressPage(codec, data, output);
  } catch (error) {
    throw pageError(error);
  }
}

/** Writes one zstd frame, as a `.zst` file holds it, in constant memory. Calls are carried out in their order. */
export class ZstdEncoder {
  readonly #stream: ZstdStream;
  #last: Promise<unknown> = Promise.resolve();

  /** @param level 1 (fast) to 19 (small); 3 by default. */
  constructor(level = 3) {
    try {
      this.#stream = new (pagesBinding().ZstdStream)(level);
    } catch (error) {
      throw pageError(error);
    }
  }

  #next(chunk: Uint8Array, last: boolean): Promise<Buffer> {
    const ready = this.#last.then(async () => {
      try {
        return await this.#stream.compress(chunk, last);
      } catch (error) {
        throw pageError(error);
      }
    });
    this.#last = ready.catch(() => undefined);
    return ready;
  }

  /**
   * Takes bytes, which must be left alone until the promise is settled.
   * @returns what of the frame is ready to be written; often nothing.
   */
  compress(chunk: Uint8Array): Promise<Buffer> {
    return this.#next(chunk, false);
  }

  /**
   * Ends the frame.
   * @returns all that is left of it.
   * @throws VmmError `BAD_ARGUMENT` when it was ended before.
   */
  finish(): Promise<Buffer> {
    return this.#next(new Uint8Array(0), true);
  }
}
