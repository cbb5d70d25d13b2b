import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le32, le64 } from './numbers.js';

/** A VirtualBox disk image begins with this (`VDICore.h`: `VDIPREHEADER` and `VDIHEADER1PLUS`). */
export const VdiHeader = diskStruct('VdiHeader', 512, 'Header of a VirtualBox disk image, version 1.1.', {
  text: field(bytes(64), 0, 'a line that names the program'),
  signature: field(le32, 64, '0xbeda107f'),
  version: field(le32, 68, '0x10001'),
  header_size: field(le32, 72, 'bytes of the header from here on'),
  image_type: field(le32, 76, '1 dynamic, 2 fixed, 3 undo, 4 differencing'),
  image_flags: field(le32, 80, 'flags'),
  description: field(bytes(256), 84, 'a comment'),
  offset_bmap: field(le32, 340, 'byte offset of the block map'),
  offset_data: field(le32, 344, 'byte offset of the first block'),
  cylinders: field(le32, 348, 'of the geometry'),
  heads: field(le32, 352, 'of the geometry'),
  sectors: field(le32, 356, 'of a track'),
  sector_size: field(le32, 360, 'bytes, 512'),
  unused: field(le32, 364, 'not used'),
  disk_size: field(le64, 368, 'bytes'),
  block_size: field(le32, 376, 'bytes'),
  block_extra: field(le32, 380, 'bytes in front of the content of a block'),
  blocks_in_image: field(le32, 384, 'entries of the block map'),
  blocks_allocated: field(le32, 388, 'blocks that have a place in the file'),
  uuid_image: field(bytes(16), 392, 'of this image'),
  uuid_last_snap: field(bytes(16), 408, 'changes with each snapshot'),
  uuid_link: field(bytes(16), 424, 'of the parent'),
  uuid_parent: field(bytes(16), 440, 'what uuid_last_snap of the parent is'),
  unused2: field(bytes(56), 456, 'zero'),
});
