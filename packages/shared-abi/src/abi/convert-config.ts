import { bytes, deferStruct, defineEnum, defineFlags, field, named, u32, u64 } from '@instar/layout';
import { IMAGE_FORMAT } from './formats.js';

/** "CONV", read as a big-endian word. */
export const CONVERT_CONFIG_MAGIC = 0x434f_4e56;
/** "INFO", read as a big-endian word. */
export const INFO_CONFIG_MAGIC = 0x494e_464f;

/** Flags of ConvertConfig. */
export const CONVERT_FLAG = defineFlags('ConvertFlag', 'Flags of ConvertConfig.', {
  SKIP_ZEROS: [1 << 0, 'leave zero regions of the output as holes'],
  COMPRESS: [1 << 1, 'write compressed clusters'],
  DECRYPT_AES: [1 << 2, 'the passphrase decrypts the input'],
  EXTENDED_L2: [1 << 3, 'write extended L2 entries'],
  ENCRYPT_LUKS: [1 << 4, 'write a LUKS-encrypted output'],
  DD_WINDOW: [1 << 5, 'copy [window_start, window_end) of the input only'],
  ZSTD: [1 << 6, 'compressed clusters are Zstandard; DEFLATE without it'],
  MEASURE: [1 << 7, 'write nothing, and say how long the output would be'],
  MEASURE_ALL: [1 << 8, 'with MEASURE: as if nothing of the disk were zeros'],
  SALVAGE: [1 << 9, 'go on where the input cannot be read; the output has zeros there'],
  VERBOSE: [0x8000_0000, 'log what is done'],
});

/** Config of the convert operation; dd is convert with DD_WINDOW. */
export const ConvertConfig = deferStruct('ConvertConfig', 416, 'Config of the convert operation.', () => ({
  magic: field(u32, 0, 'CONVERT_CONFIG_MAGIC', CONVERT_CONFIG_MAGIC),
  flags: field(named(u32, CONVERT_FLAG), 4, 'ConvertFlag'),
  input_device_count: field(u32, 8, 'devices of the chain that are inputs'),
  target_format: field(named(u32, IMAGE_FORMAT), 12, 'ImageFormat of the output'),
  output_cluster_bits: field(u32, 16, 'log2 of the output cluster size, 0 for the default'),
  passphrase_len: field(u32, 20, 'bytes of `passphrase`'),
  pad0: field(u32, 24, 'zero', 0),
  passphrase: field(bytes(256), 28, 'secret of the input'),
  snapshot_id_len: field(u32, 284, 'bytes of `snapshot_id`'),
  pad1: field(u32, 288, 'zero', 0),
  snapshot_id: field(bytes(64), 292, 'internal snapshot to read'),
  pad2: field(u32, 356, 'zero', 0),
  argon2_mem_size: field(u64, 360, 'bytes that Argon2 may use'),
  luks_encrypt_iterations: field(u32, 368, 'PBKDF iterations of a LUKS output'),
  luks_encrypt_key_bytes: field(u32, 372, 'master key bytes of a LUKS output'),
  luks_random_data_addr: field(u64, 376, 'guest address of random bytes from the host'),
  luks_random_data_size: field(u64, 384, 'how many of them (bytes)'),
  output_grain_size: field(u32, 392, 'VMDK grain size (bytes), 0 for the default'),
  output_block_size: field(u32, 396, 'VHD/VHDX block size (bytes), 0 for the default'),
  window_start: field(u64, 400, 'first virtual byte that is copied; 0 without DD_WINDOW'),
  window_end: field(u64, 408, 'first virtual byte that is not; 0 without DD_WINDOW; <= window_start copies nothing'),
}));

/** What makes an output one of its own. It follows ConvertConfig in the config page. */
export const OutputConfig = deferStruct(
  'OutputConfig',
  336,
  'What makes an output one of its own; follows ConvertConfig.',
  () => ({
    random: field(bytes(64), 0, 'random bytes, from which identifiers are made'),
    time: field(u64, 64, 'seconds since 1970, for an output that says when it was made'),
    name_len: field(u32, 72, 'bytes of `name`'),
    pad: field(u32, 76, 'zero', 0),
    name: field(bytes(256), 80, 'name of the output without its directory, UTF-8'),
  }),
);

/** Kinds of image that one format has. */
export const OUTPUT_SUBFORMAT = defineEnum('OutputSubformat', 'Which kind of image of its format an output is.', {
  DEFAULT: [0, 'the one that grows, where the format has one'],
  FIXED: [1, 'every block has a place from the start (vpc, vdi, vhdx)'],
  STREAM_OPTIMIZED: [2, 'compressed grains one behind the other (vmdk)'],
  EXTENT: [3, 'a part of a disk that another file describes (vmdk)'],
});

/** Flags of OutputLayout. */
export const OUTPUT_LAYOUT_FLAG = defineFlags('OutputLayoutFlag', 'Flags of OutputLayout.', {
  EXTENDED_L2: [1 << 0, 'qcow2: L2 entries describe subclusters'],
  LAZY_REFCOUNTS: [1 << 1, 'qcow2: refcounts may be written late'],
  VERSION_2: [1 << 2, 'qcow2: version 2 of the format'],
  PREALLOCATED: [1 << 3, 'qcow2: every cluster has a place from the start'],
  GEOMETRY: [1 << 4, 'vpc: readers take the size from the geometry'],
  BEST_COMPRESSION: [1 << 5, 'compressed clusters are made as small as they can be'],
  FAST_COMPRESSION: [1 << 6, 'compressed clusters are made as fast as they can be'],
  DATA_FILE_RAW: [1 << 7, 'qcow2: the data file alone is the disk'],
  ZEROED_GRAINS: [1 << 8, 'vmdk: an entry may say that its grain is zeros'],
});

/** How an output is laid out. It follows OutputConfig in the config page. */
export const OutputLayout = deferStruct(
  'OutputLayout',
  1096,
  'How an output is laid out; follows OutputConfig.',
  () => ({
    flags: field(named(u32, OUTPUT_LAYOUT_FLAG), 0, 'OutputLayoutFlag'),
    subformat: field(named(u32, OUTPUT_SUBFORMAT), 4, 'OutputSubformat'),
    refcount_bits: field(u32, 8, 'qcow2: width of a refcount, 0 for the default'),
    hardware_version: field(u32, 12, 'vmdk: virtual hardware, 0 for the default'),
    sparse_size: field(u64, 16, 'least zeros that are left out (bytes), 0 for the default'),
    adapter_len: field(u32, 24, 'bytes of `adapter`, 0 for the default'),
    backing_format_len: field(u32, 28, 'bytes of `backing_format`'),
    adapter: field(bytes(16), 32, 'vmdk: type of the adapter, ASCII'),
    backing_format: field(bytes(16), 48, 'qcow2: format of the backing file, ASCII'),
    backing_name_len: field(u32, 64, 'bytes of `backing_name`, 0 for none'),
    backing_depth: field(u32, 68, 'layers of the input above the backing file, where no device is COMPARED'),
    backing_name: field(bytes(1024), 72, 'qcow2: name of the backing file, UTF-8'),
  }),
);

/** Where the data of an output goes, and how it is encrypted. It follows OutputLayout in the config page. */
export const OutputData = deferStruct(
  'OutputData',
  1120,
  'Where the data of an output goes, and how it is encrypted; follows OutputLayout.',
  () => ({
    cipher_len: field(u32, 0, 'bytes of `cipher`, 0 for an output that is not encrypted'),
    mode_len: field(u32, 4, 'bytes of `mode`'),
    cipher: field(bytes(32), 8, 'block cipher as LUKS names it; its key is the secret of the role OUTPUT'),
    mode: field(bytes(32), 40, 'mode and generator of initialization vectors as LUKS names them'),
    header_length: field(
      u64,
      72,
      'bytes of the encryption header, which the host writes (luks: at 0; qcow2: in cluster 1)',
    ),
    data_file_len: field(u32, 80, 'bytes of `data_file`, 0 for none'),
    table_size: field(u32, 84, 'qed: clusters of a table, 0 for the default'),
    data_file: field(bytes(1024), 88, 'qcow2: name of the external data file, UTF-8; none of its data is written'),
    tools_version: field(u32, 1112, 'vmdk: version of the tools of the guest, 0 for the default'),
    log_size: field(u32, 1116, 'vhdx: bytes of the log, 0 for the default'),
  }),
);

/** Config of the info operation. */
export const InfoConfig = deferStruct('InfoConfig', 24, 'Config of the info operation.', () => ({
  magic: field(u32, 0, 'INFO_CONFIG_MAGIC', INFO_CONFIG_MAGIC),
  flags: field(u32, 4, 'none are defined', 0),
  device: field(u32, 8, 'device to look at'),
  facts_only: field(u32, 12, '1: only what is not looked for in tables; 0: whether these point outside the file, too'),
  most_unpacked: field(u64, 16, 'most bytes that a packed file may unpack to, 0 for no limit'),
}));
