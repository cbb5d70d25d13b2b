/** What an entry of a page table says. */
export interface TableEntry {
  readonly present: boolean;
  /** Whether it maps memory rather than another table. */
  readonly leaf: boolean;
  /** Physical address of what it maps or of the next table; lower bits that a large page does not use may be set. */
  readonly address: bigint;
}

/** One level of a page table. */
export interface TableLevel {
  /** What the machine's manual calls it. */
  readonly name: string;
  /** Lowest bit of the virtual address that chooses the entry, and how many bits do. */
  readonly shift: number;
  readonly bits: number;
  readonly decode: (value: bigint) => TableEntry;
}

/** How a machine's page tables are built: the top level first. */
export interface TableFormat {
  readonly entryBytes: 4 | 8;
  /** Bits of a virtual address that are looked up. */
  readonly virtualBits: number;
  /** Whether those above are copies of the highest one, rather than of each other alone. */
  readonly signed: boolean;
  readonly levels: readonly TableLevel[];
}

/** Bits `high` to `low` of a word, in their place. */
const bits = (high: number, low: number): bigint => ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);

/** x86 (Intel SDM volume 3, "Paging"): P is bit 0, PS bit 7. */
function x86Level(name: string, shift: number, width: number, mask: bigint, mayBeLarge: boolean): TableLevel {
  return {
    name,
    shift,
    bits: width,
    decode: (value) => ({
      present: (value & 1n) !== 0n,
      leaf: shift === 12 || (mayBeLarge && (value & 0x80n) !== 0n),
      address: value & mask,
    }),
  };
}

/**
 * x86-64 with 4 or 5 levels.
 * @param encryption the bit that marks encrypted memory (AMD SME), 0 without
 */
export function x86_64Tables(fiveLevels: boolean, encryption: bigint): TableFormat {
  const mask = bits(51, 12) & ~encryption;
  return {
    entryBytes: 8,
    virtualBits: fiveLevels ? 57 : 48,
    signed: true,
    levels: [
      ...(fiveLevels ? [x86Level('PML5', 48, 9, mask, false)] : []),
      x86Level('PML4', 39, 9, mask, false),
      x86Level('PDPT', 30, 9, mask, true),
      x86Level('PD', 21, 9, mask, true),
      x86Level('PT', 12, 9, mask, false),
    ],
  };
}

/** i386, with physical address extension or without. */
export function i386Tables(extended: boolean): TableFormat {
  const mask = bits(51, 12);
  const levels = extended
    ? [x86Level('PDPT', 30, 2, mask, false), x86Level('PD', 21, 9, mask, true), x86Level('PT', 12, 9, mask, false)]
    : [x86Level('PD', 22, 10, bits(31, 12), true), x86Level('PT', 12, 10, bits(31, 12), false)];
  return { entryBytes: extended ? 8 : 4, virtualBits: 32, signed: false, levels };
}

/** Bit of a page's first byte in an address. */
const shiftOf = (pageSize: number): number => Math.log2(pageSize);

/** AArch64 (Arm ARM, "VMSAv8-64 translation table format descriptors"): 4, 16 or 64 KiB granules, 36 to 52 bits. */
export function aarch64Tables(virtualBits: number, pageSize: number): TableFormat {
  const page = shiftOf(pageSize);
  const perLevel = page - 3;
  const count = Math.ceil((virtualBits - page) / perLevel);
  // 52 bits of physical address: bits 15 to 12 with 64 KiB (LPA), bits 9 and 8 with smaller granules (LPA2).
  const address = (value: bigint): bigint => {
    if (page === 16) return (value & bits(47, 16)) | ((value & bits(15, 12)) << 36n);
    if (virtualBits > 48) return (value & bits(49, page)) | ((value & bits(9, 8)) << 42n);
    return value & bits(47, page);
  };
  const levels = Array.from({ length: count }, (_, index): TableLevel => {
    const shift = page + (count - 1 - index) * perLevel;
    const last = index === count - 1;
    return {
      name: `level ${4 - count + index}`,
      shift,
      bits: index === 0 ? virtualBits - shift : perLevel,
      // Bit 1 tells a table from a block; at the last level only a page has it.
      decode: (value) => ({
        present: last ? (value & 3n) === 3n : (value & 1n) !== 0n,
        leaf: last || (value & 2n) === 0n,
        address: address(value),
      }),
    };
  });
  // They say which of two top tables is meant, the kernel's (ones) or that of a process.
  return { entryBytes: 8, virtualBits, signed: false, levels };
}

/** RISC-V (privileged specification, "Sv39", "Sv48", "Sv57"): an entry with a right to read or execute maps memory. */
export function riscv64Tables(virtualBits: number): TableFormat {
  const count = (virtualBits - 12) / 9;
  return {
    entryBytes: 8,
    virtualBits,
    signed: true,
    levels: Array.from({ length: count }, (_, index) => ({
      name: `level ${count - 1 - index}`,
      shift: 12 + 9 * (count - 1 - index),
      bits: 9,
      decode: (value: bigint) => ({
        present: (value & 1n) !== 0n,
        leaf: (value & 0xan) !== 0n || index === count - 1,
        address: ((value & bits(53, 10)) >> 10n) << 12n,
      }),
    })),
  };
}

/**
 * s390x (z/Architecture Principles of Operation, "Dynamic Address Translation").
 * @param type what the entries of the top table say they are (their bits TT): 3 for region-first to 0 for segment
 */
export function s390xTables(type: number): TableFormat {
  const levels: TableLevel[] = [
    ['region-first', 53, false] as const,
    ['region-second', 42, false] as const,
    ['region-third', 31, true] as const,
    ['segment', 20, true] as const,
  ].map(([name, shift, mayBeLarge]) => ({
    name,
    shift,
    bits: 11,
    decode: (value) => {
      // FC says that a region or a segment is one page.
      const leaf = mayBeLarge && (value & 0x400n) !== 0n;
      const mask = shift === 20 && !leaf ? 0x7ffn : 0xfffn;
      return { present: (value & 0x20n) === 0n, leaf, address: value & ~mask };
    },
  }));
  levels.push({
    name: 'page',
    shift: 12,
    bits: 8,
    decode: (value) => ({ present: (value & 0x400n) === 0n, leaf: true, address: value & ~0xfffn }),
  });
  const used = levels.slice(3 - type);
  return { entryBytes: 8, virtualBits: 64, signed: false, levels: used };
}
