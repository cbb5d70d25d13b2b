import { checkAborted, VmcoreError } from '../errors.js';
import type { Extent, MemoryImage } from '../image.js';
import { structureRanges, type StructureRange } from '../kernel/memory-map.js';
import { kernelView } from '../kernel/kernel-view.js';
import { PageStructures, type PageUse } from '../kernel/page-structures.js';
import { check } from '../options/calls.js';
import type { Dump } from '../read/dump.js';
import { fillBatch, pageBatches } from '../read/read-memory.js';
import { isZero } from '../zero.js';
import { cutSegments, partOf, type Cutter } from './cut.js';
import { PageSet } from './page-set.js';

/** Kinds of pages that need not be in a dump: bits 0 to 4 of makedumpfile's dump level. */
export const PAGE_KINDS = ['zero', 'cache', 'private', 'user', 'free'] as const;
/**
 * `zero`: all bytes are 0. `cache`: of files, without private data; `private`: all of the cache. `user`: of processes.
 * `free`: nobody's.
 */
export type PageKind = (typeof PAGE_KINDS)[number];

export interface ExcludeOptions {
  /**
   * What the image is written as. In a kdump all pages of zeros are one, so that they stay, as makedumpfile keeps them:
   * readers find zeros there rather than nothing.
   */
  readonly format?: 'elf' | 'kdump' | 'raw' | 'dmp' | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What was left out of an image. */
export interface Excluded {
  readonly image: MemoryImage;
  /** Pages that were stored before. */
  readonly pages: number;
  /** Of those, how many were left out as what; what hardware or a hypervisor took away is never kept. */
  readonly left: Readonly<Record<'zero' | Exclude<PageUse, 'other'>, number>>;
  /** Pages that were kept because their structure is not in the dump. */
  readonly unknown: number;
}

/** Structures that are read at once: a multiple of 512, as the last one of 512 is no head of a compound page. */
const STRUCTURES = 1 << 14;
/** Structures that are tried by themselves where not all can be read. */
const FEW = 512;
/** Bytes of pages that are looked at at once for zeros. */
const BATCH_BYTES = 4 << 20;

/** makedumpfile's dump level for kinds of pages. */
export function dumpLevelOf(kinds: readonly PageKind[]): number {
  return PAGE_KINDS.reduce((level, kind, bit) => (kinds.includes(kind) ? level | (1 << bit) : level), 0);
}

/** The pages that a dump has, and which of them stay. */
class Pages implements Cutter {
  readonly kept: PageSet;
  readonly limit: number;
  readonly left = { zero: 0, cache: 0, 'cache-private': 0, user: 0, free: 0, hwpoison: 0, offline: 0 };
  readonly #size: bigint;
  count = 0;
  unknown = 0;

  constructor(image: MemoryImage) {
    this.#size = BigInt(image.pageSize);
    this.limit = Number((image.addressLimit + this.#size - 1n) / this.#size);
    this.kept = new PageSet(image.name);
  }

  add({ start, length }: Extent): void {
    const [first, end] = [Number(start / this.#size), Number((start + length + this.#size - 1n) / this.#size)];
    this.count += end - first - (this.kept.has(first) ? 1 : 0);
    this.kept.add(first, end);
  }

  leaveOut(use: Exclude<PageUse, 'other'> | 'zero', first: number, count: number): void {
    this.left[use] += this.kept.remove(first, Math.min(first + count, this.limit));
  }

  *cut(extent: Extent): Generator<Extent> {
    const { start, length } = extent;
    const end = start + length;
    const last = Number((end + this.#size - 1n) / this.#size);
    let page = Number(start / this.#size);
    for (let position = start; position < end;) {
      const stored = this.kept.has(page);
      page = this.kept.next(page, last, !stored);
      const until = BigInt(page) * this.#size < end ? BigInt(page) * this.#size : end;
      yield partOf(extent, position, until, stored ? 'stored' : 'excluded');
      position = until;
    }
  }
}

async function read(dump: Dump, address: bigint, length: number): Promise<Uint8Array | undefined> {
  try {
    return await dump.readVirtual(address, length);
  } catch (error) {
    const absent = ['NO_MEMORY', 'NOT_MAPPED', 'PAGE_EXCLUDED', 'TRUNCATED'];
    if (error instanceof VmcoreError && absent.includes(error.code)) return undefined;
    throw error;
  }
}

/** Goes through the structures of pages that follow each other. */
class Sieve {
  readonly #dump: Dump;
  readonly #structures: PageStructures;
  readonly #pages: Pages;
  readonly #wanted: ReadonlySet<PageUse>;
  /** Pages before it were dealt with, as part of a larger one. */
  #done = 0;

  constructor(dump: Dump, structures: PageStructures, pages: Pages, wanted: ReadonlySet<PageUse>) {
    this.#dump = dump;
    this.#structures = structures;
    this.#pages = pages;
    this.#wanted = wanted;
  }

  async range({ first, count, address }: StructureRange, signal: AbortSignal | undefined): Promise<void> {
    const { kept } = this.#pages;
    const end = first + count;
    // Where the dump has no pages nobody needs to know what they were.
    for (let page = kept.next(first, end, true); page < end;) {
      checkAborted(signal);
      const from = Math.max(first, page - (page % FEW));
      const until = Math.min(end, from - (from % STRUCTURES) + STRUCTURES);
      const at = address + BigInt(from - first) * BigInt(this.#structures.size);
      if (!(await this.#some(from, until, at))) {
        for (let part = from; part < until; part += FEW) {
          const stop = Math.min(until, part - (part % FEW) + FEW);
          const place = at + BigInt(part - from) * BigInt(this.#structures.size);
          if (!(await this.#some(part, stop, place))) this.#pages.unknown += stop - part;
        }
      }
      page = kept.next(Math.max(until, this.#done), end, true);
    }
  }

  async #some(from: number, end: number, address: bigint): Promise<boolean> {
    const bytes = await read(this.#dump, address, (end - from) * this.#structures.size);
    if (bytes === undefined) return false;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let page = Math.max(from, this.#done); page < end;) {
      const { use, count } = this.#structures.runAt(view, page - from, page);
      const isOut = use !== 'other' && this.#wanted.has(use);
      if (isOut) this.#pages.leaveOut(use, page, count);
      page += isOut ? count : 1;
      this.#done = page;
    }
    return true;
  }
}

async function leaveOutZeros(image: MemoryImage, pages: Pages, signal: AbortSignal | undefined): Promise<void> {
  const { pageSize } = image;
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / pageSize));
  const buffer = new Uint8Array(perBatch * pageSize);
  for await (const batch of pageBatches(image, perBatch)) {
    checkAborted(signal);
    const count = await fillBatch(image, batch, buffer);
    const first = Number(batch.first / BigInt(pageSize));
    for (let index = 0; index < count; index += 1) {
      if (!isZero(buffer.subarray(index * pageSize, (index + 1) * pageSize))) continue;
      pages.leaveOut('zero', first + index, 1);
    }
  }
}

/**
 * An image of a dump without pages of some kinds, as `makedumpfile -d` leaves them out: what a page is used for is in the
 * kernel's structures, which VMCOREINFO describes since Linux 3.10; no debug information is needed.
 * @param kinds at least one
 * @throws VmcoreError `UNSUPPORTED` without such a VMCOREINFO, `BAD_DUMP`, `TOO_LARGE`, `INVALID_ARGUMENT`, `ABORTED`, and
 *   what reading the kernel's memory comes to
 */
export async function excludePages(
  dump: Dump,
  kinds: readonly PageKind[],
  options: ExcludeOptions = {},
): Promise<Excluded> {
  check.dump(dump);
  const { signal, format } = check.exclude(kinds, options);
  const kernel = kernelView(dump);
  const pages = new Pages(kernel);
  for await (const extent of dump.extents()) {
    checkAborted(signal);
    if (extent.kind === 'stored') pages.add(extent);
  }
  const wanted = new Set<PageUse>(['hwpoison', 'offline']);
  if (kinds.includes('cache')) wanted.add('cache');
  if (kinds.includes('private')) wanted.add('cache').add('cache-private');
  if (kinds.includes('user')) wanted.add('user');
  if (kinds.includes('free')) wanted.add('free');
  if (kinds.some((kind) => kind !== 'zero')) {
    const structures = new PageStructures(kernel);
    const sieve = new Sieve(kernel, structures, pages, wanted);
    for await (const range of structureRanges(kernel, structures.size, pages.limit)) await sieve.range(range, signal);
  }
  const { segments } = dump;
  const image: MemoryImage = {
    ...dump,
    // Some pages of a larger block may stay.
    pageSize: kernel.pageSize,
    dumpLevel: (dump.dumpLevel ?? 0) | dumpLevelOf(kinds),
    segments: segments === undefined ? undefined : () => cutSegments(segments(), pages),
    async *extents(from) {
      for await (const extent of dump.extents(from)) {
        if (extent.kind === 'stored') yield* pages.cut(extent);
        else yield extent;
      }
    },
  };
  if (kinds.includes('zero') && format !== 'kdump') await leaveOutZeros(image, pages, signal);
  return { image, pages: pages.count, left: pages.left, unknown: pages.unknown };
}
