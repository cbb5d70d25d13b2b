import { field, u8 } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be16, be32, be64 } from './numbers.js';

/** QEMU, `block/qcow.c`. */
export const QcowHeader = diskStruct('QcowHeader', 48, 'Header of a qcow image, version 1.', {
  magic: field(be32, 0, '"QFI" and 0xfb'),
  version: field(be32, 4, '1'),
  backing_file_offset: field(be64, 8, 'byte offset of its name; 0 for none'),
  backing_file_size: field(be32, 16, 'bytes of its name'),
  mtime: field(be32, 20, 'when it was changed last'),
  size: field(be64, 24, 'bytes of the disk'),
  cluster_bits: field(u8, 32, 'a cluster has 2^n bytes'),
  l2_bits: field(u8, 33, 'an L2 table has 2^n entries'),
  padding: field(be16, 34, 'zero'),
  crypt_method: field(be32, 36, '0 none, 1 AES'),
  l1_table_offset: field(be64, 40, 'byte offset'),
});
