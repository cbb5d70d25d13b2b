import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be32, be64 } from './numbers.js';

/** At the end of Apple's disk images, "UDIF" (as QEMU's `block/dmg.c` and others know it). */
export const DmgTrailer = diskStruct('DmgTrailer', 512, 'Trailer of an Apple disk image.', {
  magic: field(bytes(4), 0, '"koly"'),
  version: field(be32, 4, '4'),
  header_size: field(be32, 8, 'bytes, 512'),
  flags: field(be32, 12, 'flags'),
  running_data_fork_offset: field(be64, 16, 'byte offset, of images in several files'),
  data_fork_offset: field(be64, 24, 'byte offset'),
  data_fork_length: field(be64, 32, 'bytes'),
  resource_fork_offset: field(be64, 40, 'byte offset'),
  resource_fork_length: field(be64, 48, 'bytes'),
  segment_number: field(be32, 56, 'from 1'),
  segment_count: field(be32, 60, 'files of the image'),
  segment_identifier: field(bytes(16), 64, 'that all files share'),
  data_checksum_type: field(be32, 80, '2 for CRC-32'),
  data_checksum_bits: field(be32, 84, 'bits of the checksum'),
  data_checksum: field(bytes(128), 88, 'of the data fork'),
  property_list_offset: field(be64, 216, 'byte offset'),
  property_list_length: field(be64, 224, 'bytes'),
  reserved: field(bytes(120), 232, 'zero'),
  master_checksum_type: field(be32, 352, '2 for CRC-32'),
  master_checksum_bits: field(be32, 356, 'bits of the checksum'),
  master_checksum: field(bytes(128), 360, 'of the checksums of all tables'),
  image_variant: field(be32, 488, '1 of a device, 2 of a partition'),
  sector_count: field(be64, 492, 'sectors of the disk'),
  reserved2: field(bytes(12), 500, 'zero'),
});

/** Head of a table of runs, "mish". */
export const DmgTable = diskStruct('DmgTable', 204, 'Head of a table of runs.', {
  signature: field(bytes(4), 0, '"mish"'),
  version: field(be32, 4, '1'),
  first_sector: field(be64, 8, 'of the disk'),
  sector_count: field(be64, 16, 'sectors of all runs'),
  data_offset: field(be64, 24, 'byte offset in the data fork'),
  buffers_needed: field(be32, 32, 'sectors'),
  descriptors: field(be32, 36, 'number of the table'),
  reserved: field(bytes(24), 40, 'zero'),
  checksum_type: field(be32, 64, '2 for CRC-32'),
  checksum_bits: field(be32, 68, 'bits of the checksum'),
  checksum: field(bytes(128), 72, 'of the content'),
  run_count: field(be32, 200, 'runs that follow'),
});

/** A run of a table. */
export const DmgRun = diskStruct('DmgRun', 40, 'A run of sectors.', {
  type: field(
    be32,
    0,
    '0 zeros, 1 raw, 2 ignored, 0x80000004 ADC to 0x80000008 LZMA, 0x7ffffffe comment, 0xffffffff end',
  ),
  comment: field(be32, 4, 'of a comment'),
  first_sector: field(be64, 8, 'from the first of the table'),
  sector_count: field(be64, 16, 'sectors of the disk'),
  offset: field(be64, 24, 'byte offset in the data fork, from that of the table'),
  length: field(be64, 32, 'bytes in the file'),
});

/** A resource fork begins with this ("Inside Macintosh: More Macintosh Toolbox", Resource Manager). */
export const DmgResourceFork = diskStruct('DmgResourceFork', 16, 'Head of a resource fork.', {
  data_offset: field(be32, 0, 'byte offset of the data'),
  map_offset: field(be32, 4, 'byte offset of the map'),
  data_length: field(be32, 8, 'bytes'),
  map_length: field(be32, 12, 'bytes'),
});
