import { bytes, deferStruct, defineEnum, defineFlags, field, named, u32, u64 } from '@instar/layout';
import { RESULT_STATUS } from './codes.js';
import { ErrorRecord } from './results.js';

/** "EDT?", read as a big-endian word. */
export const EDIT_CONFIG_MAGIC = 0x4544_543f;
/** "EDT!", read as a big-endian word. */
export const EDIT_RESULT_MAGIC = 0x4544_5421;

/** What is done to an image. Append-only. */
export const EDIT_ACTION = defineEnum('EditAction', 'What an edit does to an image.', {
  SNAPSHOT_CREATE: [1, 'takes the snapshot `name`'],
  SNAPSHOT_APPLY: [2, 'goes back to the snapshot whose id or else name is `name`'],
  SNAPSHOT_DELETE: [3, 'removes the first snapshot that is called `name`'],
  RESIZE: [4, 'gives the disk `size` bytes'],
  REPAIR: [5, 'makes the metadata agree with itself'],
  BITMAP_ADD: [6, 'adds the bitmap `name`, one bit for 2^`number` bytes'],
  BITMAP_REMOVE: [7, 'removes the bitmap `name`'],
  BITMAP_CLEAR: [8, 'clears all bits of the bitmap `name`'],
  BITMAP_ENABLE: [9, 'has the bitmap `name` record writes'],
  BITMAP_DISABLE: [10, 'has it record none'],
  BITMAP_MERGE: [11, 'adds the bits of the bitmap `other` to the bitmap `name`'],
  SET_BACKING: [12, 'names `name` as the backing file and `other` as its format'],
  REBASE: [
    13,
    'the same, after what reads differently through the images BACKING and COMPARED was copied, packed where `number` is 1',
  ],
  COMMIT: [14, 'copies what the images above the edited one hold into it'],
  EMPTY: [15, 'gives all that the image holds back to its backing file'],
  AMEND: [16, 'gives it the options of `flags` and `number`'],
  BITMAPS_COPY: [17, 'adds all bitmaps of the image COMPARED'],
  FILL: [18, 'copies the disk of the image COMPARED into it; what lies behind that stays'],
  KEY_SLOT_FILL: [19, 'has the slot `number` hold the key for the secret NEW, made by `iterations`'],
  KEY_SLOT_EMPTY: [20, 'has the slot `number`, or else those that the secret OLD opens, hold the key no more'],
  KEY_SLOT_WIPE: [21, 'overwrites the stripes of the empty slots whose bits are set in `number`'],
});

/** Flags of an edit. */
export const EDIT_FLAG = defineFlags('EditFlag', 'Flags of an edit.', {
  SHRINK: [1 << 0, 'RESIZE may cut data off'],
  LEAKS_ONLY: [1 << 1, 'REPAIR frees what nothing uses, and touches nothing else'],
  PREALLOCATE: [1 << 2, 'RESIZE allocates all that is added'],
  VERSION_2: [1 << 3, 'AMEND makes it version 2'],
  VERSION_3: [1 << 4, 'AMEND makes it version 3'],
  LAZY_ON: [1 << 5, 'AMEND has refcounts updated late'],
  LAZY_OFF: [1 << 6, 'AMEND has refcounts updated at once'],
  OTHER_IMAGE: [1 << 7, 'BITMAP_MERGE takes the other bitmap from the image COMPARED'],
  SKIP_BROKEN: [1 << 8, 'BITMAPS_COPY leaves out what was not saved properly'],
  READS_AS_ZERO: [1 << 9, 'FILL leaves zeros out: the disk reads as zeros'],
  ANY_SLOT: [1 << 10, 'KEY_SLOT_FILL takes the first empty slot; KEY_SLOT_EMPTY goes by the secret alone'],
  FORCE: [1 << 11, 'slots that hold the key are filled anew, and the last of them is emptied'],
  DATA_FILE: [1 << 12, 'AMEND names `name` as the external data file, which the image has'],
  DATA_FILE_RAW_ON: [1 << 13, 'AMEND: the data file is to be a raw image, as it must be already'],
  DATA_FILE_RAW_OFF: [1 << 14, 'AMEND: the data file need not be a raw image any more'],
  REPLACE: [1 << 15, 'COMMIT gives what it overwrites whole another place, and RELEASEs the old one'],
});

/** Config of the edit operation, which works on the device of role IMAGE that is EDITED. */
export const EditConfig = deferStruct('EditConfig', 2096, 'Config of the edit operation.', () => ({
  magic: field(u32, 0, 'EDIT_CONFIG_MAGIC', EDIT_CONFIG_MAGIC),
  action: field(named(u32, EDIT_ACTION), 4, 'EditAction'),
  flags: field(named(u32, EDIT_FLAG), 8, 'EditFlag'),
  number: field(u32, 12, 'see EditAction'),
  size: field(u64, 16, 'bytes of the disk afterwards'),
  time: field(u64, 24, 'seconds since 1970, for what says when it was made'),
  time_nsec: field(u32, 32, 'nanoseconds within the second'),
  name_len: field(u32, 36, 'bytes of `name`'),
  other_len: field(u32, 40, 'bytes of `other`'),
  iterations: field(u32, 44, 'KEY_SLOT_FILL: iterations of PBKDF2'),
  name: field(bytes(1024), 48, 'UTF-8'),
  other: field(bytes(1024), 1072, 'UTF-8'),
}));

/** What an edit came to. */
export const EditResult = deferStruct('EditResult', 496, 'Outcome of an edit operation.', () => ({
  magic: field(u32, 0, 'EDIT_RESULT_MAGIC'),
  status: field(named(u32, RESULT_STATUS), 4, 'ResultStatus'),
  error: field(ErrorRecord, 8, 'set when status is ERROR'),
  file_length: field(u64, 456, 'bytes that the file is to have; what lies behind them is cut off'),
  virtual_size: field(u64, 464, 'bytes of the disk afterwards'),
  corruptions_fixed: field(u64, 472, 'REPAIR: what was repaired'),
  leaks_fixed: field(u64, 480, 'REPAIR: clusters that were freed'),
  key_slots: field(u32, 488, 'KEY_SLOT_FILL, KEY_SLOT_EMPTY: bit n is set where slot n was changed'),
  reserved: field(u32, 492, 'zero'),
}));
