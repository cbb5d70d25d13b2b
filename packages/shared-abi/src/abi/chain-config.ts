import { bytes, deferStruct, defineFlags, field, fixedArray, named, u32, u64 } from '@instar/layout';
import { DEVICE_ROLE } from './codes.js';
import { IMAGE_FORMAT } from './formats.js';

/** "CHAI", read as a big-endian word. */
export const CHAIN_CONFIG_MAGIC = 0x4348_4149;
/** Devices that a chain may have. */
export const CHAIN_MAX_DEVICES = 64;
/** Parent index of a device that has no parent. */
export const NO_PARENT = 0xffff_ffff;

/** Flags of a device. */
export const DEVICE_FLAG = defineFlags('DeviceFlag', 'Flags of a device.', {
  FORCE_SIZE: [1 << 0, '`virtual_size` replaces the size that the image states: cut or extended with zeros'],
  STREAM: [1 << 1, 'an output that only takes consecutive bytes from offset 0 on'],
  EXACT: [1 << 3, 'a raw output that is not padded to whole sectors'],
  FRESH: [1 << 2, 'an output that reads as zeros wherever it was not written'],
  HOLES: [1 << 4, 'an input that may have holes: EXTENT tells where'],
  EDITED: [1 << 5, 'an image that is written in place: it is read from and written to'],
});

/** One host file of the chain. */
export const ChainDevice = deferStruct('ChainDevice', 40, 'One host file.', () => ({
  role: field(named(u32, DEVICE_ROLE), 0, 'DeviceRole'),
  format: field(named(u32, IMAGE_FORMAT), 4, 'ImageFormat, PROBE to find out'),
  parent: field(u32, 8, 'index of the device that refers to this one, NO_PARENT for none'),
  flags: field(named(u32, DEVICE_FLAG), 12, 'DeviceFlag'),
  file_size: field(u64, 16, 'bytes of the host file; for an output the limit it may grow to'),
  virtual_size: field(u64, 24, 'virtual size (bytes) under FORCE_SIZE, else 0'),
  start: field(u64, 32, 'of an output: byte offset at which it begins in the file'),
}));

/** How a snapshot is looked for; with both bits both must agree. */
export const SNAPSHOT_CHOICE_FLAG = defineFlags('SnapshotChoiceFlag', 'How a snapshot is looked for.', {
  BY_ID: [1 << 0, 'by its id'],
  BY_NAME: [1 << 1, 'by its name'],
  EITHER: [1 << 2, '`id` is an id or else a name'],
});

/** The internal snapshot that is read in the place of an image. */
export const SnapshotChoice = deferStruct('SnapshotChoice', 400, 'The internal snapshot that is read.', () => ({
  flags: field(named(u32, SNAPSHOT_CHOICE_FLAG), 0, 'SnapshotChoiceFlag; 0 for the image itself'),
  id_len: field(u32, 4, 'bytes of `id`'),
  name_len: field(u32, 8, 'bytes of `name`'),
  pad: field(u32, 12, 'zero', 0),
  id: field(bytes(128), 16, 'id, UTF-8'),
  name: field(bytes(256), 144, 'name, UTF-8'),
}));

/** All host files of an operation. */
export const ChainConfig = deferStruct('ChainConfig', 2976, 'All host files of an operation.', () => ({
  magic: field(u32, 0, 'CHAIN_CONFIG_MAGIC', CHAIN_CONFIG_MAGIC),
  device_count: field(u32, 4, 'how many entries of `devices` are used'),
  max_depth: field(u32, 8, 'most layers that a backing chain may have'),
  pad: field(u32, 12, 'zero', 0),
  devices: field(fixedArray(ChainDevice, CHAIN_MAX_DEVICES), 16, 'index in this table is the device index of the ring'),
  snapshot: field(SnapshotChoice, 2576, 'of the device whose role is IMAGE'),
}));
