import { deferStruct, defineFlags, field, named, u32, u64 } from '@instar/layout';
import { RESULT_STATUS } from './codes.js';
import { ErrorRecord } from './results.js';

/** "BEN?", read as a big-endian word. */
export const BENCH_CONFIG_MAGIC = 0x4245_4e3f;
/** "BEN!", read as a big-endian word. */
export const BENCH_RESULT_MAGIC = 0x4245_4e21;

/** Flags of BenchConfig. */
export const BENCH_FLAG = defineFlags('BenchFlag', 'Flags of BenchConfig.', {
  WRITE: [
    1 << 0,
    'requests write `pattern` to the device of role IMAGE that is EDITED; what they leave of a unit is read from COMPARED',
  ],
});

/** Config of the bench operation: requests of one length, each `step` bytes behind the one before, from the start again behind the end. */
export const BenchConfig = deferStruct('BenchConfig', 56, 'Config of the bench operation.', () => ({
  magic: field(u32, 0, 'BENCH_CONFIG_MAGIC', BENCH_CONFIG_MAGIC),
  flags: field(named(u32, BENCH_FLAG), 4, 'BenchFlag'),
  count: field(u64, 8, 'requests'),
  request_length: field(u64, 16, 'bytes of each'),
  step: field(u64, 24, 'bytes from the beginning of one to that of the next'),
  offset: field(u64, 32, 'first virtual byte of the first'),
  depth: field(u32, 40, 'how many may be under way at once'),
  flush_interval: field(
    u32,
    44,
    'WRITE: after how many what was written is brought to the disk, 0 for in the end only',
  ),
  pattern: field(u32, 48, 'WRITE: value of each byte'),
  reserved: field(u32, 52, 'zero', 0),
}));

/** What a bench operation did. */
export const BenchResult = deferStruct('BenchResult', 480, 'Outcome of a bench operation.', () => ({
  magic: field(u32, 0, 'BENCH_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  requests: field(u64, 456, 'those that were done; fewer than asked for where one would end behind the disk'),
  offset: field(u64, 464, 'first virtual byte of the next one'),
  virtual_size: field(u64, 472, 'bytes of the disk'),
}));
