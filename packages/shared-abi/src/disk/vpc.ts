import { array, bytes, field, u8 } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be16, be32, be64 } from './numbers.js';

/** At the end of every VHD, and at the beginning of those that grow ("Virtual Hard Disk Image Format Specification", 1.0). */
export const VpcFooter = diskStruct('VpcFooter', 512, 'Footer of a VHD.', {
  cookie: field(bytes(8), 0, '"conectix"'),
  features: field(be32, 8, 'flags; 2 is always set'),
  file_format_version: field(be32, 12, '0x10000'),
  data_offset: field(be64, 16, 'byte offset of the dynamic header; all ones for a fixed disk'),
  time_stamp: field(be32, 24, 'seconds since 2000'),
  creator_application: field(bytes(4), 28, 'such as "vpc "'),
  creator_version: field(be32, 32, 'of the program'),
  creator_host_os: field(bytes(4), 36, '"Wi2k" or "Mac "'),
  original_size: field(be64, 40, 'bytes'),
  current_size: field(be64, 48, 'bytes'),
  cylinders: field(be16, 56, 'of the geometry'),
  heads: field(u8, 58, 'of the geometry'),
  sectors_per_track: field(u8, 59, 'of the geometry'),
  disk_type: field(be32, 60, '2 fixed, 3 dynamic, 4 differencing'),
  checksum: field(be32, 64, 'ones complement of the sum of all other bytes'),
  unique_id: field(bytes(16), 68, 'what differencing disks know it by'),
  saved_state: field(u8, 84, '1 for a machine that was saved'),
  reserved: field(bytes(427), 85, 'zero'),
});

/** Where a platform keeps the name of the parent. */
export const VpcParentLocator = diskStruct('VpcParentLocator', 24, 'Entry of the parents of a differencing VHD.', {
  platform_code: field(be32, 0, 'such as "W2ru", 0 for none'),
  platform_data_space: field(be32, 4, 'room for the name: sectors, or bytes'),
  platform_data_length: field(be32, 8, 'bytes of the name'),
  reserved: field(be32, 12, 'zero'),
  platform_data_offset: field(be64, 16, 'byte offset of the name'),
});

/** Of a VHD that grows. */
export const VpcDynamicHeader = diskStruct('VpcDynamicHeader', 1024, 'Dynamic header of a VHD.', {
  cookie: field(bytes(8), 0, '"cxsparse"'),
  data_offset: field(be64, 8, 'all ones'),
  table_offset: field(be64, 16, 'byte offset of the block allocation table'),
  header_version: field(be32, 24, '0x10000'),
  max_table_entries: field(be32, 28, 'entries of the table'),
  block_size: field(be32, 32, 'bytes without the bitmap in front'),
  checksum: field(be32, 36, 'ones complement of the sum of all other bytes'),
  parent_unique_id: field(bytes(16), 40, 'what the parent must be'),
  parent_time_stamp: field(be32, 56, 'when the parent was changed last (seconds since 2000)'),
  reserved: field(be32, 60, 'zero'),
  parent_unicode_name: field(bytes(512), 64, 'name of the parent, UTF-16, the high byte first'),
  parent_locators: field(array(VpcParentLocator, 8), 576, 'names of the parent'),
  reserved2: field(bytes(256), 768, 'zero'),
});
