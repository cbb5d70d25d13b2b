import { bytes, deferStruct, defineEnum, defineFlags, field, i32, named, u32, u64 } from '@instar/layout';

/** "RING", read as a big-endian word. */
export const RING_MAGIC = 0x5249_4e47;
/** Entries of the submission and of the completion queue; a power of two. */
export const RING_ENTRIES = 64;
/** Byte offset of the submission entries from the start of the ring region. */
export const RING_SUBMISSIONS_OFFSET = 0x1000;
/** Byte offset of the completion entries from the start of the ring region. */
export const RING_COMPLETIONS_OFFSET = 0x2000;
/** Most bytes of one READ, WRITE, COPY, PRESERVE or COMPARE. */
export const COMMAND_MAX_LENGTH = 0x80_0000;
/** Bytes for which COMPARE says whether they differ. */
export const COMPARED_SECTOR = 512;
/** Most bytes of one LOG. */
export const LOG_MAX_LENGTH = 1024;

/** What a descriptor asks for. */
export const OPCODE = defineEnum('Opcode', 'Commands of the ring.', {
  READ: [1, 'device[offset, +length) → window'],
  WRITE: [2, 'window → target_device[target_offset, +length)'],
  COPY: [3, 'device[offset, +length) → target_device[target_offset, +length), past the guest'],
  ZERO: [4, 'target_device[target_offset, +length) becomes zeros'],
  FLUSH: [5, 'target_device: all completed writes reach the disk'],
  LOG: [6, 'window[0, length): UTF-8 text for the host log'],
  PROGRESS: [7, '`offset` of `length` bytes are done'],
  EXTENT: [8, 'device[offset, +length): whether it begins with data or a hole → a FileExtent in window'],
  NEXT: [
    9,
    'the result is there: done with 0 once the config pages hold another request, with ECANCELED if none comes',
  ],
  PRESERVE: [10, 'target_device[target_offset, +length) is overwritten soon: its old content goes to the undo log'],
  RELEASE: [11, 'target_device[target_offset, +length) holds nothing that is needed once the edit is complete'],
  COMPARE: [
    12,
    'device[offset, +length) with target_device[target_offset, +length): in window a bit for each COMPARED_SECTOR bytes, 1 where they differ, then as many, 1 where those of device are zeros',
  ],
});

/** Flags of a descriptor. */
export const COMMAND_FLAG = defineFlags('CommandFlag', 'Flags of a descriptor.', {
  HOLE: [1 << 0, 'ZERO may deallocate'],
});

/** A submission entry. Fields that an opcode does not name must be zero. */
export const Descriptor = deferStruct('Descriptor', 64, 'A submission entry.', () => ({
  opcode: field(named(u32, OPCODE), 0, 'Opcode'),
  flags: field(named(u32, COMMAND_FLAG), 4, 'CommandFlag'),
  device: field(u32, 8, 'device that is read'),
  target_device: field(u32, 12, 'device that is written, or compared with'),
  user_data: field(u64, 16, 'comes back in the completion'),
  offset: field(u64, 24, 'byte offset in `device`'),
  target_offset: field(u64, 32, 'byte offset in `target_device`'),
  length: field(u64, 40, 'bytes'),
  window: field(u64, 48, 'guest address inside the windows region'),
  reserved: field(u64, 56, 'zero'),
}));

/** What EXTENT leaves in its window. */
export const FileExtent = deferStruct('FileExtent', 16, 'The beginning of a range of a host file.', () => ({
  data: field(u32, 0, '1 for data, 0 for a hole, which reads as zeros'),
  pad: field(u32, 4, 'zero', 0),
  length: field(u64, 8, 'bytes for which that is so, at most those that were asked about'),
}));

/** A completion entry. */
export const Completion = deferStruct('Completion', 16, 'A completion entry.', () => ({
  user_data: field(u64, 0, 'of the descriptor'),
  status: field(i32, 8, '0, or a negated errno'),
  source_failed: field(
    u32,
    12,
    '1 when it was the source of a COPY, or the first range of a COMPARE, that failed, else 0',
  ),
}));

/** Indexes of both queues, each in a cache line of its own. They count up without bound, modulo 2^32. */
export const RingHeader = deferStruct('RingHeader', 448, 'Indexes of both queues.', () => ({
  magic: field(u32, 0, 'RING_MAGIC, written by the host'),
  entries: field(u32, 4, 'RING_ENTRIES, written by the host'),
  pad0: field(bytes(56), 8, 'cache line'),
  submission_tail: field(u32, 64, 'written by the guest'),
  pad1: field(bytes(60), 68, 'cache line'),
  submission_head: field(u32, 128, 'written by the host'),
  pad2: field(bytes(60), 132, 'cache line'),
  completion_tail: field(u32, 192, 'written by the host'),
  pad3: field(bytes(60), 196, 'cache line'),
  completion_head: field(u32, 256, 'written by the guest'),
  pad4: field(bytes(60), 260, 'cache line'),
  need_wakeup: field(u32, 320, '1 when the host sleeps: ring the doorbell after a submission'),
  pad5: field(bytes(60), 324, 'cache line'),
  guest_waiting: field(u32, 384, '1 when the guest is about to wait: wake it after a completion'),
  pad6: field(bytes(60), 388, 'cache line'),
}));
