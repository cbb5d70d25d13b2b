import { VmcoreError } from '../errors.js';
import type { VmcoreInfo } from '../notes/vmcoreinfo.js';
import type { Dump } from '../read/dump.js';
import { wordAt } from './words.js';

/** Pages whose structures follow each other in virtual memory. */
export interface StructureRange {
  /** Page frame number of the first, and how many. */
  readonly first: number;
  readonly count: number;
  /** Virtual address of the first one's structure. */
  readonly address: bigint;
}

/** Lowest bits of a section's word are marks (Linux, include/linux/mmzone.h): five since 4.13, whose bits were 0 before. */
const SECTION_MARKS = 0x1fn;
const SECTION_PRESENT = 1n;
/** Most sections that are looked at: 64 TiB of the smallest ones. */
const MAX_SECTIONS = 1 << 22;
/** Sections whose words are read at once. */
const BATCH = 512;

/** Sections of each machine: bits of their size, where VMCOREINFO does not say it (before 5.8). */
const SECTION_BITS: Readonly<Record<string, number>> = { x86_64: 27, i386: 29, aarch64: 30, s390x: 28, ppc64: 24 };

/** The words of sections, and of the table that leads to them. */
class Sections {
  readonly #dump: Dump;
  readonly #member: number;
  /** Bytes of a section's structure. */
  readonly size: number;

  constructor(dump: Dump, info: VmcoreInfo) {
    this.#dump = dump;
    this.size = Number(info.sizeOf('mem_section') ?? 0n);
    this.#member = Number(info.offsetOf('mem_section.section_mem_map') ?? 0n);
    if (this.#member < 0 || this.#member + dump.wordBits / 8 > this.size || this.size > dump.pageSize) {
      throw new VmcoreError('BAD_DUMP', 'VMCOREINFO cannot be right', { file: dump.name, field: 'SIZE(mem_section)' });
    }
  }

  /** Pointers that follow each other. */
  async words(address: bigint, count: number): Promise<bigint[]> {
    const bytes = this.#dump.wordBits / 8;
    const read = await this.#dump.readVirtual(address, count * bytes);
    return Array.from({ length: count }, (_, index) => wordAt(read, index * bytes, this.#dump));
  }

  /** `section_mem_map` of sections that follow each other. */
  async maps(address: bigint, count: number): Promise<bigint[]> {
    const read = await this.#dump.readVirtual(address, count * this.size);
    return Array.from({ length: count }, (_, index) => wordAt(read, index * this.size + this.#member, this.#dump));
  }

  /** Kernels live in the upper half of all addresses, but for that of s390x, which has an address space to itself. */
  #isKernelAddress(word: bigint): boolean {
    const { machine, wordBits } = this.#dump;
    return machine === 's390x' ? word > SECTION_MARKS : word >> BigInt(wordBits - 1) === 1n;
  }

  /** Whether a table of roots is at an address: what a root leads to says that it is there. */
  async isTable(address: bigint, count: number): Promise<boolean> {
    try {
      const roots = await this.words(address, Math.min(count, BATCH));
      const root = roots.find((word) => word !== 0n);
      if (root === undefined) return false;
      const maps = await this.maps(root, Math.floor(this.#dump.pageSize / this.size));
      return maps.some((word) => (word & SECTION_PRESENT) !== 0n && this.#isKernelAddress(word));
    } catch (error) {
      if (error instanceof VmcoreError) return false;
      throw error;
    }
  }
}

/**
 * Where the structures of pages are, for pages below a limit: one array (flat memory), or one for each section of sparse
 * memory, whose sections are in one array or in a table of roots (extreme).
 * @param limit page frame number behind the last page
 * @throws VmcoreError `UNSUPPORTED`, `BAD_DUMP`, and what reading the kernel's memory comes to
 */
export async function* structureRanges(dump: Dump, size: number, limit: number): AsyncGenerator<StructureRange> {
  const { vmcoreinfo: info } = dump;
  const [flat, sparse] = [info?.symbol('mem_map'), info?.symbol('mem_section')];
  const wordBytes = dump.wordBits / 8;
  if (info !== undefined && sparse !== undefined) {
    yield* sparseRanges(dump, info, sparse, size, limit);
    return;
  }
  if (flat === undefined) {
    throw new VmcoreError('UNSUPPORTED', 'page types cannot be told: VMCOREINFO has no SYMBOL(mem_section)', {
      file: dump.name,
      expected: 'the VMCOREINFO of a kernel with flat or sparse memory',
    });
  }
  const address = wordAt(await dump.readVirtual(flat, wordBytes), 0, dump);
  if (address !== 0n) yield { first: 0, count: limit, address };
}

function bitsOf(dump: Dump, info: VmcoreInfo): number {
  const told = info.number('SECTION_SIZE_BITS') ?? BigInt(SECTION_BITS[dump.machine] ?? 0);
  const page = Math.log2(dump.pageSize);
  if (told > BigInt(page) && told < 48n) return Number(told) - page;
  throw new VmcoreError('UNSUPPORTED', 'page types cannot be told: nothing says how large a section of memory is', {
    file: dump.name,
    field: 'NUMBER(SECTION_SIZE_BITS)',
    found: String(told),
  });
}

async function* sparseRanges(
  dump: Dump,
  info: VmcoreInfo,
  symbol: bigint,
  size: number,
  limit: number,
): AsyncGenerator<StructureRange> {
  const bits = bitsOf(dump, info);
  const pages = 2 ** bits;
  const sections = new Sections(dump, info);
  const count = Math.min(Math.ceil(limit / pages), MAX_SECTIONS);
  for await (const [first, maps] of mapsOf(dump, sections, symbol, isExtreme(dump, info, sections, bits), count)) {
    for (const [index, word] of maps.entries()) {
      const start = (first + index) * pages;
      if ((word & SECTION_PRESENT) === 0n || start >= limit) continue;
      // The word is the address of page 0's structure, as if the section's array reached back to it.
      const address = BigInt.asUintN(dump.wordBits, (word & ~SECTION_MARKS) + BigInt(start) * BigInt(size));
      yield { first: start, count: Math.min(pages, limit - start), address };
    }
  }
}

/** Whether sections are found through a table of roots: its length is all that tells it from an array of sections. */
function isExtreme(dump: Dump, info: VmcoreInfo, sections: Sections, bits: number): boolean {
  const [length, physical] = [info.lengthOf('mem_section'), info.number('MAX_PHYSMEM_BITS')];
  if (length === undefined || physical === undefined) return dump.wordBits === 64;
  const all = 2 ** (Number(physical) - Math.log2(dump.pageSize) - bits);
  return Number(length) === Math.ceil(all / Math.floor(dump.pageSize / sections.size));
}

/** The words of all sections that there may be, some at once, with the number of the first one. */
async function* mapsOf(
  dump: Dump,
  sections: Sections,
  symbol: bigint,
  extreme: boolean,
  count: number,
): AsyncGenerator<readonly [number, readonly bigint[]]> {
  const { size } = sections;
  if (!extreme) {
    for (let first = 0; first < count; first += BATCH) {
      yield [first, await sections.maps(symbol + BigInt(first * size), Math.min(BATCH, count - first))];
    }
    return;
  }
  const perRoot = Math.floor(dump.pageSize / size);
  const roots = Math.ceil(count / perRoot);
  // The symbol is the table's address, or in 4.15 that of a pointer to it.
  const table = (await sections.isTable(symbol, roots)) ? symbol : ((await sections.words(symbol, 1))[0] ?? 0n);
  for (let root = 0; root < roots; root += BATCH) {
    const some = await sections.words(table + BigInt((root * dump.wordBits) / 8), Math.min(BATCH, roots - root));
    for (const [index, address] of some.entries()) {
      const first = (root + index) * perRoot;
      if (address !== 0n) yield [first, await sections.maps(address, Math.min(perRoot, count - first))];
    }
  }
}
