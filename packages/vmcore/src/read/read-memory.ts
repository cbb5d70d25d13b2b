import { check } from '../options/calls.js';
import { hex, VmcoreError } from '../errors.js';
import type { Extent, MemoryImage } from '../image.js';
import type { Page, ReadOptions } from './dump.js';

/** Most bytes of one read. */
const READ_MAX = 1 << 30;
/** Bytes that are allocated before it is known that there is memory for them. */
const SMALL_READ = 1 << 20;
/** Bytes that are read at once where pages are iterated. */
const BATCH_BYTES = 1 << 20;
/** Extents with which a batch ends after its page. */
const MOST_EXTENTS = 1 << 14;

/** The error of an address that a dump does not have. */
export function noMemory(image: { readonly name: string }, address: bigint): VmcoreError {
  return new VmcoreError('NO_MEMORY', 'the dump has no memory at this physical address', {
    file: image.name,
    offset: address,
  });
}

/** The error of memory that was left out. */
export function pageExcluded(image: { readonly name: string }, address: bigint): VmcoreError {
  return new VmcoreError('PAGE_EXCLUDED', 'the memory at this physical address was left out of the dump', {
    file: image.name,
    offset: address,
  });
}

/** Whether an error says that a dump has no descriptors of a page and of all behind it: they need not be tried one by one. */
export function isBehindDescriptors(error: unknown): boolean {
  return error instanceof VmcoreError && error.code === 'TRUNCATED' && error.field === 'page_desc';
}

/** Reads memory that may lie in several extents. */
export async function readMemory(
  image: MemoryImage,
  address: bigint,
  length: number,
  options?: ReadOptions,
): Promise<Uint8Array> {
  check.read(address, length, options);
  const excluded = options?.excluded ?? 'error';
  if (address < 0n || !Number.isInteger(length) || length < 0 || length > READ_MAX) {
    throw new VmcoreError('INVALID_ARGUMENT', 'cannot be read', {
      file: image.name,
      offset: address < 0n ? undefined : address,
      found: `address ${hex(address)}, length ${length}`,
      expected: `an address from 0 and a length from 0 to ${READ_MAX}`,
    });
  }
  if (length <= SMALL_READ && excluded === 'error') {
    const target = new Uint8Array(length);
    await image.readInto(address, target);
    return target;
  }
  // A length that somebody typed is allocated only as far as there is memory for it.
  const parts: { readonly at: number; readonly extent: Extent; readonly length: number }[] = [];
  const end = address + BigInt(length);
  let position = address;
  for await (const extent of image.extents(address)) {
    if (position >= end || extent.start > position) break;
    const extentEnd = extent.start + extent.length;
    const until = extentEnd < end ? extentEnd : end;
    if (until <= position) continue;
    if (extent.kind === 'excluded' && excluded === 'error') throw pageExcluded(image, position);
    parts.push({ at: Number(position - address), extent, length: Number(until - position) });
    position = until;
    if (position === end) break;
  }
  if (position < end) throw noMemory(image, position);
  const target = new Uint8Array(length);
  for (const { at, extent, length: size } of parts) {
    if (extent.kind !== 'stored') continue;
    const part = target.subarray(at, at + size);
    if (excluded === 'error') await image.readInto(address + BigInt(at), part);
    else await readOrZeros(image, address + BigInt(at), part);
  }
  return target;
}

/** Reads memory that its dump may lack all the same: a dump that was not finished has no descriptors for some pages. */
async function readOrZeros(image: MemoryImage, address: bigint, target: Uint8Array): Promise<void> {
  try {
    await image.readInto(address, target);
  } catch (error) {
    if (!(error instanceof VmcoreError && error.code === 'PAGE_EXCLUDED')) throw error;
    const inPage = Number(address % BigInt(image.pageSize));
    const first = image.pageSize - inPage;
    if (target.length <= first) {
      target.fill(0);
      return;
    }
    for (let at = 0, end = first; at < target.length; at = end, end += image.pageSize) {
      await readOrZeros(image, address + BigInt(at), target.subarray(at, end));
    }
  }
}

/** Iterates over the stored pages. */
export async function* pagesOf(image: MemoryImage): AsyncGenerator<Page> {
  const { pageSize } = image;
  const size = BigInt(pageSize);
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / pageSize));
  const buffer = new Uint8Array(perBatch * pageSize);
  for await (const batch of pageBatches(image, perBatch)) {
    const count = await fillBatch(image, batch, buffer);
    for (let index = 0; index < count; index += 1) {
      const pfn = (batch.first + BigInt(index) * size) / size;
      yield { pfn, data: buffer.subarray(index * pageSize, (index + 1) * pageSize) };
    }
  }
}

/** Consecutive stored pages, and the memory in them: extents need not begin or end with a page. */
export interface PageBatch {
  /** Physical address of the first page. */
  readonly first: bigint;
  /** Pages. */
  readonly count: number;
  readonly extents: readonly Extent[];
}

/** Stored memory in batches of consecutive pages. */
export async function* pageBatches(image: MemoryImage, perBatch: number): AsyncGenerator<PageBatch> {
  const size = BigInt(image.pageSize);
  const most = BigInt(perBatch);
  let first = 0n;
  let end = 0n;
  let extents: Extent[] = [];
  const batch = (): PageBatch => ({ first, count: Number((end - first) / size), extents });
  for await (const extent of image.extents()) {
    if (extent.kind !== 'stored') continue;
    let { start, length } = extent;
    while (length > 0n) {
      const pageStart = start - (start % size);
      // A page that the batch has already may go on; another one must follow it.
      const follows = extents.length > 0 && (pageStart === end || pageStart + size === end);
      if (!follows || (pageStart === end && (end - first >= most * size || extents.length >= MOST_EXTENTS))) {
        if (extents.length > 0) yield batch();
        [first, end, extents] = [pageStart, pageStart, []];
      }
      const limit = first + most * size;
      const stop = start + length < limit ? start + length : limit;
      const before = extents[extents.length - 1];
      // Hostile memory may be a segment for each byte: what follows what is wanted already needs no extent of its own.
      if (before !== undefined && before.start + before.length === start) {
        extents[extents.length - 1] = { ...before, length: before.length + stop - start };
      } else {
        extents.push({ start, length: stop - start, kind: 'stored' });
      }
      const last = stop % size === 0n ? stop : stop + size - (stop % size);
      if (last > end) end = last;
      length -= stop - start;
      start = stop;
    }
  }
  if (extents.length > 0) yield batch();
}

/** Reads a batch; returns its count of pages. */
export async function fillBatch(image: MemoryImage, batch: PageBatch, buffer: Uint8Array): Promise<number> {
  const length = batch.count * image.pageSize;
  let position = 0;
  for (const extent of batch.extents) {
    const at = Number(extent.start - batch.first);
    const end = at + Number(extent.length);
    if (at > position) buffer.fill(0, position, at);
    await image.readInto(extent.start, buffer.subarray(at, end));
    position = end;
  }
  if (position < length) buffer.fill(0, position, length);
  return batch.count;
}
