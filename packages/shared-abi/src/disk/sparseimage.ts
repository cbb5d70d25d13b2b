import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be32 } from './numbers.js';

/** As libyal's working document "Mac OS disk image types" has found it out; Apple documents nothing. */
export const SparseimageHeader = diskStruct('SparseimageHeader', 4096, "Header of Apple's old sparse image (UDSP).", {
  magic: field(bytes(4), 0, '"sprs"'),
  version: field(be32, 4, '3'),
  sectors_per_band: field(be32, 8, 'sectors'),
  unknown: field(be32, 12, '1'),
  sector_count: field(be32, 16, 'sectors of the disk'),
  reserved: field(bytes(44), 20, 'zero, but for one number that nobody knows'),
  bands: field(bytes(4032), 64, 'of each band of the file, which one of the disk it is (from 1, 32 bits); 0 for none'),
});
