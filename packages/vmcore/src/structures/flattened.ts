import { aarch64_be, codec, i64, struct, text } from '@instar/layout';

// The flattened format: makedumpfile's IMPLEMENTATION, "The flattened format"; big endian on every machine.

export const FLATTENED_SIGNATURE = 'makedumpfile';
/** Bytes of the header, of which the structure takes the first 32 and zeros the rest. */
export const FLATTENED_HEADER_SIZE = 4096;
export const FLATTENED_TYPE = 1n;
export const FLATTENED_VERSION = 1n;
/** Offset and size of the record that ends the stream. */
export const END_FLAG = -1n;
/** Bytes of a record's own header. */
export const RECORD_HEADER_SIZE = 16;

/** makedumpfile_header; its second field is named `type`, which is a keyword elsewhere. */
export const flattenedHeader = codec(
  struct('makedumpfile_header', { signature: text(16), header_type: i64, version: i64 }, { size: 32 }),
  aarch64_be,
);

/** makedumpfile_data_header: where the data behind it belongs in the rearranged file (bytes). */
export const recordHeader = codec(
  struct('makedumpfile_data_header', { offset: i64, buf_size: i64 }, { size: RECORD_HEADER_SIZE }),
  aarch64_be,
);
