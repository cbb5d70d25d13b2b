import type { Region } from '@instar/layout';
import { MEMORY_MAP, MEMORY_SIZE, PAGE_SIZE, region, SANDBOX_HELPER_ADDR } from '@instar/shared-abi';
import {
  both,
  exit,
  fault,
  PAGE_FAULT,
  pageFault,
  type Expectation,
  type Row,
  VECTOR,
  violation,
} from '../expectation.js';

const { PRESENT, WRITE, USER, FETCH } = PAGE_FAULT;
type Access = 'read' | 'write' | 'execute';

const KIND: Readonly<Record<Access, bigint>> = { read: USER, write: USER | WRITE, execute: USER | FETCH };

function unmapped(access: Access, address: bigint): Expectation {
  return pageFault(KIND[access], address);
}

function forbidden(access: Access, address: bigint): Expectation {
  return pageFault(KIND[access] | PRESENT, address);
}

/** A process maps its pages when it first touches them, and then there is no page yet that could be protected. */
const LAZY_WHY = 'a process maps pages on first touch, so the page may not be there yet when it is refused';

function refused(access: Access, address: bigint): Omit<Row, 'attack'> {
  return {
    kvm: [forbidden(access, address)],
    process: [forbidden(access, address), unmapped(access, address)],
    why: LAZY_WHY,
  };
}

/** One access to one address. An attempt to execute writable memory puts an instruction there first. */
function row(access: Access, address: bigint, about: string, expected: Omit<Row, 'attack'>): Row {
  const plant = access === 'execute' && about.includes('(rw)') ? [1n] : [];
  return { attack: `memory.${access}`, about, arguments: [address, ...plant], ...expected };
}

/** What a region's protection makes of an access to it. */
function regionRow({ name, protection }: Region, access: Access, address: bigint, end: string): Row | undefined {
  const about = `${end} byte of ${name} (${protection})`;
  switch (protection) {
    case 'none':
      return row(access, address, about, both(unmapped(access, address)));
    case 'supervisor':
      return row(access, address, about, {
        kvm: [forbidden(access, address), unmapped(access, address)],
        process: [unmapped(access, address)],
        why: 'KVM keeps its tables there, some mapped for CPL 0 only and some not at all; the process has none',
      });
    case 'r':
      return row(access, address, about, access === 'read' ? both(exit()) : refused(access, address));
    case 'rw':
      return row(access, address, about, access === 'execute' ? refused(access, address) : both(exit()));
    case 'rx':
      // Its own code may of course be called; what lies behind that code is no attack.
      return access === 'execute'
        ? undefined
        : row(access, address, about, access === 'read' ? both(exit()) : refused(access, address));
    case 'image':
      // The region begins with text and ends with nothing: see the attacks that aim at a segment of their own.
      return end === 'first' ? undefined : row(access, address, about, both(unmapped(access, address)));
  }
}

const ACCESSES: readonly Access[] = ['read', 'write', 'execute'];

function regionRows(): readonly Row[] {
  return MEMORY_MAP.flatMap((item) =>
    ACCESSES.flatMap((access) => {
      const start = BigInt(item.start);
      const rows = [
        regionRow(item, access, start, 'first'),
        regionRow(item, access, start + BigInt(item.size) - 1n, 'last'),
      ];
      return rows.filter((found) => found !== undefined);
    }),
  );
}

/** Every page at the start of the system region: descriptor tables, stubs, kernel stacks, page tables. */
function systemPageRows(): readonly Row[] {
  const system = region('system');
  return Array.from({ length: 12 }, (_, page) => BigInt(system.start + page * PAGE_SIZE + 8)).flatMap((address) =>
    ACCESSES.map((access) => regionRow(system, access, address, `0x${address.toString(16)}, a`)).filter(
      (found) => found !== undefined,
    ),
  );
}

const HELPER: Readonly<Record<Access, Expectation>> = {
  read: exit(),
  write: forbidden('write', SANDBOX_HELPER_ADDR),
  execute: violation(/^system call 9 is not allowed in the sandbox$/),
};

function outsideRows(): readonly Row[] {
  const plain = [BigInt(MEMORY_SIZE), 0x1_0000_0000n, 0x7000_0000_0000n];
  const kernel = 0xffff_8880_0000_0000n;
  const bad = 0x8000_0000_0000_0000n;
  return ACCESSES.flatMap((access) => [
    ...plain.map((address) =>
      row(access, address, `0x${address.toString(16)}, outside the map`, both(unmapped(access, address))),
    ),
    row(access, kernel, 'upper half', {
      kvm: [unmapped(access, kernel)],
      process: [forbidden(access, kernel)],
      why: 'Linux calls every access to its own half a protection fault, so as not to tell what is mapped',
    }),
    row(access, bad, 'non-canonical', both(fault(VECTOR.PROTECTION))),
    row(access, SANDBOX_HELPER_ADDR, "the sandbox helper's first page", {
      kvm: [unmapped(access, SANDBOX_HELPER_ADDR)],
      process: [HELPER[access]],
      why: 'the helper shares the address space of the process: its text is no secret, and its first act is to map memory',
    }),
  ]);
}

const stackGuard = { inside: 'result_guard' };

export const MEMORY: readonly Row[] = [
  ...regionRows(),
  ...systemPageRows(),
  ...outsideRows(),
  { attack: 'memory.write_text', ...both(pageFault(USER | WRITE | PRESENT, { inside: 'image' })) },
  { attack: 'memory.write_rodata', ...both(pageFault(USER | WRITE | PRESENT, { inside: 'image' })) },
  {
    attack: 'memory.execute_rodata',
    ...both(pageFault(USER | FETCH | PRESENT, { inside: 'image' }, { inside: 'image' })),
  },
  {
    attack: 'memory.execute_stack',
    ...both(pageFault(USER | FETCH | PRESENT, { inside: 'stack' }, { inside: 'stack' })),
  },
  { attack: 'memory.execute_heap', ...both(pageFault(USER | FETCH | PRESENT, { inside: 'heap' }, { inside: 'heap' })) },
  {
    attack: 'memory.overflow_stack',
    about: 'recursion into the guard page',
    ...both(pageFault(USER | WRITE, stackGuard, { inside: 'image' })),
  },
  {
    attack: 'memory.push_to_bad_stack',
    about: 'non-canonical',
    arguments: [0x8000_0000_0000_0000n],
    ...both(fault(VECTOR.STACK)),
  },
  {
    attack: 'memory.push_to_bad_stack',
    about: 'read-only memory',
    arguments: [BigInt(region('call_table').start) + 64n],
    kvm: [pageFault(USER | WRITE | PRESENT, { inside: 'call_table' })],
    process: [PRESENT, 0n].map((present) => pageFault(USER | WRITE | present, { inside: 'call_table' })),
    why: LAZY_WHY,
  },
  { attack: 'memory.exhaust_heap', ...both(exit(101)), about: 'the allocation error is a panic, exit code 101' },
];
