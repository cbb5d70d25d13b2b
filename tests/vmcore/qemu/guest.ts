import { fileURLToPath } from 'node:url';

import { program } from '../../support/command.js';
import type { Judge } from '../../support/judge.js';
import type { Workdir } from '../../support/workdir.js';

/** A program of our own for one of QEMU's machines; its source in `guests/` says what it does. */
export interface Guest {
  readonly name: 'x86_64' | 'i386' | 'i386-loaded' | 'aarch64' | 's390x';
  /** Its name as `@instar/vmcore` and `uname -m` have it. */
  readonly processor: 'x86_64' | 'i386' | 'aarch64' | 's390x';
  readonly elfClass: 'ELF32' | 'ELF64';
  readonly littleEndian: boolean;
  readonly cpus: number;
  /** Block size of QEMU's kdump-compressed dumps (bytes). */
  readonly blockSize: number;
  /** What it needs to be built and run. */
  readonly judges: readonly Judge[];
  /** QEMU with its machine. */
  readonly machine: readonly string[];
  /** QEMU's options that load the guest. */
  readonly load: (image: string) => readonly string[];
  /** Physical address of the pattern. */
  readonly pattern: bigint;
  /** Physical address of a word that is 0 until all is written, and its value then. */
  readonly done: { readonly address: bigint; readonly value: bigint };
  /** Registers of CPU 0 while it spins, with gdb's names; where it spins is added when it is built. */
  readonly registers: Readonly<Record<string, bigint>>;
  /** gdb's name of the program counter. */
  readonly programCounter: string;
  /** Text of the note that it offers to QEMU, if it can. */
  readonly vmcoreinfo: string | undefined;
  readonly source: string;
  readonly cross: string;
  readonly compile: readonly string[];
  readonly link: readonly string[];
  /** A flat ROM instead of an ELF file. */
  readonly flat: boolean;
}

/** A guest that can be started. */
export interface BuiltGuest {
  readonly guest: Guest;
  /** What QEMU loads. */
  readonly image: string;
  /** With symbols. */
  readonly elf: string;
  readonly registers: Readonly<Record<string, bigint>>;
}

const GUESTS_DIRECTORY = fileURLToPath(new URL('guests', import.meta.url));

const wide = (number: number): bigint => 0x7eac_0000_5000_0000n | (BigInt(number) << 32n) | BigInt(number);
const narrow = (number: number): bigint => 0x50ad_0000n | (BigInt(number) << 8n) | BigInt(number);

function numbered(names: readonly string[], value: (number: number) => bigint): Record<string, bigint> {
  return Object.fromEntries(names.map((name, number) => [name, value(number)]));
}

function series(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) => `${letter}${number}`);
}

function qemu(name: string, debian: string): Judge {
  return { program: `qemu-system-${name}`, probe: ['--version'], package: debian };
}

function compiler(prefix: string, debian: string): Judge {
  return { program: `${prefix}gcc`, probe: ['--version'], package: debian };
}

/** The keys that crash, drgn and libkdumpfile ask for. */
function note(pageSize: number, ...lines: readonly string[]): string {
  return [`OSRELEASE=6.1.0-instar-guest`, `PAGESIZE=${pageSize}`, ...lines, 'CRASHTIME=1775000000', ''].join('\n');
}

const PC = ['qemu-system-x86_64', '-M', 'pc', '-m', '16', '-vga', 'none', '-device', 'vmcoreinfo'];

const X86: Pick<
  Guest,
  'littleEndian' | 'blockSize' | 'judges' | 'pattern' | 'done' | 'source' | 'cross' | 'link' | 'flat'
> = {
  littleEndian: true,
  blockSize: 4096,
  judges: [qemu('x86_64', 'qemu-system-x86'), compiler('', 'gcc')],
  pattern: 0x100000n,
  done: { address: 0x6000n, value: 0x600d600dn },
  source: 'x86.S',
  cross: '',
  link: ['-Ttext=0xffff0000'],
  flat: true,
};

/** A PC in 64-bit mode, with paging and a second CPU that never starts. */
export const X86_64: Guest = {
  ...X86,
  name: 'x86_64',
  processor: 'x86_64',
  elfClass: 'ELF64',
  cpus: 2,
  machine: [...PC, '-smp', '2'],
  load: (image) => ['-bios', image],
  registers: numbered(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', ...series('r', 16).slice(8)], wide),
  programCounter: 'rip',
  vmcoreinfo: note(
    4096,
    'SYMBOL(init_uts_ns)=ffffffff80100000',
    'SYMBOL(swapper_pg_dir)=ffffffff80070000',
    'SYMBOL(_stext)=ffffffff80100000',
    'NUMBER(phys_base)=0',
    'KERNELOFFSET=0',
  ),
  compile: ['-DLONG_MODE'],
};

/** A PC in 32-bit protected mode. Its ROM ends at 4 GiB, which is too high for QEMU's ELF32. */
export const I386: Guest = {
  ...X86,
  name: 'i386',
  processor: 'i386',
  elfClass: 'ELF64',
  cpus: 1,
  machine: PC,
  load: (image) => ['-bios', image],
  registers: numbered(['eax', 'ebx', 'ecx', 'edx', 'esi', 'edi', 'ebp', 'esp'], narrow),
  programCounter: 'eip',
  vmcoreinfo: note(4096, 'SYMBOL(swapper_pg_dir)=c0070000', 'SYMBOL(_stext)=c0100000', 'KERNELOFFSET=0'),
  compile: [],
};

/**
 * A CPU and RAM and nothing else, so no VMCOREINFO either: QEMU dumps it in 32 bits. The CPU starts at CS base 0xffff0000
 * plus IP, which wraps to 0x8000.
 */
export const I386_LOADED: Guest = {
  ...I386,
  name: 'i386-loaded',
  elfClass: 'ELF32',
  machine: [
    ...['qemu-system-x86_64', '-M', 'none', '-cpu', 'qemu32,apic-id=0', '-m', '8'],
    ...['-device', 'loader,addr=0x18000,cpu-num=0'],
  ],
  load: (image) => ['-device', `loader,file=${image},addr=0x8000`],
  vmcoreinfo: undefined,
  compile: ['-DLOADED'],
  link: ['-Ttext=0x8000'],
};

/** aarch64 at EL1; QEMU dumps it in blocks of 64 KiB. */
export const AARCH64: Guest = {
  name: 'aarch64',
  processor: 'aarch64',
  elfClass: 'ELF64',
  littleEndian: true,
  cpus: 2,
  blockSize: 65_536,
  judges: [qemu('aarch64', 'qemu-system-arm'), compiler('aarch64-linux-gnu-', 'gcc-aarch64-linux-gnu')],
  machine: [
    ...['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a57', '-m', '32', '-smp', '2'],
    ...['-device', 'vmcoreinfo'],
  ],
  load: (image) => ['-kernel', image],
  pattern: 0x4020_0000n,
  done: { address: 0x4019_0000n, value: 0x600d600dn },
  registers: {
    ...numbered(series('x', 29), wide),
    x29: 0x4019_0000n,
    x30: 0x600d600dn,
    sp: wide(31),
  },
  programCounter: 'pc',
  vmcoreinfo: note(
    65_536,
    'SYMBOL(swapper_pg_dir)=ffff800008190000',
    'SYMBOL(_stext)=ffff800008100000',
    'NUMBER(VA_BITS)=48',
    'NUMBER(PHYS_OFFSET)=0x40000000',
    'KERNELOFFSET=0',
  ),
  source: 'aarch64.S',
  cross: 'aarch64-linux-gnu-',
  compile: [],
  link: ['-Ttext=0x40100000'],
  flat: false,
};

/** Big-endian; these machines cannot offer a VMCOREINFO note. */
export const S390X: Guest = {
  name: 's390x',
  processor: 's390x',
  elfClass: 'ELF64',
  littleEndian: false,
  cpus: 2,
  blockSize: 4096,
  judges: [qemu('s390x', 'qemu-system-misc'), compiler('s390x-linux-gnu-', 'gcc-s390x-linux-gnu')],
  machine: ['qemu-system-s390x', '-m', '16', '-smp', '2'],
  load: (image) => ['-kernel', image],
  pattern: 0x100000n,
  done: { address: 0xe00n, value: 0x600dn },
  registers: numbered(series('r', 16), wide),
  programCounter: 'pc',
  vmcoreinfo: undefined,
  source: 's390x.S',
  cross: 's390x-linux-gnu-',
  compile: ['-march=z10'],
  link: ['-Ttext=0x20000'],
  flat: false,
};

export const GUESTS: readonly Guest[] = [X86_64, I386, I386_LOADED, AARCH64, S390X];

/** The name that `@instar/vmcore` has for a register of gdb's. */
export function vmcoreName(guest: Guest, register: string): string {
  return guest.processor === 's390x' && register === 'pc' ? 'psw_addr' : register;
}

/** Assembles a guest into a directory. */
export function build(guest: Guest, directory: Workdir): BuiltGuest {
  const [object, elf, flat] = [`${guest.name}.o`, `${guest.name}.elf`, `${guest.name}.rom`];
  directory.write('vmcoreinfo.txt', guest.vmcoreinfo ?? '');
  const tool = (name: string, ...words: readonly string[]) =>
    program(`${guest.cross}${name}`, ...words)
      .in(directory)
      .must();
  tool('gcc', '-c', ...guest.compile, `${GUESTS_DIRECTORY}/${guest.source}`, '-o', object);
  tool('ld', ...guest.link, object, '-o', elf);
  if (guest.flat) tool('objcopy', '-O', 'binary', elf, flat);
  const spin = /^([0-9a-f]+) . spin$/m.exec(tool('nm', elf).stdout)?.[1];
  if (spin === undefined) throw new Error(`${guest.source} has no label spin`);
  return {
    guest,
    image: directory.file(guest.flat ? flat : elf),
    elf: directory.file(elf),
    registers: { ...guest.registers, [guest.programCounter]: BigInt(`0x${spin}`) },
  };
}
