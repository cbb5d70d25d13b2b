import type { MemoryProvider, ProviderRange, Utsname } from '@instar/vmcore';

import { InventedMemory } from './memory.js';

/** A machine that does not exist, as the readers are to see it. */
export interface InventedMachine {
  readonly name: string;
  readonly provider: MemoryProvider;
  readonly memory: InventedMemory;
  /** Registers of each CPU, by gdb's names. */
  readonly cpus: readonly Readonly<Record<string, bigint>>[];
  readonly vmcoreinfo: string | undefined;
  /** Class, data encoding and machine as readelf names them. */
  readonly readelf: readonly [string, RegExp, string];
}

export const OS_RELEASE = '6.1.0-instar-test';
const MIB = 1n << 20n;

const UTSNAME: Utsname = {
  sysname: 'Linux',
  nodename: 'invented',
  release: OS_RELEASE,
  version: '#1 SMP',
  machine: '',
  domainname: '(none)',
};

/** Below 4 GiB: with a hole, and as PCs have it, memory on both sides of 1 MiB. */
const LOW: readonly ProviderRange[] = [
  { start: 0n, length: 0x9f000n },
  { start: MIB, length: 3n * MIB },
  { start: 0x4000_0000n, length: 0x13_0000n },
];
/** Above 4 GiB, far away from the rest. */
const HIGH: ProviderRange = { start: 0x2_3456_0000n, length: 0x10_0000n };

function registers(names: readonly string[], bits: number, cpu: number): Record<string, bigint> {
  return Object.fromEntries(
    names.map((name, index) => {
      const value =
        0xfeed_0000_0000_0000n | (BigInt(cpu + 1) << 40n) | (BigInt(index) << 32n) | BigInt(0x8badf00d + index);
      return [name, BigInt.asUintN(bits, value)];
    }),
  );
}

const series = (letter: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${letter}${n}`);

const X86_64_REGISTERS = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', ...series('r', 16).slice(8), 'rip'];

function info(pageSize: number, ...lines: readonly string[]): string {
  return [`OSRELEASE=${OS_RELEASE}`, `PAGESIZE=${pageSize}`, ...lines, 'CRASHTIME=1775000000', ''].join('\n');
}

/**
 * What makedumpfile asks for although it is to leave out no page: the release where init_uts_ns says, found by the page
 * tables, and a mem_map.
 */
const X86_64_INFO = info(
  4096,
  'SYMBOL(init_uts_ns)=ffffffff80200000',
  'OFFSET(uts_namespace.name)=4',
  'SYMBOL(swapper_pg_dir)=ffffffff80110000',
  'SYMBOL(init_top_pgt)=ffffffff80110000',
  'SYMBOL(_stext)=ffffffff80200000',
  'NUMBER(phys_base)=0',
  'NUMBER(pgtable_l5_enabled)=0',
  'SYMBOL(mem_map)=ffffffff80300000',
  'SIZE(page)=64',
  'OFFSET(page.flags)=0',
  'OFFSET(page._refcount)=52',
  'OFFSET(page.mapping)=24',
  'KERNELOFFSET=0',
);

/** Page tables at 0x110000, in even pages, that map the first GiB at 0xffffffff80000000, and a utsname. */
function withKernel(memory: InventedMemory): InventedMemory {
  const table = (entries: Readonly<Record<number, bigint>>): Buffer => {
    const page = Buffer.alloc(4096);
    for (const [index, entry] of Object.entries(entries)) page.writeBigUInt64LE(entry, Number(index) * 8);
    return page;
  };
  const large = Object.fromEntries(
    Array.from({ length: 512 }, (_, index) => [index, BigInt(index) * 0x20_0000n + 0x83n]),
  );
  const utsname = Buffer.alloc(4096);
  const fields = [UTSNAME.sysname, UTSNAME.nodename, UTSNAME.release, UTSNAME.version, 'x86_64', UTSNAME.domainname];
  fields.forEach((text, index) => utsname.write(text, 4 + index * 65, 'latin1'));
  return memory
    .set(0x11_0000n, table({ 511: 0x11_2003n }))
    .set(0x11_2000n, table({ 510: 0x11_4003n }))
    .set(0x11_4000n, table(large))
    .set(0x20_0000n, utsname)
    .set(0x30_0000n, Buffer.from([0, 0, 0, 0, 0, 0xea, 0xff, 0xff]));
}

interface Invention {
  readonly name: string;
  readonly provider: Omit<MemoryProvider, 'ranges' | 'read' | 'cpus'>;
  readonly memory: InventedMemory;
  readonly registers: readonly string[];
  readonly bits: number;
  readonly readelf: readonly [string, RegExp, string];
  /** `@instar/vmcore`'s names where gdb's differ. */
  readonly renamed?: Readonly<Record<string, string>>;
}

function invent({ name, provider, memory, bits, readelf, renamed, ...rest }: Invention): InventedMachine {
  const cpus = [0, 1].map((cpu) => registers(rest.registers, bits, cpu));
  const own = cpus.map((cpu) => ({
    registers: Object.fromEntries(Object.entries(cpu).map(([key, value]) => [renamed?.[key] ?? key, value])),
  }));
  const { ranges, read } = memory;
  return {
    name,
    provider: {
      utsname: { ...UTSNAME, machine: UTS_MACHINES[provider.machine] ?? '' },
      ...provider,
      ranges,
      read,
      cpus: own,
    },
    memory,
    cpus,
    vmcoreinfo: provider.vmcoreinfo,
    readelf,
  };
}

const UTS_MACHINES: Readonly<Record<string, string>> = {
  x86_64: 'x86_64',
  i386: 'i686',
  aarch64: 'aarch64',
  s390x: 's390x',
};

const S390X_INFO = info(4096, 'SYMBOL(swapper_pg_dir)=110000', 'SYMBOL(_stext)=200000', 'KERNELOFFSET=0');

/** libkdumpfile follows the low core's pointers (which are not aligned) to os_info, here none, and to a VMCOREINFO note. */
function withLowCore(memory: InventedMemory): InventedMemory {
  const pointers = Buffer.alloc(0x20);
  pointers.writeBigUInt64BE(0x20_0000n, 0xc);
  const note = Buffer.alloc(24 + S390X_INFO.length);
  note.writeUInt32BE(11, 0);
  note.writeUInt32BE(S390X_INFO.length, 4);
  note.write('VMCOREINFO', 12, 'latin1');
  note.write(S390X_INFO, 24, 'latin1');
  return memory.set(0xe00n, pointers).set(0x20_0000n, note);
}

const X86_64_READELF = ['ELF64', /little/, 'Advanced Micro Devices X86-64'] as const;
const x86_64 = {
  registers: X86_64_REGISTERS,
  bits: 64,
  readelf: X86_64_READELF,
};

export const X86_64 = invent({
  ...x86_64,
  name: 'x86_64',
  provider: { machine: 'x86_64', vmcoreinfo: X86_64_INFO },
  memory: withKernel(new InventedMemory([...LOW, HIGH], 4096)),
});

/** Neither VMCOREINFO nor names in the header: what a machine is that runs no Linux. */
export const X86_64_BARE = invent({
  ...x86_64,
  name: 'x86_64, no VMCOREINFO',
  provider: { machine: 'x86_64', utsname: undefined },
  memory: new InventedMemory([...LOW, HIGH], 4096),
});

/** VMCOREINFO, but only the default names in the header. */
export const X86_64_UNNAMED = invent({
  ...x86_64,
  name: 'x86_64, no utsname',
  provider: { machine: 'x86_64', vmcoreinfo: X86_64_INFO, utsname: undefined },
  memory: withKernel(new InventedMemory([...LOW, HIGH], 4096)),
});

/** More program headers than e_phnum can count: every second page of 257 MiB, nearly all of which have one for the kernel's image, too. */
export const X86_64_FRAGMENTED = invent({
  ...x86_64,
  name: 'x86_64, 65,600 segments',
  provider: { machine: 'x86_64', vmcoreinfo: X86_64_INFO },
  memory: withKernel(
    new InventedMemory(
      Array.from({ length: 32_896 }, (_, index) => ({ start: BigInt(index) * 0x2000n, length: 0x1000n })),
      4096,
      16,
    ),
  ),
});

export const I386 = invent({
  name: 'i386',
  provider: {
    machine: 'i386',
    vmcoreinfo: info(4096, 'SYMBOL(swapper_pg_dir)=c0110000', 'SYMBOL(_stext)=c0200000', 'KERNELOFFSET=0'),
  },
  memory: new InventedMemory(LOW, 4096),
  registers: ['eax', 'ebx', 'ecx', 'edx', 'esi', 'edi', 'ebp', 'esp', 'eip'],
  bits: 32,
  readelf: ['ELF32', /little/, 'Intel 80386'],
});

const ARM_INFO = info(
  65_536,
  'SYMBOL(swapper_pg_dir)=ffff800008110000',
  'SYMBOL(_stext)=ffff800008200000',
  'NUMBER(VA_BITS)=48',
  'NUMBER(PHYS_OFFSET)=0x40000000',
  // libkdumpfile sets up address translation for drgn and asks for this.
  'NUMBER(kimage_voffset)=0xffff7fffc8000000',
  'KERNELOFFSET=0',
);
const ARM_MEMORY: readonly ProviderRange[] = [
  { start: 0x4000_0000n, length: 4n * MIB },
  { start: 0x5000_0000n, length: MIB },
  HIGH,
];

export const AARCH64 = invent({
  name: 'aarch64',
  provider: { machine: 'aarch64', pageSize: 65_536, vmcoreinfo: ARM_INFO },
  memory: new InventedMemory(ARM_MEMORY, 65_536),
  registers: [...series('x', 31), 'sp', 'pc'],
  bits: 64,
  readelf: ['ELF64', /little/, 'AArch64'],
});

export const AARCH64_BIG = invent({
  name: 'aarch64, big-endian',
  provider: { machine: 'aarch64', byteOrder: 'big', pageSize: 65_536, vmcoreinfo: ARM_INFO },
  memory: new InventedMemory(ARM_MEMORY, 65_536),
  registers: [...series('x', 31), 'sp', 'pc'],
  bits: 64,
  readelf: ['ELF64', /big/, 'AArch64'],
});

export const S390X = invent({
  name: 's390x',
  provider: { machine: 's390x', vmcoreinfo: S390X_INFO },
  memory: withLowCore(new InventedMemory([...LOW, HIGH], 4096)),
  registers: [...series('r', 16), 'pc'],
  bits: 64,
  readelf: ['ELF64', /big/, 'IBM S/390'],
  renamed: { pc: 'psw_addr' },
});
