import type { MemoryImage } from '../image.js';
import { findVmcoreInfo, type VmcoreInfo } from '../notes/vmcoreinfo.js';

/** Where a kernel sees its own image, and all memory. */
export interface KernelAddresses {
  /** Physical address of the image, and at most how many bytes it has. */
  readonly start: bigint;
  readonly length: bigint;
  /** Virtual address of the image. */
  readonly virtual: bigint;
  /** Virtual address of physical address 0 in the mapping of all memory; undefined where the dump does not tell. */
  readonly direct: bigint | undefined;
}

/** x86-64 (Linux, Documentation/arch/x86/x86_64/mm.rst): where the image is mapped, and what may lie there at most. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
const IMAGE_SIZE = 1n << 30n;
/** The mapping of all memory without KASLR, with 4 and with 5 levels of page tables. */
const [PAGE_OFFSET, PAGE_OFFSET_5] = [0xffff_8880_0000_0000n, 0xff11_0000_0000_0000n];
/** Alignment of the image, and of a mapping that KASLR moved (bytes). */
const [IMAGE_ALIGN, DIRECT_ALIGN] = [2n << 20n, 1n << 30n];

async function directMapping(image: MemoryImage, info: VmcoreInfo, physBase: bigint): Promise<bigint | undefined> {
  const unmoved = info.number('pgtable_l5_enabled') === 1n ? PAGE_OFFSET_5 : PAGE_OFFSET;
  const variable = info.symbol('page_offset_base');
  if (variable === undefined || variable < START_KERNEL_MAP) return unmoved;
  const bytes = new Uint8Array(8);
  try {
    await image.readInto(variable - START_KERNEL_MAP + physBase, bytes);
  } catch {
    // It was left out, and KASLR may have moved the mapping anywhere.
    return undefined;
  }
  const found = new DataView(bytes.buffer).getBigUint64(0, true);
  return found >= PAGE_OFFSET_5 - DIRECT_ALIGN && found < START_KERNEL_MAP && found % DIRECT_ALIGN === 0n
    ? found
    : unmoved;
}

/**
 * Virtual addresses of a dump that has none, from its VMCOREINFO: gdb, drgn and vmcore-dmesg look for the kernel in the
 * segments of an ELF file. Undefined where the dump has its own, or is not of a Linux on x86-64.
 */
export async function kernelAddresses(image: MemoryImage): Promise<KernelAddresses | undefined> {
  if (image.machine !== 'x86_64' || image.segments !== undefined) return undefined;
  const info = findVmcoreInfo(image.notes);
  const text = info?.symbol('_stext') ?? info?.symbol('swapper_pg_dir');
  const physBase = info?.physBase;
  if (info === undefined || text === undefined || physBase === undefined || text < START_KERNEL_MAP) return undefined;
  for await (const extent of image.extents()) {
    if (extent.virtual !== undefined) return undefined;
    break;
  }
  // Without _stext the image begins where KASLR moved the first byte that is linked to.
  const first = info.symbol('_stext') ?? START_KERNEL_MAP + (info.kernelOffset ?? 0n);
  const virtual = first - (first % IMAGE_ALIGN);
  const size = info.number('KERNEL_IMAGE_SIZE') ?? IMAGE_SIZE;
  const end = START_KERNEL_MAP + (size < IMAGE_SIZE ? size : IMAGE_SIZE);
  const start = virtual - START_KERNEL_MAP + physBase;
  if (start < 0n || virtual >= end) return undefined;
  return { start, length: end - virtual, virtual, direct: await directMapping(image, info, physBase) };
}
