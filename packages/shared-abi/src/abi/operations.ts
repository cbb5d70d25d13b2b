import { bytes, deferStruct, defineEnum, defineFlags, field, named, u32, u64 } from '@instar/layout';
import { RESULT_STATUS } from './codes.js';
import { ErrorRecord } from './results.js';

/** "MAP?", read as a big-endian word. */
export const MAP_CONFIG_MAGIC = 0x4d41_503f;
/** "MAP!", read as a big-endian word. */
export const MAP_RESULT_MAGIC = 0x4d41_5021;
/** "CMP?", read as a big-endian word. */
export const COMPARE_CONFIG_MAGIC = 0x434d_503f;
/** "CMP!", read as a big-endian word. */
export const COMPARE_RESULT_MAGIC = 0x434d_5021;
/** "CHK?", read as a big-endian word. */
export const CHECK_CONFIG_MAGIC = 0x4348_4b3f;
/** "CHK!", read as a big-endian word. */
export const CHECK_RESULT_MAGIC = 0x4348_4b21;

/** Config of the map operation, which writes one MapRecord for each extent to the output device. */
export const MapConfig = deferStruct('MapConfig', 32, 'Config of the map operation.', () => ({
  magic: field(u32, 0, 'MAP_CONFIG_MAGIC', MAP_CONFIG_MAGIC),
  flags: field(u32, 4, 'none are defined', 0),
  start: field(u64, 8, 'first virtual byte that is mapped'),
  end: field(u64, 16, 'first virtual byte that is not; what lies behind the disk is left out'),
  most_records: field(u64, 24, 'how many records are written at most, 0 for all'),
}));

/** Facts of a mapped extent. */
export const MAP_FLAG = defineFlags('MapFlag', 'Facts of a mapped extent.', {
  PRESENT: [1 << 0, 'an image of the chain says what it holds'],
  ZERO: [1 << 1, 'reads as zeros'],
  DATA: [1 << 2, 'has bytes in a file'],
  COMPRESSED: [1 << 3, 'they are compressed'],
  HAS_OFFSET: [1 << 4, 'they lie in one piece, at `offset`'],
});

/** One extent of a mapped disk. */
export const MapRecord = deferStruct('MapRecord', 40, 'One extent of a mapped disk.', () => ({
  start: field(u64, 0, 'first virtual byte'),
  length: field(u64, 8, 'bytes'),
  offset: field(u64, 16, 'byte offset in the file, under HAS_OFFSET'),
  device: field(u32, 24, 'index of the device that the bytes lie in'),
  depth: field(u32, 28, 'layer that says so: 0 is the named image'),
  flags: field(named(u32, MAP_FLAG), 32, 'MapFlag'),
  reserved: field(u32, 36, 'zero', 0),
}));

/** What a map operation did. */
export const MapResult = deferStruct('MapResult', 480, 'Outcome of a map operation.', () => ({
  magic: field(u32, 0, 'MAP_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  record_count: field(u64, 456, 'records that were written'),
  virtual_size: field(u64, 464, 'bytes of the disk'),
  next: field(u64, 472, 'first virtual byte that was not mapped, because enough records were written; else the end'),
}));

/** Flags of CompareConfig. */
export const COMPARE_FLAG = defineFlags('CompareFlag', 'Flags of CompareConfig.', {
  STRICT: [1 << 0, 'sizes and allocation must be the same as well'],
});

/** Config of the compare operation. */
export const CompareConfig = deferStruct('CompareConfig', 16, 'Config of the compare operation.', () => ({
  magic: field(u32, 0, 'COMPARE_CONFIG_MAGIC', COMPARE_CONFIG_MAGIC),
  flags: field(named(u32, COMPARE_FLAG), 4, 'CompareFlag'),
  reserved: field(u64, 8, 'zero', 0n),
}));

/** What a comparison came to. */
export const COMPARISON = defineEnum('Comparison', 'What a comparison came to.', {
  NONE: [0, 'not compared'],
  EQUAL: [1, 'the same'],
  CONTENT: [2, 'other bytes'],
  ALLOCATION: [3, 'one image has bytes where the other says nothing (STRICT)'],
  SIZE: [4, 'other sizes (STRICT)'],
});

/** What a compare operation found. */
export const CompareResult = deferStruct('CompareResult', 480, 'Outcome of a compare operation.', () => ({
  magic: field(u32, 0, 'COMPARE_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  comparison: field(named(u32, COMPARISON), 456, 'Comparison'),
  larger: field(u32, 460, '0 for disks of the same size, 1 or 2 for the larger one'),
  offset: field(u64, 464, 'first virtual byte that differs'),
  common_size: field(u64, 472, 'bytes of the smaller disk'),
}));

/** Config of the check operation. */
export const CheckConfig = deferStruct('CheckConfig', 16, 'Config of the check operation.', () => ({
  magic: field(u32, 0, 'CHECK_CONFIG_MAGIC', CHECK_CONFIG_MAGIC),
  flags: field(u32, 4, 'none are defined', 0),
  device: field(u32, 8, 'device to check'),
  parts: field(u32, 12, 'equal parts of the file whose uses are told as well (qcow2), 0 for none'),
}));

/** Kinds of finding. */
export const FINDING_KIND = defineEnum('FindingKind', 'What a check found.', {
  CORRUPTION: [1, 'the image contradicts itself, and data may be wrong'],
  LEAK: [2, 'room is taken that nothing uses'],
  PART: [3, 'what a part of the file is used for: a FilePartRecord'],
});

/** One finding, written to the output device. */
export const FindingRecord = deferStruct('FindingRecord', 160, 'One finding of a check.', () => ({
  kind: field(named(u32, FINDING_KIND), 0, 'FindingKind'),
  text_len: field(u32, 4, 'bytes of `text`'),
  offset: field(u64, 8, 'byte offset in the file'),
  value: field(u64, 16, 'what was found there'),
  expected: field(u64, 24, 'what belongs there'),
  text: field(bytes(128), 32, 'one sentence'),
}));

/** What a part of the file is used for: one record of as many as CheckConfig asks for, among the findings. */
export const FilePartRecord = deferStruct('FilePartRecord', 160, 'What a part of the file is used for.', () => ({
  kind: field(named(u32, FINDING_KIND), 0, 'FindingKind: PART'),
  number: field(u32, 4, 'which part, from 0'),
  header: field(u64, 8, 'bytes of the header'),
  tables: field(u64, 16, 'bytes of tables, lists and bitmaps'),
  data: field(u64, 24, 'bytes of data as it is'),
  compressed: field(u64, 32, 'bytes of compressed data'),
  leaked: field(u64, 40, 'bytes that are taken and not used'),
  free: field(u64, 48, 'bytes that are not taken'),
  pad: field(bytes(104), 56, 'zero'),
}));

/** What a check operation counted. */
export const CheckResult = deferStruct('CheckResult', 528, 'Outcome of a check operation.', () => ({
  magic: field(u32, 0, 'CHECK_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  supported: field(u32, 456, '0 where the format has nothing to check'),
  incomplete: field(u32, 460, '1 where the check ended early'),
  corruptions: field(u64, 464, 'findings of that kind'),
  leaks: field(u64, 472, 'findings of that kind'),
  total_clusters: field(u64, 480, 'clusters of the disk'),
  allocated_clusters: field(u64, 488, 'clusters of the disk that have bytes in the file'),
  compressed_clusters: field(u64, 496, 'of those, the compressed ones'),
  fragmented_clusters: field(u64, 504, 'of those, the ones that do not follow their predecessor'),
  image_end: field(u64, 512, 'end of the last cluster that is used (byte offset in the file)'),
  finding_count: field(u64, 520, 'records that were written'),
}));
