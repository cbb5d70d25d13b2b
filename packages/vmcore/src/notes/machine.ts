import type { Endian } from '@instar/layout';
import type { Machine } from '../structures/machines.js';
import { CORE_NOTE, hasRegisters, NT_PRSTATUS, prstatusSize } from '../structures/prstatus.js';
import type { Note } from './note.js';
import type { VmcoreInfo } from './vmcoreinfo.js';

/** Machines that NT_PRSTATUS may tell by its size, with the byte order of those that have but one. */
const TOLD_BY_SIZE = [
  ['x86_64', 'little'],
  ['i386', 'little'],
  ['s390x', 'big'],
  ['aarch64', undefined],
  ['arm', undefined],
  ['ppc64', undefined],
  ['riscv64', 'little'],
] as const;

/** What only one machine's kernel says in VMCOREINFO (Linux, arch/…/kernel/vmcore_info.c). */
const TOLD_BY_INFO = [
  ['aarch64', 'NUMBER(kimage_voffset)'],
  ['riscv64', 'NUMBER(va_kernel_pa_offset)'],
  ['riscv64', 'NUMBER(phys_ram_base)'],
  ['ppc64', 'SYMBOL(mmu_vmemmap_psize)'],
  ['ppc64', 'SYMBOL(vmemmap_list)'],
  ['s390x', 'SYMBOL(lowcore_ptr)'],
  ['s390x', 'SAMODE31'],
  ['i386', 'CONFIG_X86_PAE'],
  ['x86_64', 'NUMBER(phys_base)'],
] as const;

/** A machine, and what a user should know of how it was found. */
export interface FoundMachine {
  readonly machine: Machine;
  readonly warning?: string | undefined;
}

function bySize(notes: readonly Note[], named: Machine, byteOrder: Endian): Machine {
  const size = notes.find((note) => note.name === CORE_NOTE && note.type === NT_PRSTATUS)?.descriptor.length;
  if (size === undefined || (hasRegisters(named) && prstatusSize(named) === size)) return named;
  if (named !== 'unknown' && !hasRegisters(named)) return named;
  return (
    TOLD_BY_SIZE.find(
      ([machine, order]) => prstatusSize(machine) === size && (order ?? byteOrder) === byteOrder,
    )?.[0] ?? named
  );
}

/**
 * The machine of a kdump-compressed file. Its header names it, but QEMU's says x86_64 of i386 and Unknown of aarch64, ppc64
 * and riscv64, and makedumpfile's says nothing where there is no VMCOREINFO; the size of NT_PRSTATUS decides then, and
 * where there is none, what only one machine has in VMCOREINFO.
 */
export function machineOfNotes(
  notes: readonly Note[],
  info: VmcoreInfo | undefined,
  named: Machine,
  byteOrder: Endian,
): FoundMachine {
  const sized = bySize(notes, named, byteOrder);
  if (named !== 'unknown') return { machine: sized };
  if (sized !== 'unknown') return { machine: sized, warning: taken(sized, 'the registers in its notes') };
  const told = TOLD_BY_INFO.find(([, key]) => info?.get(key) !== undefined)?.[0];
  if (told !== undefined) return { machine: told, warning: taken(told, 'its VMCOREINFO') };
  return {
    machine: 'unknown',
    warning:
      'the header names no machine, and nothing else does: an ELF file of it has none either, unless it is given',
  };
}

function taken(machine: Machine, by: string): string {
  return `the header names no machine: it is taken for ${machine} by ${by}`;
}
