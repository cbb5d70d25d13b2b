import {
  both,
  fault,
  PAGE_FAULT,
  pageFault,
  PROTECTION_FAULT,
  STANDSTILL,
  VECTOR,
  violation,
  type Row,
} from '../expectation.js';
import { NO_SYSCALL, NO_SYSCALL_WHY } from './processor.js';

const LEFT = violation(/^the second processor left the guest$/);

/** What the second processor of a guest tries while the first one waits for it. */
const ATTACKS: readonly Row[] = [
  { attack: 'second.exit', ...both(LEFT) },
  { attack: 'second.allocate', ...both(LEFT), about: 'the allocator belongs to the first processor' },
  { attack: 'second.read_null', ...both(pageFault(PAGE_FAULT.USER, 0n, { inside: 'image' })) },
  {
    attack: 'second.halt',
    kvm: [PROTECTION_FAULT],
    process: [fault(VECTOR.PROTECTION)],
    why: 'a process is told of it by a signal',
  },
  {
    attack: 'second.system_call',
    kvm: NO_SYSCALL,
    process: [violation(/^system call 39 is not allowed in the sandbox$/)],
    why: NO_SYSCALL_WHY,
  },
  { attack: 'second.spin', ...both(STANDSTILL) },
  { attack: 'second.wait_storm', ...both(STANDSTILL) },
];

/** Of guests that have a second processor. */
export const SECOND: readonly Row[] = ATTACKS.map((row) => ({ ...row, secondProcessor: true }));
