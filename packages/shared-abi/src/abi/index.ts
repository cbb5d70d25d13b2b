export * from './bench.js';
export * from './call-table.js';
export * from './chain-config.js';
export * from './codes.js';
export * from './command-ring.js';
export * from './convert-config.js';
export * from './edits.js';
export {
  FORMAT_NUMBERS,
  IMAGE_FORMAT,
  PACKED_FORMATS,
  READABLE_FORMATS,
  WRITABLE_FORMATS,
  type ReadableFormat,
  type WritableFormat,
} from './formats.js';
export * from './guest-image.js';
export * from './items.js';
export * from './memory-map.js';
export * from './operations.js';
export * from './results.js';
export * from './sandbox-boot.js';
export * from './secrets.js';
export * from './version.js';
