import { kernelLookups } from '../kernel/lookups.js';
import { memoryStreams } from './memory-stream.js';
import { hex, VmcoreError } from '../errors.js';
import { MAX_NOTE_BYTES, parseNotes, type Note } from '../notes/note.js';
import { machineOfNotes } from '../notes/machine.js';
import { cpusOf, type CpuRegisters } from '../notes/registers.js';
import { findVmcoreInfo, MAX_VMCOREINFO, VMCOREINFO_NOTE, vmcoreInfoOf, type VmcoreInfo } from '../notes/vmcoreinfo.js';
import { bytesAt, checkRange, type ByteSource } from '../source/byte-source.js';
import { KDUMP_FLAG } from '../structures/diskdump.js';
import type { Machine } from '../structures/machines.js';
import { extentsOfBitmaps, type PageMaps } from './bitmap-extents.js';
import type { CutOff, Dump, DumpFile } from './dump.js';
import { readKdumpHeader, type FileRange, type KdumpHeader } from './kdump-header.js';
import { PageBitmap } from './page-bitmap.js';
import type { PartBudget, Releasable } from './part-budget.js';
import { codecsOf, PageStore } from './page-store.js';
import { noMemory, pageExcluded, pagesOf, readMemory } from './read-memory.js';

/** Pages that are kept for small reads. */
const CACHED_PAGES = 64;
/** Bytes of pages that are decompressed at once. */
const BATCH_BYTES = 4 << 20;

async function areaAt(source: ByteSource, range: FileRange | undefined, limit: number, field: string) {
  if (range === undefined) return undefined;
  checkRange(source, range.offset, range.size, field);
  if (range.size > BigInt(limit)) {
    throw new VmcoreError('TOO_LARGE', 'an area of the dump is too large', {
      file: source.name,
      field,
      offset: range.offset,
      found: `${range.size} bytes`,
      expected: `at most ${limit}`,
    });
  }
  return bytesAt(source, range.offset, Number(range.size), field);
}

/** What a dump says of itself. */
interface Self {
  readonly notes: readonly Note[];
  readonly vmcoreinfo: VmcoreInfo | undefined;
  readonly machine: Machine;
  readonly warning?: string | undefined;
}

/** The notes of a dump; of several parts only those of the first are kept, as they are the same in all. */
async function readSelf(source: ByteSource, header: KdumpHeader, budget: PartBudget | undefined): Promise<Self> {
  const { first } = budget ?? {};
  if (first !== undefined) {
    return {
      notes: [],
      vmcoreinfo: undefined,
      machine: header.machine === first.named ? first.machine : header.machine,
    };
  }
  const noteBytes = await areaAt(source, header.note, MAX_NOTE_BYTES, 'offset_note, size_note');
  const notes =
    noteBytes === undefined
      ? []
      : parseNotes(noteBytes, header.byteOrder, { file: source.name, offset: header.note?.offset ?? 0n });
  const infoBytes = await areaAt(source, header.vmcoreinfo, MAX_VMCOREINFO, 'offset_vmcoreinfo, size_vmcoreinfo');
  // Where the notes have none, as in files of before version 4, the text gets one.
  const known = notes.some((note) => note.name === VMCOREINFO_NOTE);
  if (infoBytes !== undefined && !known) notes.push({ name: VMCOREINFO_NOTE, type: 0, descriptor: infoBytes });
  const vmcoreinfo = infoBytes === undefined ? findVmcoreInfo(notes) : vmcoreInfoOf(infoBytes);
  const found = machineOfNotes(notes, vmcoreinfo, header.machine, header.byteOrder);
  if (budget !== undefined) budget.first = { machine: found.machine, named: header.machine };
  return { notes, vmcoreinfo, ...found };
}

/** What was erased, in the words of the first part that says so. */
async function readEraseInfo(source: ByteSource, header: KdumpHeader, budget: PartBudget | undefined) {
  if (budget?.eraseInfo === true) return undefined;
  const found = await areaAt(source, header.eraseInfo, MAX_VMCOREINFO, 'offset_eraseinfo, size_eraseinfo');
  if (budget !== undefined && found !== undefined) budget.eraseInfo = true;
  return found;
}

/** Opens a kdump-compressed dump. @param budget of all parts of a split dump @throws VmcoreError */
export async function openKdump(source: ByteSource, file: DumpFile, budget?: PartBudget): Promise<Dump> {
  const header = await readKdumpHeader(source);
  const { notes, vmcoreinfo, machine, warning } = await readSelf(source, header, budget);
  const format = { machine, byteOrder: header.byteOrder, wordBits: header.wordBits };
  const memory = new KdumpMemory(source, header, budget);
  const incomplete = (header.status & KDUMP_FLAG.values.INCOMPLETE) !== 0;
  let cutOff: Promise<CutOff | undefined> | undefined;
  // Registers take much more memory than their notes: they are read when they are asked for.
  let cpus: readonly CpuRegisters[] | undefined;
  const dump: Dump = {
    ...format,
    name: file.path,
    format: 'kdump',
    files: [file],
    version: header.version,
    compression: codecsOf(header.status),
    incomplete,
    split: header.split,
    timestamp: header.timestamp.getTime() === 0 ? undefined : header.timestamp,
    pageSize: header.blockSize,
    notes,
    warnings: [
      ...(incomplete ? ['makedumpfile marked this dump as incomplete: pages may be missing'] : []),
      ...physBaseWarnings(header, vmcoreinfo?.physBase),
      ...(warning === undefined ? [] : [warning]),
    ],
    vmcoreinfo,
    physBase: vmcoreinfo?.physBase ?? header.physBase,
    utsname: header.utsname,
    dumpLevel: header.dumpLevel,
    get cpus() {
      return (cpus ??= cpusOf(notes, format));
    },
    eraseInfo: await readEraseInfo(source, header, budget),
    addressLimit: header.maxMapnr * BigInt(header.blockSize),
    extents: (from = 0n) => {
      budget?.use(memory);
      return extentsOfBitmaps(memory.maps, header.blockSize, from);
    },
    readInto: async (address, target) => memory.readInto(address, target),
    cutOff: async () => (cutOff ??= memory.cutOff(file)),
    read: async (address, length, options) => readMemory(dump, address, length, options),
    pages: () => pagesOf(dump),
    ...kernelLookups(() => dump),
    ...memoryStreams(() => dump),
    close: async () => source.close(),
  };
  return dump;
}

/**
 * What VMCOREINFO says of phys_base counts: QEMU reads its decimal number as a hexadecimal one and writes that into the
 * header. A header of 0 says nothing.
 */
function physBaseWarnings({ physBase }: KdumpHeader, told: bigint | undefined): string[] {
  if (told === undefined || physBase === 0n || physBase === told) return [];
  return [`the header says phys_base ${hex(physBase)}, VMCOREINFO ${hex(told)}: VMCOREINFO counts`];
}

class KdumpMemory implements Releasable {
  readonly #budget: PartBudget | undefined;
  readonly #source: ByteSource;
  readonly #header: KdumpHeader;
  readonly maps: PageMaps;
  readonly #store: PageStore;
  readonly #cache = new Map<number, Promise<Uint8Array>>();

  constructor(source: ByteSource, header: KdumpHeader, budget: PartBudget | undefined) {
    this.#budget = budget;
    this.#source = source;
    this.#header = header;
    const length = Number(header.maxMapnr);
    const clamp = (page: bigint): number => Number(page < header.maxMapnr ? page : header.maxMapnr);
    this.maps = {
      exists: new PageBitmap(source, header.bitmap1, length),
      dumped: new PageBitmap(source, header.bitmap2, length),
      from: header.split === undefined ? 0 : clamp(header.split.startPfn),
      until: header.split === undefined ? length : clamp(header.split.endPfn),
    };
    this.#store = new PageStore(source, header);
  }

  release(): void {
    this.#cache.clear();
    this.#store.release();
    this.maps.exists.release();
    this.maps.dumped.release();
  }

  /** Where the file ends too early: its last page descriptors say where it should end. */
  async cutOff(file: DumpFile): Promise<CutOff | undefined> {
    this.#budget?.use(this);
    const { dumped, from, until } = this.maps;
    const count = (await dumped.rank(until)) - (from === 0 ? 0 : await dumped.rank(from));
    const end = await this.#store.endOf(count);
    if (end <= this.#source.size && this.#source.cutOff === undefined) return undefined;
    const missing = await this.#store.missingOf(count);
    return {
      file: file.path,
      found: file.size,
      // The place in a rearranged file says nothing of the stream.
      expected: file.flattened ? undefined : end,
      missing: missing === undefined ? undefined : BigInt(missing) * BigInt(this.#header.blockSize),
    };
  }

  async readInto(address: bigint, target: Uint8Array): Promise<void> {
    this.#budget?.use(this);
    const { blockSize } = this.#header;
    const size = BigInt(blockSize);
    if (address / size > this.#header.maxMapnr) throw noMemory(this.#source, address);
    let done = 0;
    while (done < target.length) {
      const position = address + BigInt(done);
      const page = Number(position / size);
      const inPage = Number(position % size);
      const left = target.length - done;
      if (inPage === 0 && left >= 2 * blockSize) {
        const wanted = Math.floor(Math.min(left, BATCH_BYTES) / blockSize);
        const count = await this.#dumpedFrom(page, wanted);
        await this.#store.readPages(await this.#indexOf(page), page, target.subarray(done, done + count * blockSize));
        done += count * blockSize;
      } else {
        const length = Math.min(blockSize - inPage, left);
        target.set((await this.#page(page)).subarray(inPage, inPage + length), done);
        done += length;
      }
    }
  }

  /** Pages from this one on that the file has, at least one and at most so many. */
  async #dumpedFrom(page: number, most: number): Promise<number> {
    const { dumped, exists, from, until } = this.maps;
    const count = page < from ? 0 : await dumped.run(page, Math.min(most, Math.max(until - page, 0)));
    if (count > 0) return count;
    const address = BigInt(page) * BigInt(this.#header.blockSize);
    const known = (await dumped.isSet(page)) || (await exists.isSet(page));
    throw known ? pageExcluded(this.#source, address) : noMemory(this.#source, address);
  }

  /** Descriptors of a split dump begin with its first page. */
  async #indexOf(page: number): Promise<number> {
    const { dumped, from } = this.maps;
    return (await dumped.rank(page)) - (from === 0 ? 0 : await dumped.rank(from));
  }

  async #page(page: number): Promise<Uint8Array> {
    const cached = this.#cache.get(page);
    if (cached !== undefined) {
      this.#cache.delete(page);
      this.#cache.set(page, cached);
      return cached;
    }
    const loading = this.#dumpedFrom(page, 1).then(async () => this.#store.readPage(await this.#indexOf(page), page));
    this.#cache.set(page, loading);
    // What could not be read now may be read later.
    loading.catch(() => {
      if (this.#cache.get(page) === loading) this.#cache.delete(page);
    });
    if (this.#cache.size > CACHED_PAGES) this.#cache.delete(this.#cache.keys().next().value ?? page);
    return loading;
  }
}
