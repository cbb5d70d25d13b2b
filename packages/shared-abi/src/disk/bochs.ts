import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le32, le64 } from './numbers.js';

const text = {
  magic: field(bytes(32), 0, '"Bochs Virtual HD Image"'),
  type: field(bytes(16), 32, '"Redolog"'),
  subtype: field(bytes(16), 48, '"Growing"'),
  version: field(le32, 64, '0x10000 or 0x20000'),
  header: field(le32, 68, 'bytes of the header, behind which the catalog lies'),
  catalog: field(le32, 72, 'entries of the catalog'),
  bitmap: field(le32, 76, 'bytes of the bitmap of an extent'),
  extent: field(le32, 80, 'bytes of an extent'),
} as const;

/** Bochs, `iodev/hdimage/hdimage.h`, version 1. */
export const BochsHeader1 = diskStruct('BochsHeader1', 92, 'Header of a growing disk, version 1.', {
  ...text,
  disk: field(le64, 84, 'bytes of the disk'),
});

/** Bochs, `iodev/hdimage/hdimage.h`, version 2. */
export const BochsHeader = diskStruct('BochsHeader', 96, 'Header of a growing disk, version 2.', {
  ...text,
  timestamp: field(le32, 84, 'of the file below (FAT)'),
  disk: field(le64, 88, 'bytes of the disk'),
});
