import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le32, le64 } from './numbers.js';

/** QEMU, docs/interop/parallels. */
export const ParallelsHeader = diskStruct('ParallelsHeader', 64, 'Header of a Parallels disk.', {
  magic: field(bytes(16), 0, '"WithoutFreeSpace", or "WithouFreSpacExt" where entries count clusters'),
  version: field(le32, 16, '2'),
  heads: field(le32, 20, 'of the geometry'),
  cylinders: field(le32, 24, 'of the geometry'),
  tracks: field(le32, 28, 'sectors of a cluster'),
  bat_entries: field(le32, 32, 'entries of the block allocation table, which follows the header'),
  nb_sectors: field(le64, 36, 'sectors of the disk'),
  inuse: field(le32, 44, '0x746f6e59 while it is written'),
  data_off: field(le32, 48, 'sector of the first cluster'),
  flags: field(le32, 52, '1 for an image that is empty'),
  ext_off: field(le64, 56, 'sector of the format extension; 0 for none'),
});
