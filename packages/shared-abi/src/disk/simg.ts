import { field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { le16, le32 } from './numbers.js';

/** Android, `libsparse/sparse_format.h`. */
export const SimgHeader = diskStruct('SimgHeader', 28, 'Header of an Android sparse image.', {
  magic: field(le32, 0, '0xed26ff3a'),
  major_version: field(le16, 4, '1'),
  minor_version: field(le16, 6, '0'),
  file_hdr_sz: field(le16, 8, 'bytes of this header'),
  chunk_hdr_sz: field(le16, 10, 'bytes of the head of a chunk'),
  blk_sz: field(le32, 12, 'bytes of a block'),
  total_blks: field(le32, 16, 'blocks of the disk'),
  total_chunks: field(le32, 20, 'chunks that follow'),
  image_checksum: field(le32, 24, 'CRC-32 of the disk; 0 for none'),
});

/** Android, `libsparse/sparse_format.h`. */
export const SimgChunk = diskStruct('SimgChunk', 12, 'Head of a chunk.', {
  chunk_type: field(le16, 0, '0xcac1 raw, 0xcac2 fill, 0xcac3 not stored, 0xcac4 CRC-32'),
  reserved1: field(le16, 2, 'zero'),
  chunk_sz: field(le32, 4, 'blocks of the disk'),
  total_sz: field(le32, 8, 'bytes of the chunk with its head'),
});
