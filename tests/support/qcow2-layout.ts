import {
  array,
  codec,
  integral,
  manifest,
  resolve,
  s390x,
  struct,
  u16,
  u32,
  u64,
  u8,
  uint,
  type Codec,
  type Type,
  type ValueOf,
} from '@instar/layout';

/** qcow2 is big endian throughout. */
const BIG_ENDIAN = s390x;

/** A codec of a structure of qcow2. */
export function qcow2Codec<T>(type: Type<T>): Codec<T> {
  return codec(type, BIG_ENDIAN);
}

/** The header of version 3, with the compression type (qcow2.txt, "Header"). */
export const Qcow2Header = struct(
  'Qcow2Header',
  {
    magic: { type: u32, at: 0, value: 0x514649fb },
    version: { type: u32, at: 4 },
    backing_file_offset: { type: u64, at: 8 },
    backing_file_size: { type: u32, at: 16 },
    cluster_bits: { type: u32, at: 20 },
    virtual_size: { type: u64, at: 24, doc: 'bytes' },
    crypt_method: { type: u32, at: 32 },
    l1_size: { type: u32, at: 36, doc: 'entries' },
    l1_table_offset: { type: u64, at: 40 },
    refcount_table_offset: { type: u64, at: 48 },
    refcount_table_clusters: { type: u32, at: 56 },
    nb_snapshots: { type: u32, at: 60 },
    snapshots_offset: { type: u64, at: 64 },
    incompatible_features: { type: u64, at: 72 },
    compatible_features: { type: u64, at: 80 },
    autoclear_features: { type: u64, at: 88 },
    refcount_order: { type: u32, at: 96 },
    header_length: { type: u32, at: 100 },
    compression_type: { type: u8, at: 104 },
    padding: { type: array(u8, 7), at: 105 },
  },
  { size: 112, explicit: true },
);

/** A header extension without its data (qcow2.txt, "Header extensions"). */
export const Qcow2Extension = struct('Qcow2Extension', { kind: u32, size: u32 }, { size: 8 });

/** A standard L2 entry, and an L1 entry, which has the same bits (qcow2.txt, "L2 table entry"). */
export const L2Entry = integral('L2Entry', u64, {
  copied: uint(1),
  compressed: uint(1),
  reserved_high: uint(6),
  host_cluster: uint(47),
  reserved_low: uint(8),
  zero: uint(1),
});

/** A compressed cluster descriptor for clusters of 64 KiB: x = 62 - (16 - 8) = 54. */
export const CompressedL2Entry = integral('CompressedL2Entry', u64, {
  copied: uint(1),
  compressed: uint(1),
  additional_sectors: uint(8),
  host_offset: uint(54),
});

/** The fixed part of a snapshot table entry (qcow2.txt, "Snapshots"). */
export const SnapshotEntry = struct(
  'SnapshotEntry',
  {
    l1_table_offset: u64,
    l1_size: u32,
    id_str_size: u16,
    name_size: u16,
    date_sec: u32,
    date_nsec: u32,
    vm_clock_nsec: u64,
    vm_state_size: u32,
    extra_data_size: u32,
  },
  { size: 40, explicit: true },
);

/** The bitmaps extension (qcow2.txt, "Bitmaps extension"). */
export const BitmapsExtension = struct(
  'BitmapsExtension',
  { nb_bitmaps: u32, reserved: u32, directory_size: u64, directory_offset: u64 },
  { size: 24, explicit: true },
);

/** The fixed part of a bitmap directory entry (qcow2.txt, "Bitmap directory"). */
export const BitmapDirectoryEntry = struct(
  'BitmapDirectoryEntry',
  {
    table_offset: u64,
    table_size: u32,
    flags: u32,
    kind: u8,
    granularity_bits: u8,
    name_size: u16,
    extra_data_size: u32,
  },
  { size: 24, explicit: true },
);

/** Byte offset of a field of the header. */
export function headerOffset(name: keyof ValueOf<typeof Qcow2Header>): number {
  return resolve(Qcow2Header, BIG_ENDIAN).fields.find((item) => item.name === name)?.offset ?? Number.NaN;
}

/** The bits of a field of an L2 entry. */
export function l2Mask(type: typeof L2Entry | typeof CompressedL2Entry, name: string): bigint {
  const found = manifest(type, BIG_ENDIAN).find((item) => item.name === name);
  if (found === undefined) throw new Error(`an L2 entry has no field ${name}`);
  return found.mask;
}

/** Bits below a field of an L2 entry. */
export function l2Shift(type: typeof L2Entry | typeof CompressedL2Entry, name: string): bigint {
  return BigInt(manifest(type, BIG_ENDIAN).find((item) => item.name === name)?.shift ?? 0);
}
