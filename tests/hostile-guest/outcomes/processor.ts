import { PORT_DOORBELL, PORT_EXIT, PORT_ITEM, PORT_WAIT } from '@instar/shared-abi';
import {
  both,
  exit,
  fault,
  INVALID_OPCODE,
  PAGE_FAULT,
  pageFault,
  PROTECTION_FAULT,
  STANDSTILL,
  VECTOR,
  violation,
  type Expectation,
  type Row,
} from '../expectation.js';

const { PRESENT, WRITE, USER, FETCH } = PAGE_FAULT;
const KILLED_BY_FILTER = violation(/^the guest process was killed by signal 31$/);

/** `int n` through a gate for CPL 0. */
function interrupt(vector: number): Expectation {
  return fault(VECTOR.PROTECTION, BigInt(vector * 8 + 2));
}

/** `syscall` in a VM that has it disabled. */
export const NO_SYSCALL: readonly Expectation[] = [INVALID_OPCODE, pageFault(USER | FETCH, 0n, 0n)];
export const NO_SYSCALL_WHY =
  'hardware KVM: EFER.SCE is 0, so #UD; a KVM without hardware virtualisation jumps to the entry point 0 instead';

export const NO_INTERRUPT_WHY =
  'hardware KVM: #GP with the selector of the gate; a KVM without hardware virtualisation says #UD';

const forbidden = (name: string): Row => ({ attack: `privileged.${name}`, ...both(PROTECTION_FAULT) });

const NO_UMIP_WHY = 'UMIP, where the processor has it: Linux switches it on or emulates it for processes; no secret';

const describesTables = (name: string): Row => ({
  attack: `privileged.${name}`,
  kvm: [PROTECTION_FAULT],
  process: [exit(), PROTECTION_FAULT],
  why: NO_UMIP_WHY,
});

/** UMIP that a hypervisor below emulates by its intercepts of descriptor tables does not reach SMSW. */
const MACHINE_STATUS: Row = {
  attack: 'privileged.smsw',
  kvm: [PROTECTION_FAULT, exit()],
  process: [exit(), PROTECTION_FAULT],
  why: `${NO_UMIP_WHY}; in a VM whose UMIP is emulated SMSW still answers, with bits of CR0 that every VM has alike`,
};

const eitherFault = (attack: string, why: string): Row => ({
  attack,
  kvm: [PROTECTION_FAULT, INVALID_OPCODE],
  process: [PROTECTION_FAULT, INVALID_OPCODE],
  why,
});

const PRIVILEGED: readonly Row[] = [
  ...['hlt', 'cli', 'sti', 'read_msr', 'write_msr', 'read_cr0', 'write_cr0', 'read_cr3', 'write_cr3', 'write_cr4'],
  ...['read_dr7', 'write_dr7', 'lgdt', 'lidt', 'lldt', 'ltr', 'lmsw', 'clts', 'invlpg', 'invd', 'wbinvd', 'swapgs'],
  ...['xsetbv', 'rdpmc'],
]
  .map(forbidden)
  .concat(
    ['sgdt', 'sidt', 'sldt', 'str'].map(describesTables),
    MACHINE_STATUS,
    ['rsm', 'vmlaunch', 'vmrun', 'monitor', 'mwait'].map((name) =>
      eitherFault(`privileged.${name}`, 'undefined or for CPL 0 only, as the processor and its settings will have it'),
    ),
  );

const harmless = (name: string): Row => ({ attack: `unprivileged.${name}`, ...both(exit()) });

const UNPRIVILEGED: readonly Row[] = [
  { attack: 'unprivileged.ud0', ...both(INVALID_OPCODE) },
  { attack: 'unprivileged.ud2', ...both(INVALID_OPCODE) },
  { attack: 'unprivileged.divide_by_zero', ...both(fault(VECTOR.DIVIDE)) },
  {
    attack: 'unprivileged.int3',
    kvm: [fault(VECTOR.BREAKPOINT), interrupt(VECTOR.BREAKPOINT)],
    process: [fault(VECTOR.BREAKPOINT)],
    why: 'hardware KVM checks the privilege of the gate, which is for CPL 0, and says #GP',
  },
  { attack: 'unprivileged.icebp', ...both(fault(VECTOR.DEBUG)) },
  { attack: 'unprivileged.x87_exception', ...both(fault(VECTOR.X87)) },
  { attack: 'unprivileged.simd_exception', ...both(fault(VECTOR.SIMD)) },
  {
    attack: 'unprivileged.unaligned',
    kvm: [fault(VECTOR.ALIGNMENT)],
    process: [fault(VECTOR.ALIGNMENT)],
  },
  {
    attack: 'unprivileged.write_protection_keys',
    ...both(INVALID_OPCODE, exit()),
    why: 'no page has a protection key; a KVM that runs CPL 3 on the processor itself, and Linux, may have switched them on',
  },
  ...['cpuid', 'rdtsc', 'rdtscp', 'xgetbv', 'flush_line', 'simd', 'avx2'].map(harmless),
  ...['rdrand', 'write_fs_base'].map((name): Row => ({
    ...harmless(name),
    ...both(exit(), INVALID_OPCODE),
    why: 'harmless, and undefined on processors (or kernels) that lack it',
  })),
];

const INTERRUPTS: readonly Row[] = [0, 1, 2, 6, 8, 13, 14, 18, 31, 32, 0x81, 0xef, 0xff]
  .map((vector): Row => ({
    attack: 'control_flow.interrupt',
    about: `int ${vector}`,
    arguments: [BigInt(vector)],
    kvm: [interrupt(vector), INVALID_OPCODE],
    process: [interrupt(vector)],
    why: NO_INTERRUPT_WHY,
  }))
  .concat(
    [VECTOR.BREAKPOINT, VECTOR.OVERFLOW].map((vector) => ({
      attack: 'control_flow.interrupt',
      about: `int ${vector}`,
      arguments: [BigInt(vector)],
      kvm: [interrupt(vector), INVALID_OPCODE, fault(vector)],
      process: [fault(vector)],
      why: `${NO_INTERRUPT_WHY}; Linux leaves these two to programs`,
    })),
    {
      attack: 'control_flow.interrupt',
      about: 'int 0x80, with a number that no kernel has',
      arguments: [0x80n],
      kvm: [interrupt(0x80), INVALID_OPCODE],
      process: [KILLED_BY_FILTER],
      why: `${NO_INTERRUPT_WHY}; a process meets the filter, which kills for calls of another architecture`,
    },
  );

const KERNEL_CODE = 0x08n;

const CONTROL_FLOW: readonly Row[] = [
  { attack: 'control_flow.jump', about: 'to 0', arguments: [0n], ...both(pageFault(USER | FETCH, 0n, 0n)) },
  {
    attack: 'control_flow.jump',
    about: 'to a non-canonical address',
    arguments: [0x8000_0000_0000_0000n],
    ...both(fault(VECTOR.PROTECTION)),
  },
  ...INTERRUPTS,
  {
    attack: 'control_flow.far_return',
    about: 'to the kernel code selector',
    arguments: [KERNEL_CODE],
    ...both(fault(VECTOR.PROTECTION, KERNEL_CODE)),
  },
  {
    attack: 'control_flow.interrupt_return',
    about: 'to the kernel code selector',
    arguments: [KERNEL_CODE, 0x1bn],
    ...both(fault(VECTOR.PROTECTION, KERNEL_CODE)),
  },
  {
    attack: 'control_flow.load_ds',
    about: 'a selector of a local table that is not there',
    arguments: [0x77n],
    ...both(fault(VECTOR.PROTECTION, 0x74n)),
  },
  {
    attack: 'control_flow.load_ds',
    about: 'a selector beyond the table',
    arguments: [0xfff8n],
    ...both(fault(VECTOR.PROTECTION, 0xfff8n)),
  },
  {
    attack: 'control_flow.load_fs',
    about: "the task's selector",
    arguments: [0x28n],
    ...both(fault(VECTOR.PROTECTION, 0x28n), exit()),
    why: "0x28 is a plain data segment in Linux's own table, which also holds where KVM runs CPL 3 natively",
  },
  { attack: 'control_flow.load_ss', about: 'null', arguments: [0n], ...both(fault(VECTOR.PROTECTION)) },
  { attack: 'control_flow.single_step', ...both(fault(VECTOR.DEBUG)) },
  { attack: 'control_flow.raise_iopl', ...both(PROTECTION_FAULT) },
  {
    attack: 'control_flow.system_call',
    about: 'with a number that no kernel has',
    kvm: NO_SYSCALL,
    process: [violation(/^system call 4294967295 is not allowed in the sandbox$/)],
    why: NO_SYSCALL_WHY,
  },
  {
    attack: 'control_flow.system_enter',
    kvm: [INVALID_OPCODE, PROTECTION_FAULT],
    process: [KILLED_BY_FILTER, INVALID_OPCODE],
    why: 'undefined in long mode on AMD; on Intel #GP without an entry point, and a 32-bit system call under Linux',
  },
  {
    attack: 'control_flow.compatibility_mode',
    about: 'then int 0x80',
    kvm: [interrupt(0x80), INVALID_OPCODE],
    process: [KILLED_BY_FILTER],
    why: NO_INTERRUPT_WHY,
  },
  eitherFault('control_flow.system_return', 'undefined without EFER.SCE, else for CPL 0 only'),
  eitherFault('control_flow.system_exit', 'undefined without an entry point, else for CPL 0 only'),
  ...['hypercall_intel', 'hypercall_amd'].map((name): Row => {
    const patched = pageFault(USER | WRITE | PRESENT, { inside: 'image' }, { inside: 'image' });
    return {
      attack: `control_flow.${name}`,
      ...both(exit(), INVALID_OPCODE, PROTECTION_FAULT, patched),
      why:
        'refused by KVM with an error number, or undefined on this processor; KVM would replace the instruction by that of ' +
        'the other vendor, and then meets a text that cannot be written. In a process it is the hypervisor of the host, if any',
    };
  }),
];

const COM1 = 0x3f8n;
const PCI_ADDRESS = 0xcf8n;

function foreignPort(instruction: string, about: string, ...args: readonly bigint[]): Row {
  return { attack: `ports.${instruction}`, about, arguments: args, ...both(PROTECTION_FAULT) };
}

/** A port that the VM's bitmap opens. A process has no ports at all. */
function openPort(instruction: string, about: string, args: readonly bigint[], kvm: Expectation): Row {
  return {
    attack: `ports.${instruction}`,
    about,
    arguments: args,
    kvm: [kvm],
    process: [PROTECTION_FAULT],
    why: 'the doorbell ports are open in the VM; a process rings by a system call and has no ports',
  };
}

const DOORBELL = BigInt(PORT_DOORBELL);
const WAIT = BigInt(PORT_WAIT);
const EXIT = BigInt(PORT_EXIT);
const ITEM = BigInt(PORT_ITEM);

const CODE = 0x1234_5678n;

const PORTS: readonly Row[] = [
  ...['out8', 'out16', 'out32', 'in8', 'in16', 'in32'].flatMap((instruction) => [
    foreignPort(instruction, 'the serial port', COM1),
    foreignPort(instruction, 'the PCI configuration port', PCI_ADDRESS),
    foreignPort(instruction, 'port 0', 0n),
    foreignPort(instruction, 'the last port', 0xffffn),
    foreignPort(instruction, 'below the doorbell', DOORBELL - 4n),
    foreignPort(instruction, 'above the item port', ITEM + 4n),
  ]),
  foreignPort('out16', 'half below the doorbell', DOORBELL - 1n),
  foreignPort('out32', 'half above the item port', ITEM + 2n),
  ...['outs8', 'outs32', 'ins8', 'ins32'].map((instruction) =>
    foreignPort(instruction, 'the serial port', COM1, 4096n),
  ),
  ...['out8', 'out16', 'out32', 'in8', 'in16', 'in32'].map((instruction) =>
    openPort(instruction, 'the doorbell', [DOORBELL, 0n, 1n], exit()),
  ),
  ...['outs8', 'outs32', 'ins8', 'ins32'].map((instruction) =>
    openPort(instruction, 'the doorbell, 1000 times', [DOORBELL, 1000n], exit()),
  ),
  openPort('out8', 'inside the doorbell', [DOORBELL + 3n, 0n, 1n], exit()),
  openPort('in32', 'the wait port', [WAIT], exit()),
  openPort('out8', 'the exit port', [EXIT, 0n, CODE], exit(Number(CODE & 0xffn))),
  openPort('out16', 'the exit port', [EXIT, 0n, CODE], exit(Number(CODE & 0xffffn))),
  openPort('out32', 'the exit port', [EXIT, 0n, CODE], exit(Number(CODE))),
  openPort('out32', 'the wait port, with nothing to wait for', [WAIT], STANDSTILL),
  openPort('outs32', 'the exit port, from a window of zeros', [EXIT, 1000n], exit(0)),
];

// Lies about items change nothing for the guest; the attack then crashes, so that there is a dump to look at.
const ITEMS: readonly Row[] = [
  { attack: 'items.describe_note', arguments: [7n, 1n, 0x100n, 2n ** 64n - 1n], ...both(INVALID_OPCODE) },
  { attack: 'items.describe_partly', arguments: [15n], ...both(INVALID_OPCODE) },
  { attack: 'items.read_back', arguments: [0x19n], ...both(exit()) },
];

export const PROCESSOR: readonly Row[] = [...PRIVILEGED, ...UNPRIVILEGED, ...CONTROL_FLOW, ...PORTS, ...ITEMS];
