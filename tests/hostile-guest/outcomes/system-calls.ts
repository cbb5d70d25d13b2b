import { OPERATION_CONFIG_ADDR, region } from '@instar/shared-abi';
import {
  both,
  exit,
  fault,
  INVALID_OPCODE,
  PAGE_FAULT,
  pageFault,
  STANDSTILL,
  VECTOR,
  violation,
  type Expectation,
  type Row,
} from '../expectation.js';
import { argumentOffset } from '../scene.js';
import { NO_INTERRUPT_WHY, NO_SYSCALL, NO_SYSCALL_WHY } from './processor.js';

const LEGACY_GATE = 0x80;
/** Index of the first argument that holds text; system calls take their arguments before it. */
const TEXT = 16;
const SIGKILL = 9n;

/** A pointer to the text that follows the arguments: the config page lies at the same address in every sandbox. */
const textPointer = BigInt(OPERATION_CONFIG_ADDR + argumentOffset(TEXT));

function words(text: string): readonly bigint[] {
  const bytes = Buffer.alloc(Math.ceil((Buffer.byteLength(text) + 1) / 8) * 8);
  bytes.write(text);
  return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigUInt64LE(index * 8));
}

function withText(args: readonly bigint[], text: string): readonly bigint[] {
  return [...args, ...new Array<bigint>(TEXT - args.length).fill(0n), ...words(text)];
}

function native(about: string, number: number, args: readonly bigint[], expected?: Expectation, text = ''): Row {
  return {
    attack: 'syscalls.native',
    about,
    arguments: withText([BigInt(number), ...args], text),
    kvm: NO_SYSCALL,
    process: [expected ?? violation(new RegExp(`^system call ${number} is not allowed in the sandbox$`))],
    why: NO_SYSCALL_WHY,
  };
}

function legacy(about: string, number: number, args: readonly bigint[], text = ''): Row {
  return {
    attack: 'syscalls.legacy',
    about,
    arguments: withText([BigInt(number), ...args], text),
    kvm: [fault(VECTOR.PROTECTION, BigInt(LEGACY_GATE * 8 + 2)), INVALID_OPCODE],
    process: [violation(/^the guest process was killed by signal 31$/)],
    why: NO_INTERRUPT_WHY,
  };
}

/** The system calls of a hostile guest, aimed at a file and a process of the host (asm/unistd_64.h, unistd_32.h). */
export function systemCalls(canary: string, victim: number): readonly Row[] {
  const pid = BigInt(victim);
  const text = BigInt(region('image').start);
  const window = BigInt(region('windows').start);
  const atCwd = -100n;
  const truncate = 0x201n;
  return [
    native('read: 5 bytes from the doorbell', 0, [0n, window, 5n]),
    native('read: from another descriptor', 0, [1n, window, 4n]),
    native('read: from the doorbell, and nobody answers', 0, [0n, window, 4n], STANDSTILL),
    native('write: 5 bytes to the doorbell', 1, [0n, window, 5n]),
    native('write: to another descriptor', 1, [2n, window, 4n]),
    native('write: a ring of the doorbell', 1, [0n, window, 4n], exit(4)),
    // The error, −14, is what the guest then ends with: more than eight bits.
    native(
      'write: from memory that is not there',
      1,
      [0n, 0n, 4n],
      violation(/^system call 231 is not allowed in the sandbox$/),
    ),
    native('open', 2, [textPointer, truncate], undefined, canary),
    native('mmap: writable and executable', 9, [0n, 4096n, 7n, 0x22n, -1n, 0n]),
    native('mprotect: text writable', 10, [text, 4096n, 7n]),
    native('munmap', 11, [text, 4096n]),
    native('brk', 12, [0n]),
    native('rt_sigaction', 13, [11n, window, 0n, 8n]),
    native('rt_sigreturn', 15, []),
    native('ioctl', 16, [0n, 0x5421n, window]),
    native('dup2', 33, [0n, 1n]),
    native('nanosleep', 35, [window, 0n]),
    native('getpid', 39, []),
    native('socket', 41, [2n, 1n, 0n]),
    native('sendmsg: descriptors over the doorbell', 46, [0n, window, 0n]),
    native('recvmsg: descriptors over the doorbell', 47, [0n, window, 0n]),
    native('clone', 56, [0n, 0n, 0n, 0n, 0n]),
    native('fork', 57, []),
    native('vfork', 58, []),
    native('execve', 59, [textPointer, 0n, 0n], undefined, '/bin/sh'),
    native('exit', 60, [0n]),
    native('kill: the host process', 62, [pid, SIGKILL]),
    native('truncate', 76, [textPointer, 0n], undefined, canary),
    native('rename', 82, [textPointer, textPointer], undefined, canary),
    native('unlink', 87, [textPointer], undefined, canary),
    native('ptrace: the host process', 101, [16n, pid, 0n, 0n]),
    native('prctl: dumpable again', 157, [4n, 1n]),
    native('setrlimit', 160, [7n, window]),
    native('futex', 202, [window, 0n, 0n, 0n]),
    native('exit_group', 231, [3n], exit(3)),
    native('tgkill: the host process', 234, [pid, pid, SIGKILL]),
    native('openat', 257, [atCwd, textPointer, truncate], undefined, canary),
    native('process_vm_writev: the host process', 311, [pid, window, 1n, window, 1n, 0n]),
    native('seccomp', 317, [1n, 0n, window]),
    native('memfd_create', 319, [textPointer, 0n]),
    native('bpf', 321, [0n, window, 64n]),
    native('userfaultfd', 323, [0n]),
    native('io_uring_setup', 425, [8n, window]),
    native('clone3', 435, [window, 88n]),
    native('openat2', 437, [atCwd, textPointer, window, 24n], undefined, canary),
    native('pidfd_getfd', 438, [0n, 0n, 0n]),
    native('read of the x32 interface', 0x4000_0000, [0n, window, 4n]),
    legacy('exit', 1, [0n]),
    legacy('fork', 2, []),
    legacy('open', 5, [textPointer, truncate], canary),
    legacy('unlink', 10, [textPointer], canary),
    legacy('execve', 11, [textPointer, 0n, 0n], '/bin/sh'),
    legacy('kill: the host process', 37, [pid, SIGKILL]),
    legacy('mprotect: text writable', 125, [text, 4096n, 7n]),
    {
      attack: 'syscalls.virtual_call',
      kvm: [pageFault(PAGE_FAULT.USER | PAGE_FAULT.FETCH, 0xffff_ffff_ff60_0000n)],
      process: [
        violation(/^system call 96 is not allowed in the sandbox$/),
        pageFault(PAGE_FAULT.USER | PAGE_FAULT.FETCH | PAGE_FAULT.PRESENT, 0xffff_ffff_ff60_0000n),
      ],
      why: 'Linux emulates the page for processes (and filters the call) unless it was built or started without it',
    },
  ];
}

/** Lies about how the guest ended. */
export const ENDINGS: readonly Row[] = [
  { attack: 'list', about: 'number 0 only lists the attacks', ...both(exit()) },
  ...[0, 1, 42, 101, 102, 255].map((code): Row => ({
    attack: 'limits.exit',
    about: `code ${code}`,
    arguments: [BigInt(code)],
    ...both(exit(code)),
  })),
  ...[256, 77 + 256, 78 + 256, 95 + 512, 0x7fff_ffff, 0xffff_ffff].map((code): Row => ({
    attack: 'limits.exit',
    about: `code ${code}`,
    arguments: [BigInt(code)],
    kvm: [exit(code)],
    process: [violation(/^system call 231 is not allowed in the sandbox$/)],
    why: 'a process has eight bits of exit status: more could pass for another one',
  })),
  {
    attack: 'limits.exit',
    about: 'the status of a reported fault, without a report',
    arguments: [77n],
    kvm: [exit(77)],
    process: [violation(/^the guest process crashed without a report$/)],
    why: 'the status is the process backend’s own',
  },
  ...[78, 83, 95].map((code): Row => ({
    attack: 'limits.exit',
    about: `${code}, a status of a helper that could not set itself up`,
    arguments: [BigInt(code)],
    kvm: [exit(code)],
    process: [violation(/^system call 231 is not allowed in the sandbox$/)],
    why: 'the filter forbids that status, so that a guest cannot make its crime look like the host’s fault',
  })),
  {
    attack: 'results.forge_fault',
    about: 'an impossible vector',
    arguments: [2n ** 64n - 1n, 11n],
    kvm: [exit(77)],
    process: [{ outcome: 'fault', vector: 0xffff_ffff, errorCode: 2n ** 64n - 1n }],
    why: 'the signal handler writes to memory of the guest: its report is good for messages only',
  },
  {
    attack: 'results.forge_fault',
    about: 'as if the filter had spoken',
    arguments: [0n, 31n],
    kvm: [exit(77)],
    process: [violation(/^system call 0 is not allowed in the sandbox$/)],
    why: 'as above',
  },
  { attack: 'results.fill', about: 'all ones', arguments: [0xffn], ...both(exit()) },
  { attack: 'limits.spin', ...both(STANDSTILL) },
  { attack: 'limits.wait_forever', ...both(STANDSTILL) },
  { attack: 'limits.doorbell_storm', ...both(STANDSTILL) },
  {
    attack: 'limits.wait_storm',
    about: 'by reading the doorbell port',
    arguments: [0x500n],
    kvm: [STANDSTILL],
    process: [fault(VECTOR.PROTECTION)],
    why: 'a process has no ports',
  },
];
