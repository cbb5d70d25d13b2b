import { bytes, field, u8 } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le16, le32, le64 } from './numbers.js';

/** "Virtual Disk Format 5.0", "Hosted Sparse Extents": packed, so that the later numbers lie where they fall. */
export const VmdkSparseHeader = diskStruct('VmdkSparseHeader', 512, 'Header of a hosted sparse extent.', {
  magicNumber: field(bytes(4), 0, '"KDMV"'),
  version: field(le32, 4, '1, 2 or 3'),
  flags: field(
    le32,
    8,
    '1 line ends are checked, 2 a redundant directory, 4 zeroed grains, 0x10000 compressed, 0x20000 markers',
  ),
  capacity: field(le64, 12, 'sectors'),
  grainSize: field(le64, 20, 'sectors'),
  descriptorOffset: field(le64, 28, 'sector'),
  descriptorSize: field(le64, 36, 'sectors'),
  numGTEsPerGT: field(le32, 44, 'entries of a grain table'),
  rgdOffset: field(le64, 48, 'sector of the redundant directory'),
  gdOffset: field(le64, 56, 'sector of the grain directory; all ones where a footer says it'),
  overHead: field(le64, 64, 'sectors in front of the first grain'),
  uncleanShutdown: field(u8, 72, '1 while it is written'),
  singleEndLineChar: field(u8, 73, 'a line feed'),
  nonEndLineChar: field(u8, 74, 'a blank'),
  doubleEndLineChar1: field(u8, 75, 'a carriage return'),
  doubleEndLineChar2: field(u8, 76, 'a line feed'),
  compressAlgorithm: field(le16, 77, '0 none, 1 deflate'),
  pad: field(bytes(433), 79, 'zero'),
});

/** "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents": what stands in front of anything but grains. */
export const VmdkMarker = diskStruct('VmdkMarker', 512, 'Marker of a stream-optimized extent.', {
  val: field(le64, 0, 'sectors of what follows'),
  size: field(le32, 8, '0: not a grain'),
  type: field(le32, 12, '0 end of the stream, 1 grain table, 2 grain directory, 3 footer'),
  pad: field(bytes(496), 16, 'zero'),
});

/** The same place, in front of a grain. */
export const VmdkGrainMarker = diskStruct('VmdkGrainMarker', 12, 'Head of a compressed grain.', {
  lba: field(le64, 0, 'sector of the disk'),
  size: field(le32, 8, 'bytes of the deflate stream that follows'),
});

/** ESX's copy-on-write disks begin with this (as QEMU's `block/vmdk.c` and libvmdk know them). */
export const VmdkCowdHeader = diskStruct('VmdkCowdHeader', 32, 'Header of a COWD extent.', {
  magicNumber: field(bytes(4), 0, '"COWD"'),
  version: field(le32, 4, '1'),
  flags: field(le32, 8, 'flags'),
  numSectors: field(le32, 12, 'sectors of the disk'),
  grainSize: field(le32, 16, 'sectors'),
  gdOffset: field(le32, 20, 'sector of the grain directory'),
  numGDEntries: field(le32, 24, 'entries of the directory'),
  freeSector: field(le32, 28, 'first sector that nothing uses'),
});

/** Space-efficient sparse extents (as QEMU's `block/vmdk.c` knows them). Places and lengths are sectors. */
export const VmdkSeSparseHeader = diskStruct('VmdkSeSparseHeader', 512, 'Constant header of an SESparse extent.', {
  magic: field(le64, 0, '0xcafebabe'),
  version: field(le64, 8, '0x0000000200000001'),
  capacity: field(le64, 16, 'sectors of the disk'),
  grainSize: field(le64, 24, 'sectors, 8'),
  grainTableSize: field(le64, 32, 'sectors, 64'),
  flags: field(le64, 40, '0'),
  reserved: field(bytes(32), 48, 'zero'),
  volatileHeaderOffset: field(le64, 80, 'of the volatile header'),
  volatileHeaderSize: field(le64, 88, 'of the volatile header'),
  journalHeaderOffset: field(le64, 96, 'of the journal header'),
  journalHeaderSize: field(le64, 104, 'of the journal header'),
  journalOffset: field(le64, 112, 'of the journal'),
  journalSize: field(le64, 120, 'of the journal'),
  grainDirOffset: field(le64, 128, 'of the grain directory'),
  grainDirSize: field(le64, 136, 'of the grain directory'),
  grainTablesOffset: field(le64, 144, 'of the grain tables'),
  grainTablesSize: field(le64, 152, 'of the grain tables'),
  freeBitmapOffset: field(le64, 160, 'of the bitmap of what is free'),
  freeBitmapSize: field(le64, 168, 'of the bitmap of what is free'),
  backMapOffset: field(le64, 176, 'of the map from grains back to the disk'),
  backMapSize: field(le64, 184, 'of that map'),
  grainsOffset: field(le64, 192, 'of the grains'),
  grainsSize: field(le64, 200, 'of the grains'),
  pad: field(bytes(304), 208, 'zero'),
});

/** The part of the header of an SESparse extent that changes. */
export const VmdkSeSparseVolatileHeader = diskStruct(
  'VmdkSeSparseVolatileHeader',
  32,
  'Volatile header of an SESparse extent.',
  {
    magic: field(le64, 0, '0xcafecafe'),
    freeGTNumber: field(le64, 8, 'first grain table that is free'),
    nextTxnSeqNumber: field(le64, 16, 'number of the next transaction'),
    replayJournal: field(le64, 24, '1 while the journal has to be replayed'),
  },
);
