import { bytes, deferStruct, defineEnum, defineFlags, field, fixedArray, i64, named, u32, u64 } from '@instar/layout';
import { ERROR_KIND, RAW_CONTENT, RESULT_STATUS } from './codes.js';
import { IMAGE_FORMAT } from './formats.js';

/** Why an operation failed, and where in which file. Text is UTF-8 from the guest: the host escapes it before showing it. */
export const ErrorRecord = deferStruct('ErrorRecord', 448, 'Why an operation failed, and where.', () => ({
  kind: field(named(u32, ERROR_KIND), 0, 'ErrorKind'),
  device: field(u32, 4, 'index of the device the error was met in'),
  offset: field(u64, 8, 'byte offset in that device'),
  value: field(u64, 16, 'the value that was found'),
  has_location: field(u32, 24, '1 when offset and value mean something'),
  status: field(u32, 28, 'errno of a failed command, else 0'),
  field_len: field(u32, 32, 'bytes of `field`'),
  detail_len: field(u32, 36, 'bytes of `detail`'),
  expected_len: field(u32, 40, 'bytes of `expected`'),
  pad: field(u32, 44, 'zero'),
  field: field(bytes(64), 48, 'name of the field that was found wrong'),
  detail: field(bytes(256), 112, 'one sentence: what is wrong'),
  expected: field(bytes(80), 368, 'what was expected'),
}));

export const CONVERT_RESULT_MAGIC = 0x434f_4e52;
export const INFO_RESULT_MAGIC = 0x494e_4652;

/** A range of a disk that could not be read. */
export const LostRange = deferStruct('LostRange', 16, 'A range of a disk that could not be read.', () => ({
  start: field(u64, 0, 'first virtual byte'),
  length: field(u64, 8, 'bytes'),
}));
/** Ranges that a result has place for. */
export const LOST_RANGES_MAX = 64;

/** What a convert operation did. */
export const ConvertResult = deferStruct('ConvertResult', 1536, 'Outcome of a convert operation.', () => ({
  magic: field(u32, 0, 'CONVERT_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  data_bytes: field(u64, 456, 'bytes copied from data extents'),
  zero_bytes: field(u64, 464, 'bytes written as zeros or left as holes'),
  compressed_bytes: field(u64, 472, 'bytes that came out of compressed clusters'),
  output_length: field(u64, 480, 'length that the output file must get (bytes)'),
  output_virtual_size: field(u64, 488, 'virtual size declared by the output (bytes)'),
  lost_bytes: field(u64, 496, 'SALVAGE: bytes that could not be read, and are zeros in the output'),
  lost_count: field(u64, 504, 'SALVAGE: ranges of them; the first are in `lost`'),
  lost: field(fixedArray(LostRange, LOST_RANGES_MAX), 512, 'SALVAGE: the first of them, in their order'),
}));

/** Facts of an image that are yes or no. */
export const INFO_FLAG = defineFlags('InfoFlag', 'Yes/no facts of an image.', {
  BACKING_FILE: [1 << 0, 'names a backing file'],
  DATA_FILE: [1 << 1, 'has an external data file'],
  DATA_FILE_RAW: [1 << 2, 'its data file is a plain raw image'],
  LAZY_REFCOUNTS: [1 << 3, 'qcow2 compatible feature bit 0'],
  DIRTY: [1 << 4, 'qcow2 incompatible feature bit 0'],
  CORRUPT: [1 << 5, 'qcow2 incompatible feature bit 1'],
  EXTENDED_L2: [1 << 6, 'qcow2 incompatible feature bit 4'],
  ENCRYPTED: [1 << 7, 'encrypted in whichever way'],
  ISO_HINT: [1 << 8, 'a raw image that holds an ISO 9660 file system'],
  SNAPSHOTS_CUT: [1 << 9, 'more snapshots than fit the result'],
  BITMAPS_CUT: [1 << 10, 'more bitmaps than fit the result'],
  UNKNOWN_FEATURES: [1 << 11, 'has incompatible features that are not known'],
  EXTENTS_CHECKED: [1 << 12, 'every table was looked at for places behind the end of the file'],
  BEYOND_FILE: [1 << 13, 'a table names a place behind the end of the file: `beyond_…` say which'],
  TABLE_FAULT: [1 << 14, 'a table entry is not valid: `error` says which, though the status is OK'],
  EXTENT_FILES: [1 << 15, 'lies in several files, or in parts: `extent_files` says which'],
  LOG_REPLAYED: [1 << 16, 'its log was replayed in memory'],
  MORE_MEMORY: [1 << 17, 'a packed file of which not all was unpacked: that may take more memory than this guest has'],
});

/** One internal snapshot (qcow2.txt, "Snapshots"). */
export const SnapshotRecord = deferStruct('SnapshotRecord', 440, 'One internal snapshot.', () => ({
  id_len: field(u32, 0, 'bytes of `id`'),
  name_len: field(u32, 4, 'bytes of `name`'),
  vm_state_size: field(u64, 8, 'bytes of VM state'),
  date_sec: field(u32, 16, 'seconds since the epoch'),
  date_nsec: field(u32, 20, 'nanoseconds within the second'),
  vm_clock_nsec: field(u64, 24, "the guest's clock (nanoseconds)"),
  disk_size: field(u64, 32, 'virtual size at the snapshot (bytes)'),
  icount: field(i64, 40, 'instruction count, −1 when not recorded'),
  reserved: field(u64, 48, 'zero', 0n),
  id: field(bytes(128), 56, 'unique identifier'),
  name: field(bytes(256), 184, 'name'),
}));

/** One persistent dirty bitmap (qcow2.txt, "Bitmaps"). */
export const BitmapRecord = deferStruct('BitmapRecord', 1036, 'One dirty bitmap.', () => ({
  flags: field(u32, 0, 'bit 0 in-use, bit 1 auto'),
  granularity_bits: field(u32, 4, 'log2 of the bytes one bit stands for'),
  name_len: field(u32, 8, 'bytes of `name`'),
  name: field(bytes(1024), 12, 'name'),
}));

/** Most snapshots and bitmaps that one InfoResult carries. */
export const INFO_MAX_SNAPSHOTS = 64;
export const INFO_MAX_BITMAPS = 16;
/** Most bytes of a file name inside an image (qcow2.txt: backing file names are shorter than 1024 bytes). */
export const INFO_MAX_NAME = 1024;

/** Kinds of extent of a disk that lies in several files. */
export const EXTENT_FILE_KIND = defineEnum('ExtentFileKind', 'How an extent file stores its part of the disk.', {
  NONE: [0, 'not stated'],
  FLAT: [1, 'bytes as they are'],
  SPARSE: [2, 'grains behind a directory (VMware hosted sparse)'],
  ZERO: [3, 'zeros, without a file'],
  VMFS: [4, 'bytes as they are, on VMFS'],
  VMFS_SPARSE: [5, 'grains behind a directory (ESX COWD)'],
  SE_SPARSE: [6, 'grains behind a directory (ESX space-efficient)'],
});

/** One extent of a disk that lies in several files, or in parts of this one. */
export const ExtentFileRecord = deferStruct('ExtentFileRecord', 288, 'One extent of a disk in several files.', () => ({
  name_len: field(u32, 0, 'bytes of `name`, 0 for an extent without a file'),
  kind: field(named(u32, EXTENT_FILE_KIND), 4, 'ExtentFileKind'),
  virtual_size: field(u64, 8, 'bytes of the disk that it holds'),
  file_offset: field(u64, 16, 'byte offset in the file at which they begin'),
  cluster_size: field(u32, 24, 'bytes of its grains, 0 where it has none'),
  compressed: field(u32, 28, '1 where its grains are compressed'),
  name: field(bytes(256), 32, 'file name, as stored'),
}));

/** Most extents that one InfoResult carries. */
export const INFO_MAX_EXTENT_FILES = 60;

/** Key slots that a LuksRecord has room for: all that a header can have. */
export const LUKS_MAX_SLOTS = 32;

/** One key slot of an encrypted image. */
export const LuksSlotRecord = deferStruct('LuksSlotRecord', 16, 'One key slot.', () => ({
  iterations: field(u32, 0, 'iterations of the key derivation'),
  stripes: field(u32, 4, 'stripes that the key is split into'),
  key_offset: field(u64, 8, 'where they lie (byte offset in the container)'),
}));

/** What a LUKS header says. Names are as stored. */
export const LuksRecord = deferStruct('LuksRecord', 672, 'What a LUKS header says.', () => ({
  version: field(u32, 0, '1 or 2; 0 for an image without such a header'),
  slot_count: field(u32, 4, 'slots that the header has'),
  active_slots: field(u32, 8, 'bit n is set where slot n holds a key'),
  master_key_iterations: field(u32, 12, 'iterations of the digest that tells whether a key is right'),
  payload_offset: field(u64, 16, 'where the encrypted disk begins (byte offset in the container)'),
  cipher: field(bytes(32), 24, 'cipher and length of its key, padded with zeros'),
  mode: field(bytes(16), 56, 'how blocks are chained, padded with zeros'),
  iv_generator: field(bytes(16), 72, 'what initialization vectors are made of, padded with zeros'),
  hash: field(bytes(32), 88, 'hash of the key derivation, padded with zeros'),
  uuid: field(bytes(40), 120, 'UUID, padded with zeros'),
  slots: field(fixedArray(LuksSlotRecord, LUKS_MAX_SLOTS), 160, 'the slots'),
}));

/** What an image says of itself. */
export const InfoResult = deferStruct('InfoResult', 65488, 'Outcome of an info operation.', () => ({
  magic: field(u32, 0, 'INFO_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  format: field(named(u32, IMAGE_FORMAT), 456, 'ImageFormat that was found or forced'),
  other_format: field(u32, 460, 'the second format of an ambiguous probe, else 0'),
  flags: field(named(u32, INFO_FLAG), 464, 'InfoFlag'),
  version: field(u32, 468, 'format version (qcow2: 2 or 3)'),
  virtual_size: field(u64, 472, 'bytes'),
  cluster_size: field(u32, 480, 'bytes, 0 where the format has none'),
  refcount_bits: field(u32, 484, 'width of a refcount'),
  compression_type: field(u32, 488, '0 zlib, 1 zstd'),
  crypt_method: field(u32, 492, '0 none, 1 AES, 2 LUKS'),
  incompatible_features: field(u64, 496, 'feature bits as stored'),
  compatible_features: field(u64, 504, 'feature bits as stored'),
  autoclear_features: field(u64, 512, 'feature bits as stored'),
  snapshot_count: field(u32, 520, 'records in `snapshots`'),
  bitmap_count: field(u32, 524, 'records in `bitmaps`'),
  backing_file_len: field(u32, 528, 'bytes of `backing_file`'),
  backing_format_len: field(u32, 532, 'bytes of `backing_format`'),
  data_file_len: field(u32, 536, 'bytes of `data_file`'),
  pad: field(u32, 540, 'zero', 0),
  backing_file: field(bytes(INFO_MAX_NAME), 544, 'name of the backing file, as stored'),
  backing_format: field(bytes(64), 1568, 'format of the backing file, as stored'),
  data_file: field(bytes(INFO_MAX_NAME), 1632, 'name of the external data file, as stored'),
  snapshots: field(fixedArray(SnapshotRecord, INFO_MAX_SNAPSHOTS), 2656, 'internal snapshots'),
  bitmaps: field(fixedArray(BitmapRecord, INFO_MAX_BITMAPS), 30816, 'persistent dirty bitmaps'),
  content: field(named(u32, RAW_CONTENT), 47392, 'RawContent, of a raw image'),
  beyond_field_len: field(u32, 47396, 'bytes of `beyond_field`'),
  beyond_offset: field(u64, 47400, 'where the table entry stands (byte offset in the file)'),
  beyond_end: field(u64, 47408, 'where what it names would end (byte offset in the file)'),
  beyond_field: field(bytes(64), 47416, 'what the entry is'),
  reserved: field(u64, 47480, 'zero', 0n),
  extent_file_count: field(u32, 47488, 'records in `extent_files`'),
  variant_len: field(u32, 47492, 'bytes of `variant`'),
  content_id: field(u32, 47496, 'number that changes when the content does (vmdk: CID)'),
  parent_content_id: field(u32, 47500, 'content number that the parent must have (vmdk: parentCID)'),
  variant: field(bytes(32), 47504, 'variant of the format, as stored (vmdk: createType)'),
  extent_files: field(fixedArray(ExtentFileRecord, INFO_MAX_EXTENT_FILES), 47536, 'extents, in the order of the disk'),
  luks: field(LuksRecord, 64816, 'what the header of an encrypted image says'),
}));
