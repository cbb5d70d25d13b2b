import { checkAborted, VmcoreError } from '../errors.js';
import type { KdumpHeader } from '../read/kdump-header.js';
import { PageStore } from '../read/page-store.js';
import type { ByteSource } from '../source/byte-source.js';
import { PAGE_DESCRIPTOR_SIZE } from '../structures/diskdump.js';
import { DescriptorTable, type Descriptor } from './descriptor-table.js';
import type { Patch } from './patched-source.js';
import { StoredPages } from './stored-pages.js';

/** Bytes of pages that are tried at once. */
const BATCH_BYTES = 4 << 20;
/** Descriptors that are looked at beyond those, for the next page with data of its own. */
const AHEAD = 256;
/** Descriptors that are recomputed at most: 200 bytes of memory each. */
const MAX_MENDED = 1 << 18;

/** Recomputed descriptors in place of those that the file has. */
function descriptorPatch(
  { descriptors, byteOrder }: KdumpHeader,
  mended: ReadonlyMap<number, Descriptor>,
  count: number,
): Patch {
  const little = byteOrder === 'little';
  return {
    start: descriptors,
    length: BigInt(count) * BigInt(PAGE_DESCRIPTOR_SIZE),
    apply(at, target) {
      const first = Math.floor(Number(at) / PAGE_DESCRIPTOR_SIZE);
      const last = Math.ceil((Number(at) + target.length) / PAGE_DESCRIPTOR_SIZE);
      const encoded = new Uint8Array(PAGE_DESCRIPTOR_SIZE);
      const view = new DataView(encoded.buffer);
      for (let index = first; index < last; index += 1) {
        const descriptor = mended.get(index);
        if (descriptor === undefined) continue;
        view.setBigUint64(0, descriptor.offset, little);
        view.setUint32(8, descriptor.size, little);
        view.setUint32(12, descriptor.flags, little);
        const start = index * PAGE_DESCRIPTOR_SIZE - Number(at);
        const skipped = Math.max(-start, 0);
        target.set(encoded.subarray(skipped, Math.min(PAGE_DESCRIPTOR_SIZE, target.length - start)), start + skipped);
      }
    },
  };
}

/** Goes through the descriptors in order, and keeps those that make no sense until the next one that does. */
class Mender {
  readonly #table: DescriptorTable;
  readonly #pages: StoredPages;
  readonly #zeroPage: bigint | undefined;
  readonly #size: bigint;
  readonly #blockSize: number;
  /** Behind the data of the last page that could be read. */
  #position: bigint;
  #broken: number[] = [];
  readonly mended = new Map<number, Descriptor>();

  constructor(
    source: ByteSource,
    header: KdumpHeader,
    table: DescriptorTable,
    dataAt: bigint,
    zeroPage: bigint | undefined,
  ) {
    this.#table = table;
    this.#pages = new StoredPages(source, header);
    this.#zeroPage = zeroPage;
    this.#size = source.size;
    this.#blockSize = header.blockSize;
    this.#position = zeroPage === undefined ? dataAt : zeroPage + BigInt(header.blockSize);
  }

  /** @param readable whether the page's data makes a page @param next the next one with data of its own */
  async add(index: number, descriptor: Descriptor, readable: boolean, next: Descriptor | undefined): Promise<void> {
    const { offset, size } = descriptor;
    if (readable && offset === this.#zeroPage) return;
    const damaged = !readable && this.#isBetweenNeighbours(descriptor, next);
    if (!damaged && (!readable || this.#strays(offset, next))) {
      this.#broken.push(index);
      return;
    }
    if (offset < this.#position) return;
    await this.#mend(offset, false);
    this.#position = offset + BigInt(size);
  }

  /** Whether a descriptor is right, although its data makes no page. */
  #isBetweenNeighbours(descriptor: Descriptor, next: Descriptor | undefined): boolean {
    if (next === undefined || !this.#table.isPossible(descriptor) || descriptor.offset < this.#position) return false;
    return descriptor.offset + BigInt(descriptor.size) === next.offset;
  }

  /** Whether data lies elsewhere than that of the pages before and behind it, which are neighbours. */
  #strays(offset: bigint, next: Descriptor | undefined): boolean {
    if (offset === this.#position || next === undefined || next.offset < this.#position) return false;
    return offset < this.#position || next.offset < offset;
  }

  async end(): Promise<void> {
    await this.#mend(this.#size, true);
  }

  async #mend(until: bigint, open: boolean): Promise<void> {
    const broken = this.#broken;
    if (broken.length === 0) return;
    this.#broken = [];
    if (this.mended.size + broken.length > MAX_MENDED) return;
    const zero = this.#zeroPage;
    // No data is left for them: they are pages of zeros.
    if (until === this.#position && zero !== undefined) {
      for (const index of broken) this.mended.set(index, { offset: zero, size: this.#blockSize, flags: 0 });
      return;
    }
    const found = await this.#pages.between(this.#position, until, broken.length, open);
    found?.forEach((descriptor, at) => this.mended.set(broken[at] ?? 0, descriptor));
  }
}

/** Which of some pages in a row can be read. */
async function readablePages(
  store: PageStore,
  index: number,
  count: number,
  buffer: Uint8Array,
  blockSize: number,
): Promise<boolean[]> {
  try {
    await store.readPages(index, index, buffer.subarray(0, count * blockSize));
    return new Array<boolean>(count).fill(true);
  } catch (error) {
    if (!(error instanceof VmcoreError) || error.code === 'READ_FAILED') throw error;
  }
  const readable: boolean[] = [];
  for (let at = 0; at < count; at += 1) {
    try {
      await store.readPage(index + at, index + at);
      readable.push(true);
    } catch (error) {
      if (!(error instanceof VmcoreError) || error.code === 'READ_FAILED') throw error;
      readable.push(false);
    }
  }
  return readable;
}

/** For each descriptor the next one behind it that has data of its own. */
function followers(batch: readonly Descriptor[], has: (descriptor: Descriptor) => boolean): (Descriptor | undefined)[] {
  const found: (Descriptor | undefined)[] = [];
  let next: Descriptor | undefined;
  for (let at = batch.length - 1; at >= 0; at -= 1) {
    found[at] = next;
    const descriptor = batch[at];
    if (descriptor !== undefined && has(descriptor)) next = descriptor;
  }
  return found;
}

/** What `mendDescriptors` found. */
export interface MendedDescriptors {
  readonly patches: readonly Patch[];
  /** In words. */
  readonly mended: readonly string[];
}

/**
 * Recomputes page descriptors that make no sense from the places of the pages around them, and by decompressing what lies
 * there. Reads all of the dump.
 * @param count descriptors
 * @throws VmcoreError `READ_FAILED`, `ABORTED`
 */
export async function mendDescriptors(
  source: ByteSource,
  header: KdumpHeader,
  count: number,
  signal: AbortSignal | undefined,
): Promise<MendedDescriptors> {
  const { blockSize, descriptors } = header;
  const table = new DescriptorTable(source, header);
  const dataAt = (await table.dataStart(count)) ?? descriptors + BigInt(count) * BigInt(PAGE_DESCRIPTOR_SIZE);
  // QEMU, makedumpfile and instar store a page of zeros first, for all such pages.
  const zeroPage = (await new StoredPages(source, header).isZeroPage(dataAt)) ? dataAt : undefined;
  const mender = new Mender(source, header, table, dataAt, zeroPage);
  const store = new PageStore(source, header);
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / blockSize));
  const buffer = new Uint8Array(perBatch * blockSize);
  for (let index = 0; index < count; index += perBatch) {
    checkAborted(signal);
    const many = Math.min(perBatch, count - index);
    const batch: Descriptor[] = [];
    const ahead = Math.min(many + AHEAD, count - index);
    for await (const descriptor of table.from(index, ahead)) batch.push(descriptor);
    const wanted = Math.min(many, batch.length);
    // The file ends before the rest of them.
    if (wanted === 0) break;
    const readable = await readablePages(store, index, wanted, buffer, blockSize);
    const next = followers(batch, (descriptor) => table.isPossible(descriptor) && descriptor.offset !== zeroPage);
    for (let at = 0; at < wanted; at += 1) {
      const descriptor = batch[at];
      if (descriptor !== undefined) await mender.add(index + at, descriptor, readable[at] === true, next[at]);
    }
  }
  await mender.end();
  const { mended } = mender;
  if (mended.size === 0) return { patches: [], mended: [] };
  const words = `${mended.size} page ${mended.size === 1 ? 'descriptor' : 'descriptors'} made no sense: recomputed`;
  return { patches: [descriptorPatch(header, mended, count)], mended: [words] };
}
