import { bytes, field, u8 } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be16, be32, be64 } from './numbers.js';

/** qcow2.txt, "Header"; version 2 ends before the feature bits. */
export const Qcow2Header = diskStruct('Qcow2Header', 112, 'Header of a qcow2 image.', {
  magic: field(be32, 0, '"QFI" and 0xfb'),
  version: field(be32, 4, '2 or 3'),
  backing_file_offset: field(be64, 8, 'byte offset of its name; 0 for none'),
  backing_file_size: field(be32, 16, 'bytes of its name'),
  cluster_bits: field(be32, 20, 'a cluster has 2^n bytes'),
  size: field(be64, 24, 'bytes of the disk'),
  crypt_method: field(be32, 32, '0 none, 1 AES, 2 LUKS'),
  l1_size: field(be32, 36, 'entries of the L1 table'),
  l1_table_offset: field(be64, 40, 'byte offset'),
  refcount_table_offset: field(be64, 48, 'byte offset'),
  refcount_table_clusters: field(be32, 56, 'clusters of the refcount table'),
  nb_snapshots: field(be32, 60, 'entries of the snapshot table'),
  snapshots_offset: field(be64, 64, 'byte offset of the snapshot table'),
  incompatible_features: field(be64, 72, 'what who does not know it must not open'),
  compatible_features: field(be64, 80, 'what who does not know it may ignore'),
  autoclear_features: field(be64, 88, 'what who does not know it clears'),
  refcount_order: field(be32, 96, 'a refcount has 2^n bits'),
  header_length: field(be32, 100, 'bytes of the header'),
  compression_type: field(u8, 104, '0 zlib, 1 zstd'),
  padding: field(bytes(7), 105, 'zero'),
});

/** qcow2.txt, "Header extensions": what stands in front of each. */
export const Qcow2Extension = diskStruct('Qcow2Extension', 8, 'Head of a header extension.', {
  type: field(be32, 0, 'what it is; 0 ends the list'),
  length: field(be32, 4, 'bytes of its data, which are filled up to a multiple of 8'),
});

/** qcow2.txt, "Bitmaps extension". */
export const Qcow2BitmapsExtension = diskStruct('Qcow2BitmapsExtension', 24, 'Where the bitmaps are listed.', {
  nb_bitmaps: field(be32, 0, 'entries of the directory'),
  reserved: field(be32, 4, 'zero'),
  bitmap_directory_size: field(be64, 8, 'bytes'),
  bitmap_directory_offset: field(be64, 16, 'byte offset'),
});

/** qcow2.txt, "Bitmap directory". */
export const Qcow2BitmapEntry = diskStruct('Qcow2BitmapEntry', 24, 'Head of an entry of the bitmap directory.', {
  bitmap_table_offset: field(be64, 0, 'byte offset'),
  bitmap_table_size: field(be32, 8, 'entries of its table'),
  flags: field(be32, 12, '1 in use, 2 enabled, 4 extra data may be ignored'),
  type: field(u8, 16, '1: what was written'),
  granularity_bits: field(u8, 17, 'a bit stands for 2^n bytes'),
  name_size: field(be16, 18, 'bytes of its name'),
  extra_data_size: field(be32, 20, 'bytes of extra data, in front of the name'),
});

/** qcow2.txt, "Snapshots". */
export const Qcow2Snapshot = diskStruct('Qcow2Snapshot', 40, 'Head of an entry of the snapshot table.', {
  l1_table_offset: field(be64, 0, 'byte offset'),
  l1_size: field(be32, 8, 'entries of its L1 table'),
  id_str_size: field(be16, 12, 'bytes of its id'),
  name_size: field(be16, 14, 'bytes of its name'),
  date_sec: field(be32, 16, 'seconds since 1970'),
  date_nsec: field(be32, 20, 'nanoseconds within the second'),
  vm_clock_nsec: field(be64, 24, 'time that the machine has run (nanoseconds)'),
  vm_state_size: field(be32, 32, 'bytes of the state of the machine, unless the extra data say it'),
  extra_data_size: field(be32, 36, 'bytes of extra data, in front of the id'),
});

/** qcow2.txt, "Snapshots": the extra data that are known. */
export const Qcow2SnapshotExtra = diskStruct('Qcow2SnapshotExtra', 24, 'Extra data of a snapshot.', {
  vm_state_size: field(be64, 0, 'bytes of the state of the machine'),
  disk_size: field(be64, 8, 'bytes of the disk'),
  icount: field(be64, 16, 'instructions that were run; all ones where nobody counted'),
});
