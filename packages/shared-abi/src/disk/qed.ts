import { field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le32, le64 } from './numbers.js';

/** QEMU, docs/interop/qed_spec. */
export const QedHeader = diskStruct('QedHeader', 64, 'Header of a QED image.', {
  magic: field(le32, 0, '"QED" and a zero'),
  cluster_size: field(le32, 4, 'bytes'),
  table_size: field(le32, 8, 'clusters of a table'),
  header_size: field(le32, 12, 'clusters of the header'),
  features: field(le64, 16, '1 a backing file, 2 to be checked, 4 a raw backing file'),
  compat_features: field(le64, 24, 'what who does not know it may ignore'),
  autoclear_features: field(le64, 32, 'what who does not know it clears'),
  l1_table_offset: field(le64, 40, 'byte offset'),
  image_size: field(le64, 48, 'bytes of the disk'),
  backing_filename_offset: field(le32, 56, 'byte offset'),
  backing_filename_size: field(le32, 60, 'bytes'),
});
