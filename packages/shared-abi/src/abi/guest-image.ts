import {
  bytes,
  deferStruct,
  defineEnum,
  defineFlags,
  field,
  named,
  struct,
  type Struct,
  u32,
  u64,
  type ValueOf,
} from '@instar/layout';
import { FINGERPRINT_SIZE } from './version.js';

/** "INSTARGI", read as a big-endian doubleword. */
export const GUEST_IMAGE_MAGIC = 0x494e_5354_4152_4749n;
/** Version of the file format. */
export const GUEST_IMAGE_VERSION = 1;
/** Most segments of an image. */
export const GUEST_IMAGE_MAX_SEGMENTS = 8;

/** Header of a guest image file. */
export const GuestImageHeader = deferStruct('GuestImageHeader', 128, 'Header of a guest image file.', () => ({
  magic: field(u64, 0, 'GUEST_IMAGE_MAGIC'),
  header_version: field(u32, 8, 'GUEST_IMAGE_VERSION'),
  abi_major: field(u32, 12, 'ABI that the guest was built against'),
  abi_minor: field(u32, 16, 'ABI that the guest was built against'),
  segment_count: field(u32, 20, 'GuestSegment records'),
  segments_offset: field(u64, 24, 'byte offset of the first'),
  process_record_offset: field(u64, 32, 'byte offset of the leading part of the ProcessRecord'),
  process_record_size: field(u64, 40, 'bytes of it that the file holds; the register tail is not written'),
  fingerprint: field(bytes(FINGERPRINT_SIZE), 48, 'fingerprint of that ABI'),
  build_id: field(bytes(32), 80, 'SHA-256 of the linked program'),
  file_size: field(u64, 112, 'bytes of the whole file'),
  reserved: field(u64, 120, 'zero', 0n),
}));

/** Protection bits of a segment. */
export const SEGMENT_FLAG = defineFlags(
  'SegmentFlag',
  'Protection of a segment; WRITE and EXECUTE exclude each other.',
  {
    EXECUTE: [1 << 0, 'may be executed'],
    WRITE: [1 << 1, 'may be written'],
    READ: [1 << 2, 'may be read'],
  },
);

/** One segment of a guest image. */
export const GuestSegment = deferStruct('GuestSegment', 40, 'One segment.', () => ({
  flags: field(named(u32, SEGMENT_FLAG), 0, 'SegmentFlag'),
  pad: field(u32, 4, 'zero', 0),
  address: field(u64, 8, 'first byte in guest memory, a multiple of the page size'),
  memory_size: field(u64, 16, 'bytes in memory; what the file lacks is zero'),
  file_offset: field(u64, 24, 'byte offset in the file'),
  file_size: field(u64, 32, 'bytes in the file'),
}));

/** Faults that a process record can hold before it has run. */
export const FAULT = defineEnum('FaultCode', 'Fault code of a process record.', {
  NONE: [0, 'running'],
  STARTUP: [1, 'has not run: the backend sets the registers, the entry PC is in the fault info'],
});

const PROCESS_RECORD_HEAD = {
  fault_code: field(named(u32, FAULT), 0, 'FaultCode'),
  pad: field(u32, 4, 'zero', 0),
  fault_info: field(u64, 8, 'for STARTUP: the entry PC'),
};

/** The target-independent part of a process record. The register set follows it in memory and is not in the file. */
export const ProcessRecord = deferStruct('ProcessRecord', 16, 'Head of a process record.', () => PROCESS_RECORD_HEAD);

/**
 * A process record as it lies in memory: the head that a guest image holds, then the register set of the target, which
 * no image holds. A loader zeroes the record and loads the head (`loadHead`); the registers are set at the first fault.
 */
export function processRecordWith<V>(registers: Struct<V>): Struct<ProcessRecordValue & { readonly registers: V }> {
  return struct('ProcessRecord', { ...PROCESS_RECORD_HEAD, registers }, { tail: 'registers' });
}

type ProcessRecordValue = ValueOf<typeof ProcessRecord>;

/** Register tail of a process record on x86-64. */
export const RegistersX86_64 = deferStruct('RegistersX86_64', 144, 'Register tail on x86-64.', () => ({
  rax: field(u64, 0, 'general register'),
  rbx: field(u64, 8, 'general register'),
  rcx: field(u64, 16, 'general register'),
  rdx: field(u64, 24, 'general register'),
  rsi: field(u64, 32, 'general register'),
  rdi: field(u64, 40, 'general register'),
  rbp: field(u64, 48, 'general register'),
  rsp: field(u64, 56, 'stack pointer'),
  r8: field(u64, 64, 'general register'),
  r9: field(u64, 72, 'general register'),
  r10: field(u64, 80, 'general register'),
  r11: field(u64, 88, 'general register'),
  r12: field(u64, 96, 'general register'),
  r13: field(u64, 104, 'general register'),
  r14: field(u64, 112, 'general register'),
  r15: field(u64, 120, 'general register'),
  rip: field(u64, 128, 'program counter'),
  rflags: field(u64, 136, 'flags'),
}));
