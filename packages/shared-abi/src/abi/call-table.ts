import { deferStruct, field, u32, u64 } from '@instar/layout';

/** "CALL", read as a big-endian word. */
export const CALL_TABLE_MAGIC = 0x4341_4c4c;
/** Entries of ABI 1.0; a guest uses only those below `entry_count`. */
export const CALL_TABLE_ENTRIES = 3;
/** Entries since ABI 1.1. */
export const CALL_TABLE_ENTRIES_1_1 = 5;

/** I/O port of the doorbell on KVM: wakes the host's I/O threads. */
export const PORT_DOORBELL = 0x500;
/** I/O port on which a guest waits for a completion. */
export const PORT_WAIT = 0x504;
/** I/O port on which a guest ends, with its exit code. */
export const PORT_EXIT = 0x508;

/**
 * Functions that a backend gives to the guest, by address (System V x86-64 calling convention). Append-only.
 */
export const CallTable = deferStruct('CallTable', 64, 'Addresses of the functions that a backend offers.', () => ({
  magic: field(u32, 0, 'CALL_TABLE_MAGIC'),
  abi_major: field(u32, 4, 'ABI_VERSION_MAJOR of the host'),
  abi_minor: field(u32, 8, 'ABI_VERSION_MINOR of the host'),
  entry_count: field(u32, 12, 'functions that follow'),
  doorbell: field(u64, 16, 'fn(): wakes the host; needed after a submission when need_wakeup is 1'),
  wait: field(u64, 24, 'fn(): returns when a completion may be there; guest_waiting must be 1'),
  exit: field(u64, 32, 'fn(code: u32) -> !: ends the guest'),
  item_read: field(
    u64,
    40,
    'fn(item: u32, offset: u32, to: *mut u8, length: u32) -> i32: bytes read, or a negated errno',
  ),
  item_write: field(
    u64,
    48,
    'fn(item: u32, offset: u32, from: *const u8, length: u32) -> i32: bytes written, or a negated errno',
  ),
  page_tables: field(u64, 56, 'guest physical address of the top page table; a number only, it is not mapped'),
}));

/** Exit codes of a guest. */
export const EXIT_OK = 0;
export const EXIT_ERROR = 1;
export const EXIT_PANIC = 101;
export const EXIT_NO_MEMORY = 102;
