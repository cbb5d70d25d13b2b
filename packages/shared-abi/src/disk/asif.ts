import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be16, be32, be64 } from './numbers.js';

/** As others have found out (dissect.hypervisor). */
export const AsifHeader = diskStruct('AsifHeader', 70, "Header of Apple's sparse image.", {
  magic: field(be32, 0, '"shdw"'),
  version: field(be32, 4, '1'),
  header_size: field(be32, 8, 'bytes, 512'),
  flags: field(be32, 12, 'flags'),
  first_directory: field(be64, 16, 'byte offset'),
  second_directory: field(be64, 24, 'byte offset; the one with the higher number counts'),
  uuid: field(bytes(16), 32, 'of the image'),
  sector_count: field(be64, 48, 'sectors of the disk'),
  maximum_sector_count: field(be64, 56, 'sectors that it may grow to'),
  chunk_size: field(be32, 64, 'bytes'),
  sector_size: field(be16, 68, 'bytes'),
});
