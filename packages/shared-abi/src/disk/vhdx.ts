import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le16, le32, le64 } from './numbers.js';

/** [MS-VHDX] 2.2.1; the rest of its 64 KiB is zero. */
export const VhdxFileIdentifier = diskStruct('VhdxFileIdentifier', 520, 'A VHDX begins with this.', {
  Signature: field(bytes(8), 0, '"vhdxfile"'),
  Creator: field(bytes(512), 8, 'name of the program, UTF-16'),
});

/** [MS-VHDX] 2.2.2: two of them, of which the one with the higher number counts. */
export const VhdxHeader = diskStruct('VhdxHeader', 4096, 'Header of a VHDX.', {
  Signature: field(bytes(4), 0, '"head"'),
  Checksum: field(le32, 4, 'CRC-32C of the header with zeros in this place'),
  SequenceNumber: field(le64, 8, 'the higher one counts'),
  FileWriteGuid: field(bytes(16), 16, 'changes whenever somebody begins to write'),
  DataWriteGuid: field(bytes(16), 32, 'changes when the disk does'),
  LogGuid: field(bytes(16), 48, 'of the entries of the log that count; zero for none'),
  LogVersion: field(le16, 64, '0'),
  Version: field(le16, 66, '1'),
  LogLength: field(le32, 68, 'bytes'),
  LogOffset: field(le64, 72, 'byte offset'),
  Reserved: field(bytes(4016), 80, 'zero'),
});

/** [MS-VHDX] 2.2.3. */
export const VhdxRegionTable = diskStruct('VhdxRegionTable', 16, 'Head of a region table.', {
  Signature: field(bytes(4), 0, '"regi"'),
  Checksum: field(le32, 4, 'CRC-32C of the 64 KiB with zeros in this place'),
  EntryCount: field(le32, 8, 'entries that follow'),
  Reserved: field(le32, 12, 'zero'),
});

/** [MS-VHDX] 2.2.3.2. */
export const VhdxRegionEntry = diskStruct('VhdxRegionEntry', 32, 'A region of a VHDX.', {
  Guid: field(bytes(16), 0, 'what it is'),
  FileOffset: field(le64, 16, 'byte offset'),
  Length: field(le32, 24, 'bytes'),
  Required: field(le32, 28, '1 where whoever does not know it must not open the disk'),
});

/** [MS-VHDX] 2.3.1.1. */
export const VhdxLogEntry = diskStruct('VhdxLogEntry', 64, 'Head of an entry of the log.', {
  Signature: field(bytes(4), 0, '"loge"'),
  Checksum: field(le32, 4, 'CRC-32C of the entry with zeros in this place'),
  EntryLength: field(le32, 8, 'bytes, whole sectors of 4 KiB'),
  Tail: field(le32, 12, 'byte offset, in the log, of the first entry of the sequence'),
  SequenceNumber: field(le64, 16, 'one more than that of the entry before'),
  DescriptorCount: field(le32, 24, 'descriptors that follow'),
  Reserved: field(le32, 28, 'zero'),
  LogGuid: field(bytes(16), 32, 'as in the header'),
  FlushedFileOffset: field(le64, 48, 'bytes that the file had at least'),
  LastFileOffset: field(le64, 56, 'bytes that the file must have'),
});

/** [MS-VHDX] 2.3.1.2 and 2.3.1.3. */
export const VhdxLogDescriptor = diskStruct('VhdxLogDescriptor', 32, 'What an entry of the log changes.', {
  Signature: field(bytes(4), 0, '"desc", or "zero" for zeros'),
  TrailingBytes: field(bytes(4), 4, 'last bytes of the sector'),
  LeadingBytes: field(bytes(8), 8, 'first bytes of the sector; of zeros, how many'),
  FileOffset: field(le64, 16, 'where they belong'),
  SequenceNumber: field(le64, 24, 'that of the entry'),
});

/** [MS-VHDX] 2.3.1.4. */
export const VhdxLogSector = diskStruct('VhdxLogSector', 4096, 'A sector of data in the log.', {
  Signature: field(bytes(4), 0, '"data"'),
  SequenceHigh: field(le32, 4, 'upper half of the number of the entry'),
  Data: field(bytes(4084), 8, 'all but the leading and trailing bytes'),
  SequenceLow: field(le32, 4092, 'lower half'),
});

/** [MS-VHDX] 2.6.1.1. */
export const VhdxMetadataTable = diskStruct('VhdxMetadataTable', 32, 'Head of the metadata table.', {
  Signature: field(bytes(8), 0, '"metadata"'),
  Reserved: field(le16, 8, 'zero'),
  EntryCount: field(le16, 10, 'entries that follow'),
  Reserved2: field(bytes(20), 12, 'zero'),
});

/** [MS-VHDX] 2.6.1.2. */
export const VhdxMetadataEntry = diskStruct('VhdxMetadataEntry', 32, 'An item of metadata.', {
  ItemId: field(bytes(16), 0, 'what it is'),
  Offset: field(le32, 16, 'byte offset in the metadata region'),
  Length: field(le32, 20, 'bytes'),
  Flags: field(le32, 24, '1 of a user, 2 of the disk, 4 required'),
  Reserved2: field(le32, 28, 'zero'),
});

/** [MS-VHDX] 2.6.2.6.1. */
export const VhdxParentLocator = diskStruct('VhdxParentLocator', 20, 'Head of the parent locator.', {
  LocatorType: field(bytes(16), 0, 'what kind of parent'),
  Reserved: field(le16, 16, 'zero'),
  KeyValueCount: field(le16, 18, 'entries that follow'),
});

/** [MS-VHDX] 2.6.2.6.2. */
export const VhdxParentLocatorEntry = diskStruct('VhdxParentLocatorEntry', 12, 'A key and its value.', {
  KeyOffset: field(le32, 0, 'byte offset in the locator'),
  ValueOffset: field(le32, 4, 'byte offset in the locator'),
  KeyLength: field(le16, 8, 'bytes, UTF-16'),
  ValueLength: field(le16, 10, 'bytes, UTF-16'),
});
