import { array, byteSize, i16, i32, resolve, struct, u32, u64, uword, type Type } from '@instar/layout';
import type { Machine } from './machines.js';
import { Timeval } from './diskdump.js';
import { dumpTarget } from './targets.js';

/** Note name and type of a CPU's registers (gABI core files; Linux elfcore.h). */
export const NT_PRSTATUS = 1;
export const CORE_NOTE = 'CORE';

const words = <const N extends readonly string[]>(names: N): Record<N[number], typeof uword> =>
  Object.fromEntries(names.map((name) => [name, uword])) as Record<N[number], typeof uword>;

const numbered = <const P extends string>(prefix: P, count: number): `${P}${number}`[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}` as const);

/** elf_gregset_t of each machine: registers in the order of struct user_regs_struct or user_pt_regs (Linux, arch/…/asm). */
const REGISTER_SETS = {
  x86_64: struct(
    'x86_64_gregset',
    words([
      ...(['r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx'] as const),
      ...(['rsi', 'rdi', 'orig_rax', 'rip', 'cs', 'eflags', 'rsp', 'ss', 'fs_base', 'gs_base'] as const),
      ...(['ds', 'es', 'fs', 'gs'] as const),
    ]),
  ),
  i386: struct(
    'i386_gregset',
    words([
      ...(['ebx', 'ecx', 'edx', 'esi', 'edi', 'ebp', 'eax', 'ds', 'es', 'fs', 'gs'] as const),
      ...(['orig_eax', 'eip', 'cs', 'eflags', 'esp', 'ss'] as const),
    ]),
  ),
  aarch64: struct('aarch64_gregset', words([...numbered('x', 31), 'sp', 'pc', 'pstate'])),
  arm: struct('arm_gregset', words([...numbered('r', 13), 'sp', 'lr', 'pc', 'cpsr', 'orig_r0'])),
  s390x: struct('s390x_gregset', {
    psw_mask: uword,
    psw_addr: uword,
    ...words(numbered('r', 16)),
    ...Object.fromEntries(numbered('a', 16).map((name) => [name, u32])),
    orig_gpr2: uword,
  }),
  // Four words behind the last register are reserved (ELF_NGREG is 48).
  ppc64: struct(
    'ppc64_gregset',
    words([
      ...numbered('r', 32),
      ...(['pc', 'msr', 'orig_r3', 'ctr', 'lr', 'xer', 'cr', 'softe', 'trap', 'dar', 'dsisr', 'result'] as const),
      ...numbered('reserved', 4),
    ]),
  ),
  riscv64: struct(
    'riscv64_gregset',
    words([
      ...(['pc', 'ra', 'sp', 'gp', 'tp', 't0', 't1', 't2', 's0', 's1'] as const),
      ...numbered('a', 8),
      ...(['s2', 's3', 's4', 's5', 's6', 's7', 's8', 's9', 's10', 's11', 't3', 't4', 't5', 't6'] as const),
    ]),
  ),
} as const;

/** Machines whose registers are known. */
export type RegisterMachine = keyof typeof REGISTER_SETS;

/** Whether the registers of a machine are known. */
export function hasRegisters(machine: Machine): machine is RegisterMachine {
  return Object.hasOwn(REGISTER_SETS, machine);
}

type RegisterValues = Readonly<Record<string, bigint | number>>;

const prstatusWith = (name: string, registers: Type<RegisterValues>) =>
  struct(name, {
    si_signo: i32,
    si_code: i32,
    si_errno: i32,
    pr_cursig: i16,
    pr_sigpend: uword,
    pr_sighold: uword,
    pr_pid: i32,
    pr_ppid: i32,
    pr_pgrp: i32,
    pr_sid: i32,
    pr_utime: Timeval,
    pr_stime: Timeval,
    pr_cutime: Timeval,
    pr_cstime: Timeval,
    pr_reg: registers,
    pr_fpvalid: i32,
  });

const described = Object.fromEntries(
  Object.entries(REGISTER_SETS).map(([machine, set]) => [
    machine,
    prstatusWith(`${machine}_prstatus`, set as unknown as Type<RegisterValues>),
  ]),
) as Record<RegisterMachine, ReturnType<typeof prstatusWith>>;

/** struct elf_prstatus of a machine (Linux, include/linux/elfcore.h). */
export function prstatus(machine: RegisterMachine): ReturnType<typeof prstatusWith> {
  return described[machine];
}

/** Register that tells which instruction is next. */
export const PROGRAM_COUNTER: Readonly<Record<RegisterMachine, string>> = {
  x86_64: 'rip',
  i386: 'eip',
  aarch64: 'pc',
  arm: 'pc',
  s390x: 'psw_addr',
  ppc64: 'pc',
  riscv64: 'pc',
};

/** Name and type of QEMU's note with what NT_PRSTATUS has no room for. */
export const QEMU_NOTE = 'QEMU';
export const QEMU_NOTE_TYPE = 0;

const QemuCpuSegment = struct('QEMUCPUSegment', { selector: u32, limit: u32, flags: u32, pad: u32, base: u64 });

/** QEMUCPUState of x86 (QEMU, target/i386/arch_dump.c): 440 bytes. */
export const QemuCpuState = struct(
  'QEMUCPUState',
  {
    version: u32,
    size: u32,
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rsp: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rip: u64,
    rflags: u64,
    cs: QemuCpuSegment,
    ds: QemuCpuSegment,
    es: QemuCpuSegment,
    fs: QemuCpuSegment,
    gs: QemuCpuSegment,
    ss: QemuCpuSegment,
    ldt: QemuCpuSegment,
    tr: QemuCpuSegment,
    gdt: QemuCpuSegment,
    idt: QemuCpuSegment,
    cr: array(u64, 5),
    kernel_gs_base: u64,
  },
  { size: 440 },
);

/** Whether the words of a machine are 32 bits wide in its notes. */
export function isNarrow(machine: Machine): boolean {
  return machine === 'i386' || machine === 'arm';
}

/** Bytes of a machine's NT_PRSTATUS descriptor. */
export function prstatusSize(machine: RegisterMachine): number {
  const wordBits = isNarrow(machine) ? 32 : 64;
  return byteSize(resolve(prstatus(machine), dumpTarget(machine === 's390x' ? 'big' : 'little', wordBits)));
}
