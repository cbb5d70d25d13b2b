import { defineEnum } from '../layout/constants.js';

/** Image formats by the number that `target_format` and the probe use. */
export const IMAGE_FORMAT = defineEnum('ImageFormat', 'Image formats; 0 asks for a probe.', {
  PROBE: [0, 'not stated: probe'],
  RAW: [1, 'raw bytes'],
  QCOW2: [2, 'QEMU copy-on-write 2 and 3'],
  VMDK: [3, 'VMware virtual disk'],
  QCOW: [4, 'QEMU copy-on-write 1'],
  VPC: [5, 'Virtual PC / VHD'],
  VHDX: [6, 'Hyper-V virtual disk v2'],
  VDI: [7, 'VirtualBox disk image'],
  LUKS: [8, 'LUKS container'],
  QED: [9, 'QEMU enhanced disk'],
  PARALLELS: [10, 'Parallels disk'],
  BOCHS: [11, 'Bochs growing disk'],
  CLOOP: [12, 'compressed loop image'],
  DMG: [13, 'Apple disk image'],
  ISO: [14, 'ISO 9660 file system in a raw image'],
});

/** What a host file is to the operation. */
export const DEVICE_ROLE = defineEnum('DeviceRole', 'What a device of the chain is.', {
  IMAGE: [1, 'the image that was named'],
  BACKING: [2, 'backing file of its parent'],
  DATA_FILE: [3, 'external data file of its parent'],
  EXTENT: [4, 'extent file of its parent'],
  OUTPUT: [5, 'the output; the only role that may be written'],
});

/** How an operation ended, as the guest says. */
export const RESULT_STATUS = defineEnum('ResultStatus', 'State of a result struct.', {
  NONE: [0, 'the operation has not ended'],
  OK: [1, 'done'],
  ERROR: [2, 'refused or failed; the error record says why'],
});

/** Stable kinds of error that a guest reports. */
export const ERROR_KIND = defineEnum('ErrorKind', 'Why a guest refused an image or an operation.', {
  NONE: [0, 'no error'],
  INTERNAL: [1, 'a state that should not occur in the guest'],
  CONFIG: [2, 'the config page is not usable'],
  IO: [3, 'the host could not read or write a range'],
  UNSUPPORTED_FORMAT: [4, 'a format that is known but not read'],
  AMBIGUOUS_FORMAT: [5, 'two formats answer the probe'],
  BAD_MAGIC: [6, 'the forced format does not fit the file'],
  UNSUPPORTED_VERSION: [7, 'a version of the format that is not read'],
  UNSUPPORTED_FEATURE: [8, 'an incompatible feature that is not known'],
  ENCRYPTED: [9, 'the image is encrypted'],
  CORRUPT: [10, 'metadata contradicts itself or the specification'],
  OUT_OF_RANGE: [11, 'an offset or a size is outside the file or beyond a limit'],
  TRUNCATED: [12, 'the file ends inside a structure'],
  DECOMPRESS: [13, 'compressed data does not decode to one cluster'],
  CHAIN: [14, 'the backing chain is too deep or does not fit'],
  NO_MEMORY: [15, "the guest's heap is exhausted"],
  OUTPUT_LIMIT: [16, 'the output would grow beyond its limit'],
});
