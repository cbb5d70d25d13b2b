import { defineEnum } from '../layout/constants.js';

/** Image formats by the number that `target_format` and the probe use. */
export const IMAGE_FORMAT = defineEnum('ImageFormat', 'Image formats; 0 asks for a probe.', {
  PROBE: [0, 'not stated: probe'],
  RAW: [1, 'raw bytes'],
  QCOW2: [2, 'QEMU copy-on-write 2 and 3'],
  VMDK: [3, 'VMware virtual disk'],
  VDI: [4, 'VirtualBox disk image'],
  VPC: [5, 'Virtual PC / VHD'],
  VHDX: [6, 'Hyper-V virtual disk v2'],
  QCOW: [7, 'QEMU copy-on-write 1'],
  LUKS: [10, 'LUKS container'],
  QED: [8, 'QEMU enhanced disk'],
  PARALLELS: [9, 'Parallels disk'],
  BOCHS: [11, 'Bochs growing disk'],
  CLOOP: [12, 'compressed loop image'],
  DMG: [13, 'Apple disk image'],
  ISO: [14, 'ISO 9660 file system in a raw image'],
  SIMG: [15, 'Android sparse image'],
});

/** What the bytes of a file without an image format look like. Append-only. */
export const RAW_CONTENT = defineEnum('RawContent', 'What a raw file was recognised by.', {
  UNKNOWN: [0, 'nothing was recognised'],
  MBR: [1, 'a partition table (MBR)'],
  GPT: [2, 'a partition table (GPT)'],
  ISO9660: [3, 'an ISO 9660 file system'],
  FILE_SYSTEM: [4, 'a file system, swap area or volume group that fills the disk'],
  GZIP: [16, 'packed by gzip'],
  XZ: [17, 'packed by xz'],
  ZSTD: [18, 'packed by zstd'],
  BZIP2: [19, 'packed by bzip2'],
  ZIP: [20, 'a ZIP archive'],
  TAR: [21, 'a tar archive, as which appliances (OVA) come'],
  LZ4: [22, 'packed by lz4'],
  SEVEN_ZIP: [23, 'a 7-Zip archive'],
  RAR: [24, 'a RAR archive'],
  ANDROID_SPARSE: [25, 'an Android sparse image'],
});

/** What a host file is to the operation. */
export const DEVICE_ROLE = defineEnum('DeviceRole', 'What a device of the chain is.', {
  IMAGE: [1, 'the image that was named'],
  BACKING: [2, 'backing file of its parent'],
  DATA_FILE: [3, 'external data file of its parent'],
  EXTENT: [4, 'extent file of its parent'],
  OUTPUT: [5, 'the output; the only role that may be written'],
  COMPARED: [6, 'a second image, which the first is compared with'],
});

/** How an operation ended, as the guest says. */
export const RESULT_STATUS = defineEnum('ResultStatus', 'State of a result struct.', {
  NONE: [0, 'the operation has not ended'],
  OK: [1, 'done'],
  ERROR: [2, 'refused or failed; the error record says why'],
});

/** Stable kinds of error that a guest reports. Append-only. */
export const ERROR_KIND = defineEnum('ErrorKind', 'Why a guest refused an image or an operation.', {
  NONE: [0, 'no error'],
  SOURCE_FAILED: [1, 'the file could not be read'],
  OUT_OF_MEMORY: [2, 'no memory is left to read the image’s metadata'],
  OUT_OF_RANGE: [3, 'a range outside the virtual disk was asked for'],
  NOT_THIS_FORMAT: [10, 'the file is not in this format'],
  UNSUPPORTED_FORMAT: [11, 'images of this format are not supported yet'],
  AMBIGUOUS_FORMAT: [12, 'the file answers to two formats at once; name the right one with -f'],
  UNSUPPORTED_VERSION: [13, 'this version of the format is not supported'],
  UNKNOWN_FEATURE: [14, 'the image needs features that are not supported'],
  ENCRYPTED: [15, 'the image is encrypted, and a passphrase that opens it is needed'],
  UNSUPPORTED_ENCRYPTION: [16, 'the encryption method is unknown'],
  UNSUPPORTED_VARIANT: [17, 'this variant of the format is not supported'],
  BAD_CLUSTER_SIZE: [20, 'the cluster size is not supported'],
  BAD_HEADER_LENGTH: [21, 'the header length is impossible'],
  BAD_BACKING_NAME: [22, 'the backing file name is misplaced or too long'],
  BAD_COMPRESSION_TYPE: [23, 'the compression type is impossible'],
  BAD_REFCOUNT_WIDTH: [24, 'the refcount width is impossible'],
  BAD_REFCOUNT_TABLE: [25, 'the refcount table is impossible'],
  BAD_SNAPSHOT_TABLE: [26, 'the snapshot table is impossible'],
  BAD_L1_TABLE: [27, 'the L1 table is impossible'],
  L1_TABLE_TOO_SMALL: [28, 'the L1 table is too small for the virtual size'],
  IMAGE_TOO_BIG: [29, 'the virtual size is too big'],
  BAD_EXTENSION: [30, 'a header extension is impossible'],
  BAD_BITMAP_DIRECTORY: [31, 'the bitmap directory is impossible'],
  DATA_FILE_MISSING: [32, 'the image needs its external data file'],
  DATA_FILE_UNEXPECTED: [33, 'the image claims a raw external data file but has none'],
  BAD_HEADER: [34, 'a field of the header is invalid'],
  CHECKSUM_MISMATCH: [35, 'a checksum does not match'],
  BAD_TABLE: [36, 'a table of the image is misplaced or too large'],
  BAD_DESCRIPTOR: [37, 'the text descriptor is invalid'],
  EXTENT_MISSING: [38, 'the image needs an extent file that was not opened'],
  BAD_LOG: [39, 'the log of the image is invalid'],
  BAD_L1_ENTRY: [40, 'an L1 table entry is impossible'],
  BAD_L2_ENTRY: [41, 'an L2 table entry is impossible'],
  BAD_TABLE_ENTRY: [42, 'an entry of a table is invalid'],
  CHAIN_TOO_DEEP: [50, 'the backing chain is too deep'],
  DECOMPRESS: [60, 'a compressed cluster does not decode'],
  WRITE_FAILED: [61, 'the host could not write the output'],
  BAD_CONFIG: [62, 'the config pages contradict each other'],
  UNSUPPORTED_OUTPUT: [63, 'this output format is not written yet'],
  OUTPUT_TOO_BIG: [64, 'the output format cannot hold so many bytes'],
  BACKING_MISSING: [65, 'the image has a backing file that was not opened'],
  INTERNAL: [66, 'a state that should not occur in the guest'],
  KEY_MEMORY: [67, 'making the key takes more memory than is allowed'],
});
