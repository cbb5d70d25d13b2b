import { region, RingHeader } from '@instar/shared-abi';

/** `either` is chance. */
export type After = 'restored' | 'poisoned' | 'either';

/** Something that a guest leaves before it ends, and what becomes of its sandbox. */
export interface Leaving {
  readonly attack: string;
  readonly about?: string;
  readonly arguments?: readonly bigint[];
  /** Memory that the next guest looks at (default: the result region). */
  readonly where?: readonly [start: bigint, length: bigint];
  /** Whether the sandbox is used again. */
  readonly after: After | { readonly kvm: After; readonly process: After };
}

const KIB = 1024n;
const MIB = 1024n * KIB;

function memory(name: string, about: string, offset: bigint, length: bigint): Leaving {
  const start = BigInt(region(name).start) + offset;
  return {
    attack: 'leave.memory',
    about: `${name}, ${about}`,
    arguments: [start, length],
    where: [start, length],
    after: 'restored',
  };
}

const size = (name: string): bigint => BigInt(region(name).size);

function ringWord(
  field: 'magic' | 'entries' | 'submission_head' | 'completion_tail' | 'need_wakeup' | 'guest_waiting',
) {
  const offset = BigInt(RingHeader.offsetOf(field));
  const arguments_ = [offset, 0x4645n];
  const start = BigInt(region('ring').start);
  return {
    attack: 'leave.ring_word',
    about: field,
    arguments: arguments_,
    where: [start, size('ring')] as const,
    after: 'restored' as const,
  };
}

/** What guests leave, place by place. */
export const LEAVINGS: readonly Leaving[] = [
  memory('stack', 'below what is used', 0n, 200n * KIB),
  memory('worker_stack', 'all of it', 0n, size('worker_stack')),
  memory('worker_stack', 'its end', size('worker_stack') - 4096n, 4096n),
  memory('heap', 'its begin', 64n * KIB, 64n * KIB),
  memory('heap', 'behind what stays resident', 384n * KIB, 256n * KIB),
  memory('heap', 'in its middle', 16n * MIB, 64n * KIB),
  memory('heap', 'its end', size('heap') - 128n * KIB, 128n * KIB),
  memory('heap', 'all of it', 0n, size('heap')),
  memory('windows', 'their begin', 0n, 256n * KIB),
  memory('windows', 'behind what stays resident', 64n * KIB, 256n * KIB),
  memory('windows', 'another large page', 2n * MIB, 64n * KIB),
  memory('windows', 'their end', size('windows') - 64n * KIB, 64n * KIB),
  memory('keys', 'their begin', 0n, 64n * KIB),
  memory('keys', 'their end', size('keys') - 64n * KIB, 64n * KIB),
  memory('ring', 'behind its header and its entries', 0x3000n, 0x1000n),
  memory('result', 'its begin', 0n, 4096n),
  memory('result', 'its end', size('result') - 4096n, 4096n),
  { attack: 'results.fill', about: 'the result region', arguments: [0xffn], after: 'restored' },
  { attack: 'results.forge_fault', about: 'a report of a fault', arguments: [13n, 11n], after: 'poisoned' },
  { attack: 'leave.variables', after: 'restored' },
  { attack: 'leave.general', after: 'restored' },
  { attack: 'leave.sse', after: 'restored' },
  { attack: 'leave.avx', after: 'restored' },
  { attack: 'leave.sse_control', after: 'restored' },
  { attack: 'leave.x87_control', after: 'restored' },
  { attack: 'leave.x87_stack', after: 'restored' },
  { attack: 'leave.mmx', after: 'restored' },
  { attack: 'leave.fs_base', after: 'restored' },
  { attack: 'leave.gs_base', after: 'restored' },
  { attack: 'leave.flags', after: 'restored' },
  { attack: 'leave.selectors', after: 'restored' },
  ringWord('magic'),
  ringWord('entries'),
  ringWord('submission_head'),
  ringWord('completion_tail'),
  ringWord('need_wakeup'),
  ringWord('guest_waiting'),
  // A process goes on while the host looks at the ring: how far the host comes is chance.
  { attack: 'leave.commands', about: 'that the host was told of', arguments: [8n, 1n], after: 'either' },
  {
    attack: 'leave.commands',
    about: 'that the host was not told of',
    arguments: [8n, 0n],
    after: { kvm: 'poisoned', process: 'either' },
  },
  { attack: 'leave.rings', about: 'of the doorbell', arguments: [100n], after: 'restored' },
  { attack: 'leave.note', about: 'for dumps', after: 'restored' },
  { attack: 'leave.request', about: 'in the mailbox of items', after: 'restored' },
  { attack: 'limits.exit', about: 'a status that no working guest has', arguments: [7n], after: 'poisoned' },
  { attack: 'unprivileged.ud2', about: 'a fault', after: 'poisoned' },
  { attack: 'limits.spin', about: 'a guest that never ends', after: 'poisoned' },
  { attack: 'items.describe_note', about: 'a note and a fault', arguments: [1n, 1n, 64n, 4096n], after: 'poisoned' },
];
