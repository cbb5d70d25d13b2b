import { hex, VmcoreError } from '../errors.js';
import type { Dump } from '../read/dump.js';
import { kernelPageSize } from './kernel-view.js';
import {
  aarch64Tables,
  i386Tables,
  riscv64Tables,
  s390xTables,
  x86_64Tables,
  type TableFormat,
} from './page-tables.js';

/** How a virtual address is looked up. */
export interface TranslateOptions {
  /** Physical address of the top page table (default: the kernel's, which VMCOREINFO tells). */
  readonly pgd?: bigint | undefined;
}

/** What page tables are found and read by: a dump has it, and so may what becomes one. */
export type KernelImage = Pick<
  Dump,
  'name' | 'machine' | 'byteOrder' | 'pageSize' | 'physBase' | 'vmcoreinfo' | 'cpus' | 'readInto'
>;

/** A page that page tables map. */
export interface Mapping {
  /** Addresses of its first byte. */
  readonly virtual: bigint;
  readonly physical: bigint;
  /** Bytes. */
  readonly pageSize: bigint;
}

/** Where a virtual address is. */
export interface Translation {
  /** Physical address. */
  readonly physical: bigint;
  /** Bytes of the page in which it lies, and the level of the page table that maps it. */
  readonly pageSize: bigint;
  readonly level: string;
}

/** Most tables that are looked through for what they map. */
const MAX_TABLES = 1 << 14;

/** The kernel's page tables: how they are built, and where the top one is. */
interface Root {
  readonly format: TableFormat;
  readonly pgd: bigint;
}

function missing(dump: KernelImage, what: string): VmcoreError {
  return new VmcoreError('UNSUPPORTED', `the page tables cannot be found: VMCOREINFO has no ${what}`, {
    file: dump.name,
    expected: 'VMCOREINFO of the kernel, or the physical address of its top page table (--pgd)',
  });
}

const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
const I386_PAGE_OFFSET = 0xc000_0000n;
/** CR4.LA57. */
const FIVE_LEVELS = 1n << 12n;

function x86_64Root(dump: KernelImage, given: bigint | undefined): Root {
  const { vmcoreinfo: info } = dump;
  const symbol = info?.symbol('swapper_pg_dir') ?? info?.symbol('init_top_pgt') ?? info?.symbol('init_level4_pgt');
  const control = symbol === undefined ? dump.cpus[0]?.controlRegisters : undefined;
  const five = info?.number('pgtable_l5_enabled') === 1n || ((control?.[4] ?? 0n) & FIVE_LEVELS) !== 0n;
  const format = x86_64Tables(five, info?.number('sme_mask') ?? 0n);
  if (given !== undefined) return { format, pgd: given };
  if (symbol === undefined) {
    // QEMU's note has the table of the process that ran, in which the kernel is too.
    const cr3 = control?.[3];
    if (cr3 === undefined || cr3 === 0n) throw missing(dump, 'SYMBOL(swapper_pg_dir)');
    return { format, pgd: cr3 & 0x000f_ffff_ffff_f000n };
  }
  // A kernel that is linked to where it is loaded, as the guest of instar, has no mapping of its own.
  const pgd = symbol >= START_KERNEL_MAP ? symbol - START_KERNEL_MAP + (dump.physBase ?? 0n) : symbol;
  return { format, pgd };
}

function aarch64Root(dump: KernelImage, given: bigint | undefined): Root {
  const { vmcoreinfo: info } = dump;
  const configured = info?.number('VA_BITS');
  const size = info?.number('TCR_EL1_T1SZ');
  const pageSize = kernelPageSize(dump);
  // With 64 KiB pages a table for 52 bits serves processors of 48 as it is; with smaller ones a level is left out.
  const actual = size === undefined || pageSize === 65536 ? configured : 64n - size;
  if (actual === undefined) throw missing(dump, 'NUMBER(VA_BITS)');
  if (actual < 36n || actual > 52n) throw impossible(dump, 'NUMBER(VA_BITS)', actual);
  if (![4096, 16384, 65536].includes(pageSize)) throw impossible(dump, 'PAGESIZE', BigInt(pageSize));
  const format = aarch64Tables(Number(actual), pageSize);
  if (given !== undefined) return { format, pgd: given };
  const [symbol, offset] = [info?.symbol('swapper_pg_dir'), info?.number('kimage_voffset')];
  if (symbol === undefined || offset === undefined)
    throw missing(dump, 'SYMBOL(swapper_pg_dir), NUMBER(kimage_voffset)');
  return { format, pgd: BigInt.asUintN(64, symbol - offset) };
}

function riscv64Root(dump: KernelImage, given: bigint | undefined): Root {
  const { vmcoreinfo: info } = dump;
  const width = info?.number('VA_BITS');
  if (width === undefined) throw missing(dump, 'NUMBER(VA_BITS)');
  if (width !== 39n && width !== 48n && width !== 57n) throw impossible(dump, 'NUMBER(VA_BITS)', width);
  const format = riscv64Tables(Number(width));
  if (given !== undefined) return { format, pgd: given };
  const [symbol, offset] = [info?.symbol('swapper_pg_dir'), info?.number('va_kernel_pa_offset')];
  if (symbol === undefined || offset === undefined) {
    throw missing(dump, 'SYMBOL(swapper_pg_dir), NUMBER(va_kernel_pa_offset)');
  }
  return { format, pgd: BigInt.asUintN(64, symbol - offset) };
}

async function s390xRoot(dump: KernelImage, given: bigint | undefined): Promise<Root> {
  const pgd = given ?? dump.vmcoreinfo?.symbol('swapper_pg_dir');
  if (pgd === undefined) throw missing(dump, 'SYMBOL(swapper_pg_dir)');
  // Entries say what they are, also those that map nothing.
  const first = await entryAt(dump, pgd, 8);
  return { format: s390xTables(Number((first >> 2n) & 3n)), pgd };
}

function i386Root(dump: KernelImage, given: bigint | undefined): Root {
  const { vmcoreinfo: info } = dump;
  const format = i386Tables(info?.get('CONFIG_X86_PAE') === 'y');
  const symbol = info?.symbol('swapper_pg_dir');
  if (given === undefined && symbol === undefined) throw missing(dump, 'SYMBOL(swapper_pg_dir)');
  return { format, pgd: given ?? BigInt.asUintN(32, (symbol ?? 0n) - I386_PAGE_OFFSET) };
}

function impossible(dump: KernelImage, field: string, found: bigint): VmcoreError {
  return new VmcoreError('BAD_DUMP', 'VMCOREINFO cannot be right', { file: dump.name, field, found: String(found) });
}

async function rootOf(dump: KernelImage, { pgd }: TranslateOptions): Promise<Root> {
  if (dump.machine === 'x86_64') return x86_64Root(dump, pgd);
  if (dump.machine === 'aarch64') return aarch64Root(dump, pgd);
  if (dump.machine === 'riscv64') return riscv64Root(dump, pgd);
  if (dump.machine === 's390x') return s390xRoot(dump, pgd);
  if (dump.machine === 'i386') return i386Root(dump, pgd);
  throw new VmcoreError('UNSUPPORTED', 'the page tables of this machine are not known', {
    file: dump.name,
    found: dump.machine,
    expected: 'x86_64, i386, aarch64, riscv64 or s390x',
  });
}

async function entryAt(dump: KernelImage, address: bigint, size: 4 | 8): Promise<bigint> {
  const bytes = new Uint8Array(size);
  await dump.readInto(address, bytes);
  const view = new DataView(bytes.buffer);
  const little = dump.byteOrder === 'little';
  return size === 8 ? view.getBigUint64(0, little) : BigInt(view.getUint32(0, little));
}

/** Whether a machine has such an address: what lies above the bits that are looked up must all be the same. */
function isAddress(address: bigint, { virtualBits, signed }: TableFormat): boolean {
  if (virtualBits === 32) return address === BigInt.asUintN(32, address);
  if (address !== BigInt.asUintN(64, address)) return false;
  const above = BigInt.asIntN(64, address) >> BigInt(signed ? virtualBits - 1 : virtualBits);
  return above === 0n || above === -1n;
}

/** The page tables of a kernel or a process. */
export class PageTables {
  readonly #dump: KernelImage;
  readonly #root: Root;

  private constructor(dump: KernelImage, root: Root) {
    this.#dump = dump;
    this.#root = root;
  }

  /** @throws VmcoreError `UNSUPPORTED` when the page tables cannot be found */
  static async of(dump: KernelImage, options: TranslateOptions = {}): Promise<PageTables> {
    return new PageTables(dump, await rootOf(dump, options));
  }

  /** @throws VmcoreError `NOT_MAPPED` naming the level, and what reading a page table comes to */
  async translate(address: bigint): Promise<Translation> {
    const { format, pgd } = this.#root;
    if (!isAddress(address, format))
      throw this.#notMapped(address, 'is not an address of this machine', 'canonical', address);
    let table = pgd;
    for (const { name, shift, bits: width, decode } of format.levels) {
      const index = BigInt.asUintN(width, address >> BigInt(shift));
      const value = await this.#entry(address, name, table + index * BigInt(format.entryBytes));
      const entry = decode(value);
      if (!entry.present) throw this.#notMapped(address, 'is not mapped', name, value);
      if (entry.leaf) {
        const pageSize = 1n << BigInt(shift);
        const inPage = address & (pageSize - 1n);
        return { physical: (entry.address & ~(pageSize - 1n)) | inPage, pageSize, level: name };
      }
      table = entry.address;
    }
    throw this.#notMapped(address, 'is not mapped: the last table has no page', 'page table', 0n);
  }

  async #entry(address: bigint, level: string, at: bigint): Promise<bigint> {
    try {
      return await entryAt(this.#dump, at, this.#root.format.entryBytes);
    } catch (error) {
      if (!(error instanceof VmcoreError)) throw error;
      const absent = error.code === 'NO_MEMORY' || error.code === 'PAGE_EXCLUDED';
      const why = absent ? 'is not in the dump' : `cannot be read: ${error.problem}`;
      const problem = `virtual address ${hex(address)} cannot be looked up: its ${level} table ${why}`;
      throw new VmcoreError(error.code, problem, { file: this.#dump.name, field: level, offset: at, cause: error });
    }
  }

  #notMapped(address: bigint, problem: string, level: string, entry: bigint): VmcoreError {
    return new VmcoreError('NOT_MAPPED', `virtual address ${hex(address)} ${problem}`, {
      file: this.#dump.name,
      field: level,
      found: level === 'canonical' ? undefined : `the entry ${hex(entry)}`,
    });
  }

  /**
   * What the tables map from an address on, in ascending order. Ends where so many tables were looked through that they
   * may lead in circles.
   */
  async *mappings(from: bigint): AsyncGenerator<Mapping> {
    const { format, pgd } = this.#root;
    const state = { tables: 0 };
    yield* this.#mappingsOf(pgd, 0, 0n, BigInt.asUintN(format.virtualBits, from), state);
  }

  async *#mappingsOf(
    table: bigint,
    depth: number,
    base: bigint,
    from: bigint,
    state: { tables: number },
  ): AsyncGenerator<Mapping> {
    const { format } = this.#root;
    const level = format.levels[depth];
    if (level === undefined || state.tables === MAX_TABLES) return;
    state.tables += 1;
    const span = 1n << BigInt(level.shift);
    const entries = await this.#table(table, 2 ** level.bits);
    if (entries === undefined) return;
    for (const [index, value] of entries.entries()) {
      const virtual = base + BigInt(index) * span;
      if (virtual + span <= from) continue;
      const entry = level.decode(value);
      if (!entry.present) continue;
      if (entry.leaf) {
        const extended = BigInt.asUintN(64, BigInt.asIntN(format.virtualBits, virtual));
        yield { virtual: extended, physical: entry.address & ~(span - 1n), pageSize: span };
      } else {
        yield* this.#mappingsOf(entry.address, depth + 1, virtual, from, state);
      }
    }
  }

  /** All entries of a table; undefined where the dump does not have it. */
  async #table(at: bigint, count: number): Promise<bigint[] | undefined> {
    const { entryBytes } = this.#root.format;
    const bytes = new Uint8Array(count * entryBytes);
    try {
      await this.#dump.readInto(at, bytes);
    } catch (error) {
      if (error instanceof VmcoreError && (error.code === 'NO_MEMORY' || error.code === 'PAGE_EXCLUDED'))
        return undefined;
      throw error;
    }
    const view = new DataView(bytes.buffer);
    const little = this.#dump.byteOrder === 'little';
    return Array.from({ length: count }, (_, index) =>
      entryBytes === 8 ? view.getBigUint64(8 * index, little) : BigInt(view.getUint32(4 * index, little)),
    );
  }
}
