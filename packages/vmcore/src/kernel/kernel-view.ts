import type { Dump } from '../read/dump.js';
import type { WordBits } from '../structures/targets.js';

/** Pages that kernels are built with, from the smallest to the largest (bytes). */
const [SMALLEST_PAGE, LARGEST_PAGE] = [4096, 65536];

/** Bits of a pointer and of a long. QEMU dumps an i386 as ELF64 too, as its memory may end above 4 GiB. */
function wordBitsOf({ machine, wordBits }: Pick<Dump, 'machine' | 'wordBits'>): WordBits {
  if (machine === 'i386' || machine === 'arm') return 32;
  return machine === 'unknown' ? wordBits : 64;
}

/** Bytes of a page of the kernel. QEMU stores an AArch64 in blocks of the largest pages that there are. */
export function kernelPageSize({ vmcoreinfo, pageSize }: Pick<Dump, 'vmcoreinfo' | 'pageSize'>): number {
  const told = Number(vmcoreinfo?.pageSize ?? 0n);
  const isPossible = told >= SMALLEST_PAGE && told <= LARGEST_PAGE && Number.isInteger(Math.log2(told));
  return isPossible ? told : pageSize;
}

/** A dump with the words and the pages of its kernel, which are not always those of its file. */
export function kernelView(dump: Dump): Dump {
  // What the dump computes when it is asked for stays so.
  return Object.create(dump, {
    wordBits: { value: wordBitsOf(dump), enumerable: true },
    pageSize: { value: kernelPageSize(dump), enumerable: true },
  }) as Dump;
}
