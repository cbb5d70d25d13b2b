import { VmcoreError } from '../errors.js';
import type { MemoryImage } from '../image.js';
import { PageTables } from '../kernel/page-walk.js';
import { findVmcoreInfo, type VmcoreInfo } from '../notes/vmcoreinfo.js';

/** Where a kernel sees its own image, and all memory. */
export interface KernelAddresses {
  /** Physical address of the image, and at most how many bytes it has. */
  readonly start: bigint;
  readonly length: bigint;
  /** Virtual address of the image. */
  readonly virtual: bigint;
  /** Physical address behind the last page that page tables map as part of the image; `start` where they do not tell. */
  readonly end: bigint;
  /** Virtual address of physical address 0 in the mapping of all memory; undefined where the dump does not tell. */
  readonly direct: bigint | undefined;
  /** Whether the image has virtual addresses of its own. */
  readonly known: boolean;
}

/** x86-64 (Linux, Documentation/arch/x86/x86_64/mm.rst): where the image is mapped, and what may lie there at most. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
const IMAGE_SIZE = 1n << 30n;
/** The mapping of all memory without KASLR, with 4 and with 5 levels of page tables. */
const [PAGE_OFFSET, PAGE_OFFSET_5] = [0xffff_8880_0000_0000n, 0xff11_0000_0000_0000n];
/** Mappings that are looked at: that of all memory is the first one, or follows a few of the local descriptor table. */
const MOST_MAPPINGS = 4096;
/** Mappings of the image that are looked at: as many as it would have of 4 KiB, if it had 256 MiB. */
const MOST_IMAGE_MAPPINGS = 1 << 16;
/** Alignment of the image, and of a mapping that KASLR moved (bytes). */
const [IMAGE_ALIGN, DIRECT_ALIGN] = [2n << 20n, 1n << 30n];

/** What a variable of the kernel says, where VMCOREINFO has its address and the dump its content. */
async function pageOffsetBase(image: MemoryImage, info: VmcoreInfo, physBase: bigint): Promise<bigint | undefined> {
  const variable = info.symbol('page_offset_base');
  if (variable === undefined || variable < START_KERNEL_MAP) return undefined;
  const bytes = new Uint8Array(8);
  try {
    await image.readInto(variable - START_KERNEL_MAP + physBase, bytes);
  } catch {
    return undefined;
  }
  const found = new DataView(bytes.buffer).getBigUint64(0, true);
  return found >= PAGE_OFFSET_5 - DIRECT_ALIGN && found < START_KERNEL_MAP && found % DIRECT_ALIGN === 0n
    ? found
    : undefined;
}

/** @throws VmcoreError where there are none that can be read */
async function tablesOf(image: MemoryImage, info: VmcoreInfo, physBase: bigint): Promise<PageTables> {
  const readInto = image.readInto.bind(image);
  return PageTables.of({ ...image, readInto, physBase, vmcoreinfo: info, cpus: [] });
}

/** Tables that were left out, or are broken, tell nothing. @throws whatever else went wrong */
function mustBeTables(error: unknown): void {
  if (!(error instanceof VmcoreError) || error.code === 'ABORTED') throw error;
}

/**
 * Where page tables map all memory: the lowest part of the kernel's half in which the image, too, lies as far from its
 * physical address as the first page does.
 */
async function directByTables(
  image: MemoryImage,
  info: VmcoreInfo,
  physBase: bigint,
  text: bigint,
): Promise<bigint | undefined> {
  const from = (info.number('pgtable_l5_enabled') === 1n ? PAGE_OFFSET_5 : PAGE_OFFSET) - DIRECT_ALIGN;
  const probe = text - START_KERNEL_MAP + physBase;
  try {
    const tables = await tablesOf(image, info, physBase);
    let seen = 0;
    for await (const { virtual, physical } of tables.mappings(from)) {
      const base = virtual - physical;
      if (seen === MOST_MAPPINGS || virtual >= START_KERNEL_MAP) return undefined;
      seen += 1;
      if (base < from || base % DIRECT_ALIGN !== 0n) continue;
      const there = await tables.translate(base + probe).catch(() => undefined);
      if (there?.physical === probe) return base;
    }
  } catch (error) {
    // KASLR may have moved the mapping anywhere.
    mustBeTables(error);
  }
  return undefined;
}

/** The end of the image: the kernel unmaps what it has freed of it, and modules follow behind. */
async function imageEnd(image: MemoryImage, info: VmcoreInfo, physBase: bigint, virtual: bigint): Promise<bigint> {
  const most = info.number('KERNEL_IMAGE_SIZE') ?? IMAGE_SIZE;
  const limit = START_KERNEL_MAP + (most < IMAGE_SIZE ? most : IMAGE_SIZE);
  const offset = START_KERNEL_MAP - physBase;
  let end = virtual - offset;
  try {
    let seen = 0;
    for await (const mapping of (await tablesOf(image, info, physBase)).mappings(virtual)) {
      if (mapping.virtual >= limit || seen === MOST_IMAGE_MAPPINGS) break;
      seen += 1;
      if (mapping.virtual - mapping.physical === offset) end = mapping.physical + mapping.pageSize;
    }
  } catch (error) {
    mustBeTables(error);
  }
  return end;
}

async function directMapping(
  image: MemoryImage,
  info: VmcoreInfo,
  physBase: bigint,
  text: bigint,
): Promise<bigint | undefined> {
  const told = await pageOffsetBase(image, info, physBase);
  if (told !== undefined) return told;
  const found = await directByTables(image, info, physBase, text);
  if (found !== undefined || (info.kernelOffset ?? 0n) !== 0n) return found;
  return info.number('pgtable_l5_enabled') === 1n ? PAGE_OFFSET_5 : PAGE_OFFSET;
}

/** Whether segments or extents say where memory is mapped: QEMU writes 0 everywhere, others the physical address. */
async function hasVirtual(image: MemoryImage): Promise<boolean> {
  if (image.segments !== undefined) return true;
  for await (const { virtual } of image.extents()) return virtual !== undefined;
  return false;
}

/**
 * Virtual addresses that a dump's VMCOREINFO tells: gdb, drgn and vmcore-dmesg look for the kernel in the segments of an
 * ELF file. Undefined where the dump is not of a Linux on x86-64.
 */
export async function kernelAddresses(image: MemoryImage): Promise<KernelAddresses | undefined> {
  if (image.machine !== 'x86_64') return undefined;
  const info = findVmcoreInfo(image.notes);
  const text = info?.symbol('_stext') ?? info?.symbol('swapper_pg_dir');
  const physBase = info?.physBase;
  if (info === undefined || text === undefined || physBase === undefined || text < START_KERNEL_MAP) return undefined;
  // Without _stext the image begins where KASLR moved the first byte that is linked to.
  const first = info.symbol('_stext') ?? START_KERNEL_MAP + (info.kernelOffset ?? 0n);
  const virtual = first - (first % IMAGE_ALIGN);
  const size = info.number('KERNEL_IMAGE_SIZE') ?? IMAGE_SIZE;
  const end = START_KERNEL_MAP + (size < IMAGE_SIZE ? size : IMAGE_SIZE);
  const start = virtual - START_KERNEL_MAP + physBase;
  if (start < 0n || virtual >= end) return undefined;
  const direct = await directMapping(image, info, physBase, text);
  const last = await imageEnd(image, info, physBase, virtual);
  return { start, length: end - virtual, virtual, end: last, direct, known: await hasVirtual(image) };
}
