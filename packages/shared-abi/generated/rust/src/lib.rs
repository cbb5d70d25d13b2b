// @generated from packages/shared-abi/src/abi: edit there, then `npm run generate`.
//! The ABI between instar's host and its guests. Every offset and size is asserted when this file is compiled.
#![no_std]
#![forbid(unsafe_code)]

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// SHA-256 of the canonical JSON of this ABI (version 1.17).
pub const FINGERPRINT: [u8; 32] = [
    0xb2, 0x37, 0xcf, 0x9a, 0x97, 0x1d, 0xaf, 0x72, 0x07, 0x1e, 0x7e, 0x15, 0x41, 0x98, 0xbb, 0x57,
    0x0f, 0x71, 0xf2, 0x03, 0x16, 0x10, 0xc2, 0x2d, 0x0e, 0x1a, 0x15, 0x68, 0xbf, 0x07, 0x53, 0x09,
];

/// ABI_VERSION_MAJOR.
pub const ABI_VERSION_MAJOR: u32 = 0x1;
/// ABI_VERSION_MINOR.
pub const ABI_VERSION_MINOR: u32 = 0x11;
/// BENCH_CONFIG_MAGIC.
pub const BENCH_CONFIG_MAGIC: u32 = 0x42454e3f;
/// BENCH_RESULT_MAGIC.
pub const BENCH_RESULT_MAGIC: u32 = 0x42454e21;
/// CALL_TABLE_ENTRIES.
pub const CALL_TABLE_ENTRIES: u32 = 0x3;
/// CALL_TABLE_ENTRIES_1_1.
pub const CALL_TABLE_ENTRIES_1_1: u32 = 0x5;
/// CALL_TABLE_MAGIC.
pub const CALL_TABLE_MAGIC: u32 = 0x43414c4c;
/// CHAIN_CONFIG_MAGIC.
pub const CHAIN_CONFIG_MAGIC: u32 = 0x43484149;
/// CHAIN_MAX_DEVICES.
pub const CHAIN_MAX_DEVICES: u32 = 0x40;
/// CHECK_CONFIG_MAGIC.
pub const CHECK_CONFIG_MAGIC: u32 = 0x43484b3f;
/// CHECK_RESULT_MAGIC.
pub const CHECK_RESULT_MAGIC: u32 = 0x43484b21;
/// COMMAND_MAX_LENGTH.
pub const COMMAND_MAX_LENGTH: u32 = 0x800000;
/// COMPARED_SECTOR.
pub const COMPARED_SECTOR: u32 = 0x200;
/// COMPARE_CONFIG_MAGIC.
pub const COMPARE_CONFIG_MAGIC: u32 = 0x434d503f;
/// COMPARE_RESULT_MAGIC.
pub const COMPARE_RESULT_MAGIC: u32 = 0x434d5021;
/// CONVERT_CONFIG_MAGIC.
pub const CONVERT_CONFIG_MAGIC: u32 = 0x434f4e56;
/// CONVERT_RESULT_MAGIC.
pub const CONVERT_RESULT_MAGIC: u32 = 0x434f4e52;
/// EDIT_CONFIG_MAGIC.
pub const EDIT_CONFIG_MAGIC: u32 = 0x4544543f;
/// EDIT_RESULT_MAGIC.
pub const EDIT_RESULT_MAGIC: u32 = 0x45445421;
/// EXIT_ERROR.
pub const EXIT_ERROR: u32 = 0x1;
/// EXIT_NO_MEMORY.
pub const EXIT_NO_MEMORY: u32 = 0x66;
/// EXIT_OK.
pub const EXIT_OK: u32 = 0x0;
/// EXIT_PANIC.
pub const EXIT_PANIC: u32 = 0x65;
/// FINGERPRINT_SIZE.
pub const FINGERPRINT_SIZE: u32 = 0x20;
/// GUEST_IMAGE_MAGIC.
pub const GUEST_IMAGE_MAGIC: u64 = 0x494e535441524749;
/// GUEST_IMAGE_MAX_SEGMENTS.
pub const GUEST_IMAGE_MAX_SEGMENTS: u32 = 0x8;
/// GUEST_IMAGE_VERSION.
pub const GUEST_IMAGE_VERSION: u32 = 0x1;
/// INFO_CONFIG_MAGIC.
pub const INFO_CONFIG_MAGIC: u32 = 0x494e464f;
/// INFO_MAX_BITMAPS.
pub const INFO_MAX_BITMAPS: u32 = 0x10;
/// INFO_MAX_EXTENT_FILES.
pub const INFO_MAX_EXTENT_FILES: u32 = 0x3c;
/// INFO_MAX_NAME.
pub const INFO_MAX_NAME: u32 = 0x400;
/// INFO_MAX_SNAPSHOTS.
pub const INFO_MAX_SNAPSHOTS: u32 = 0x40;
/// INFO_RESULT_MAGIC.
pub const INFO_RESULT_MAGIC: u32 = 0x494e4652;
/// ITEM_MAILBOX_OFFSET.
pub const ITEM_MAILBOX_OFFSET: u32 = 0x3800;
/// ITEM_MAX_LENGTH.
pub const ITEM_MAX_LENGTH: u32 = 0x100;
/// LARGE_PAGE_SIZE.
pub const LARGE_PAGE_SIZE: u32 = 0x200000;
/// LOG_MAX_LENGTH.
pub const LOG_MAX_LENGTH: u32 = 0x400;
/// LOST_RANGES_MAX.
pub const LOST_RANGES_MAX: u32 = 0x40;
/// LUKS_MAX_SLOTS.
pub const LUKS_MAX_SLOTS: u32 = 0x20;
/// MAP_CONFIG_MAGIC.
pub const MAP_CONFIG_MAGIC: u32 = 0x4d41503f;
/// MAP_RESULT_MAGIC.
pub const MAP_RESULT_MAGIC: u32 = 0x4d415021;
/// MEMORY_SIZE.
pub const MEMORY_SIZE: u32 = 0x4a00000;
/// NO_PARENT.
pub const NO_PARENT: u32 = 0xffffffff;
/// OPERATION_CONFIG_ADDR.
pub const OPERATION_CONFIG_ADDR: u32 = 0x81000;
/// OPERATION_CONFIG_MAX_SIZE.
pub const OPERATION_CONFIG_MAX_SIZE: u32 = 0x1000;
/// PAGE_SIZE.
pub const PAGE_SIZE: u32 = 0x1000;
/// PORT_DOORBELL.
pub const PORT_DOORBELL: u32 = 0x500;
/// PORT_EXIT.
pub const PORT_EXIT: u32 = 0x508;
/// PORT_ITEM.
pub const PORT_ITEM: u32 = 0x50c;
/// PORT_WAIT.
pub const PORT_WAIT: u32 = 0x504;
/// RING_COMPLETIONS_OFFSET.
pub const RING_COMPLETIONS_OFFSET: u32 = 0x2000;
/// RING_ENTRIES.
pub const RING_ENTRIES: u32 = 0x40;
/// RING_MAGIC.
pub const RING_MAGIC: u32 = 0x52494e47;
/// RING_SUBMISSIONS_OFFSET.
pub const RING_SUBMISSIONS_OFFSET: u32 = 0x1000;
/// SANDBOX_BOOT_MAGIC.
pub const SANDBOX_BOOT_MAGIC: u32 = 0x424f4f54;
/// SANDBOX_FAULT_MAGIC.
pub const SANDBOX_FAULT_MAGIC: u32 = 0x46414c54;
/// SANDBOX_FAULT_OFFSET.
pub const SANDBOX_FAULT_OFFSET: u32 = 0x3000;
/// SANDBOX_FAULT_STATUS.
pub const SANDBOX_FAULT_STATUS: u32 = 0x4d;
/// SANDBOX_HELPER_ADDR.
pub const SANDBOX_HELPER_ADDR: u64 = 0x600000000000;
/// SANDBOX_MAX_FILTER.
pub const SANDBOX_MAX_FILTER: u32 = 0x80;
/// SANDBOX_MAX_REGIONS.
pub const SANDBOX_MAX_REGIONS: u32 = 0x20;
/// SANDBOX_PAUSE_SIGNAL.
pub const SANDBOX_PAUSE_SIGNAL: u32 = 0xa;
/// SANDBOX_SETUP_LAST_STATUS.
pub const SANDBOX_SETUP_LAST_STATUS: u32 = 0x5f;
/// SANDBOX_SETUP_STATUS.
pub const SANDBOX_SETUP_STATUS: u32 = 0x4e;
/// SANDBOX_STOP_SIGNAL.
pub const SANDBOX_STOP_SIGNAL: u32 = 0xc;
/// SECRETS_MAGIC.
pub const SECRETS_MAGIC: u32 = 0x53454352;
/// SECRETS_MAX.
pub const SECRETS_MAX: u32 = 0x8;
/// SECRETS_SIZE.
pub const SECRETS_SIZE: u32 = 0x10000;

/// What code at CPL 3 may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    None,
    Supervisor,
    Read,
    ReadWrite,
    ReadExecute,
    Image,
}

/// One region of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The region's name.
    pub name: &'static str,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What code at CPL 3 may do with it.
    pub protection: Protection,
}

/// never mapped: null pointers fault.
pub const REGION_NULL_PAGE: Region = Region {
    name: "null_page",
    start: 0x0,
    size: 0x1000,
    protection: Protection::None,
};
/// descriptor tables, exception stubs, kernel stack and page tables of the KVM backend; invisible at CPL 3.
pub const REGION_SYSTEM: Region = Region {
    name: "system",
    start: 0x1000,
    size: 0x7b000,
    protection: Protection::Supervisor,
};
/// guard: unmapped.
pub const REGION_SYSTEM_GUARD: Region = Region {
    name: "system_guard",
    start: 0x7c000,
    size: 0x1000,
    protection: Protection::None,
};
/// doorbell code, written by the backend.
pub const REGION_STUBS: Region = Region {
    name: "stubs",
    start: 0x7d000,
    size: 0x1000,
    protection: Protection::ReadExecute,
};
/// guard: unmapped.
pub const REGION_STUBS_GUARD: Region = Region {
    name: "stubs_guard",
    start: 0x7e000,
    size: 0x1000,
    protection: Protection::None,
};
/// CallTable.
pub const REGION_CALL_TABLE: Region = Region {
    name: "call_table",
    start: 0x7f000,
    size: 0x1000,
    protection: Protection::Read,
};
/// ChainConfig.
pub const REGION_CHAIN_CONFIG: Region = Region {
    name: "chain_config",
    start: 0x80000,
    size: 0x1000,
    protection: Protection::Read,
};
/// the config struct of the operation.
pub const REGION_OPERATION_CONFIG: Region = Region {
    name: "operation_config",
    start: 0x81000,
    size: 0x1000,
    protection: Protection::Read,
};
/// ProcessRecord and its register tail.
pub const REGION_PROCESS_RECORD: Region = Region {
    name: "process_record",
    start: 0x82000,
    size: 0x1000,
    protection: Protection::Read,
};
/// guard: unmapped.
pub const REGION_PROCESS_RECORD_GUARD: Region = Region {
    name: "process_record_guard",
    start: 0x83000,
    size: 0x1000,
    protection: Protection::None,
};
/// RingHeader, submission and completion entries.
pub const REGION_RING: Region = Region {
    name: "ring",
    start: 0x84000,
    size: 0x4000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_RING_GUARD: Region = Region {
    name: "ring_guard",
    start: 0x88000,
    size: 0x1000,
    protection: Protection::None,
};
/// the result struct of the operation.
pub const REGION_RESULT: Region = Region {
    name: "result",
    start: 0x89000,
    size: 0x10000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_RESULT_GUARD: Region = Region {
    name: "result_guard",
    start: 0x99000,
    size: 0x1000,
    protection: Protection::None,
};
/// stack, grows down.
pub const REGION_STACK: Region = Region {
    name: "stack",
    start: 0x9a000,
    size: 0x40000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_STACK_GUARD: Region = Region {
    name: "stack_guard",
    start: 0xda000,
    size: 0x1000,
    protection: Protection::None,
};
/// stack of a second processor, grows down.
pub const REGION_WORKER_STACK: Region = Region {
    name: "worker_stack",
    start: 0xdb000,
    size: 0x40000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_WORKER_STACK_GUARD: Region = Region {
    name: "worker_stack_guard",
    start: 0x11b000,
    size: 0x1000,
    protection: Protection::None,
};
/// segments of the guest image, each with its own protection.
pub const REGION_IMAGE: Region = Region {
    name: "image",
    start: 0x200000,
    size: 0x400000,
    protection: Protection::Image,
};
/// guard: unmapped.
pub const REGION_IMAGE_GUARD: Region = Region {
    name: "image_guard",
    start: 0x600000,
    size: 0x200000,
    protection: Protection::None,
};
/// the guest's heap.
pub const REGION_HEAP: Region = Region {
    name: "heap",
    start: 0x800000,
    size: 0x2000000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_HEAP_GUARD: Region = Region {
    name: "heap_guard",
    start: 0x2800000,
    size: 0x200000,
    protection: Protection::None,
};
/// I/O windows: the only memory that READ fills and WRITE takes from.
pub const REGION_WINDOWS: Region = Region {
    name: "windows",
    start: 0x2a00000,
    size: 0x2000000,
    protection: Protection::ReadWrite,
};
/// guard: unmapped.
pub const REGION_WINDOWS_GUARD: Region = Region {
    name: "windows_guard",
    start: 0x4a00000,
    size: 0x200000,
    protection: Protection::None,
};
/// SecretsConfig, and what the guest makes of it: never dumped; a run may have more of it behind its end.
pub const REGION_KEYS: Region = Region {
    name: "keys",
    start: 0x4c00000,
    size: 0x200000,
    protection: Protection::ReadWrite,
};

/// The memory map, lowest address first.
pub const MEMORY_MAP: [Region; 25] = [
    REGION_NULL_PAGE,
    REGION_SYSTEM,
    REGION_SYSTEM_GUARD,
    REGION_STUBS,
    REGION_STUBS_GUARD,
    REGION_CALL_TABLE,
    REGION_CHAIN_CONFIG,
    REGION_OPERATION_CONFIG,
    REGION_PROCESS_RECORD,
    REGION_PROCESS_RECORD_GUARD,
    REGION_RING,
    REGION_RING_GUARD,
    REGION_RESULT,
    REGION_RESULT_GUARD,
    REGION_STACK,
    REGION_STACK_GUARD,
    REGION_WORKER_STACK,
    REGION_WORKER_STACK_GUARD,
    REGION_IMAGE,
    REGION_IMAGE_GUARD,
    REGION_HEAP,
    REGION_HEAP_GUARD,
    REGION_WINDOWS,
    REGION_WINDOWS_GUARD,
    REGION_KEYS,
];

/// Flags of BenchConfig.
pub mod bench_flag {
    /// requests write `pattern` to the device of role IMAGE that is EDITED; what they leave of a unit is read from COMPARED.
    pub const WRITE: u32 = 0x1;
}

/// Flags of a descriptor.
pub mod command_flag {
    /// ZERO may deallocate.
    pub const HOLE: u32 = 0x1;
}

/// Flags of CompareConfig.
pub mod compare_flag {
    /// sizes and allocation must be the same as well.
    pub const STRICT: u32 = 0x1;
}

/// What a comparison came to.
pub mod comparison {
    /// not compared.
    pub const NONE: u32 = 0;
    /// the same.
    pub const EQUAL: u32 = 1;
    /// other bytes.
    pub const CONTENT: u32 = 2;
    /// one image has bytes where the other says nothing (STRICT).
    pub const ALLOCATION: u32 = 3;
    /// other sizes (STRICT).
    pub const SIZE: u32 = 4;
}

/// Flags of ConvertConfig.
pub mod convert_flag {
    /// leave zero regions of the output as holes.
    pub const SKIP_ZEROS: u32 = 0x1;
    /// write compressed clusters.
    pub const COMPRESS: u32 = 0x2;
    /// the passphrase decrypts the input.
    pub const DECRYPT_AES: u32 = 0x4;
    /// write extended L2 entries.
    pub const EXTENDED_L2: u32 = 0x8;
    /// write a LUKS-encrypted output.
    pub const ENCRYPT_LUKS: u32 = 0x10;
    /// copy [window_start, window_end) of the input only.
    pub const DD_WINDOW: u32 = 0x20;
    /// compressed clusters are Zstandard; DEFLATE without it.
    pub const ZSTD: u32 = 0x40;
    /// write nothing, and say how long the output would be.
    pub const MEASURE: u32 = 0x80;
    /// with MEASURE: as if nothing of the disk were zeros.
    pub const MEASURE_ALL: u32 = 0x100;
    /// go on where the input cannot be read; the output has zeros there.
    pub const SALVAGE: u32 = 0x200;
    /// log what is done.
    pub const VERBOSE: u32 = 0x80000000;
}

/// Flags of a device.
pub mod device_flag {
    /// `virtual_size` replaces the size that the image states: cut or extended with zeros.
    pub const FORCE_SIZE: u32 = 0x1;
    /// an output that only takes consecutive bytes from offset 0 on.
    pub const STREAM: u32 = 0x2;
    /// a raw output that is not padded to whole sectors.
    pub const EXACT: u32 = 0x8;
    /// an output that reads as zeros wherever it was not written.
    pub const FRESH: u32 = 0x4;
    /// an input that may have holes: EXTENT tells where.
    pub const HOLES: u32 = 0x10;
    /// an image that is written in place: it is read from and written to.
    pub const EDITED: u32 = 0x20;
}

/// What a device of the chain is.
pub mod device_role {
    /// the image that was named.
    pub const IMAGE: u32 = 1;
    /// backing file of its parent.
    pub const BACKING: u32 = 2;
    /// external data file of its parent.
    pub const DATA_FILE: u32 = 3;
    /// extent file of its parent.
    pub const EXTENT: u32 = 4;
    /// the output; the only role that may be written.
    pub const OUTPUT: u32 = 5;
    /// a second image, which the first is compared with.
    pub const COMPARED: u32 = 6;
}

/// What an edit does to an image.
pub mod edit_action {
    /// takes the snapshot `name`.
    pub const SNAPSHOT_CREATE: u32 = 1;
    /// goes back to the snapshot whose id or else name is `name`.
    pub const SNAPSHOT_APPLY: u32 = 2;
    /// removes the first snapshot that is called `name`.
    pub const SNAPSHOT_DELETE: u32 = 3;
    /// gives the disk `size` bytes.
    pub const RESIZE: u32 = 4;
    /// makes the metadata agree with itself.
    pub const REPAIR: u32 = 5;
    /// adds the bitmap `name`, one bit for 2^`number` bytes.
    pub const BITMAP_ADD: u32 = 6;
    /// removes the bitmap `name`.
    pub const BITMAP_REMOVE: u32 = 7;
    /// clears all bits of the bitmap `name`.
    pub const BITMAP_CLEAR: u32 = 8;
    /// has the bitmap `name` record writes.
    pub const BITMAP_ENABLE: u32 = 9;
    /// has it record none.
    pub const BITMAP_DISABLE: u32 = 10;
    /// adds the bits of the bitmap `other` to the bitmap `name`.
    pub const BITMAP_MERGE: u32 = 11;
    /// names `name` as the backing file and `other` as its format.
    pub const SET_BACKING: u32 = 12;
    /// the same, after what reads differently through the images BACKING and COMPARED was copied, packed where `number` is 1.
    pub const REBASE: u32 = 13;
    /// copies what the images above the edited one hold into it.
    pub const COMMIT: u32 = 14;
    /// gives all that the image holds back to its backing file.
    pub const EMPTY: u32 = 15;
    /// gives it the options of `flags` and `number`.
    pub const AMEND: u32 = 16;
    /// adds all bitmaps of the image COMPARED.
    pub const BITMAPS_COPY: u32 = 17;
    /// copies the disk of the image COMPARED into it; what lies behind that stays.
    pub const FILL: u32 = 18;
    /// has the slot `number` hold the key for the secret NEW, made by `iterations`.
    pub const KEY_SLOT_FILL: u32 = 19;
    /// has the slot `number`, or else those that the secret OLD opens, hold the key no more.
    pub const KEY_SLOT_EMPTY: u32 = 20;
    /// overwrites the stripes of the empty slots whose bits are set in `number`.
    pub const KEY_SLOT_WIPE: u32 = 21;
}

/// Flags of an edit.
pub mod edit_flag {
    /// RESIZE may cut data off.
    pub const SHRINK: u32 = 0x1;
    /// REPAIR frees what nothing uses, and touches nothing else.
    pub const LEAKS_ONLY: u32 = 0x2;
    /// RESIZE allocates all that is added.
    pub const PREALLOCATE: u32 = 0x4;
    /// AMEND makes it version 2.
    pub const VERSION_2: u32 = 0x8;
    /// AMEND makes it version 3.
    pub const VERSION_3: u32 = 0x10;
    /// AMEND has refcounts updated late.
    pub const LAZY_ON: u32 = 0x20;
    /// AMEND has refcounts updated at once.
    pub const LAZY_OFF: u32 = 0x40;
    /// BITMAP_MERGE takes the other bitmap from the image COMPARED.
    pub const OTHER_IMAGE: u32 = 0x80;
    /// BITMAPS_COPY leaves out what was not saved properly.
    pub const SKIP_BROKEN: u32 = 0x100;
    /// FILL leaves zeros out: the disk reads as zeros.
    pub const READS_AS_ZERO: u32 = 0x200;
    /// KEY_SLOT_FILL takes the first empty slot; KEY_SLOT_EMPTY goes by the secret alone.
    pub const ANY_SLOT: u32 = 0x400;
    /// slots that hold the key are filled anew, and the last of them is emptied.
    pub const FORCE: u32 = 0x800;
    /// AMEND names `name` as the external data file, which the image has.
    pub const DATA_FILE: u32 = 0x1000;
    /// AMEND: the data file is to be a raw image, as it must be already.
    pub const DATA_FILE_RAW_ON: u32 = 0x2000;
    /// AMEND: the data file need not be a raw image any more.
    pub const DATA_FILE_RAW_OFF: u32 = 0x4000;
    /// COMMIT gives what it overwrites whole another place, and RELEASEs the old one.
    pub const REPLACE: u32 = 0x8000;
}

/// Why a guest refused an image or an operation.
pub mod error_kind {
    /// no error.
    pub const NONE: u32 = 0;
    /// the file could not be read.
    pub const SOURCE_FAILED: u32 = 1;
    /// no memory is left to read the image’s metadata.
    pub const OUT_OF_MEMORY: u32 = 2;
    /// a range outside the virtual disk was asked for.
    pub const OUT_OF_RANGE: u32 = 3;
    /// the file is not in this format.
    pub const NOT_THIS_FORMAT: u32 = 10;
    /// images of this format are not supported yet.
    pub const UNSUPPORTED_FORMAT: u32 = 11;
    /// the file answers to two formats at once; name the right one with -f.
    pub const AMBIGUOUS_FORMAT: u32 = 12;
    /// this version of the format is not supported.
    pub const UNSUPPORTED_VERSION: u32 = 13;
    /// the image needs features that are not supported.
    pub const UNKNOWN_FEATURE: u32 = 14;
    /// the image is encrypted, and a passphrase that opens it is needed.
    pub const ENCRYPTED: u32 = 15;
    /// the encryption method is unknown.
    pub const UNSUPPORTED_ENCRYPTION: u32 = 16;
    /// this variant of the format is not supported.
    pub const UNSUPPORTED_VARIANT: u32 = 17;
    /// the cluster size is not supported.
    pub const BAD_CLUSTER_SIZE: u32 = 20;
    /// the header length is not valid.
    pub const BAD_HEADER_LENGTH: u32 = 21;
    /// the backing file name is misplaced or too long.
    pub const BAD_BACKING_NAME: u32 = 22;
    /// the compression type is not valid.
    pub const BAD_COMPRESSION_TYPE: u32 = 23;
    /// the refcount width is not valid.
    pub const BAD_REFCOUNT_WIDTH: u32 = 24;
    /// the refcount table is not valid.
    pub const BAD_REFCOUNT_TABLE: u32 = 25;
    /// the snapshot table is not valid.
    pub const BAD_SNAPSHOT_TABLE: u32 = 26;
    /// the L1 table is not valid.
    pub const BAD_L1_TABLE: u32 = 27;
    /// the L1 table is too small for the virtual size.
    pub const L1_TABLE_TOO_SMALL: u32 = 28;
    /// the virtual size is too big.
    pub const IMAGE_TOO_BIG: u32 = 29;
    /// a header extension is not valid.
    pub const BAD_EXTENSION: u32 = 30;
    /// the bitmap directory is not valid.
    pub const BAD_BITMAP_DIRECTORY: u32 = 31;
    /// the image needs its external data file.
    pub const DATA_FILE_MISSING: u32 = 32;
    /// the image claims a raw external data file but has none.
    pub const DATA_FILE_UNEXPECTED: u32 = 33;
    /// a field of the header is invalid.
    pub const BAD_HEADER: u32 = 34;
    /// a checksum does not match.
    pub const CHECKSUM_MISMATCH: u32 = 35;
    /// a table of the image is misplaced or too large.
    pub const BAD_TABLE: u32 = 36;
    /// the text descriptor is invalid.
    pub const BAD_DESCRIPTOR: u32 = 37;
    /// the image needs an extent file that was not opened.
    pub const EXTENT_MISSING: u32 = 38;
    /// the log of the image is invalid.
    pub const BAD_LOG: u32 = 39;
    /// an L1 table entry is not valid.
    pub const BAD_L1_ENTRY: u32 = 40;
    /// an L2 table entry is not valid.
    pub const BAD_L2_ENTRY: u32 = 41;
    /// an entry of a table is invalid.
    pub const BAD_TABLE_ENTRY: u32 = 42;
    /// the backing chain is too deep.
    pub const CHAIN_TOO_DEEP: u32 = 50;
    /// a compressed cluster does not decode.
    pub const DECOMPRESS: u32 = 60;
    /// the host could not write the output.
    pub const WRITE_FAILED: u32 = 61;
    /// the config pages contradict each other.
    pub const BAD_CONFIG: u32 = 62;
    /// this output format is not written yet.
    pub const UNSUPPORTED_OUTPUT: u32 = 63;
    /// the output format cannot hold so many bytes.
    pub const OUTPUT_TOO_BIG: u32 = 64;
    /// the image has a backing file that was not opened.
    pub const BACKING_MISSING: u32 = 65;
    /// a state that should not occur in the guest.
    pub const INTERNAL: u32 = 66;
    /// making the key takes more memory than is allowed.
    pub const KEY_MEMORY: u32 = 67;
    /// a packed file holds what is read only when it is unpacked.
    pub const PACKED_CONTENT: u32 = 68;
    /// a packed file unpacks to more than is allowed.
    pub const UNPACKED_TOO_BIG: u32 = 69;
    /// the image has no such snapshot.
    pub const SNAPSHOT_MISSING: u32 = 70;
    /// the image cannot be edited so.
    pub const UNSUPPORTED_EDIT: u32 = 71;
    /// the metadata contradicts itself: it is repaired before it is edited.
    pub const REPAIR_FIRST: u32 = 72;
    /// the image has no such bitmap.
    pub const BITMAP_MISSING: u32 = 73;
    /// the image has a bitmap of that name.
    pub const BITMAP_EXISTS: u32 = 74;
    /// a packed file takes more memory to unpack than a guest has at first.
    pub const NEEDS_MEMORY: u32 = 75;
}

/// How an extent file stores its part of the disk.
pub mod extent_file_kind {
    /// not stated.
    pub const NONE: u32 = 0;
    /// bytes as they are.
    pub const FLAT: u32 = 1;
    /// grains behind a directory (VMware hosted sparse).
    pub const SPARSE: u32 = 2;
    /// zeros, without a file.
    pub const ZERO: u32 = 3;
    /// bytes as they are, on VMFS.
    pub const VMFS: u32 = 4;
    /// grains behind a directory (ESX COWD).
    pub const VMFS_SPARSE: u32 = 5;
    /// grains behind a directory (ESX space-efficient).
    pub const SE_SPARSE: u32 = 6;
}

/// Fault code of a process record.
pub mod fault_code {
    /// running.
    pub const NONE: u32 = 0;
    /// has not run: the backend sets the registers, the entry PC is in the fault info.
    pub const STARTUP: u32 = 1;
}

/// What a check found.
pub mod finding_kind {
    /// the image contradicts itself, and data may be wrong.
    pub const CORRUPTION: u32 = 1;
    /// room is taken that nothing uses.
    pub const LEAK: u32 = 2;
    /// what a part of the file is used for: a FilePartRecord.
    pub const PART: u32 = 3;
}

/// Image formats; 0 asks for a probe.
pub mod image_format {
    /// not stated: probe.
    pub const PROBE: u32 = 0;
    /// raw bytes.
    pub const RAW: u32 = 1;
    /// QEMU copy-on-write 2 and 3.
    pub const QCOW2: u32 = 2;
    /// VMware virtual disk.
    pub const VMDK: u32 = 3;
    /// VirtualBox disk image.
    pub const VDI: u32 = 4;
    /// Virtual PC / VHD.
    pub const VPC: u32 = 5;
    /// Hyper-V virtual disk v2.
    pub const VHDX: u32 = 6;
    /// QEMU copy-on-write 1.
    pub const QCOW: u32 = 7;
    /// LUKS container.
    pub const LUKS: u32 = 10;
    /// QEMU enhanced disk.
    pub const QED: u32 = 8;
    /// Parallels disk.
    pub const PARALLELS: u32 = 9;
    /// Bochs growing disk.
    pub const BOCHS: u32 = 11;
    /// compressed loop image.
    pub const CLOOP: u32 = 12;
    /// Apple disk image.
    pub const DMG: u32 = 13;
    /// ISO 9660 file system in a raw image.
    pub const ISO: u32 = 14;
    /// Android sparse image.
    pub const SIMG: u32 = 15;
    /// raw bytes, packed by gzip.
    pub const GZIP: u32 = 16;
    /// raw bytes, packed by xz.
    pub const XZ: u32 = 17;
    /// raw bytes, packed by zstd.
    pub const ZSTD: u32 = 18;
    /// raw bytes, packed by bzip2.
    pub const BZIP2: u32 = 19;
    /// Apple sparse image.
    pub const ASIF: u32 = 20;
    /// Apple sparse image before ASIF (UDSP).
    pub const SPARSEIMAGE: u32 = 21;
}

/// Yes/no facts of an image.
pub mod info_flag {
    /// names a backing file.
    pub const BACKING_FILE: u32 = 0x1;
    /// has an external data file.
    pub const DATA_FILE: u32 = 0x2;
    /// its data file is a plain raw image.
    pub const DATA_FILE_RAW: u32 = 0x4;
    /// qcow2 compatible feature bit 0.
    pub const LAZY_REFCOUNTS: u32 = 0x8;
    /// qcow2 incompatible feature bit 0.
    pub const DIRTY: u32 = 0x10;
    /// qcow2 incompatible feature bit 1.
    pub const CORRUPT: u32 = 0x20;
    /// qcow2 incompatible feature bit 4.
    pub const EXTENDED_L2: u32 = 0x40;
    /// encrypted in whichever way.
    pub const ENCRYPTED: u32 = 0x80;
    /// a raw image that holds an ISO 9660 file system.
    pub const ISO_HINT: u32 = 0x100;
    /// more snapshots than fit the result.
    pub const SNAPSHOTS_CUT: u32 = 0x200;
    /// more bitmaps than fit the result.
    pub const BITMAPS_CUT: u32 = 0x400;
    /// has incompatible features that are not known.
    pub const UNKNOWN_FEATURES: u32 = 0x800;
    /// every table was looked at for places behind the end of the file.
    pub const EXTENTS_CHECKED: u32 = 0x1000;
    /// a table names a place behind the end of the file: `beyond_…` say which.
    pub const BEYOND_FILE: u32 = 0x2000;
    /// a table entry is not valid: `error` says which, though the status is OK.
    pub const TABLE_FAULT: u32 = 0x4000;
    /// lies in several files, or in parts: `extent_files` says which.
    pub const EXTENT_FILES: u32 = 0x8000;
    /// its log was replayed in memory.
    pub const LOG_REPLAYED: u32 = 0x10000;
    /// a packed file of which not all was unpacked: that may take more memory than this guest has.
    pub const MORE_MEMORY: u32 = 0x20000;
}

/// Selectors of items.
pub mod item {
    /// `etc/vmcoreinfo`: FwCfgVmCoreInfo, written by the guest.
    pub const VMCOREINFO: u32 = 32;
}

/// What an item request asks for.
pub mod item_request {
    /// no request, or it was answered.
    pub const NONE: u32 = 0;
    /// item[offset, +length) → data.
    pub const READ: u32 = 1;
    /// data → item[offset, +length).
    pub const WRITE: u32 = 2;
}

/// Facts of a mapped extent.
pub mod map_flag {
    /// an image of the chain says what it holds.
    pub const PRESENT: u32 = 0x1;
    /// reads as zeros.
    pub const ZERO: u32 = 0x2;
    /// has bytes in a file.
    pub const DATA: u32 = 0x4;
    /// they are compressed.
    pub const COMPRESSED: u32 = 0x8;
    /// they lie in one piece, at `offset`.
    pub const HAS_OFFSET: u32 = 0x10;
}

/// Commands of the ring.
pub mod opcode {
    /// device[offset, +length) → window.
    pub const READ: u32 = 1;
    /// window → target_device[target_offset, +length).
    pub const WRITE: u32 = 2;
    /// device[offset, +length) → target_device[target_offset, +length), past the guest.
    pub const COPY: u32 = 3;
    /// target_device[target_offset, +length) becomes zeros.
    pub const ZERO: u32 = 4;
    /// target_device: all completed writes reach the disk.
    pub const FLUSH: u32 = 5;
    /// window[0, length): UTF-8 text for the host log.
    pub const LOG: u32 = 6;
    /// `offset` of `length` bytes are done.
    pub const PROGRESS: u32 = 7;
    /// device[offset, +length): whether it begins with data or a hole → a FileExtent in window.
    pub const EXTENT: u32 = 8;
    /// the result is there: done with 0 once the config pages hold another request, with ECANCELED if none comes.
    pub const NEXT: u32 = 9;
    /// target_device[target_offset, +length) is overwritten soon: its old content goes to the undo log.
    pub const PRESERVE: u32 = 10;
    /// target_device[target_offset, +length) holds nothing that is needed once the edit is complete.
    pub const RELEASE: u32 = 11;
    /// device[offset, +length) with target_device[target_offset, +length): in window a bit for each COMPARED_SECTOR bytes, 1 where they differ, then as many, 1 where those of device are zeros.
    pub const COMPARE: u32 = 12;
}

/// Flags of OutputLayout.
pub mod output_layout_flag {
    /// qcow2: L2 entries describe subclusters.
    pub const EXTENDED_L2: u32 = 0x1;
    /// qcow2: refcounts may be written late.
    pub const LAZY_REFCOUNTS: u32 = 0x2;
    /// qcow2: version 2 of the format.
    pub const VERSION_2: u32 = 0x4;
    /// qcow2: every cluster has a place from the start.
    pub const PREALLOCATED: u32 = 0x8;
    /// vpc: readers take the size from the geometry.
    pub const GEOMETRY: u32 = 0x10;
    /// compressed clusters are made as small as they can be.
    pub const BEST_COMPRESSION: u32 = 0x20;
    /// compressed clusters are made as fast as they can be.
    pub const FAST_COMPRESSION: u32 = 0x40;
    /// qcow2: the data file alone is the disk.
    pub const DATA_FILE_RAW: u32 = 0x80;
    /// vmdk: an entry may say that its grain is zeros.
    pub const ZEROED_GRAINS: u32 = 0x100;
}

/// Which kind of image of its format an output is.
pub mod output_subformat {
    /// the one that grows, where the format has one.
    pub const DEFAULT: u32 = 0;
    /// every block has a place from the start (vpc, vdi, vhdx).
    pub const FIXED: u32 = 1;
    /// compressed grains one behind the other (vmdk).
    pub const STREAM_OPTIMIZED: u32 = 2;
    /// a part of a disk that another file describes (vmdk).
    pub const EXTENT: u32 = 3;
}

/// What a raw file was recognised by.
pub mod raw_content {
    /// nothing was recognised.
    pub const UNKNOWN: u32 = 0;
    /// a partition table (MBR).
    pub const MBR: u32 = 1;
    /// a partition table (GPT).
    pub const GPT: u32 = 2;
    /// an ISO 9660 file system.
    pub const ISO9660: u32 = 3;
    /// a file system, swap area or volume group that fills the disk.
    pub const FILE_SYSTEM: u32 = 4;
    /// packed by gzip.
    pub const GZIP: u32 = 16;
    /// packed by xz.
    pub const XZ: u32 = 17;
    /// packed by zstd.
    pub const ZSTD: u32 = 18;
    /// packed by bzip2.
    pub const BZIP2: u32 = 19;
    /// a ZIP archive.
    pub const ZIP: u32 = 20;
    /// a tar archive, as which appliances (OVA) come.
    pub const TAR: u32 = 21;
    /// packed by lz4.
    pub const LZ4: u32 = 22;
    /// a 7-Zip archive.
    pub const SEVEN_ZIP: u32 = 23;
    /// a RAR archive.
    pub const RAR: u32 = 24;
    /// an Android sparse image.
    pub const ANDROID_SPARSE: u32 = 25;
}

/// State of a result struct.
pub mod result_status {
    /// the operation has not ended.
    pub const NONE: u32 = 0;
    /// done.
    pub const OK: u32 = 1;
    /// refused or failed; the error record says why.
    pub const ERROR: u32 = 2;
}

/// How the helper maps a region.
pub mod sandbox_region_flag {
    /// readable.
    pub const READ: u32 = 0x1;
    /// writable.
    pub const WRITE: u32 = 0x2;
    /// executable.
    pub const EXECUTE: u32 = 0x4;
    /// anonymous memory of the child, not the shared file.
    pub const PRIVATE: u32 = 0x8;
}

/// Steps of the sandbox helper before the guest runs.
pub mod sandbox_step {
    /// read its boot page.
    pub const BOOT: u32 = 0;
    /// map guest memory.
    pub const MEMORY: u32 = 1;
    /// give up its rights (prctl, setrlimit).
    pub const RIGHTS: u32 = 2;
    /// install signal handlers (sigaltstack, rt_sigaction).
    pub const SIGNALS: u32 = 3;
    /// close its descriptors (close_range).
    pub const DESCRIPTORS: u32 = 4;
    /// install the seccomp filter.
    pub const FILTER: u32 = 5;
}

/// What a secret is for.
pub mod secret_use {
    /// it opens images; of the role OUTPUT, it is the key of the output.
    pub const OPENS: u32 = 0;
    /// the passphrase that a key slot is filled for.
    pub const NEW: u32 = 1;
    /// the passphrase whose key slots are emptied.
    pub const OLD: u32 = 2;
    /// random bytes that salts and stripes are made of.
    pub const SEED: u32 = 3;
}

/// Protection of a segment; WRITE and EXECUTE exclude each other.
pub mod segment_flag {
    /// may be executed.
    pub const EXECUTE: u32 = 0x1;
    /// may be written.
    pub const WRITE: u32 = 0x2;
    /// may be read.
    pub const READ: u32 = 0x4;
}

/// How a snapshot is looked for.
pub mod snapshot_choice_flag {
    /// by its id.
    pub const BY_ID: u32 = 0x1;
    /// by its name.
    pub const BY_NAME: u32 = 0x2;
    /// `id` is an id or else a name.
    pub const EITHER: u32 = 0x4;
}

/// Formats of a vmcoreinfo note.
pub mod vm_core_info_format {
    /// nothing is described.
    pub const NONE: u32 = 0;
    /// an ELF note.
    pub const ELF: u32 = 1;
}

/// Config of the bench operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchConfig {
    /// Byte 0: BENCH_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: BenchFlag.
    pub flags: u32,
    /// Byte 8: requests.
    pub count: u64,
    /// Byte 16: bytes of each.
    pub request_length: u64,
    /// Byte 24: bytes from the beginning of one to that of the next.
    pub step: u64,
    /// Byte 32: first virtual byte of the first.
    pub offset: u64,
    /// Byte 40: how many may be under way at once.
    pub depth: u32,
    /// Byte 44: WRITE: after how many what was written is brought to the disk, 0 for in the end only.
    pub flush_interval: u32,
    /// Byte 48: WRITE: value of each byte.
    pub pattern: u32,
    /// Byte 52: zero.
    pub reserved: u32,
}

const _: () = {
    assert!(core::mem::size_of::<BenchConfig>() == 56);
    assert!(core::mem::align_of::<BenchConfig>() == 8);
    assert!(core::mem::offset_of!(BenchConfig, magic) == 0);
    assert!(core::mem::offset_of!(BenchConfig, flags) == 4);
    assert!(core::mem::offset_of!(BenchConfig, count) == 8);
    assert!(core::mem::offset_of!(BenchConfig, request_length) == 16);
    assert!(core::mem::offset_of!(BenchConfig, step) == 24);
    assert!(core::mem::offset_of!(BenchConfig, offset) == 32);
    assert!(core::mem::offset_of!(BenchConfig, depth) == 40);
    assert!(core::mem::offset_of!(BenchConfig, flush_interval) == 44);
    assert!(core::mem::offset_of!(BenchConfig, pattern) == 48);
    assert!(core::mem::offset_of!(BenchConfig, reserved) == 52);
};

impl BenchConfig {
    /// Size in bytes.
    pub const SIZE: usize = 56;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `count`.
    pub const OFFSET_COUNT: usize = 8;
    /// Byte offset of `request_length`.
    pub const OFFSET_REQUEST_LENGTH: usize = 16;
    /// Byte offset of `step`.
    pub const OFFSET_STEP: usize = 24;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 32;
    /// Byte offset of `depth`.
    pub const OFFSET_DEPTH: usize = 40;
    /// Byte offset of `flush_interval`.
    pub const OFFSET_FLUSH_INTERVAL: usize = 44;
    /// Byte offset of `pattern`.
    pub const OFFSET_PATTERN: usize = 48;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 52;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        count: 0,
        request_length: 0,
        step: 0,
        offset: 0,
        depth: 0,
        flush_interval: 0,
        pattern: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 56]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.count = u64::from_le_bytes(take(bytes, 8));
        value.request_length = u64::from_le_bytes(take(bytes, 16));
        value.step = u64::from_le_bytes(take(bytes, 24));
        value.offset = u64::from_le_bytes(take(bytes, 32));
        value.depth = u32::from_le_bytes(take(bytes, 40));
        value.flush_interval = u32::from_le_bytes(take(bytes, 44));
        value.pattern = u32::from_le_bytes(take(bytes, 48));
        value.reserved = u32::from_le_bytes(take(bytes, 52));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 56] {
        let mut bytes = [0; 56];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.request_length.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.step.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.depth.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.flush_interval.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.pattern.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// Outcome of a bench operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchResult {
    /// Byte 0: BENCH_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: those that were done; fewer than asked for where one would end behind the disk.
    pub requests: u64,
    /// Byte 464: first virtual byte of the next one.
    pub offset: u64,
    /// Byte 472: bytes of the disk.
    pub virtual_size: u64,
}

const _: () = {
    assert!(core::mem::size_of::<BenchResult>() == 480);
    assert!(core::mem::align_of::<BenchResult>() == 8);
    assert!(core::mem::offset_of!(BenchResult, magic) == 0);
    assert!(core::mem::offset_of!(BenchResult, status) == 4);
    assert!(core::mem::offset_of!(BenchResult, error) == 8);
    assert!(core::mem::offset_of!(BenchResult, requests) == 456);
    assert!(core::mem::offset_of!(BenchResult, offset) == 464);
    assert!(core::mem::offset_of!(BenchResult, virtual_size) == 472);
};

impl BenchResult {
    /// Size in bytes.
    pub const SIZE: usize = 480;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `requests`.
    pub const OFFSET_REQUESTS: usize = 456;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 464;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 472;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        requests: 0,
        offset: 0,
        virtual_size: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 480]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.requests = u64::from_le_bytes(take(bytes, 456));
        value.offset = u64::from_le_bytes(take(bytes, 464));
        value.virtual_size = u64::from_le_bytes(take(bytes, 472));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 480] {
        let mut bytes = [0; 480];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..464].copy_from_slice(&self.requests.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.offset.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes
    }
}

/// One dirty bitmap.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapRecord {
    /// Byte 0: bit 0 in-use, bit 1 auto.
    pub flags: u32,
    /// Byte 4: log2 of the bytes one bit stands for.
    pub granularity_bits: u32,
    /// Byte 8: bytes of `name`.
    pub name_len: u32,
    /// Byte 12: name.
    pub name: [u8; 1024],
}

const _: () = {
    assert!(core::mem::size_of::<BitmapRecord>() == 1036);
    assert!(core::mem::align_of::<BitmapRecord>() == 4);
    assert!(core::mem::offset_of!(BitmapRecord, flags) == 0);
    assert!(core::mem::offset_of!(BitmapRecord, granularity_bits) == 4);
    assert!(core::mem::offset_of!(BitmapRecord, name_len) == 8);
    assert!(core::mem::offset_of!(BitmapRecord, name) == 12);
};

impl BitmapRecord {
    /// Size in bytes.
    pub const SIZE: usize = 1036;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 0;
    /// Byte offset of `granularity_bits`.
    pub const OFFSET_GRANULARITY_BITS: usize = 4;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 8;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 12;
    /// All fields zero.
    pub const ZERO: Self = Self {
        flags: 0,
        granularity_bits: 0,
        name_len: 0,
        name: [0; 1024],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 1036]) -> Self {
        let mut value = Self::ZERO;
        value.flags = u32::from_le_bytes(take(bytes, 0));
        value.granularity_bits = u32::from_le_bytes(take(bytes, 4));
        value.name_len = u32::from_le_bytes(take(bytes, 8));
        value.name = take(bytes, 12);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 1036] {
        let mut bytes = [0; 1036];
        bytes[0..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.granularity_bits.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[12..1036].copy_from_slice(&self.name);
        bytes
    }
}

/// Addresses of the functions that a backend offers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTable {
    /// Byte 0: CALL_TABLE_MAGIC.
    pub magic: u32,
    /// Byte 4: ABI_VERSION_MAJOR of the host.
    pub abi_major: u32,
    /// Byte 8: ABI_VERSION_MINOR of the host.
    pub abi_minor: u32,
    /// Byte 12: functions that follow.
    pub entry_count: u32,
    /// Byte 16: fn(): wakes the host; needed after a submission when need_wakeup is 1.
    pub doorbell: u64,
    /// Byte 24: fn(): returns when a completion may be there; guest_waiting must be 1.
    pub wait: u64,
    /// Byte 32: fn(code: u32) -> !: ends the guest.
    pub exit: u64,
    /// Byte 40: fn(item: u32, offset: u32, to: *mut u8, length: u32) -> i32: bytes read, or a negated errno.
    pub item_read: u64,
    /// Byte 48: fn(item: u32, offset: u32, from: *const u8, length: u32) -> i32: bytes written, or a negated errno.
    pub item_write: u64,
    /// Byte 56: guest physical address of the top page table; a number only, it is not mapped.
    pub page_tables: u64,
}

const _: () = {
    assert!(core::mem::size_of::<CallTable>() == 64);
    assert!(core::mem::align_of::<CallTable>() == 8);
    assert!(core::mem::offset_of!(CallTable, magic) == 0);
    assert!(core::mem::offset_of!(CallTable, abi_major) == 4);
    assert!(core::mem::offset_of!(CallTable, abi_minor) == 8);
    assert!(core::mem::offset_of!(CallTable, entry_count) == 12);
    assert!(core::mem::offset_of!(CallTable, doorbell) == 16);
    assert!(core::mem::offset_of!(CallTable, wait) == 24);
    assert!(core::mem::offset_of!(CallTable, exit) == 32);
    assert!(core::mem::offset_of!(CallTable, item_read) == 40);
    assert!(core::mem::offset_of!(CallTable, item_write) == 48);
    assert!(core::mem::offset_of!(CallTable, page_tables) == 56);
};

impl CallTable {
    /// Size in bytes.
    pub const SIZE: usize = 64;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `abi_major`.
    pub const OFFSET_ABI_MAJOR: usize = 4;
    /// Byte offset of `abi_minor`.
    pub const OFFSET_ABI_MINOR: usize = 8;
    /// Byte offset of `entry_count`.
    pub const OFFSET_ENTRY_COUNT: usize = 12;
    /// Byte offset of `doorbell`.
    pub const OFFSET_DOORBELL: usize = 16;
    /// Byte offset of `wait`.
    pub const OFFSET_WAIT: usize = 24;
    /// Byte offset of `exit`.
    pub const OFFSET_EXIT: usize = 32;
    /// Byte offset of `item_read`.
    pub const OFFSET_ITEM_READ: usize = 40;
    /// Byte offset of `item_write`.
    pub const OFFSET_ITEM_WRITE: usize = 48;
    /// Byte offset of `page_tables`.
    pub const OFFSET_PAGE_TABLES: usize = 56;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        abi_major: 0,
        abi_minor: 0,
        entry_count: 0,
        doorbell: 0,
        wait: 0,
        exit: 0,
        item_read: 0,
        item_write: 0,
        page_tables: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.abi_major = u32::from_le_bytes(take(bytes, 4));
        value.abi_minor = u32::from_le_bytes(take(bytes, 8));
        value.entry_count = u32::from_le_bytes(take(bytes, 12));
        value.doorbell = u64::from_le_bytes(take(bytes, 16));
        value.wait = u64::from_le_bytes(take(bytes, 24));
        value.exit = u64::from_le_bytes(take(bytes, 32));
        value.item_read = u64::from_le_bytes(take(bytes, 40));
        value.item_write = u64::from_le_bytes(take(bytes, 48));
        value.page_tables = u64::from_le_bytes(take(bytes, 56));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.abi_major.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.abi_minor.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.entry_count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.doorbell.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.wait.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.exit.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.item_read.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.item_write.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.page_tables.to_le_bytes());
        bytes
    }
}

/// All host files of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// Byte 0: CHAIN_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: how many entries of `devices` are used.
    pub device_count: u32,
    /// Byte 8: most layers that a backing chain may have.
    pub max_depth: u32,
    /// Byte 12: zero.
    pub pad: u32,
    /// Byte 16: index in this table is the device index of the ring.
    pub devices: [ChainDevice; 64],
    /// Byte 2576: of the device whose role is IMAGE.
    pub snapshot: SnapshotChoice,
}

const _: () = {
    assert!(core::mem::size_of::<ChainConfig>() == 2976);
    assert!(core::mem::align_of::<ChainConfig>() == 8);
    assert!(core::mem::offset_of!(ChainConfig, magic) == 0);
    assert!(core::mem::offset_of!(ChainConfig, device_count) == 4);
    assert!(core::mem::offset_of!(ChainConfig, max_depth) == 8);
    assert!(core::mem::offset_of!(ChainConfig, pad) == 12);
    assert!(core::mem::offset_of!(ChainConfig, devices) == 16);
    assert!(core::mem::offset_of!(ChainConfig, snapshot) == 2576);
};

impl ChainConfig {
    /// Size in bytes.
    pub const SIZE: usize = 2976;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `device_count`.
    pub const OFFSET_DEVICE_COUNT: usize = 4;
    /// Byte offset of `max_depth`.
    pub const OFFSET_MAX_DEPTH: usize = 8;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 12;
    /// Byte offset of `devices`.
    pub const OFFSET_DEVICES: usize = 16;
    /// Byte offset of `snapshot`.
    pub const OFFSET_SNAPSHOT: usize = 2576;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        device_count: 0,
        max_depth: 0,
        pad: 0,
        devices: [ChainDevice::ZERO; 64],
        snapshot: SnapshotChoice::ZERO,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 2976]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.device_count = u32::from_le_bytes(take(bytes, 4));
        value.max_depth = u32::from_le_bytes(take(bytes, 8));
        value.pad = u32::from_le_bytes(take(bytes, 12));
        let mut at = 16;
        for item in &mut value.devices {
            *item = ChainDevice::from_bytes(&take(bytes, at));
            at += 40;
        }
        value.snapshot = SnapshotChoice::from_bytes(&take(bytes, 2576));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 2976] {
        let mut bytes = [0; 2976];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.device_count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.max_depth.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.pad.to_le_bytes());
        let mut at = 16;
        for item in &self.devices {
            bytes[at..at + 40].copy_from_slice(&item.to_bytes());
            at += 40;
        }
        bytes[2576..2976].copy_from_slice(&self.snapshot.to_bytes());
        bytes
    }
}

/// One host file.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainDevice {
    /// Byte 0: DeviceRole.
    pub role: u32,
    /// Byte 4: ImageFormat, PROBE to find out.
    pub format: u32,
    /// Byte 8: index of the device that refers to this one, NO_PARENT for none.
    pub parent: u32,
    /// Byte 12: DeviceFlag.
    pub flags: u32,
    /// Byte 16: bytes of the host file; for an output the limit it may grow to.
    pub file_size: u64,
    /// Byte 24: virtual size (bytes) under FORCE_SIZE, else 0.
    pub virtual_size: u64,
    /// Byte 32: of an output: byte offset at which it begins in the file.
    pub start: u64,
}

const _: () = {
    assert!(core::mem::size_of::<ChainDevice>() == 40);
    assert!(core::mem::align_of::<ChainDevice>() == 8);
    assert!(core::mem::offset_of!(ChainDevice, role) == 0);
    assert!(core::mem::offset_of!(ChainDevice, format) == 4);
    assert!(core::mem::offset_of!(ChainDevice, parent) == 8);
    assert!(core::mem::offset_of!(ChainDevice, flags) == 12);
    assert!(core::mem::offset_of!(ChainDevice, file_size) == 16);
    assert!(core::mem::offset_of!(ChainDevice, virtual_size) == 24);
    assert!(core::mem::offset_of!(ChainDevice, start) == 32);
};

impl ChainDevice {
    /// Size in bytes.
    pub const SIZE: usize = 40;
    /// Byte offset of `role`.
    pub const OFFSET_ROLE: usize = 0;
    /// Byte offset of `format`.
    pub const OFFSET_FORMAT: usize = 4;
    /// Byte offset of `parent`.
    pub const OFFSET_PARENT: usize = 8;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 12;
    /// Byte offset of `file_size`.
    pub const OFFSET_FILE_SIZE: usize = 16;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 24;
    /// Byte offset of `start`.
    pub const OFFSET_START: usize = 32;
    /// All fields zero.
    pub const ZERO: Self = Self {
        role: 0,
        format: 0,
        parent: 0,
        flags: 0,
        file_size: 0,
        virtual_size: 0,
        start: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 40]) -> Self {
        let mut value = Self::ZERO;
        value.role = u32::from_le_bytes(take(bytes, 0));
        value.format = u32::from_le_bytes(take(bytes, 4));
        value.parent = u32::from_le_bytes(take(bytes, 8));
        value.flags = u32::from_le_bytes(take(bytes, 12));
        value.file_size = u64::from_le_bytes(take(bytes, 16));
        value.virtual_size = u64::from_le_bytes(take(bytes, 24));
        value.start = u64::from_le_bytes(take(bytes, 32));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[0..4].copy_from_slice(&self.role.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.format.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.parent.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.start.to_le_bytes());
        bytes
    }
}

/// Config of the check operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckConfig {
    /// Byte 0: CHECK_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: none are defined.
    pub flags: u32,
    /// Byte 8: device to check.
    pub device: u32,
    /// Byte 12: equal parts of the file whose uses are told as well (qcow2), 0 for none.
    pub parts: u32,
}

const _: () = {
    assert!(core::mem::size_of::<CheckConfig>() == 16);
    assert!(core::mem::align_of::<CheckConfig>() == 4);
    assert!(core::mem::offset_of!(CheckConfig, magic) == 0);
    assert!(core::mem::offset_of!(CheckConfig, flags) == 4);
    assert!(core::mem::offset_of!(CheckConfig, device) == 8);
    assert!(core::mem::offset_of!(CheckConfig, parts) == 12);
};

impl CheckConfig {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `device`.
    pub const OFFSET_DEVICE: usize = 8;
    /// Byte offset of `parts`.
    pub const OFFSET_PARTS: usize = 12;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        device: 0,
        parts: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.device = u32::from_le_bytes(take(bytes, 8));
        value.parts = u32::from_le_bytes(take(bytes, 12));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.device.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.parts.to_le_bytes());
        bytes
    }
}

/// Outcome of a check operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Byte 0: CHECK_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: 0 where the format has nothing to check.
    pub supported: u32,
    /// Byte 460: 1 where the check ended early.
    pub incomplete: u32,
    /// Byte 464: findings of that kind.
    pub corruptions: u64,
    /// Byte 472: findings of that kind.
    pub leaks: u64,
    /// Byte 480: clusters of the disk.
    pub total_clusters: u64,
    /// Byte 488: clusters of the disk that have bytes in the file.
    pub allocated_clusters: u64,
    /// Byte 496: of those, the compressed ones.
    pub compressed_clusters: u64,
    /// Byte 504: of those, the ones that do not follow their predecessor.
    pub fragmented_clusters: u64,
    /// Byte 512: end of the last cluster that is used (byte offset in the file).
    pub image_end: u64,
    /// Byte 520: records that were written.
    pub finding_count: u64,
}

const _: () = {
    assert!(core::mem::size_of::<CheckResult>() == 528);
    assert!(core::mem::align_of::<CheckResult>() == 8);
    assert!(core::mem::offset_of!(CheckResult, magic) == 0);
    assert!(core::mem::offset_of!(CheckResult, status) == 4);
    assert!(core::mem::offset_of!(CheckResult, error) == 8);
    assert!(core::mem::offset_of!(CheckResult, supported) == 456);
    assert!(core::mem::offset_of!(CheckResult, incomplete) == 460);
    assert!(core::mem::offset_of!(CheckResult, corruptions) == 464);
    assert!(core::mem::offset_of!(CheckResult, leaks) == 472);
    assert!(core::mem::offset_of!(CheckResult, total_clusters) == 480);
    assert!(core::mem::offset_of!(CheckResult, allocated_clusters) == 488);
    assert!(core::mem::offset_of!(CheckResult, compressed_clusters) == 496);
    assert!(core::mem::offset_of!(CheckResult, fragmented_clusters) == 504);
    assert!(core::mem::offset_of!(CheckResult, image_end) == 512);
    assert!(core::mem::offset_of!(CheckResult, finding_count) == 520);
};

impl CheckResult {
    /// Size in bytes.
    pub const SIZE: usize = 528;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `supported`.
    pub const OFFSET_SUPPORTED: usize = 456;
    /// Byte offset of `incomplete`.
    pub const OFFSET_INCOMPLETE: usize = 460;
    /// Byte offset of `corruptions`.
    pub const OFFSET_CORRUPTIONS: usize = 464;
    /// Byte offset of `leaks`.
    pub const OFFSET_LEAKS: usize = 472;
    /// Byte offset of `total_clusters`.
    pub const OFFSET_TOTAL_CLUSTERS: usize = 480;
    /// Byte offset of `allocated_clusters`.
    pub const OFFSET_ALLOCATED_CLUSTERS: usize = 488;
    /// Byte offset of `compressed_clusters`.
    pub const OFFSET_COMPRESSED_CLUSTERS: usize = 496;
    /// Byte offset of `fragmented_clusters`.
    pub const OFFSET_FRAGMENTED_CLUSTERS: usize = 504;
    /// Byte offset of `image_end`.
    pub const OFFSET_IMAGE_END: usize = 512;
    /// Byte offset of `finding_count`.
    pub const OFFSET_FINDING_COUNT: usize = 520;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        supported: 0,
        incomplete: 0,
        corruptions: 0,
        leaks: 0,
        total_clusters: 0,
        allocated_clusters: 0,
        compressed_clusters: 0,
        fragmented_clusters: 0,
        image_end: 0,
        finding_count: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 528]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.supported = u32::from_le_bytes(take(bytes, 456));
        value.incomplete = u32::from_le_bytes(take(bytes, 460));
        value.corruptions = u64::from_le_bytes(take(bytes, 464));
        value.leaks = u64::from_le_bytes(take(bytes, 472));
        value.total_clusters = u64::from_le_bytes(take(bytes, 480));
        value.allocated_clusters = u64::from_le_bytes(take(bytes, 488));
        value.compressed_clusters = u64::from_le_bytes(take(bytes, 496));
        value.fragmented_clusters = u64::from_le_bytes(take(bytes, 504));
        value.image_end = u64::from_le_bytes(take(bytes, 512));
        value.finding_count = u64::from_le_bytes(take(bytes, 520));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 528] {
        let mut bytes = [0; 528];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..460].copy_from_slice(&self.supported.to_le_bytes());
        bytes[460..464].copy_from_slice(&self.incomplete.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.corruptions.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.leaks.to_le_bytes());
        bytes[480..488].copy_from_slice(&self.total_clusters.to_le_bytes());
        bytes[488..496].copy_from_slice(&self.allocated_clusters.to_le_bytes());
        bytes[496..504].copy_from_slice(&self.compressed_clusters.to_le_bytes());
        bytes[504..512].copy_from_slice(&self.fragmented_clusters.to_le_bytes());
        bytes[512..520].copy_from_slice(&self.image_end.to_le_bytes());
        bytes[520..528].copy_from_slice(&self.finding_count.to_le_bytes());
        bytes
    }
}

/// Config of the compare operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareConfig {
    /// Byte 0: COMPARE_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: CompareFlag.
    pub flags: u32,
    /// Byte 8: zero.
    pub reserved: u64,
}

const _: () = {
    assert!(core::mem::size_of::<CompareConfig>() == 16);
    assert!(core::mem::align_of::<CompareConfig>() == 8);
    assert!(core::mem::offset_of!(CompareConfig, magic) == 0);
    assert!(core::mem::offset_of!(CompareConfig, flags) == 4);
    assert!(core::mem::offset_of!(CompareConfig, reserved) == 8);
};

impl CompareConfig {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.reserved = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// Outcome of a compare operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareResult {
    /// Byte 0: COMPARE_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: Comparison.
    pub comparison: u32,
    /// Byte 460: 0 for disks of the same size, 1 or 2 for the larger one.
    pub larger: u32,
    /// Byte 464: first virtual byte that differs.
    pub offset: u64,
    /// Byte 472: bytes of the smaller disk.
    pub common_size: u64,
}

const _: () = {
    assert!(core::mem::size_of::<CompareResult>() == 480);
    assert!(core::mem::align_of::<CompareResult>() == 8);
    assert!(core::mem::offset_of!(CompareResult, magic) == 0);
    assert!(core::mem::offset_of!(CompareResult, status) == 4);
    assert!(core::mem::offset_of!(CompareResult, error) == 8);
    assert!(core::mem::offset_of!(CompareResult, comparison) == 456);
    assert!(core::mem::offset_of!(CompareResult, larger) == 460);
    assert!(core::mem::offset_of!(CompareResult, offset) == 464);
    assert!(core::mem::offset_of!(CompareResult, common_size) == 472);
};

impl CompareResult {
    /// Size in bytes.
    pub const SIZE: usize = 480;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `comparison`.
    pub const OFFSET_COMPARISON: usize = 456;
    /// Byte offset of `larger`.
    pub const OFFSET_LARGER: usize = 460;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 464;
    /// Byte offset of `common_size`.
    pub const OFFSET_COMMON_SIZE: usize = 472;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        comparison: 0,
        larger: 0,
        offset: 0,
        common_size: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 480]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.comparison = u32::from_le_bytes(take(bytes, 456));
        value.larger = u32::from_le_bytes(take(bytes, 460));
        value.offset = u64::from_le_bytes(take(bytes, 464));
        value.common_size = u64::from_le_bytes(take(bytes, 472));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 480] {
        let mut bytes = [0; 480];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..460].copy_from_slice(&self.comparison.to_le_bytes());
        bytes[460..464].copy_from_slice(&self.larger.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.offset.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.common_size.to_le_bytes());
        bytes
    }
}

/// A completion entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Byte 0: of the descriptor.
    pub user_data: u64,
    /// Byte 8: 0, or a negated errno.
    pub status: i32,
    /// Byte 12: 1 when it was the source of a COPY, or the first range of a COMPARE, that failed, else 0.
    pub source_failed: u32,
}

const _: () = {
    assert!(core::mem::size_of::<Completion>() == 16);
    assert!(core::mem::align_of::<Completion>() == 8);
    assert!(core::mem::offset_of!(Completion, user_data) == 0);
    assert!(core::mem::offset_of!(Completion, status) == 8);
    assert!(core::mem::offset_of!(Completion, source_failed) == 12);
};

impl Completion {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `user_data`.
    pub const OFFSET_USER_DATA: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 8;
    /// Byte offset of `source_failed`.
    pub const OFFSET_SOURCE_FAILED: usize = 12;
    /// All fields zero.
    pub const ZERO: Self = Self {
        user_data: 0,
        status: 0,
        source_failed: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.user_data = u64::from_le_bytes(take(bytes, 0));
        value.status = i32::from_le_bytes(take(bytes, 8));
        value.source_failed = u32::from_le_bytes(take(bytes, 12));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..8].copy_from_slice(&self.user_data.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.status.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.source_failed.to_le_bytes());
        bytes
    }
}

/// Config of the convert operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertConfig {
    /// Byte 0: CONVERT_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: ConvertFlag.
    pub flags: u32,
    /// Byte 8: devices of the chain that are inputs.
    pub input_device_count: u32,
    /// Byte 12: ImageFormat of the output.
    pub target_format: u32,
    /// Byte 16: log2 of the output cluster size, 0 for the default.
    pub output_cluster_bits: u32,
    /// Byte 20: bytes of `passphrase`.
    pub passphrase_len: u32,
    /// Byte 24: zero.
    pub pad0: u32,
    /// Byte 28: secret of the input.
    pub passphrase: [u8; 256],
    /// Byte 284: bytes of `snapshot_id`.
    pub snapshot_id_len: u32,
    /// Byte 288: zero.
    pub pad1: u32,
    /// Byte 292: internal snapshot to read.
    pub snapshot_id: [u8; 64],
    /// Byte 356: zero.
    pub pad2: u32,
    /// Byte 360: bytes that Argon2 may use.
    pub argon2_mem_size: u64,
    /// Byte 368: PBKDF iterations of a LUKS output.
    pub luks_encrypt_iterations: u32,
    /// Byte 372: master key bytes of a LUKS output.
    pub luks_encrypt_key_bytes: u32,
    /// Byte 376: guest address of random bytes from the host.
    pub luks_random_data_addr: u64,
    /// Byte 384: how many of them (bytes).
    pub luks_random_data_size: u64,
    /// Byte 392: VMDK grain size (bytes), 0 for the default.
    pub output_grain_size: u32,
    /// Byte 396: VHD/VHDX block size (bytes), 0 for the default.
    pub output_block_size: u32,
    /// Byte 400: first virtual byte that is copied; 0 without DD_WINDOW.
    pub window_start: u64,
    /// Byte 408: first virtual byte that is not; 0 without DD_WINDOW; <= window_start copies nothing.
    pub window_end: u64,
}

const _: () = {
    assert!(core::mem::size_of::<ConvertConfig>() == 416);
    assert!(core::mem::align_of::<ConvertConfig>() == 8);
    assert!(core::mem::offset_of!(ConvertConfig, magic) == 0);
    assert!(core::mem::offset_of!(ConvertConfig, flags) == 4);
    assert!(core::mem::offset_of!(ConvertConfig, input_device_count) == 8);
    assert!(core::mem::offset_of!(ConvertConfig, target_format) == 12);
    assert!(core::mem::offset_of!(ConvertConfig, output_cluster_bits) == 16);
    assert!(core::mem::offset_of!(ConvertConfig, passphrase_len) == 20);
    assert!(core::mem::offset_of!(ConvertConfig, pad0) == 24);
    assert!(core::mem::offset_of!(ConvertConfig, passphrase) == 28);
    assert!(core::mem::offset_of!(ConvertConfig, snapshot_id_len) == 284);
    assert!(core::mem::offset_of!(ConvertConfig, pad1) == 288);
    assert!(core::mem::offset_of!(ConvertConfig, snapshot_id) == 292);
    assert!(core::mem::offset_of!(ConvertConfig, pad2) == 356);
    assert!(core::mem::offset_of!(ConvertConfig, argon2_mem_size) == 360);
    assert!(core::mem::offset_of!(ConvertConfig, luks_encrypt_iterations) == 368);
    assert!(core::mem::offset_of!(ConvertConfig, luks_encrypt_key_bytes) == 372);
    assert!(core::mem::offset_of!(ConvertConfig, luks_random_data_addr) == 376);
    assert!(core::mem::offset_of!(ConvertConfig, luks_random_data_size) == 384);
    assert!(core::mem::offset_of!(ConvertConfig, output_grain_size) == 392);
    assert!(core::mem::offset_of!(ConvertConfig, output_block_size) == 396);
    assert!(core::mem::offset_of!(ConvertConfig, window_start) == 400);
    assert!(core::mem::offset_of!(ConvertConfig, window_end) == 408);
};

impl ConvertConfig {
    /// Size in bytes.
    pub const SIZE: usize = 416;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `input_device_count`.
    pub const OFFSET_INPUT_DEVICE_COUNT: usize = 8;
    /// Byte offset of `target_format`.
    pub const OFFSET_TARGET_FORMAT: usize = 12;
    /// Byte offset of `output_cluster_bits`.
    pub const OFFSET_OUTPUT_CLUSTER_BITS: usize = 16;
    /// Byte offset of `passphrase_len`.
    pub const OFFSET_PASSPHRASE_LEN: usize = 20;
    /// Byte offset of `pad0`.
    pub const OFFSET_PAD0: usize = 24;
    /// Byte offset of `passphrase`.
    pub const OFFSET_PASSPHRASE: usize = 28;
    /// Byte offset of `snapshot_id_len`.
    pub const OFFSET_SNAPSHOT_ID_LEN: usize = 284;
    /// Byte offset of `pad1`.
    pub const OFFSET_PAD1: usize = 288;
    /// Byte offset of `snapshot_id`.
    pub const OFFSET_SNAPSHOT_ID: usize = 292;
    /// Byte offset of `pad2`.
    pub const OFFSET_PAD2: usize = 356;
    /// Byte offset of `argon2_mem_size`.
    pub const OFFSET_ARGON2_MEM_SIZE: usize = 360;
    /// Byte offset of `luks_encrypt_iterations`.
    pub const OFFSET_LUKS_ENCRYPT_ITERATIONS: usize = 368;
    /// Byte offset of `luks_encrypt_key_bytes`.
    pub const OFFSET_LUKS_ENCRYPT_KEY_BYTES: usize = 372;
    /// Byte offset of `luks_random_data_addr`.
    pub const OFFSET_LUKS_RANDOM_DATA_ADDR: usize = 376;
    /// Byte offset of `luks_random_data_size`.
    pub const OFFSET_LUKS_RANDOM_DATA_SIZE: usize = 384;
    /// Byte offset of `output_grain_size`.
    pub const OFFSET_OUTPUT_GRAIN_SIZE: usize = 392;
    /// Byte offset of `output_block_size`.
    pub const OFFSET_OUTPUT_BLOCK_SIZE: usize = 396;
    /// Byte offset of `window_start`.
    pub const OFFSET_WINDOW_START: usize = 400;
    /// Byte offset of `window_end`.
    pub const OFFSET_WINDOW_END: usize = 408;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        input_device_count: 0,
        target_format: 0,
        output_cluster_bits: 0,
        passphrase_len: 0,
        pad0: 0,
        passphrase: [0; 256],
        snapshot_id_len: 0,
        pad1: 0,
        snapshot_id: [0; 64],
        pad2: 0,
        argon2_mem_size: 0,
        luks_encrypt_iterations: 0,
        luks_encrypt_key_bytes: 0,
        luks_random_data_addr: 0,
        luks_random_data_size: 0,
        output_grain_size: 0,
        output_block_size: 0,
        window_start: 0,
        window_end: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 416]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.input_device_count = u32::from_le_bytes(take(bytes, 8));
        value.target_format = u32::from_le_bytes(take(bytes, 12));
        value.output_cluster_bits = u32::from_le_bytes(take(bytes, 16));
        value.passphrase_len = u32::from_le_bytes(take(bytes, 20));
        value.pad0 = u32::from_le_bytes(take(bytes, 24));
        value.passphrase = take(bytes, 28);
        value.snapshot_id_len = u32::from_le_bytes(take(bytes, 284));
        value.pad1 = u32::from_le_bytes(take(bytes, 288));
        value.snapshot_id = take(bytes, 292);
        value.pad2 = u32::from_le_bytes(take(bytes, 356));
        value.argon2_mem_size = u64::from_le_bytes(take(bytes, 360));
        value.luks_encrypt_iterations = u32::from_le_bytes(take(bytes, 368));
        value.luks_encrypt_key_bytes = u32::from_le_bytes(take(bytes, 372));
        value.luks_random_data_addr = u64::from_le_bytes(take(bytes, 376));
        value.luks_random_data_size = u64::from_le_bytes(take(bytes, 384));
        value.output_grain_size = u32::from_le_bytes(take(bytes, 392));
        value.output_block_size = u32::from_le_bytes(take(bytes, 396));
        value.window_start = u64::from_le_bytes(take(bytes, 400));
        value.window_end = u64::from_le_bytes(take(bytes, 408));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 416] {
        let mut bytes = [0; 416];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.input_device_count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.target_format.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.output_cluster_bits.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.passphrase_len.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.pad0.to_le_bytes());
        bytes[28..284].copy_from_slice(&self.passphrase);
        bytes[284..288].copy_from_slice(&self.snapshot_id_len.to_le_bytes());
        bytes[288..292].copy_from_slice(&self.pad1.to_le_bytes());
        bytes[292..356].copy_from_slice(&self.snapshot_id);
        bytes[356..360].copy_from_slice(&self.pad2.to_le_bytes());
        bytes[360..368].copy_from_slice(&self.argon2_mem_size.to_le_bytes());
        bytes[368..372].copy_from_slice(&self.luks_encrypt_iterations.to_le_bytes());
        bytes[372..376].copy_from_slice(&self.luks_encrypt_key_bytes.to_le_bytes());
        bytes[376..384].copy_from_slice(&self.luks_random_data_addr.to_le_bytes());
        bytes[384..392].copy_from_slice(&self.luks_random_data_size.to_le_bytes());
        bytes[392..396].copy_from_slice(&self.output_grain_size.to_le_bytes());
        bytes[396..400].copy_from_slice(&self.output_block_size.to_le_bytes());
        bytes[400..408].copy_from_slice(&self.window_start.to_le_bytes());
        bytes[408..416].copy_from_slice(&self.window_end.to_le_bytes());
        bytes
    }
}

/// Outcome of a convert operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertResult {
    /// Byte 0: CONVERT_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: bytes copied from data extents.
    pub data_bytes: u64,
    /// Byte 464: bytes written as zeros or left as holes.
    pub zero_bytes: u64,
    /// Byte 472: bytes that came out of compressed clusters.
    pub compressed_bytes: u64,
    /// Byte 480: length that the output file must get (bytes).
    pub output_length: u64,
    /// Byte 488: virtual size declared by the output (bytes).
    pub output_virtual_size: u64,
    /// Byte 496: SALVAGE: bytes that could not be read, and are zeros in the output.
    pub lost_bytes: u64,
    /// Byte 504: SALVAGE: ranges of them; the first are in `lost`.
    pub lost_count: u64,
    /// Byte 512: SALVAGE: the first of them, in their order.
    pub lost: [LostRange; 64],
}

const _: () = {
    assert!(core::mem::size_of::<ConvertResult>() == 1536);
    assert!(core::mem::align_of::<ConvertResult>() == 8);
    assert!(core::mem::offset_of!(ConvertResult, magic) == 0);
    assert!(core::mem::offset_of!(ConvertResult, status) == 4);
    assert!(core::mem::offset_of!(ConvertResult, error) == 8);
    assert!(core::mem::offset_of!(ConvertResult, data_bytes) == 456);
    assert!(core::mem::offset_of!(ConvertResult, zero_bytes) == 464);
    assert!(core::mem::offset_of!(ConvertResult, compressed_bytes) == 472);
    assert!(core::mem::offset_of!(ConvertResult, output_length) == 480);
    assert!(core::mem::offset_of!(ConvertResult, output_virtual_size) == 488);
    assert!(core::mem::offset_of!(ConvertResult, lost_bytes) == 496);
    assert!(core::mem::offset_of!(ConvertResult, lost_count) == 504);
    assert!(core::mem::offset_of!(ConvertResult, lost) == 512);
};

impl ConvertResult {
    /// Size in bytes.
    pub const SIZE: usize = 1536;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `data_bytes`.
    pub const OFFSET_DATA_BYTES: usize = 456;
    /// Byte offset of `zero_bytes`.
    pub const OFFSET_ZERO_BYTES: usize = 464;
    /// Byte offset of `compressed_bytes`.
    pub const OFFSET_COMPRESSED_BYTES: usize = 472;
    /// Byte offset of `output_length`.
    pub const OFFSET_OUTPUT_LENGTH: usize = 480;
    /// Byte offset of `output_virtual_size`.
    pub const OFFSET_OUTPUT_VIRTUAL_SIZE: usize = 488;
    /// Byte offset of `lost_bytes`.
    pub const OFFSET_LOST_BYTES: usize = 496;
    /// Byte offset of `lost_count`.
    pub const OFFSET_LOST_COUNT: usize = 504;
    /// Byte offset of `lost`.
    pub const OFFSET_LOST: usize = 512;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        data_bytes: 0,
        zero_bytes: 0,
        compressed_bytes: 0,
        output_length: 0,
        output_virtual_size: 0,
        lost_bytes: 0,
        lost_count: 0,
        lost: [LostRange::ZERO; 64],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 1536]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.data_bytes = u64::from_le_bytes(take(bytes, 456));
        value.zero_bytes = u64::from_le_bytes(take(bytes, 464));
        value.compressed_bytes = u64::from_le_bytes(take(bytes, 472));
        value.output_length = u64::from_le_bytes(take(bytes, 480));
        value.output_virtual_size = u64::from_le_bytes(take(bytes, 488));
        value.lost_bytes = u64::from_le_bytes(take(bytes, 496));
        value.lost_count = u64::from_le_bytes(take(bytes, 504));
        let mut at = 512;
        for item in &mut value.lost {
            *item = LostRange::from_bytes(&take(bytes, at));
            at += 16;
        }
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 1536] {
        let mut bytes = [0; 1536];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..464].copy_from_slice(&self.data_bytes.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.zero_bytes.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.compressed_bytes.to_le_bytes());
        bytes[480..488].copy_from_slice(&self.output_length.to_le_bytes());
        bytes[488..496].copy_from_slice(&self.output_virtual_size.to_le_bytes());
        bytes[496..504].copy_from_slice(&self.lost_bytes.to_le_bytes());
        bytes[504..512].copy_from_slice(&self.lost_count.to_le_bytes());
        let mut at = 512;
        for item in &self.lost {
            bytes[at..at + 16].copy_from_slice(&item.to_bytes());
            at += 16;
        }
        bytes
    }
}

/// A submission entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Byte 0: Opcode.
    pub opcode: u32,
    /// Byte 4: CommandFlag.
    pub flags: u32,
    /// Byte 8: device that is read.
    pub device: u32,
    /// Byte 12: device that is written, or compared with.
    pub target_device: u32,
    /// Byte 16: comes back in the completion.
    pub user_data: u64,
    /// Byte 24: byte offset in `device`.
    pub offset: u64,
    /// Byte 32: byte offset in `target_device`.
    pub target_offset: u64,
    /// Byte 40: bytes.
    pub length: u64,
    /// Byte 48: guest address inside the windows region.
    pub window: u64,
    /// Byte 56: zero.
    pub reserved: u64,
}

const _: () = {
    assert!(core::mem::size_of::<Descriptor>() == 64);
    assert!(core::mem::align_of::<Descriptor>() == 8);
    assert!(core::mem::offset_of!(Descriptor, opcode) == 0);
    assert!(core::mem::offset_of!(Descriptor, flags) == 4);
    assert!(core::mem::offset_of!(Descriptor, device) == 8);
    assert!(core::mem::offset_of!(Descriptor, target_device) == 12);
    assert!(core::mem::offset_of!(Descriptor, user_data) == 16);
    assert!(core::mem::offset_of!(Descriptor, offset) == 24);
    assert!(core::mem::offset_of!(Descriptor, target_offset) == 32);
    assert!(core::mem::offset_of!(Descriptor, length) == 40);
    assert!(core::mem::offset_of!(Descriptor, window) == 48);
    assert!(core::mem::offset_of!(Descriptor, reserved) == 56);
};

impl Descriptor {
    /// Size in bytes.
    pub const SIZE: usize = 64;
    /// Byte offset of `opcode`.
    pub const OFFSET_OPCODE: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `device`.
    pub const OFFSET_DEVICE: usize = 8;
    /// Byte offset of `target_device`.
    pub const OFFSET_TARGET_DEVICE: usize = 12;
    /// Byte offset of `user_data`.
    pub const OFFSET_USER_DATA: usize = 16;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 24;
    /// Byte offset of `target_offset`.
    pub const OFFSET_TARGET_OFFSET: usize = 32;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 40;
    /// Byte offset of `window`.
    pub const OFFSET_WINDOW: usize = 48;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 56;
    /// All fields zero.
    pub const ZERO: Self = Self {
        opcode: 0,
        flags: 0,
        device: 0,
        target_device: 0,
        user_data: 0,
        offset: 0,
        target_offset: 0,
        length: 0,
        window: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut value = Self::ZERO;
        value.opcode = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.device = u32::from_le_bytes(take(bytes, 8));
        value.target_device = u32::from_le_bytes(take(bytes, 12));
        value.user_data = u64::from_le_bytes(take(bytes, 16));
        value.offset = u64::from_le_bytes(take(bytes, 24));
        value.target_offset = u64::from_le_bytes(take(bytes, 32));
        value.length = u64::from_le_bytes(take(bytes, 40));
        value.window = u64::from_le_bytes(take(bytes, 48));
        value.reserved = u64::from_le_bytes(take(bytes, 56));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[0..4].copy_from_slice(&self.opcode.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.device.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.target_device.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.user_data.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.target_offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.length.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.window.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// Config of the edit operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditConfig {
    /// Byte 0: EDIT_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: EditAction.
    pub action: u32,
    /// Byte 8: EditFlag.
    pub flags: u32,
    /// Byte 12: see EditAction.
    pub number: u32,
    /// Byte 16: bytes of the disk afterwards.
    pub size: u64,
    /// Byte 24: seconds since 1970, for what says when it was made.
    pub time: u64,
    /// Byte 32: nanoseconds within the second.
    pub time_nsec: u32,
    /// Byte 36: bytes of `name`.
    pub name_len: u32,
    /// Byte 40: bytes of `other`.
    pub other_len: u32,
    /// Byte 44: KEY_SLOT_FILL: iterations of PBKDF2.
    pub iterations: u32,
    /// Byte 48: UTF-8.
    pub name: [u8; 1024],
    /// Byte 1072: UTF-8.
    pub other: [u8; 1024],
}

const _: () = {
    assert!(core::mem::size_of::<EditConfig>() == 2096);
    assert!(core::mem::align_of::<EditConfig>() == 8);
    assert!(core::mem::offset_of!(EditConfig, magic) == 0);
    assert!(core::mem::offset_of!(EditConfig, action) == 4);
    assert!(core::mem::offset_of!(EditConfig, flags) == 8);
    assert!(core::mem::offset_of!(EditConfig, number) == 12);
    assert!(core::mem::offset_of!(EditConfig, size) == 16);
    assert!(core::mem::offset_of!(EditConfig, time) == 24);
    assert!(core::mem::offset_of!(EditConfig, time_nsec) == 32);
    assert!(core::mem::offset_of!(EditConfig, name_len) == 36);
    assert!(core::mem::offset_of!(EditConfig, other_len) == 40);
    assert!(core::mem::offset_of!(EditConfig, iterations) == 44);
    assert!(core::mem::offset_of!(EditConfig, name) == 48);
    assert!(core::mem::offset_of!(EditConfig, other) == 1072);
};

impl EditConfig {
    /// Size in bytes.
    pub const SIZE: usize = 2096;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `action`.
    pub const OFFSET_ACTION: usize = 4;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 8;
    /// Byte offset of `number`.
    pub const OFFSET_NUMBER: usize = 12;
    /// Byte offset of `size`.
    pub const OFFSET_SIZE: usize = 16;
    /// Byte offset of `time`.
    pub const OFFSET_TIME: usize = 24;
    /// Byte offset of `time_nsec`.
    pub const OFFSET_TIME_NSEC: usize = 32;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 36;
    /// Byte offset of `other_len`.
    pub const OFFSET_OTHER_LEN: usize = 40;
    /// Byte offset of `iterations`.
    pub const OFFSET_ITERATIONS: usize = 44;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 48;
    /// Byte offset of `other`.
    pub const OFFSET_OTHER: usize = 1072;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        action: 0,
        flags: 0,
        number: 0,
        size: 0,
        time: 0,
        time_nsec: 0,
        name_len: 0,
        other_len: 0,
        iterations: 0,
        name: [0; 1024],
        other: [0; 1024],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 2096]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.action = u32::from_le_bytes(take(bytes, 4));
        value.flags = u32::from_le_bytes(take(bytes, 8));
        value.number = u32::from_le_bytes(take(bytes, 12));
        value.size = u64::from_le_bytes(take(bytes, 16));
        value.time = u64::from_le_bytes(take(bytes, 24));
        value.time_nsec = u32::from_le_bytes(take(bytes, 32));
        value.name_len = u32::from_le_bytes(take(bytes, 36));
        value.other_len = u32::from_le_bytes(take(bytes, 40));
        value.iterations = u32::from_le_bytes(take(bytes, 44));
        value.name = take(bytes, 48);
        value.other = take(bytes, 1072);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 2096] {
        let mut bytes = [0; 2096];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.action.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.time_nsec.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.other_len.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.iterations.to_le_bytes());
        bytes[48..1072].copy_from_slice(&self.name);
        bytes[1072..2096].copy_from_slice(&self.other);
        bytes
    }
}

/// Outcome of an edit operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditResult {
    /// Byte 0: EDIT_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: bytes that the file is to have; what lies behind them is cut off.
    pub file_length: u64,
    /// Byte 464: bytes of the disk afterwards.
    pub virtual_size: u64,
    /// Byte 472: REPAIR: what was repaired.
    pub corruptions_fixed: u64,
    /// Byte 480: REPAIR: clusters that were freed.
    pub leaks_fixed: u64,
    /// Byte 488: KEY_SLOT_FILL, KEY_SLOT_EMPTY: bit n is set where slot n was changed.
    pub key_slots: u32,
    /// Byte 492: zero.
    pub reserved: u32,
}

const _: () = {
    assert!(core::mem::size_of::<EditResult>() == 496);
    assert!(core::mem::align_of::<EditResult>() == 8);
    assert!(core::mem::offset_of!(EditResult, magic) == 0);
    assert!(core::mem::offset_of!(EditResult, status) == 4);
    assert!(core::mem::offset_of!(EditResult, error) == 8);
    assert!(core::mem::offset_of!(EditResult, file_length) == 456);
    assert!(core::mem::offset_of!(EditResult, virtual_size) == 464);
    assert!(core::mem::offset_of!(EditResult, corruptions_fixed) == 472);
    assert!(core::mem::offset_of!(EditResult, leaks_fixed) == 480);
    assert!(core::mem::offset_of!(EditResult, key_slots) == 488);
    assert!(core::mem::offset_of!(EditResult, reserved) == 492);
};

impl EditResult {
    /// Size in bytes.
    pub const SIZE: usize = 496;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `file_length`.
    pub const OFFSET_FILE_LENGTH: usize = 456;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 464;
    /// Byte offset of `corruptions_fixed`.
    pub const OFFSET_CORRUPTIONS_FIXED: usize = 472;
    /// Byte offset of `leaks_fixed`.
    pub const OFFSET_LEAKS_FIXED: usize = 480;
    /// Byte offset of `key_slots`.
    pub const OFFSET_KEY_SLOTS: usize = 488;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 492;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        file_length: 0,
        virtual_size: 0,
        corruptions_fixed: 0,
        leaks_fixed: 0,
        key_slots: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 496]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.file_length = u64::from_le_bytes(take(bytes, 456));
        value.virtual_size = u64::from_le_bytes(take(bytes, 464));
        value.corruptions_fixed = u64::from_le_bytes(take(bytes, 472));
        value.leaks_fixed = u64::from_le_bytes(take(bytes, 480));
        value.key_slots = u32::from_le_bytes(take(bytes, 488));
        value.reserved = u32::from_le_bytes(take(bytes, 492));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 496] {
        let mut bytes = [0; 496];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..464].copy_from_slice(&self.file_length.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.corruptions_fixed.to_le_bytes());
        bytes[480..488].copy_from_slice(&self.leaks_fixed.to_le_bytes());
        bytes[488..492].copy_from_slice(&self.key_slots.to_le_bytes());
        bytes[492..496].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// Why an operation failed, and where.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRecord {
    /// Byte 0: ErrorKind.
    pub kind: u32,
    /// Byte 4: index of the device the error was met in.
    pub device: u32,
    /// Byte 8: byte offset in that device.
    pub offset: u64,
    /// Byte 16: the value that was found.
    pub value: u64,
    /// Byte 24: 1 when offset and value mean something.
    pub has_location: u32,
    /// Byte 28: errno of a failed command, else 0.
    pub status: u32,
    /// Byte 32: bytes of `field`.
    pub field_len: u32,
    /// Byte 36: bytes of `detail`.
    pub detail_len: u32,
    /// Byte 40: bytes of `expected`.
    pub expected_len: u32,
    /// Byte 44: zero.
    pub pad: u32,
    /// Byte 48: name of the field that was found wrong.
    pub field: [u8; 64],
    /// Byte 112: one sentence: what is wrong.
    pub detail: [u8; 256],
    /// Byte 368: what was expected.
    pub expected: [u8; 80],
}

const _: () = {
    assert!(core::mem::size_of::<ErrorRecord>() == 448);
    assert!(core::mem::align_of::<ErrorRecord>() == 8);
    assert!(core::mem::offset_of!(ErrorRecord, kind) == 0);
    assert!(core::mem::offset_of!(ErrorRecord, device) == 4);
    assert!(core::mem::offset_of!(ErrorRecord, offset) == 8);
    assert!(core::mem::offset_of!(ErrorRecord, value) == 16);
    assert!(core::mem::offset_of!(ErrorRecord, has_location) == 24);
    assert!(core::mem::offset_of!(ErrorRecord, status) == 28);
    assert!(core::mem::offset_of!(ErrorRecord, field_len) == 32);
    assert!(core::mem::offset_of!(ErrorRecord, detail_len) == 36);
    assert!(core::mem::offset_of!(ErrorRecord, expected_len) == 40);
    assert!(core::mem::offset_of!(ErrorRecord, pad) == 44);
    assert!(core::mem::offset_of!(ErrorRecord, field) == 48);
    assert!(core::mem::offset_of!(ErrorRecord, detail) == 112);
    assert!(core::mem::offset_of!(ErrorRecord, expected) == 368);
};

impl ErrorRecord {
    /// Size in bytes.
    pub const SIZE: usize = 448;
    /// Byte offset of `kind`.
    pub const OFFSET_KIND: usize = 0;
    /// Byte offset of `device`.
    pub const OFFSET_DEVICE: usize = 4;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 8;
    /// Byte offset of `value`.
    pub const OFFSET_VALUE: usize = 16;
    /// Byte offset of `has_location`.
    pub const OFFSET_HAS_LOCATION: usize = 24;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 28;
    /// Byte offset of `field_len`.
    pub const OFFSET_FIELD_LEN: usize = 32;
    /// Byte offset of `detail_len`.
    pub const OFFSET_DETAIL_LEN: usize = 36;
    /// Byte offset of `expected_len`.
    pub const OFFSET_EXPECTED_LEN: usize = 40;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 44;
    /// Byte offset of `field`.
    pub const OFFSET_FIELD: usize = 48;
    /// Byte offset of `detail`.
    pub const OFFSET_DETAIL: usize = 112;
    /// Byte offset of `expected`.
    pub const OFFSET_EXPECTED: usize = 368;
    /// All fields zero.
    pub const ZERO: Self = Self {
        kind: 0,
        device: 0,
        offset: 0,
        value: 0,
        has_location: 0,
        status: 0,
        field_len: 0,
        detail_len: 0,
        expected_len: 0,
        pad: 0,
        field: [0; 64],
        detail: [0; 256],
        expected: [0; 80],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 448]) -> Self {
        let mut value = Self::ZERO;
        value.kind = u32::from_le_bytes(take(bytes, 0));
        value.device = u32::from_le_bytes(take(bytes, 4));
        value.offset = u64::from_le_bytes(take(bytes, 8));
        value.value = u64::from_le_bytes(take(bytes, 16));
        value.has_location = u32::from_le_bytes(take(bytes, 24));
        value.status = u32::from_le_bytes(take(bytes, 28));
        value.field_len = u32::from_le_bytes(take(bytes, 32));
        value.detail_len = u32::from_le_bytes(take(bytes, 36));
        value.expected_len = u32::from_le_bytes(take(bytes, 40));
        value.pad = u32::from_le_bytes(take(bytes, 44));
        value.field = take(bytes, 48);
        value.detail = take(bytes, 112);
        value.expected = take(bytes, 368);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 448] {
        let mut bytes = [0; 448];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.device.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.value.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.has_location.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.status.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.field_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.detail_len.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.expected_len.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.pad.to_le_bytes());
        bytes[48..112].copy_from_slice(&self.field);
        bytes[112..368].copy_from_slice(&self.detail);
        bytes[368..448].copy_from_slice(&self.expected);
        bytes
    }
}

/// One extent of a disk in several files.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentFileRecord {
    /// Byte 0: bytes of `name`, 0 for an extent without a file.
    pub name_len: u32,
    /// Byte 4: ExtentFileKind.
    pub kind: u32,
    /// Byte 8: bytes of the disk that it holds.
    pub virtual_size: u64,
    /// Byte 16: byte offset in the file at which they begin.
    pub file_offset: u64,
    /// Byte 24: bytes of its grains, 0 where it has none.
    pub cluster_size: u32,
    /// Byte 28: 1 where its grains are compressed.
    pub compressed: u32,
    /// Byte 32: file name, as stored.
    pub name: [u8; 256],
}

const _: () = {
    assert!(core::mem::size_of::<ExtentFileRecord>() == 288);
    assert!(core::mem::align_of::<ExtentFileRecord>() == 8);
    assert!(core::mem::offset_of!(ExtentFileRecord, name_len) == 0);
    assert!(core::mem::offset_of!(ExtentFileRecord, kind) == 4);
    assert!(core::mem::offset_of!(ExtentFileRecord, virtual_size) == 8);
    assert!(core::mem::offset_of!(ExtentFileRecord, file_offset) == 16);
    assert!(core::mem::offset_of!(ExtentFileRecord, cluster_size) == 24);
    assert!(core::mem::offset_of!(ExtentFileRecord, compressed) == 28);
    assert!(core::mem::offset_of!(ExtentFileRecord, name) == 32);
};

impl ExtentFileRecord {
    /// Size in bytes.
    pub const SIZE: usize = 288;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 0;
    /// Byte offset of `kind`.
    pub const OFFSET_KIND: usize = 4;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 8;
    /// Byte offset of `file_offset`.
    pub const OFFSET_FILE_OFFSET: usize = 16;
    /// Byte offset of `cluster_size`.
    pub const OFFSET_CLUSTER_SIZE: usize = 24;
    /// Byte offset of `compressed`.
    pub const OFFSET_COMPRESSED: usize = 28;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 32;
    /// All fields zero.
    pub const ZERO: Self = Self {
        name_len: 0,
        kind: 0,
        virtual_size: 0,
        file_offset: 0,
        cluster_size: 0,
        compressed: 0,
        name: [0; 256],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 288]) -> Self {
        let mut value = Self::ZERO;
        value.name_len = u32::from_le_bytes(take(bytes, 0));
        value.kind = u32::from_le_bytes(take(bytes, 4));
        value.virtual_size = u64::from_le_bytes(take(bytes, 8));
        value.file_offset = u64::from_le_bytes(take(bytes, 16));
        value.cluster_size = u32::from_le_bytes(take(bytes, 24));
        value.compressed = u32::from_le_bytes(take(bytes, 28));
        value.name = take(bytes, 32);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 288] {
        let mut bytes = [0; 288];
        bytes[0..4].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.cluster_size.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.compressed.to_le_bytes());
        bytes[32..288].copy_from_slice(&self.name);
        bytes
    }
}

/// The beginning of a range of a host file.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileExtent {
    /// Byte 0: 1 for data, 0 for a hole, which reads as zeros.
    pub data: u32,
    /// Byte 4: zero.
    pub pad: u32,
    /// Byte 8: bytes for which that is so, at most those that were asked about.
    pub length: u64,
}

const _: () = {
    assert!(core::mem::size_of::<FileExtent>() == 16);
    assert!(core::mem::align_of::<FileExtent>() == 8);
    assert!(core::mem::offset_of!(FileExtent, data) == 0);
    assert!(core::mem::offset_of!(FileExtent, pad) == 4);
    assert!(core::mem::offset_of!(FileExtent, length) == 8);
};

impl FileExtent {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `data`.
    pub const OFFSET_DATA: usize = 0;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 4;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        data: 0,
        pad: 0,
        length: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.data = u32::from_le_bytes(take(bytes, 0));
        value.pad = u32::from_le_bytes(take(bytes, 4));
        value.length = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.data.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.pad.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

/// What a part of the file is used for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePartRecord {
    /// Byte 0: FindingKind: PART.
    pub kind: u32,
    /// Byte 4: which part, from 0.
    pub number: u32,
    /// Byte 8: bytes of the header.
    pub header: u64,
    /// Byte 16: bytes of tables, lists and bitmaps.
    pub tables: u64,
    /// Byte 24: bytes of data as it is.
    pub data: u64,
    /// Byte 32: bytes of compressed data.
    pub compressed: u64,
    /// Byte 40: bytes that are taken and not used.
    pub leaked: u64,
    /// Byte 48: bytes that are not taken.
    pub free: u64,
    /// Byte 56: zero.
    pub pad: [u8; 104],
}

const _: () = {
    assert!(core::mem::size_of::<FilePartRecord>() == 160);
    assert!(core::mem::align_of::<FilePartRecord>() == 8);
    assert!(core::mem::offset_of!(FilePartRecord, kind) == 0);
    assert!(core::mem::offset_of!(FilePartRecord, number) == 4);
    assert!(core::mem::offset_of!(FilePartRecord, header) == 8);
    assert!(core::mem::offset_of!(FilePartRecord, tables) == 16);
    assert!(core::mem::offset_of!(FilePartRecord, data) == 24);
    assert!(core::mem::offset_of!(FilePartRecord, compressed) == 32);
    assert!(core::mem::offset_of!(FilePartRecord, leaked) == 40);
    assert!(core::mem::offset_of!(FilePartRecord, free) == 48);
    assert!(core::mem::offset_of!(FilePartRecord, pad) == 56);
};

impl FilePartRecord {
    /// Size in bytes.
    pub const SIZE: usize = 160;
    /// Byte offset of `kind`.
    pub const OFFSET_KIND: usize = 0;
    /// Byte offset of `number`.
    pub const OFFSET_NUMBER: usize = 4;
    /// Byte offset of `header`.
    pub const OFFSET_HEADER: usize = 8;
    /// Byte offset of `tables`.
    pub const OFFSET_TABLES: usize = 16;
    /// Byte offset of `data`.
    pub const OFFSET_DATA: usize = 24;
    /// Byte offset of `compressed`.
    pub const OFFSET_COMPRESSED: usize = 32;
    /// Byte offset of `leaked`.
    pub const OFFSET_LEAKED: usize = 40;
    /// Byte offset of `free`.
    pub const OFFSET_FREE: usize = 48;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 56;
    /// All fields zero.
    pub const ZERO: Self = Self {
        kind: 0,
        number: 0,
        header: 0,
        tables: 0,
        data: 0,
        compressed: 0,
        leaked: 0,
        free: 0,
        pad: [0; 104],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 160]) -> Self {
        let mut value = Self::ZERO;
        value.kind = u32::from_le_bytes(take(bytes, 0));
        value.number = u32::from_le_bytes(take(bytes, 4));
        value.header = u64::from_le_bytes(take(bytes, 8));
        value.tables = u64::from_le_bytes(take(bytes, 16));
        value.data = u64::from_le_bytes(take(bytes, 24));
        value.compressed = u64::from_le_bytes(take(bytes, 32));
        value.leaked = u64::from_le_bytes(take(bytes, 40));
        value.free = u64::from_le_bytes(take(bytes, 48));
        value.pad = take(bytes, 56);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 160] {
        let mut bytes = [0; 160];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.header.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.tables.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.data.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.compressed.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.leaked.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.free.to_le_bytes());
        bytes[56..160].copy_from_slice(&self.pad);
        bytes
    }
}

/// One finding of a check.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingRecord {
    /// Byte 0: FindingKind.
    pub kind: u32,
    /// Byte 4: bytes of `text`.
    pub text_len: u32,
    /// Byte 8: byte offset in the file.
    pub offset: u64,
    /// Byte 16: what was found there.
    pub value: u64,
    /// Byte 24: what belongs there.
    pub expected: u64,
    /// Byte 32: one sentence.
    pub text: [u8; 128],
}

const _: () = {
    assert!(core::mem::size_of::<FindingRecord>() == 160);
    assert!(core::mem::align_of::<FindingRecord>() == 8);
    assert!(core::mem::offset_of!(FindingRecord, kind) == 0);
    assert!(core::mem::offset_of!(FindingRecord, text_len) == 4);
    assert!(core::mem::offset_of!(FindingRecord, offset) == 8);
    assert!(core::mem::offset_of!(FindingRecord, value) == 16);
    assert!(core::mem::offset_of!(FindingRecord, expected) == 24);
    assert!(core::mem::offset_of!(FindingRecord, text) == 32);
};

impl FindingRecord {
    /// Size in bytes.
    pub const SIZE: usize = 160;
    /// Byte offset of `kind`.
    pub const OFFSET_KIND: usize = 0;
    /// Byte offset of `text_len`.
    pub const OFFSET_TEXT_LEN: usize = 4;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 8;
    /// Byte offset of `value`.
    pub const OFFSET_VALUE: usize = 16;
    /// Byte offset of `expected`.
    pub const OFFSET_EXPECTED: usize = 24;
    /// Byte offset of `text`.
    pub const OFFSET_TEXT: usize = 32;
    /// All fields zero.
    pub const ZERO: Self = Self {
        kind: 0,
        text_len: 0,
        offset: 0,
        value: 0,
        expected: 0,
        text: [0; 128],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 160]) -> Self {
        let mut value = Self::ZERO;
        value.kind = u32::from_le_bytes(take(bytes, 0));
        value.text_len = u32::from_le_bytes(take(bytes, 4));
        value.offset = u64::from_le_bytes(take(bytes, 8));
        value.value = u64::from_le_bytes(take(bytes, 16));
        value.expected = u64::from_le_bytes(take(bytes, 24));
        value.text = take(bytes, 32);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 160] {
        let mut bytes = [0; 160];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.text_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.value.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.expected.to_le_bytes());
        bytes[32..160].copy_from_slice(&self.text);
        bytes
    }
}

/// Where the note for memory dumps lies.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FwCfgVmCoreInfo {
    /// Byte 0: format that the host takes; a guest cannot change it.
    pub host_format: u16,
    /// Byte 2: format of the note.
    pub guest_format: u16,
    /// Byte 4: bytes of the note with its header, at most 1 MiB.
    pub size: u32,
    /// Byte 8: guest physical address of the note.
    pub paddr: u64,
}

const _: () = {
    assert!(core::mem::size_of::<FwCfgVmCoreInfo>() == 16);
    assert!(core::mem::align_of::<FwCfgVmCoreInfo>() == 8);
    assert!(core::mem::offset_of!(FwCfgVmCoreInfo, host_format) == 0);
    assert!(core::mem::offset_of!(FwCfgVmCoreInfo, guest_format) == 2);
    assert!(core::mem::offset_of!(FwCfgVmCoreInfo, size) == 4);
    assert!(core::mem::offset_of!(FwCfgVmCoreInfo, paddr) == 8);
};

impl FwCfgVmCoreInfo {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `host_format`.
    pub const OFFSET_HOST_FORMAT: usize = 0;
    /// Byte offset of `guest_format`.
    pub const OFFSET_GUEST_FORMAT: usize = 2;
    /// Byte offset of `size`.
    pub const OFFSET_SIZE: usize = 4;
    /// Byte offset of `paddr`.
    pub const OFFSET_PADDR: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        host_format: 0,
        guest_format: 0,
        size: 0,
        paddr: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.host_format = u16::from_le_bytes(take(bytes, 0));
        value.guest_format = u16::from_le_bytes(take(bytes, 2));
        value.size = u32::from_le_bytes(take(bytes, 4));
        value.paddr = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..2].copy_from_slice(&self.host_format.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.guest_format.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.paddr.to_le_bytes());
        bytes
    }
}

/// Header of a guest image file.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestImageHeader {
    /// Byte 0: GUEST_IMAGE_MAGIC.
    pub magic: u64,
    /// Byte 8: GUEST_IMAGE_VERSION.
    pub header_version: u32,
    /// Byte 12: ABI that the guest was built against.
    pub abi_major: u32,
    /// Byte 16: ABI that the guest was built against.
    pub abi_minor: u32,
    /// Byte 20: GuestSegment records.
    pub segment_count: u32,
    /// Byte 24: byte offset of the first.
    pub segments_offset: u64,
    /// Byte 32: byte offset of the leading part of the ProcessRecord.
    pub process_record_offset: u64,
    /// Byte 40: bytes of it that the file holds; the register tail is not written.
    pub process_record_size: u64,
    /// Byte 48: fingerprint of that ABI.
    pub fingerprint: [u8; 32],
    /// Byte 80: SHA-256 of the linked program.
    pub build_id: [u8; 32],
    /// Byte 112: bytes of the whole file.
    pub file_size: u64,
    /// Byte 120: zero.
    pub reserved: u64,
}

const _: () = {
    assert!(core::mem::size_of::<GuestImageHeader>() == 128);
    assert!(core::mem::align_of::<GuestImageHeader>() == 8);
    assert!(core::mem::offset_of!(GuestImageHeader, magic) == 0);
    assert!(core::mem::offset_of!(GuestImageHeader, header_version) == 8);
    assert!(core::mem::offset_of!(GuestImageHeader, abi_major) == 12);
    assert!(core::mem::offset_of!(GuestImageHeader, abi_minor) == 16);
    assert!(core::mem::offset_of!(GuestImageHeader, segment_count) == 20);
    assert!(core::mem::offset_of!(GuestImageHeader, segments_offset) == 24);
    assert!(core::mem::offset_of!(GuestImageHeader, process_record_offset) == 32);
    assert!(core::mem::offset_of!(GuestImageHeader, process_record_size) == 40);
    assert!(core::mem::offset_of!(GuestImageHeader, fingerprint) == 48);
    assert!(core::mem::offset_of!(GuestImageHeader, build_id) == 80);
    assert!(core::mem::offset_of!(GuestImageHeader, file_size) == 112);
    assert!(core::mem::offset_of!(GuestImageHeader, reserved) == 120);
};

impl GuestImageHeader {
    /// Size in bytes.
    pub const SIZE: usize = 128;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `header_version`.
    pub const OFFSET_HEADER_VERSION: usize = 8;
    /// Byte offset of `abi_major`.
    pub const OFFSET_ABI_MAJOR: usize = 12;
    /// Byte offset of `abi_minor`.
    pub const OFFSET_ABI_MINOR: usize = 16;
    /// Byte offset of `segment_count`.
    pub const OFFSET_SEGMENT_COUNT: usize = 20;
    /// Byte offset of `segments_offset`.
    pub const OFFSET_SEGMENTS_OFFSET: usize = 24;
    /// Byte offset of `process_record_offset`.
    pub const OFFSET_PROCESS_RECORD_OFFSET: usize = 32;
    /// Byte offset of `process_record_size`.
    pub const OFFSET_PROCESS_RECORD_SIZE: usize = 40;
    /// Byte offset of `fingerprint`.
    pub const OFFSET_FINGERPRINT: usize = 48;
    /// Byte offset of `build_id`.
    pub const OFFSET_BUILD_ID: usize = 80;
    /// Byte offset of `file_size`.
    pub const OFFSET_FILE_SIZE: usize = 112;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 120;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        header_version: 0,
        abi_major: 0,
        abi_minor: 0,
        segment_count: 0,
        segments_offset: 0,
        process_record_offset: 0,
        process_record_size: 0,
        fingerprint: [0; 32],
        build_id: [0; 32],
        file_size: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 128]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u64::from_le_bytes(take(bytes, 0));
        value.header_version = u32::from_le_bytes(take(bytes, 8));
        value.abi_major = u32::from_le_bytes(take(bytes, 12));
        value.abi_minor = u32::from_le_bytes(take(bytes, 16));
        value.segment_count = u32::from_le_bytes(take(bytes, 20));
        value.segments_offset = u64::from_le_bytes(take(bytes, 24));
        value.process_record_offset = u64::from_le_bytes(take(bytes, 32));
        value.process_record_size = u64::from_le_bytes(take(bytes, 40));
        value.fingerprint = take(bytes, 48);
        value.build_id = take(bytes, 80);
        value.file_size = u64::from_le_bytes(take(bytes, 112));
        value.reserved = u64::from_le_bytes(take(bytes, 120));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 128] {
        let mut bytes = [0; 128];
        bytes[0..8].copy_from_slice(&self.magic.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.header_version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.abi_major.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.abi_minor.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.segment_count.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segments_offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.process_record_offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.process_record_size.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.fingerprint);
        bytes[80..112].copy_from_slice(&self.build_id);
        bytes[112..120].copy_from_slice(&self.file_size.to_le_bytes());
        bytes[120..128].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// One segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestSegment {
    /// Byte 0: SegmentFlag.
    pub flags: u32,
    /// Byte 4: zero.
    pub pad: u32,
    /// Byte 8: first byte in guest memory, a multiple of the page size.
    pub address: u64,
    /// Byte 16: bytes in memory; what the file lacks is zero.
    pub memory_size: u64,
    /// Byte 24: byte offset in the file.
    pub file_offset: u64,
    /// Byte 32: bytes in the file.
    pub file_size: u64,
}

const _: () = {
    assert!(core::mem::size_of::<GuestSegment>() == 40);
    assert!(core::mem::align_of::<GuestSegment>() == 8);
    assert!(core::mem::offset_of!(GuestSegment, flags) == 0);
    assert!(core::mem::offset_of!(GuestSegment, pad) == 4);
    assert!(core::mem::offset_of!(GuestSegment, address) == 8);
    assert!(core::mem::offset_of!(GuestSegment, memory_size) == 16);
    assert!(core::mem::offset_of!(GuestSegment, file_offset) == 24);
    assert!(core::mem::offset_of!(GuestSegment, file_size) == 32);
};

impl GuestSegment {
    /// Size in bytes.
    pub const SIZE: usize = 40;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 0;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 4;
    /// Byte offset of `address`.
    pub const OFFSET_ADDRESS: usize = 8;
    /// Byte offset of `memory_size`.
    pub const OFFSET_MEMORY_SIZE: usize = 16;
    /// Byte offset of `file_offset`.
    pub const OFFSET_FILE_OFFSET: usize = 24;
    /// Byte offset of `file_size`.
    pub const OFFSET_FILE_SIZE: usize = 32;
    /// All fields zero.
    pub const ZERO: Self = Self {
        flags: 0,
        pad: 0,
        address: 0,
        memory_size: 0,
        file_offset: 0,
        file_size: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 40]) -> Self {
        let mut value = Self::ZERO;
        value.flags = u32::from_le_bytes(take(bytes, 0));
        value.pad = u32::from_le_bytes(take(bytes, 4));
        value.address = u64::from_le_bytes(take(bytes, 8));
        value.memory_size = u64::from_le_bytes(take(bytes, 16));
        value.file_offset = u64::from_le_bytes(take(bytes, 24));
        value.file_size = u64::from_le_bytes(take(bytes, 32));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[0..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.pad.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.address.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.memory_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.file_offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.file_size.to_le_bytes());
        bytes
    }
}

/// Config of the info operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoConfig {
    /// Byte 0: INFO_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: none are defined.
    pub flags: u32,
    /// Byte 8: device to look at.
    pub device: u32,
    /// Byte 12: 1: only what is not looked for in tables; 0: whether these point outside the file, too.
    pub facts_only: u32,
    /// Byte 16: most bytes that a packed file may unpack to, 0 for no limit.
    pub most_unpacked: u64,
}

const _: () = {
    assert!(core::mem::size_of::<InfoConfig>() == 24);
    assert!(core::mem::align_of::<InfoConfig>() == 8);
    assert!(core::mem::offset_of!(InfoConfig, magic) == 0);
    assert!(core::mem::offset_of!(InfoConfig, flags) == 4);
    assert!(core::mem::offset_of!(InfoConfig, device) == 8);
    assert!(core::mem::offset_of!(InfoConfig, facts_only) == 12);
    assert!(core::mem::offset_of!(InfoConfig, most_unpacked) == 16);
};

impl InfoConfig {
    /// Size in bytes.
    pub const SIZE: usize = 24;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `device`.
    pub const OFFSET_DEVICE: usize = 8;
    /// Byte offset of `facts_only`.
    pub const OFFSET_FACTS_ONLY: usize = 12;
    /// Byte offset of `most_unpacked`.
    pub const OFFSET_MOST_UNPACKED: usize = 16;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        device: 0,
        facts_only: 0,
        most_unpacked: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 24]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.device = u32::from_le_bytes(take(bytes, 8));
        value.facts_only = u32::from_le_bytes(take(bytes, 12));
        value.most_unpacked = u64::from_le_bytes(take(bytes, 16));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.device.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.facts_only.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.most_unpacked.to_le_bytes());
        bytes
    }
}

/// Outcome of an info operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoResult {
    /// Byte 0: INFO_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: ImageFormat that was found or forced.
    pub format: u32,
    /// Byte 460: the second format of an ambiguous probe, else 0.
    pub other_format: u32,
    /// Byte 464: InfoFlag.
    pub flags: u32,
    /// Byte 468: format version (qcow2: 2 or 3).
    pub version: u32,
    /// Byte 472: bytes.
    pub virtual_size: u64,
    /// Byte 480: bytes, 0 where the format has none.
    pub cluster_size: u32,
    /// Byte 484: width of a refcount.
    pub refcount_bits: u32,
    /// Byte 488: 0 zlib, 1 zstd.
    pub compression_type: u32,
    /// Byte 492: 0 none, 1 AES, 2 LUKS.
    pub crypt_method: u32,
    /// Byte 496: feature bits as stored.
    pub incompatible_features: u64,
    /// Byte 504: feature bits as stored.
    pub compatible_features: u64,
    /// Byte 512: feature bits as stored.
    pub autoclear_features: u64,
    /// Byte 520: records in `snapshots`.
    pub snapshot_count: u32,
    /// Byte 524: records in `bitmaps`.
    pub bitmap_count: u32,
    /// Byte 528: bytes of `backing_file`.
    pub backing_file_len: u32,
    /// Byte 532: bytes of `backing_format`.
    pub backing_format_len: u32,
    /// Byte 536: bytes of `data_file`.
    pub data_file_len: u32,
    /// Byte 540: zero.
    pub pad: u32,
    /// Byte 544: name of the backing file, as stored.
    pub backing_file: [u8; 1024],
    /// Byte 1568: format of the backing file, as stored.
    pub backing_format: [u8; 64],
    /// Byte 1632: name of the external data file, as stored.
    pub data_file: [u8; 1024],
    /// Byte 2656: internal snapshots.
    pub snapshots: [SnapshotRecord; 64],
    /// Byte 30816: persistent dirty bitmaps.
    pub bitmaps: [BitmapRecord; 16],
    /// Byte 47392: RawContent, of a raw image.
    pub content: u32,
    /// Byte 47396: bytes of `beyond_field`.
    pub beyond_field_len: u32,
    /// Byte 47400: where the table entry stands (byte offset in the file).
    pub beyond_offset: u64,
    /// Byte 47408: where what it names would end (byte offset in the file).
    pub beyond_end: u64,
    /// Byte 47416: what the entry is.
    pub beyond_field: [u8; 64],
    /// Byte 47480: zero.
    pub reserved: u64,
    /// Byte 47488: records in `extent_files`.
    pub extent_file_count: u32,
    /// Byte 47492: bytes of `variant`.
    pub variant_len: u32,
    /// Byte 47496: number that changes when the content does (vmdk: CID).
    pub content_id: u32,
    /// Byte 47500: content number that the parent must have (vmdk: parentCID).
    pub parent_content_id: u32,
    /// Byte 47504: variant of the format, as stored (vmdk: createType).
    pub variant: [u8; 32],
    /// Byte 47536: extents, in the order of the disk.
    pub extent_files: [ExtentFileRecord; 60],
    /// Byte 64816: what the header of an encrypted image says.
    pub luks: LuksRecord,
}

const _: () = {
    assert!(core::mem::size_of::<InfoResult>() == 65488);
    assert!(core::mem::align_of::<InfoResult>() == 8);
    assert!(core::mem::offset_of!(InfoResult, magic) == 0);
    assert!(core::mem::offset_of!(InfoResult, status) == 4);
    assert!(core::mem::offset_of!(InfoResult, error) == 8);
    assert!(core::mem::offset_of!(InfoResult, format) == 456);
    assert!(core::mem::offset_of!(InfoResult, other_format) == 460);
    assert!(core::mem::offset_of!(InfoResult, flags) == 464);
    assert!(core::mem::offset_of!(InfoResult, version) == 468);
    assert!(core::mem::offset_of!(InfoResult, virtual_size) == 472);
    assert!(core::mem::offset_of!(InfoResult, cluster_size) == 480);
    assert!(core::mem::offset_of!(InfoResult, refcount_bits) == 484);
    assert!(core::mem::offset_of!(InfoResult, compression_type) == 488);
    assert!(core::mem::offset_of!(InfoResult, crypt_method) == 492);
    assert!(core::mem::offset_of!(InfoResult, incompatible_features) == 496);
    assert!(core::mem::offset_of!(InfoResult, compatible_features) == 504);
    assert!(core::mem::offset_of!(InfoResult, autoclear_features) == 512);
    assert!(core::mem::offset_of!(InfoResult, snapshot_count) == 520);
    assert!(core::mem::offset_of!(InfoResult, bitmap_count) == 524);
    assert!(core::mem::offset_of!(InfoResult, backing_file_len) == 528);
    assert!(core::mem::offset_of!(InfoResult, backing_format_len) == 532);
    assert!(core::mem::offset_of!(InfoResult, data_file_len) == 536);
    assert!(core::mem::offset_of!(InfoResult, pad) == 540);
    assert!(core::mem::offset_of!(InfoResult, backing_file) == 544);
    assert!(core::mem::offset_of!(InfoResult, backing_format) == 1568);
    assert!(core::mem::offset_of!(InfoResult, data_file) == 1632);
    assert!(core::mem::offset_of!(InfoResult, snapshots) == 2656);
    assert!(core::mem::offset_of!(InfoResult, bitmaps) == 30816);
    assert!(core::mem::offset_of!(InfoResult, content) == 47392);
    assert!(core::mem::offset_of!(InfoResult, beyond_field_len) == 47396);
    assert!(core::mem::offset_of!(InfoResult, beyond_offset) == 47400);
    assert!(core::mem::offset_of!(InfoResult, beyond_end) == 47408);
    assert!(core::mem::offset_of!(InfoResult, beyond_field) == 47416);
    assert!(core::mem::offset_of!(InfoResult, reserved) == 47480);
    assert!(core::mem::offset_of!(InfoResult, extent_file_count) == 47488);
    assert!(core::mem::offset_of!(InfoResult, variant_len) == 47492);
    assert!(core::mem::offset_of!(InfoResult, content_id) == 47496);
    assert!(core::mem::offset_of!(InfoResult, parent_content_id) == 47500);
    assert!(core::mem::offset_of!(InfoResult, variant) == 47504);
    assert!(core::mem::offset_of!(InfoResult, extent_files) == 47536);
    assert!(core::mem::offset_of!(InfoResult, luks) == 64816);
};

impl InfoResult {
    /// Size in bytes.
    pub const SIZE: usize = 65488;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `format`.
    pub const OFFSET_FORMAT: usize = 456;
    /// Byte offset of `other_format`.
    pub const OFFSET_OTHER_FORMAT: usize = 460;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 464;
    /// Byte offset of `version`.
    pub const OFFSET_VERSION: usize = 468;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 472;
    /// Byte offset of `cluster_size`.
    pub const OFFSET_CLUSTER_SIZE: usize = 480;
    /// Byte offset of `refcount_bits`.
    pub const OFFSET_REFCOUNT_BITS: usize = 484;
    /// Byte offset of `compression_type`.
    pub const OFFSET_COMPRESSION_TYPE: usize = 488;
    /// Byte offset of `crypt_method`.
    pub const OFFSET_CRYPT_METHOD: usize = 492;
    /// Byte offset of `incompatible_features`.
    pub const OFFSET_INCOMPATIBLE_FEATURES: usize = 496;
    /// Byte offset of `compatible_features`.
    pub const OFFSET_COMPATIBLE_FEATURES: usize = 504;
    /// Byte offset of `autoclear_features`.
    pub const OFFSET_AUTOCLEAR_FEATURES: usize = 512;
    /// Byte offset of `snapshot_count`.
    pub const OFFSET_SNAPSHOT_COUNT: usize = 520;
    /// Byte offset of `bitmap_count`.
    pub const OFFSET_BITMAP_COUNT: usize = 524;
    /// Byte offset of `backing_file_len`.
    pub const OFFSET_BACKING_FILE_LEN: usize = 528;
    /// Byte offset of `backing_format_len`.
    pub const OFFSET_BACKING_FORMAT_LEN: usize = 532;
    /// Byte offset of `data_file_len`.
    pub const OFFSET_DATA_FILE_LEN: usize = 536;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 540;
    /// Byte offset of `backing_file`.
    pub const OFFSET_BACKING_FILE: usize = 544;
    /// Byte offset of `backing_format`.
    pub const OFFSET_BACKING_FORMAT: usize = 1568;
    /// Byte offset of `data_file`.
    pub const OFFSET_DATA_FILE: usize = 1632;
    /// Byte offset of `snapshots`.
    pub const OFFSET_SNAPSHOTS: usize = 2656;
    /// Byte offset of `bitmaps`.
    pub const OFFSET_BITMAPS: usize = 30816;
    /// Byte offset of `content`.
    pub const OFFSET_CONTENT: usize = 47392;
    /// Byte offset of `beyond_field_len`.
    pub const OFFSET_BEYOND_FIELD_LEN: usize = 47396;
    /// Byte offset of `beyond_offset`.
    pub const OFFSET_BEYOND_OFFSET: usize = 47400;
    /// Byte offset of `beyond_end`.
    pub const OFFSET_BEYOND_END: usize = 47408;
    /// Byte offset of `beyond_field`.
    pub const OFFSET_BEYOND_FIELD: usize = 47416;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 47480;
    /// Byte offset of `extent_file_count`.
    pub const OFFSET_EXTENT_FILE_COUNT: usize = 47488;
    /// Byte offset of `variant_len`.
    pub const OFFSET_VARIANT_LEN: usize = 47492;
    /// Byte offset of `content_id`.
    pub const OFFSET_CONTENT_ID: usize = 47496;
    /// Byte offset of `parent_content_id`.
    pub const OFFSET_PARENT_CONTENT_ID: usize = 47500;
    /// Byte offset of `variant`.
    pub const OFFSET_VARIANT: usize = 47504;
    /// Byte offset of `extent_files`.
    pub const OFFSET_EXTENT_FILES: usize = 47536;
    /// Byte offset of `luks`.
    pub const OFFSET_LUKS: usize = 64816;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        format: 0,
        other_format: 0,
        flags: 0,
        version: 0,
        virtual_size: 0,
        cluster_size: 0,
        refcount_bits: 0,
        compression_type: 0,
        crypt_method: 0,
        incompatible_features: 0,
        compatible_features: 0,
        autoclear_features: 0,
        snapshot_count: 0,
        bitmap_count: 0,
        backing_file_len: 0,
        backing_format_len: 0,
        data_file_len: 0,
        pad: 0,
        backing_file: [0; 1024],
        backing_format: [0; 64],
        data_file: [0; 1024],
        snapshots: [SnapshotRecord::ZERO; 64],
        bitmaps: [BitmapRecord::ZERO; 16],
        content: 0,
        beyond_field_len: 0,
        beyond_offset: 0,
        beyond_end: 0,
        beyond_field: [0; 64],
        reserved: 0,
        extent_file_count: 0,
        variant_len: 0,
        content_id: 0,
        parent_content_id: 0,
        variant: [0; 32],
        extent_files: [ExtentFileRecord::ZERO; 60],
        luks: LuksRecord::ZERO,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 65488]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.format = u32::from_le_bytes(take(bytes, 456));
        value.other_format = u32::from_le_bytes(take(bytes, 460));
        value.flags = u32::from_le_bytes(take(bytes, 464));
        value.version = u32::from_le_bytes(take(bytes, 468));
        value.virtual_size = u64::from_le_bytes(take(bytes, 472));
        value.cluster_size = u32::from_le_bytes(take(bytes, 480));
        value.refcount_bits = u32::from_le_bytes(take(bytes, 484));
        value.compression_type = u32::from_le_bytes(take(bytes, 488));
        value.crypt_method = u32::from_le_bytes(take(bytes, 492));
        value.incompatible_features = u64::from_le_bytes(take(bytes, 496));
        value.compatible_features = u64::from_le_bytes(take(bytes, 504));
        value.autoclear_features = u64::from_le_bytes(take(bytes, 512));
        value.snapshot_count = u32::from_le_bytes(take(bytes, 520));
        value.bitmap_count = u32::from_le_bytes(take(bytes, 524));
        value.backing_file_len = u32::from_le_bytes(take(bytes, 528));
        value.backing_format_len = u32::from_le_bytes(take(bytes, 532));
        value.data_file_len = u32::from_le_bytes(take(bytes, 536));
        value.pad = u32::from_le_bytes(take(bytes, 540));
        value.backing_file = take(bytes, 544);
        value.backing_format = take(bytes, 1568);
        value.data_file = take(bytes, 1632);
        let mut at = 2656;
        for item in &mut value.snapshots {
            *item = SnapshotRecord::from_bytes(&take(bytes, at));
            at += 440;
        }
        let mut at = 30816;
        for item in &mut value.bitmaps {
            *item = BitmapRecord::from_bytes(&take(bytes, at));
            at += 1036;
        }
        value.content = u32::from_le_bytes(take(bytes, 47392));
        value.beyond_field_len = u32::from_le_bytes(take(bytes, 47396));
        value.beyond_offset = u64::from_le_bytes(take(bytes, 47400));
        value.beyond_end = u64::from_le_bytes(take(bytes, 47408));
        value.beyond_field = take(bytes, 47416);
        value.reserved = u64::from_le_bytes(take(bytes, 47480));
        value.extent_file_count = u32::from_le_bytes(take(bytes, 47488));
        value.variant_len = u32::from_le_bytes(take(bytes, 47492));
        value.content_id = u32::from_le_bytes(take(bytes, 47496));
        value.parent_content_id = u32::from_le_bytes(take(bytes, 47500));
        value.variant = take(bytes, 47504);
        let mut at = 47536;
        for item in &mut value.extent_files {
            *item = ExtentFileRecord::from_bytes(&take(bytes, at));
            at += 288;
        }
        value.luks = LuksRecord::from_bytes(&take(bytes, 64816));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 65488] {
        let mut bytes = [0; 65488];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..460].copy_from_slice(&self.format.to_le_bytes());
        bytes[460..464].copy_from_slice(&self.other_format.to_le_bytes());
        bytes[464..468].copy_from_slice(&self.flags.to_le_bytes());
        bytes[468..472].copy_from_slice(&self.version.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes[480..484].copy_from_slice(&self.cluster_size.to_le_bytes());
        bytes[484..488].copy_from_slice(&self.refcount_bits.to_le_bytes());
        bytes[488..492].copy_from_slice(&self.compression_type.to_le_bytes());
        bytes[492..496].copy_from_slice(&self.crypt_method.to_le_bytes());
        bytes[496..504].copy_from_slice(&self.incompatible_features.to_le_bytes());
        bytes[504..512].copy_from_slice(&self.compatible_features.to_le_bytes());
        bytes[512..520].copy_from_slice(&self.autoclear_features.to_le_bytes());
        bytes[520..524].copy_from_slice(&self.snapshot_count.to_le_bytes());
        bytes[524..528].copy_from_slice(&self.bitmap_count.to_le_bytes());
        bytes[528..532].copy_from_slice(&self.backing_file_len.to_le_bytes());
        bytes[532..536].copy_from_slice(&self.backing_format_len.to_le_bytes());
        bytes[536..540].copy_from_slice(&self.data_file_len.to_le_bytes());
        bytes[540..544].copy_from_slice(&self.pad.to_le_bytes());
        bytes[544..1568].copy_from_slice(&self.backing_file);
        bytes[1568..1632].copy_from_slice(&self.backing_format);
        bytes[1632..2656].copy_from_slice(&self.data_file);
        let mut at = 2656;
        for item in &self.snapshots {
            bytes[at..at + 440].copy_from_slice(&item.to_bytes());
            at += 440;
        }
        let mut at = 30816;
        for item in &self.bitmaps {
            bytes[at..at + 1036].copy_from_slice(&item.to_bytes());
            at += 1036;
        }
        bytes[47392..47396].copy_from_slice(&self.content.to_le_bytes());
        bytes[47396..47400].copy_from_slice(&self.beyond_field_len.to_le_bytes());
        bytes[47400..47408].copy_from_slice(&self.beyond_offset.to_le_bytes());
        bytes[47408..47416].copy_from_slice(&self.beyond_end.to_le_bytes());
        bytes[47416..47480].copy_from_slice(&self.beyond_field);
        bytes[47480..47488].copy_from_slice(&self.reserved.to_le_bytes());
        bytes[47488..47492].copy_from_slice(&self.extent_file_count.to_le_bytes());
        bytes[47492..47496].copy_from_slice(&self.variant_len.to_le_bytes());
        bytes[47496..47500].copy_from_slice(&self.content_id.to_le_bytes());
        bytes[47500..47504].copy_from_slice(&self.parent_content_id.to_le_bytes());
        bytes[47504..47536].copy_from_slice(&self.variant);
        let mut at = 47536;
        for item in &self.extent_files {
            bytes[at..at + 288].copy_from_slice(&item.to_bytes());
            at += 288;
        }
        bytes[64816..65488].copy_from_slice(&self.luks.to_bytes());
        bytes
    }
}

/// A request for an item.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemMailbox {
    /// Byte 0: ItemRequest; the host sets it to NONE when it has answered.
    pub request: u32,
    /// Byte 4: Item.
    pub selector: u32,
    /// Byte 8: bytes.
    pub offset: u32,
    /// Byte 12: bytes, at most ITEM_MAX_LENGTH.
    pub length: u32,
    /// Byte 16: bytes that were moved, or a negated errno.
    pub status: i32,
    /// Byte 20: zero.
    pub pad: [u8; 12],
    /// Byte 32: what is moved.
    pub data: [u8; 256],
}

const _: () = {
    assert!(core::mem::size_of::<ItemMailbox>() == 288);
    assert!(core::mem::align_of::<ItemMailbox>() == 4);
    assert!(core::mem::offset_of!(ItemMailbox, request) == 0);
    assert!(core::mem::offset_of!(ItemMailbox, selector) == 4);
    assert!(core::mem::offset_of!(ItemMailbox, offset) == 8);
    assert!(core::mem::offset_of!(ItemMailbox, length) == 12);
    assert!(core::mem::offset_of!(ItemMailbox, status) == 16);
    assert!(core::mem::offset_of!(ItemMailbox, pad) == 20);
    assert!(core::mem::offset_of!(ItemMailbox, data) == 32);
};

impl ItemMailbox {
    /// Size in bytes.
    pub const SIZE: usize = 288;
    /// Byte offset of `request`.
    pub const OFFSET_REQUEST: usize = 0;
    /// Byte offset of `selector`.
    pub const OFFSET_SELECTOR: usize = 4;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 8;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 12;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 16;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 20;
    /// Byte offset of `data`.
    pub const OFFSET_DATA: usize = 32;
    /// All fields zero.
    pub const ZERO: Self = Self {
        request: 0,
        selector: 0,
        offset: 0,
        length: 0,
        status: 0,
        pad: [0; 12],
        data: [0; 256],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 288]) -> Self {
        let mut value = Self::ZERO;
        value.request = u32::from_le_bytes(take(bytes, 0));
        value.selector = u32::from_le_bytes(take(bytes, 4));
        value.offset = u32::from_le_bytes(take(bytes, 8));
        value.length = u32::from_le_bytes(take(bytes, 12));
        value.status = i32::from_le_bytes(take(bytes, 16));
        value.pad = take(bytes, 20);
        value.data = take(bytes, 32);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 288] {
        let mut bytes = [0; 288];
        bytes[0..4].copy_from_slice(&self.request.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.selector.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.status.to_le_bytes());
        bytes[20..32].copy_from_slice(&self.pad);
        bytes[32..288].copy_from_slice(&self.data);
        bytes
    }
}

/// A range of a disk that could not be read.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostRange {
    /// Byte 0: first virtual byte.
    pub start: u64,
    /// Byte 8: bytes.
    pub length: u64,
}

const _: () = {
    assert!(core::mem::size_of::<LostRange>() == 16);
    assert!(core::mem::align_of::<LostRange>() == 8);
    assert!(core::mem::offset_of!(LostRange, start) == 0);
    assert!(core::mem::offset_of!(LostRange, length) == 8);
};

impl LostRange {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `start`.
    pub const OFFSET_START: usize = 0;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        start: 0,
        length: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.start = u64::from_le_bytes(take(bytes, 0));
        value.length = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

/// What a LUKS header says.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LuksRecord {
    /// Byte 0: 1 or 2; 0 for an image without such a header.
    pub version: u32,
    /// Byte 4: slots that the header has.
    pub slot_count: u32,
    /// Byte 8: bit n is set where slot n holds a key.
    pub active_slots: u32,
    /// Byte 12: iterations of the digest that tells whether a key is right.
    pub master_key_iterations: u32,
    /// Byte 16: where the encrypted disk begins (byte offset in the container).
    pub payload_offset: u64,
    /// Byte 24: cipher and length of its key, padded with zeros.
    pub cipher: [u8; 32],
    /// Byte 56: how blocks are chained, padded with zeros.
    pub mode: [u8; 16],
    /// Byte 72: what initialization vectors are made of, padded with zeros.
    pub iv_generator: [u8; 16],
    /// Byte 88: hash of the key derivation, padded with zeros.
    pub hash: [u8; 32],
    /// Byte 120: UUID, padded with zeros.
    pub uuid: [u8; 40],
    /// Byte 160: the slots.
    pub slots: [LuksSlotRecord; 32],
}

const _: () = {
    assert!(core::mem::size_of::<LuksRecord>() == 672);
    assert!(core::mem::align_of::<LuksRecord>() == 8);
    assert!(core::mem::offset_of!(LuksRecord, version) == 0);
    assert!(core::mem::offset_of!(LuksRecord, slot_count) == 4);
    assert!(core::mem::offset_of!(LuksRecord, active_slots) == 8);
    assert!(core::mem::offset_of!(LuksRecord, master_key_iterations) == 12);
    assert!(core::mem::offset_of!(LuksRecord, payload_offset) == 16);
    assert!(core::mem::offset_of!(LuksRecord, cipher) == 24);
    assert!(core::mem::offset_of!(LuksRecord, mode) == 56);
    assert!(core::mem::offset_of!(LuksRecord, iv_generator) == 72);
    assert!(core::mem::offset_of!(LuksRecord, hash) == 88);
    assert!(core::mem::offset_of!(LuksRecord, uuid) == 120);
    assert!(core::mem::offset_of!(LuksRecord, slots) == 160);
};

impl LuksRecord {
    /// Size in bytes.
    pub const SIZE: usize = 672;
    /// Byte offset of `version`.
    pub const OFFSET_VERSION: usize = 0;
    /// Byte offset of `slot_count`.
    pub const OFFSET_SLOT_COUNT: usize = 4;
    /// Byte offset of `active_slots`.
    pub const OFFSET_ACTIVE_SLOTS: usize = 8;
    /// Byte offset of `master_key_iterations`.
    pub const OFFSET_MASTER_KEY_ITERATIONS: usize = 12;
    /// Byte offset of `payload_offset`.
    pub const OFFSET_PAYLOAD_OFFSET: usize = 16;
    /// Byte offset of `cipher`.
    pub const OFFSET_CIPHER: usize = 24;
    /// Byte offset of `mode`.
    pub const OFFSET_MODE: usize = 56;
    /// Byte offset of `iv_generator`.
    pub const OFFSET_IV_GENERATOR: usize = 72;
    /// Byte offset of `hash`.
    pub const OFFSET_HASH: usize = 88;
    /// Byte offset of `uuid`.
    pub const OFFSET_UUID: usize = 120;
    /// Byte offset of `slots`.
    pub const OFFSET_SLOTS: usize = 160;
    /// All fields zero.
    pub const ZERO: Self = Self {
        version: 0,
        slot_count: 0,
        active_slots: 0,
        master_key_iterations: 0,
        payload_offset: 0,
        cipher: [0; 32],
        mode: [0; 16],
        iv_generator: [0; 16],
        hash: [0; 32],
        uuid: [0; 40],
        slots: [LuksSlotRecord::ZERO; 32],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 672]) -> Self {
        let mut value = Self::ZERO;
        value.version = u32::from_le_bytes(take(bytes, 0));
        value.slot_count = u32::from_le_bytes(take(bytes, 4));
        value.active_slots = u32::from_le_bytes(take(bytes, 8));
        value.master_key_iterations = u32::from_le_bytes(take(bytes, 12));
        value.payload_offset = u64::from_le_bytes(take(bytes, 16));
        value.cipher = take(bytes, 24);
        value.mode = take(bytes, 56);
        value.iv_generator = take(bytes, 72);
        value.hash = take(bytes, 88);
        value.uuid = take(bytes, 120);
        let mut at = 160;
        for item in &mut value.slots {
            *item = LuksSlotRecord::from_bytes(&take(bytes, at));
            at += 16;
        }
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 672] {
        let mut bytes = [0; 672];
        bytes[0..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.slot_count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.active_slots.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.master_key_iterations.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.payload_offset.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.cipher);
        bytes[56..72].copy_from_slice(&self.mode);
        bytes[72..88].copy_from_slice(&self.iv_generator);
        bytes[88..120].copy_from_slice(&self.hash);
        bytes[120..160].copy_from_slice(&self.uuid);
        let mut at = 160;
        for item in &self.slots {
            bytes[at..at + 16].copy_from_slice(&item.to_bytes());
            at += 16;
        }
        bytes
    }
}

/// One key slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LuksSlotRecord {
    /// Byte 0: iterations of the key derivation.
    pub iterations: u32,
    /// Byte 4: stripes that the key is split into.
    pub stripes: u32,
    /// Byte 8: where they lie (byte offset in the container).
    pub key_offset: u64,
}

const _: () = {
    assert!(core::mem::size_of::<LuksSlotRecord>() == 16);
    assert!(core::mem::align_of::<LuksSlotRecord>() == 8);
    assert!(core::mem::offset_of!(LuksSlotRecord, iterations) == 0);
    assert!(core::mem::offset_of!(LuksSlotRecord, stripes) == 4);
    assert!(core::mem::offset_of!(LuksSlotRecord, key_offset) == 8);
};

impl LuksSlotRecord {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `iterations`.
    pub const OFFSET_ITERATIONS: usize = 0;
    /// Byte offset of `stripes`.
    pub const OFFSET_STRIPES: usize = 4;
    /// Byte offset of `key_offset`.
    pub const OFFSET_KEY_OFFSET: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        iterations: 0,
        stripes: 0,
        key_offset: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.iterations = u32::from_le_bytes(take(bytes, 0));
        value.stripes = u32::from_le_bytes(take(bytes, 4));
        value.key_offset = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.iterations.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.stripes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.key_offset.to_le_bytes());
        bytes
    }
}

/// Config of the map operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapConfig {
    /// Byte 0: MAP_CONFIG_MAGIC.
    pub magic: u32,
    /// Byte 4: none are defined.
    pub flags: u32,
    /// Byte 8: first virtual byte that is mapped.
    pub start: u64,
    /// Byte 16: first virtual byte that is not; what lies behind the disk is left out.
    pub end: u64,
    /// Byte 24: how many records are written at most, 0 for all.
    pub most_records: u64,
}

const _: () = {
    assert!(core::mem::size_of::<MapConfig>() == 32);
    assert!(core::mem::align_of::<MapConfig>() == 8);
    assert!(core::mem::offset_of!(MapConfig, magic) == 0);
    assert!(core::mem::offset_of!(MapConfig, flags) == 4);
    assert!(core::mem::offset_of!(MapConfig, start) == 8);
    assert!(core::mem::offset_of!(MapConfig, end) == 16);
    assert!(core::mem::offset_of!(MapConfig, most_records) == 24);
};

impl MapConfig {
    /// Size in bytes.
    pub const SIZE: usize = 32;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 4;
    /// Byte offset of `start`.
    pub const OFFSET_START: usize = 8;
    /// Byte offset of `end`.
    pub const OFFSET_END: usize = 16;
    /// Byte offset of `most_records`.
    pub const OFFSET_MOST_RECORDS: usize = 24;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        flags: 0,
        start: 0,
        end: 0,
        most_records: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.flags = u32::from_le_bytes(take(bytes, 4));
        value.start = u64::from_le_bytes(take(bytes, 8));
        value.end = u64::from_le_bytes(take(bytes, 16));
        value.most_records = u64::from_le_bytes(take(bytes, 24));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.start.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.end.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.most_records.to_le_bytes());
        bytes
    }
}

/// One extent of a mapped disk.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRecord {
    /// Byte 0: first virtual byte.
    pub start: u64,
    /// Byte 8: bytes.
    pub length: u64,
    /// Byte 16: byte offset in the file, under HAS_OFFSET.
    pub offset: u64,
    /// Byte 24: index of the device that the bytes lie in.
    pub device: u32,
    /// Byte 28: layer that says so: 0 is the named image.
    pub depth: u32,
    /// Byte 32: MapFlag.
    pub flags: u32,
    /// Byte 36: zero.
    pub reserved: u32,
}

const _: () = {
    assert!(core::mem::size_of::<MapRecord>() == 40);
    assert!(core::mem::align_of::<MapRecord>() == 8);
    assert!(core::mem::offset_of!(MapRecord, start) == 0);
    assert!(core::mem::offset_of!(MapRecord, length) == 8);
    assert!(core::mem::offset_of!(MapRecord, offset) == 16);
    assert!(core::mem::offset_of!(MapRecord, device) == 24);
    assert!(core::mem::offset_of!(MapRecord, depth) == 28);
    assert!(core::mem::offset_of!(MapRecord, flags) == 32);
    assert!(core::mem::offset_of!(MapRecord, reserved) == 36);
};

impl MapRecord {
    /// Size in bytes.
    pub const SIZE: usize = 40;
    /// Byte offset of `start`.
    pub const OFFSET_START: usize = 0;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 8;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 16;
    /// Byte offset of `device`.
    pub const OFFSET_DEVICE: usize = 24;
    /// Byte offset of `depth`.
    pub const OFFSET_DEPTH: usize = 28;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 32;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 36;
    /// All fields zero.
    pub const ZERO: Self = Self {
        start: 0,
        length: 0,
        offset: 0,
        device: 0,
        depth: 0,
        flags: 0,
        reserved: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 40]) -> Self {
        let mut value = Self::ZERO;
        value.start = u64::from_le_bytes(take(bytes, 0));
        value.length = u64::from_le_bytes(take(bytes, 8));
        value.offset = u64::from_le_bytes(take(bytes, 16));
        value.device = u32::from_le_bytes(take(bytes, 24));
        value.depth = u32::from_le_bytes(take(bytes, 28));
        value.flags = u32::from_le_bytes(take(bytes, 32));
        value.reserved = u32::from_le_bytes(take(bytes, 36));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[0..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.device.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.depth.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.flags.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.reserved.to_le_bytes());
        bytes
    }
}

/// Outcome of a map operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapResult {
    /// Byte 0: MAP_RESULT_MAGIC.
    pub magic: u32,
    /// Byte 4: ResultStatus.
    pub status: u32,
    /// Byte 8: set when status is ERROR.
    pub error: ErrorRecord,
    /// Byte 456: records that were written.
    pub record_count: u64,
    /// Byte 464: bytes of the disk.
    pub virtual_size: u64,
    /// Byte 472: first virtual byte that was not mapped, because enough records were written; else the end.
    pub next: u64,
}

const _: () = {
    assert!(core::mem::size_of::<MapResult>() == 480);
    assert!(core::mem::align_of::<MapResult>() == 8);
    assert!(core::mem::offset_of!(MapResult, magic) == 0);
    assert!(core::mem::offset_of!(MapResult, status) == 4);
    assert!(core::mem::offset_of!(MapResult, error) == 8);
    assert!(core::mem::offset_of!(MapResult, record_count) == 456);
    assert!(core::mem::offset_of!(MapResult, virtual_size) == 464);
    assert!(core::mem::offset_of!(MapResult, next) == 472);
};

impl MapResult {
    /// Size in bytes.
    pub const SIZE: usize = 480;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `status`.
    pub const OFFSET_STATUS: usize = 4;
    /// Byte offset of `error`.
    pub const OFFSET_ERROR: usize = 8;
    /// Byte offset of `record_count`.
    pub const OFFSET_RECORD_COUNT: usize = 456;
    /// Byte offset of `virtual_size`.
    pub const OFFSET_VIRTUAL_SIZE: usize = 464;
    /// Byte offset of `next`.
    pub const OFFSET_NEXT: usize = 472;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        status: 0,
        error: ErrorRecord::ZERO,
        record_count: 0,
        virtual_size: 0,
        next: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 480]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.status = u32::from_le_bytes(take(bytes, 4));
        value.error = ErrorRecord::from_bytes(&take(bytes, 8));
        value.record_count = u64::from_le_bytes(take(bytes, 456));
        value.virtual_size = u64::from_le_bytes(take(bytes, 464));
        value.next = u64::from_le_bytes(take(bytes, 472));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 480] {
        let mut bytes = [0; 480];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[8..456].copy_from_slice(&self.error.to_bytes());
        bytes[456..464].copy_from_slice(&self.record_count.to_le_bytes());
        bytes[464..472].copy_from_slice(&self.virtual_size.to_le_bytes());
        bytes[472..480].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

/// What makes an output one of its own; follows ConvertConfig.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// Byte 0: random bytes, from which identifiers are made.
    pub random: [u8; 64],
    /// Byte 64: seconds since 1970, for an output that says when it was made.
    pub time: u64,
    /// Byte 72: bytes of `name`.
    pub name_len: u32,
    /// Byte 76: zero.
    pub pad: u32,
    /// Byte 80: name of the output without its directory, UTF-8.
    pub name: [u8; 256],
}

const _: () = {
    assert!(core::mem::size_of::<OutputConfig>() == 336);
    assert!(core::mem::align_of::<OutputConfig>() == 8);
    assert!(core::mem::offset_of!(OutputConfig, random) == 0);
    assert!(core::mem::offset_of!(OutputConfig, time) == 64);
    assert!(core::mem::offset_of!(OutputConfig, name_len) == 72);
    assert!(core::mem::offset_of!(OutputConfig, pad) == 76);
    assert!(core::mem::offset_of!(OutputConfig, name) == 80);
};

impl OutputConfig {
    /// Size in bytes.
    pub const SIZE: usize = 336;
    /// Byte offset of `random`.
    pub const OFFSET_RANDOM: usize = 0;
    /// Byte offset of `time`.
    pub const OFFSET_TIME: usize = 64;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 72;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 76;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 80;
    /// All fields zero.
    pub const ZERO: Self = Self {
        random: [0; 64],
        time: 0,
        name_len: 0,
        pad: 0,
        name: [0; 256],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 336]) -> Self {
        let mut value = Self::ZERO;
        value.random = take(bytes, 0);
        value.time = u64::from_le_bytes(take(bytes, 64));
        value.name_len = u32::from_le_bytes(take(bytes, 72));
        value.pad = u32::from_le_bytes(take(bytes, 76));
        value.name = take(bytes, 80);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 336] {
        let mut bytes = [0; 336];
        bytes[0..64].copy_from_slice(&self.random);
        bytes[64..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[76..80].copy_from_slice(&self.pad.to_le_bytes());
        bytes[80..336].copy_from_slice(&self.name);
        bytes
    }
}

/// Where the data of an output goes, and how it is encrypted; follows OutputLayout.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputData {
    /// Byte 0: bytes of `cipher`, 0 for an output that is not encrypted.
    pub cipher_len: u32,
    /// Byte 4: bytes of `mode`.
    pub mode_len: u32,
    /// Byte 8: block cipher as LUKS names it; its key is the secret of the role OUTPUT.
    pub cipher: [u8; 32],
    /// Byte 40: mode and generator of initialization vectors as LUKS names them.
    pub mode: [u8; 32],
    /// Byte 72: bytes of the encryption header, which the host writes (luks: at 0; qcow2: in cluster 1).
    pub header_length: u64,
    /// Byte 80: bytes of `data_file`, 0 for none.
    pub data_file_len: u32,
    /// Byte 84: qed: clusters of a table, 0 for the default.
    pub table_size: u32,
    /// Byte 88: qcow2: name of the external data file, UTF-8; none of its data is written.
    pub data_file: [u8; 1024],
    /// Byte 1112: vmdk: version of the tools of the guest, 0 for the default.
    pub tools_version: u32,
    /// Byte 1116: vhdx: bytes of the log, 0 for the default.
    pub log_size: u32,
}

const _: () = {
    assert!(core::mem::size_of::<OutputData>() == 1120);
    assert!(core::mem::align_of::<OutputData>() == 8);
    assert!(core::mem::offset_of!(OutputData, cipher_len) == 0);
    assert!(core::mem::offset_of!(OutputData, mode_len) == 4);
    assert!(core::mem::offset_of!(OutputData, cipher) == 8);
    assert!(core::mem::offset_of!(OutputData, mode) == 40);
    assert!(core::mem::offset_of!(OutputData, header_length) == 72);
    assert!(core::mem::offset_of!(OutputData, data_file_len) == 80);
    assert!(core::mem::offset_of!(OutputData, table_size) == 84);
    assert!(core::mem::offset_of!(OutputData, data_file) == 88);
    assert!(core::mem::offset_of!(OutputData, tools_version) == 1112);
    assert!(core::mem::offset_of!(OutputData, log_size) == 1116);
};

impl OutputData {
    /// Size in bytes.
    pub const SIZE: usize = 1120;
    /// Byte offset of `cipher_len`.
    pub const OFFSET_CIPHER_LEN: usize = 0;
    /// Byte offset of `mode_len`.
    pub const OFFSET_MODE_LEN: usize = 4;
    /// Byte offset of `cipher`.
    pub const OFFSET_CIPHER: usize = 8;
    /// Byte offset of `mode`.
    pub const OFFSET_MODE: usize = 40;
    /// Byte offset of `header_length`.
    pub const OFFSET_HEADER_LENGTH: usize = 72;
    /// Byte offset of `data_file_len`.
    pub const OFFSET_DATA_FILE_LEN: usize = 80;
    /// Byte offset of `table_size`.
    pub const OFFSET_TABLE_SIZE: usize = 84;
    /// Byte offset of `data_file`.
    pub const OFFSET_DATA_FILE: usize = 88;
    /// Byte offset of `tools_version`.
    pub const OFFSET_TOOLS_VERSION: usize = 1112;
    /// Byte offset of `log_size`.
    pub const OFFSET_LOG_SIZE: usize = 1116;
    /// All fields zero.
    pub const ZERO: Self = Self {
        cipher_len: 0,
        mode_len: 0,
        cipher: [0; 32],
        mode: [0; 32],
        header_length: 0,
        data_file_len: 0,
        table_size: 0,
        data_file: [0; 1024],
        tools_version: 0,
        log_size: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 1120]) -> Self {
        let mut value = Self::ZERO;
        value.cipher_len = u32::from_le_bytes(take(bytes, 0));
        value.mode_len = u32::from_le_bytes(take(bytes, 4));
        value.cipher = take(bytes, 8);
        value.mode = take(bytes, 40);
        value.header_length = u64::from_le_bytes(take(bytes, 72));
        value.data_file_len = u32::from_le_bytes(take(bytes, 80));
        value.table_size = u32::from_le_bytes(take(bytes, 84));
        value.data_file = take(bytes, 88);
        value.tools_version = u32::from_le_bytes(take(bytes, 1112));
        value.log_size = u32::from_le_bytes(take(bytes, 1116));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 1120] {
        let mut bytes = [0; 1120];
        bytes[0..4].copy_from_slice(&self.cipher_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.mode_len.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.cipher);
        bytes[40..72].copy_from_slice(&self.mode);
        bytes[72..80].copy_from_slice(&self.header_length.to_le_bytes());
        bytes[80..84].copy_from_slice(&self.data_file_len.to_le_bytes());
        bytes[84..88].copy_from_slice(&self.table_size.to_le_bytes());
        bytes[88..1112].copy_from_slice(&self.data_file);
        bytes[1112..1116].copy_from_slice(&self.tools_version.to_le_bytes());
        bytes[1116..1120].copy_from_slice(&self.log_size.to_le_bytes());
        bytes
    }
}

/// How an output is laid out; follows OutputConfig.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLayout {
    /// Byte 0: OutputLayoutFlag.
    pub flags: u32,
    /// Byte 4: OutputSubformat.
    pub subformat: u32,
    /// Byte 8: qcow2: width of a refcount, 0 for the default.
    pub refcount_bits: u32,
    /// Byte 12: vmdk: virtual hardware, 0 for the default.
    pub hardware_version: u32,
    /// Byte 16: least zeros that are left out (bytes), 0 for the default.
    pub sparse_size: u64,
    /// Byte 24: bytes of `adapter`, 0 for the default.
    pub adapter_len: u32,
    /// Byte 28: bytes of `backing_format`.
    pub backing_format_len: u32,
    /// Byte 32: vmdk: type of the adapter, ASCII.
    pub adapter: [u8; 16],
    /// Byte 48: qcow2: format of the backing file, ASCII.
    pub backing_format: [u8; 16],
    /// Byte 64: bytes of `backing_name`, 0 for none.
    pub backing_name_len: u32,
    /// Byte 68: layers of the input above the backing file, where no device is COMPARED.
    pub backing_depth: u32,
    /// Byte 72: qcow2: name of the backing file, UTF-8.
    pub backing_name: [u8; 1024],
}

const _: () = {
    assert!(core::mem::size_of::<OutputLayout>() == 1096);
    assert!(core::mem::align_of::<OutputLayout>() == 8);
    assert!(core::mem::offset_of!(OutputLayout, flags) == 0);
    assert!(core::mem::offset_of!(OutputLayout, subformat) == 4);
    assert!(core::mem::offset_of!(OutputLayout, refcount_bits) == 8);
    assert!(core::mem::offset_of!(OutputLayout, hardware_version) == 12);
    assert!(core::mem::offset_of!(OutputLayout, sparse_size) == 16);
    assert!(core::mem::offset_of!(OutputLayout, adapter_len) == 24);
    assert!(core::mem::offset_of!(OutputLayout, backing_format_len) == 28);
    assert!(core::mem::offset_of!(OutputLayout, adapter) == 32);
    assert!(core::mem::offset_of!(OutputLayout, backing_format) == 48);
    assert!(core::mem::offset_of!(OutputLayout, backing_name_len) == 64);
    assert!(core::mem::offset_of!(OutputLayout, backing_depth) == 68);
    assert!(core::mem::offset_of!(OutputLayout, backing_name) == 72);
};

impl OutputLayout {
    /// Size in bytes.
    pub const SIZE: usize = 1096;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 0;
    /// Byte offset of `subformat`.
    pub const OFFSET_SUBFORMAT: usize = 4;
    /// Byte offset of `refcount_bits`.
    pub const OFFSET_REFCOUNT_BITS: usize = 8;
    /// Byte offset of `hardware_version`.
    pub const OFFSET_HARDWARE_VERSION: usize = 12;
    /// Byte offset of `sparse_size`.
    pub const OFFSET_SPARSE_SIZE: usize = 16;
    /// Byte offset of `adapter_len`.
    pub const OFFSET_ADAPTER_LEN: usize = 24;
    /// Byte offset of `backing_format_len`.
    pub const OFFSET_BACKING_FORMAT_LEN: usize = 28;
    /// Byte offset of `adapter`.
    pub const OFFSET_ADAPTER: usize = 32;
    /// Byte offset of `backing_format`.
    pub const OFFSET_BACKING_FORMAT: usize = 48;
    /// Byte offset of `backing_name_len`.
    pub const OFFSET_BACKING_NAME_LEN: usize = 64;
    /// Byte offset of `backing_depth`.
    pub const OFFSET_BACKING_DEPTH: usize = 68;
    /// Byte offset of `backing_name`.
    pub const OFFSET_BACKING_NAME: usize = 72;
    /// All fields zero.
    pub const ZERO: Self = Self {
        flags: 0,
        subformat: 0,
        refcount_bits: 0,
        hardware_version: 0,
        sparse_size: 0,
        adapter_len: 0,
        backing_format_len: 0,
        adapter: [0; 16],
        backing_format: [0; 16],
        backing_name_len: 0,
        backing_depth: 0,
        backing_name: [0; 1024],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 1096]) -> Self {
        let mut value = Self::ZERO;
        value.flags = u32::from_le_bytes(take(bytes, 0));
        value.subformat = u32::from_le_bytes(take(bytes, 4));
        value.refcount_bits = u32::from_le_bytes(take(bytes, 8));
        value.hardware_version = u32::from_le_bytes(take(bytes, 12));
        value.sparse_size = u64::from_le_bytes(take(bytes, 16));
        value.adapter_len = u32::from_le_bytes(take(bytes, 24));
        value.backing_format_len = u32::from_le_bytes(take(bytes, 28));
        value.adapter = take(bytes, 32);
        value.backing_format = take(bytes, 48);
        value.backing_name_len = u32::from_le_bytes(take(bytes, 64));
        value.backing_depth = u32::from_le_bytes(take(bytes, 68));
        value.backing_name = take(bytes, 72);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 1096] {
        let mut bytes = [0; 1096];
        bytes[0..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.subformat.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.refcount_bits.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.hardware_version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sparse_size.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.adapter_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.backing_format_len.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.adapter);
        bytes[48..64].copy_from_slice(&self.backing_format);
        bytes[64..68].copy_from_slice(&self.backing_name_len.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.backing_depth.to_le_bytes());
        bytes[72..1096].copy_from_slice(&self.backing_name);
        bytes
    }
}

/// Head of a process record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Byte 0: FaultCode.
    pub fault_code: u32,
    /// Byte 4: zero.
    pub pad: u32,
    /// Byte 8: for STARTUP: the entry PC.
    pub fault_info: u64,
}

const _: () = {
    assert!(core::mem::size_of::<ProcessRecord>() == 16);
    assert!(core::mem::align_of::<ProcessRecord>() == 8);
    assert!(core::mem::offset_of!(ProcessRecord, fault_code) == 0);
    assert!(core::mem::offset_of!(ProcessRecord, pad) == 4);
    assert!(core::mem::offset_of!(ProcessRecord, fault_info) == 8);
};

impl ProcessRecord {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `fault_code`.
    pub const OFFSET_FAULT_CODE: usize = 0;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 4;
    /// Byte offset of `fault_info`.
    pub const OFFSET_FAULT_INFO: usize = 8;
    /// All fields zero.
    pub const ZERO: Self = Self {
        fault_code: 0,
        pad: 0,
        fault_info: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.fault_code = u32::from_le_bytes(take(bytes, 0));
        value.pad = u32::from_le_bytes(take(bytes, 4));
        value.fault_info = u64::from_le_bytes(take(bytes, 8));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.fault_code.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.pad.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.fault_info.to_le_bytes());
        bytes
    }
}

/// Register tail on x86-64.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistersX86_64 {
    /// Byte 0: general register.
    pub rax: u64,
    /// Byte 8: general register.
    pub rbx: u64,
    /// Byte 16: general register.
    pub rcx: u64,
    /// Byte 24: general register.
    pub rdx: u64,
    /// Byte 32: general register.
    pub rsi: u64,
    /// Byte 40: general register.
    pub rdi: u64,
    /// Byte 48: general register.
    pub rbp: u64,
    /// Byte 56: stack pointer.
    pub rsp: u64,
    /// Byte 64: general register.
    pub r8: u64,
    /// Byte 72: general register.
    pub r9: u64,
    /// Byte 80: general register.
    pub r10: u64,
    /// Byte 88: general register.
    pub r11: u64,
    /// Byte 96: general register.
    pub r12: u64,
    /// Byte 104: general register.
    pub r13: u64,
    /// Byte 112: general register.
    pub r14: u64,
    /// Byte 120: general register.
    pub r15: u64,
    /// Byte 128: program counter.
    pub rip: u64,
    /// Byte 136: flags.
    pub rflags: u64,
}

const _: () = {
    assert!(core::mem::size_of::<RegistersX86_64>() == 144);
    assert!(core::mem::align_of::<RegistersX86_64>() == 8);
    assert!(core::mem::offset_of!(RegistersX86_64, rax) == 0);
    assert!(core::mem::offset_of!(RegistersX86_64, rbx) == 8);
    assert!(core::mem::offset_of!(RegistersX86_64, rcx) == 16);
    assert!(core::mem::offset_of!(RegistersX86_64, rdx) == 24);
    assert!(core::mem::offset_of!(RegistersX86_64, rsi) == 32);
    assert!(core::mem::offset_of!(RegistersX86_64, rdi) == 40);
    assert!(core::mem::offset_of!(RegistersX86_64, rbp) == 48);
    assert!(core::mem::offset_of!(RegistersX86_64, rsp) == 56);
    assert!(core::mem::offset_of!(RegistersX86_64, r8) == 64);
    assert!(core::mem::offset_of!(RegistersX86_64, r9) == 72);
    assert!(core::mem::offset_of!(RegistersX86_64, r10) == 80);
    assert!(core::mem::offset_of!(RegistersX86_64, r11) == 88);
    assert!(core::mem::offset_of!(RegistersX86_64, r12) == 96);
    assert!(core::mem::offset_of!(RegistersX86_64, r13) == 104);
    assert!(core::mem::offset_of!(RegistersX86_64, r14) == 112);
    assert!(core::mem::offset_of!(RegistersX86_64, r15) == 120);
    assert!(core::mem::offset_of!(RegistersX86_64, rip) == 128);
    assert!(core::mem::offset_of!(RegistersX86_64, rflags) == 136);
};

impl RegistersX86_64 {
    /// Size in bytes.
    pub const SIZE: usize = 144;
    /// Byte offset of `rax`.
    pub const OFFSET_RAX: usize = 0;
    /// Byte offset of `rbx`.
    pub const OFFSET_RBX: usize = 8;
    /// Byte offset of `rcx`.
    pub const OFFSET_RCX: usize = 16;
    /// Byte offset of `rdx`.
    pub const OFFSET_RDX: usize = 24;
    /// Byte offset of `rsi`.
    pub const OFFSET_RSI: usize = 32;
    /// Byte offset of `rdi`.
    pub const OFFSET_RDI: usize = 40;
    /// Byte offset of `rbp`.
    pub const OFFSET_RBP: usize = 48;
    /// Byte offset of `rsp`.
    pub const OFFSET_RSP: usize = 56;
    /// Byte offset of `r8`.
    pub const OFFSET_R8: usize = 64;
    /// Byte offset of `r9`.
    pub const OFFSET_R9: usize = 72;
    /// Byte offset of `r10`.
    pub const OFFSET_R10: usize = 80;
    /// Byte offset of `r11`.
    pub const OFFSET_R11: usize = 88;
    /// Byte offset of `r12`.
    pub const OFFSET_R12: usize = 96;
    /// Byte offset of `r13`.
    pub const OFFSET_R13: usize = 104;
    /// Byte offset of `r14`.
    pub const OFFSET_R14: usize = 112;
    /// Byte offset of `r15`.
    pub const OFFSET_R15: usize = 120;
    /// Byte offset of `rip`.
    pub const OFFSET_RIP: usize = 128;
    /// Byte offset of `rflags`.
    pub const OFFSET_RFLAGS: usize = 136;
    /// All fields zero.
    pub const ZERO: Self = Self {
        rax: 0,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        rbp: 0,
        rsp: 0,
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
        rip: 0,
        rflags: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 144]) -> Self {
        let mut value = Self::ZERO;
        value.rax = u64::from_le_bytes(take(bytes, 0));
        value.rbx = u64::from_le_bytes(take(bytes, 8));
        value.rcx = u64::from_le_bytes(take(bytes, 16));
        value.rdx = u64::from_le_bytes(take(bytes, 24));
        value.rsi = u64::from_le_bytes(take(bytes, 32));
        value.rdi = u64::from_le_bytes(take(bytes, 40));
        value.rbp = u64::from_le_bytes(take(bytes, 48));
        value.rsp = u64::from_le_bytes(take(bytes, 56));
        value.r8 = u64::from_le_bytes(take(bytes, 64));
        value.r9 = u64::from_le_bytes(take(bytes, 72));
        value.r10 = u64::from_le_bytes(take(bytes, 80));
        value.r11 = u64::from_le_bytes(take(bytes, 88));
        value.r12 = u64::from_le_bytes(take(bytes, 96));
        value.r13 = u64::from_le_bytes(take(bytes, 104));
        value.r14 = u64::from_le_bytes(take(bytes, 112));
        value.r15 = u64::from_le_bytes(take(bytes, 120));
        value.rip = u64::from_le_bytes(take(bytes, 128));
        value.rflags = u64::from_le_bytes(take(bytes, 136));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 144] {
        let mut bytes = [0; 144];
        bytes[0..8].copy_from_slice(&self.rax.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.rbx.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.rcx.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.rdx.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.rsi.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.rdi.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.rbp.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.rsp.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.r8.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.r9.to_le_bytes());
        bytes[80..88].copy_from_slice(&self.r10.to_le_bytes());
        bytes[88..96].copy_from_slice(&self.r11.to_le_bytes());
        bytes[96..104].copy_from_slice(&self.r12.to_le_bytes());
        bytes[104..112].copy_from_slice(&self.r13.to_le_bytes());
        bytes[112..120].copy_from_slice(&self.r14.to_le_bytes());
        bytes[120..128].copy_from_slice(&self.r15.to_le_bytes());
        bytes[128..136].copy_from_slice(&self.rip.to_le_bytes());
        bytes[136..144].copy_from_slice(&self.rflags.to_le_bytes());
        bytes
    }
}

/// Indexes of both queues.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingHeader {
    /// Byte 0: RING_MAGIC, written by the host.
    pub magic: u32,
    /// Byte 4: RING_ENTRIES, written by the host.
    pub entries: u32,
    /// Byte 8: cache line.
    pub pad0: [u8; 56],
    /// Byte 64: written by the guest.
    pub submission_tail: u32,
    /// Byte 68: cache line.
    pub pad1: [u8; 60],
    /// Byte 128: written by the host.
    pub submission_head: u32,
    /// Byte 132: cache line.
    pub pad2: [u8; 60],
    /// Byte 192: written by the host.
    pub completion_tail: u32,
    /// Byte 196: cache line.
    pub pad3: [u8; 60],
    /// Byte 256: written by the guest.
    pub completion_head: u32,
    /// Byte 260: cache line.
    pub pad4: [u8; 60],
    /// Byte 320: 1 when the host sleeps: ring the doorbell after a submission.
    pub need_wakeup: u32,
    /// Byte 324: cache line.
    pub pad5: [u8; 60],
    /// Byte 384: 1 when the guest is about to wait: wake it after a completion.
    pub guest_waiting: u32,
    /// Byte 388: cache line.
    pub pad6: [u8; 60],
}

const _: () = {
    assert!(core::mem::size_of::<RingHeader>() == 448);
    assert!(core::mem::align_of::<RingHeader>() == 4);
    assert!(core::mem::offset_of!(RingHeader, magic) == 0);
    assert!(core::mem::offset_of!(RingHeader, entries) == 4);
    assert!(core::mem::offset_of!(RingHeader, pad0) == 8);
    assert!(core::mem::offset_of!(RingHeader, submission_tail) == 64);
    assert!(core::mem::offset_of!(RingHeader, pad1) == 68);
    assert!(core::mem::offset_of!(RingHeader, submission_head) == 128);
    assert!(core::mem::offset_of!(RingHeader, pad2) == 132);
    assert!(core::mem::offset_of!(RingHeader, completion_tail) == 192);
    assert!(core::mem::offset_of!(RingHeader, pad3) == 196);
    assert!(core::mem::offset_of!(RingHeader, completion_head) == 256);
    assert!(core::mem::offset_of!(RingHeader, pad4) == 260);
    assert!(core::mem::offset_of!(RingHeader, need_wakeup) == 320);
    assert!(core::mem::offset_of!(RingHeader, pad5) == 324);
    assert!(core::mem::offset_of!(RingHeader, guest_waiting) == 384);
    assert!(core::mem::offset_of!(RingHeader, pad6) == 388);
};

impl RingHeader {
    /// Size in bytes.
    pub const SIZE: usize = 448;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `entries`.
    pub const OFFSET_ENTRIES: usize = 4;
    /// Byte offset of `pad0`.
    pub const OFFSET_PAD0: usize = 8;
    /// Byte offset of `submission_tail`.
    pub const OFFSET_SUBMISSION_TAIL: usize = 64;
    /// Byte offset of `pad1`.
    pub const OFFSET_PAD1: usize = 68;
    /// Byte offset of `submission_head`.
    pub const OFFSET_SUBMISSION_HEAD: usize = 128;
    /// Byte offset of `pad2`.
    pub const OFFSET_PAD2: usize = 132;
    /// Byte offset of `completion_tail`.
    pub const OFFSET_COMPLETION_TAIL: usize = 192;
    /// Byte offset of `pad3`.
    pub const OFFSET_PAD3: usize = 196;
    /// Byte offset of `completion_head`.
    pub const OFFSET_COMPLETION_HEAD: usize = 256;
    /// Byte offset of `pad4`.
    pub const OFFSET_PAD4: usize = 260;
    /// Byte offset of `need_wakeup`.
    pub const OFFSET_NEED_WAKEUP: usize = 320;
    /// Byte offset of `pad5`.
    pub const OFFSET_PAD5: usize = 324;
    /// Byte offset of `guest_waiting`.
    pub const OFFSET_GUEST_WAITING: usize = 384;
    /// Byte offset of `pad6`.
    pub const OFFSET_PAD6: usize = 388;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        entries: 0,
        pad0: [0; 56],
        submission_tail: 0,
        pad1: [0; 60],
        submission_head: 0,
        pad2: [0; 60],
        completion_tail: 0,
        pad3: [0; 60],
        completion_head: 0,
        pad4: [0; 60],
        need_wakeup: 0,
        pad5: [0; 60],
        guest_waiting: 0,
        pad6: [0; 60],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 448]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.entries = u32::from_le_bytes(take(bytes, 4));
        value.pad0 = take(bytes, 8);
        value.submission_tail = u32::from_le_bytes(take(bytes, 64));
        value.pad1 = take(bytes, 68);
        value.submission_head = u32::from_le_bytes(take(bytes, 128));
        value.pad2 = take(bytes, 132);
        value.completion_tail = u32::from_le_bytes(take(bytes, 192));
        value.pad3 = take(bytes, 196);
        value.completion_head = u32::from_le_bytes(take(bytes, 256));
        value.pad4 = take(bytes, 260);
        value.need_wakeup = u32::from_le_bytes(take(bytes, 320));
        value.pad5 = take(bytes, 324);
        value.guest_waiting = u32::from_le_bytes(take(bytes, 384));
        value.pad6 = take(bytes, 388);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 448] {
        let mut bytes = [0; 448];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.entries.to_le_bytes());
        bytes[8..64].copy_from_slice(&self.pad0);
        bytes[64..68].copy_from_slice(&self.submission_tail.to_le_bytes());
        bytes[68..128].copy_from_slice(&self.pad1);
        bytes[128..132].copy_from_slice(&self.submission_head.to_le_bytes());
        bytes[132..192].copy_from_slice(&self.pad2);
        bytes[192..196].copy_from_slice(&self.completion_tail.to_le_bytes());
        bytes[196..256].copy_from_slice(&self.pad3);
        bytes[256..260].copy_from_slice(&self.completion_head.to_le_bytes());
        bytes[260..320].copy_from_slice(&self.pad4);
        bytes[320..324].copy_from_slice(&self.need_wakeup.to_le_bytes());
        bytes[324..384].copy_from_slice(&self.pad5);
        bytes[384..388].copy_from_slice(&self.guest_waiting.to_le_bytes());
        bytes[388..448].copy_from_slice(&self.pad6);
        bytes
    }
}

/// What the sandbox helper sets up.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxBoot {
    /// Byte 0: SANDBOX_BOOT_MAGIC.
    pub magic: u32,
    /// Byte 4: used entries of `regions`.
    pub region_count: u32,
    /// Byte 8: used entries of `filter`.
    pub filter_count: u32,
    /// Byte 12: zero.
    pub pad: u32,
    /// Byte 16: the guest's first instruction.
    pub entry: u64,
    /// Byte 24: initial stack pointer.
    pub stack_top: u64,
    /// Byte 32: address of the SandboxFault.
    pub fault_addr: u64,
    /// Byte 40: RLIMIT_CPU, 0 for none.
    pub cpu_seconds: u64,
    /// Byte 48: what to map.
    pub regions: [SandboxRegion; 32],
    /// Byte 816: classic BPF instructions of the seccomp filter.
    pub filter: [u64; 128],
}

const _: () = {
    assert!(core::mem::size_of::<SandboxBoot>() == 1840);
    assert!(core::mem::align_of::<SandboxBoot>() == 8);
    assert!(core::mem::offset_of!(SandboxBoot, magic) == 0);
    assert!(core::mem::offset_of!(SandboxBoot, region_count) == 4);
    assert!(core::mem::offset_of!(SandboxBoot, filter_count) == 8);
    assert!(core::mem::offset_of!(SandboxBoot, pad) == 12);
    assert!(core::mem::offset_of!(SandboxBoot, entry) == 16);
    assert!(core::mem::offset_of!(SandboxBoot, stack_top) == 24);
    assert!(core::mem::offset_of!(SandboxBoot, fault_addr) == 32);
    assert!(core::mem::offset_of!(SandboxBoot, cpu_seconds) == 40);
    assert!(core::mem::offset_of!(SandboxBoot, regions) == 48);
    assert!(core::mem::offset_of!(SandboxBoot, filter) == 816);
};

impl SandboxBoot {
    /// Size in bytes.
    pub const SIZE: usize = 1840;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `region_count`.
    pub const OFFSET_REGION_COUNT: usize = 4;
    /// Byte offset of `filter_count`.
    pub const OFFSET_FILTER_COUNT: usize = 8;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 12;
    /// Byte offset of `entry`.
    pub const OFFSET_ENTRY: usize = 16;
    /// Byte offset of `stack_top`.
    pub const OFFSET_STACK_TOP: usize = 24;
    /// Byte offset of `fault_addr`.
    pub const OFFSET_FAULT_ADDR: usize = 32;
    /// Byte offset of `cpu_seconds`.
    pub const OFFSET_CPU_SECONDS: usize = 40;
    /// Byte offset of `regions`.
    pub const OFFSET_REGIONS: usize = 48;
    /// Byte offset of `filter`.
    pub const OFFSET_FILTER: usize = 816;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        region_count: 0,
        filter_count: 0,
        pad: 0,
        entry: 0,
        stack_top: 0,
        fault_addr: 0,
        cpu_seconds: 0,
        regions: [SandboxRegion::ZERO; 32],
        filter: [0; 128],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 1840]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.region_count = u32::from_le_bytes(take(bytes, 4));
        value.filter_count = u32::from_le_bytes(take(bytes, 8));
        value.pad = u32::from_le_bytes(take(bytes, 12));
        value.entry = u64::from_le_bytes(take(bytes, 16));
        value.stack_top = u64::from_le_bytes(take(bytes, 24));
        value.fault_addr = u64::from_le_bytes(take(bytes, 32));
        value.cpu_seconds = u64::from_le_bytes(take(bytes, 40));
        let mut at = 48;
        for item in &mut value.regions {
            *item = SandboxRegion::from_bytes(&take(bytes, at));
            at += 24;
        }
        let mut at = 816;
        for item in &mut value.filter {
            *item = u64::from_le_bytes(take(bytes, at));
            at += 8;
        }
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 1840] {
        let mut bytes = [0; 1840];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.region_count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.filter_count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.pad.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entry.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.stack_top.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.fault_addr.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.cpu_seconds.to_le_bytes());
        let mut at = 48;
        for item in &self.regions {
            bytes[at..at + 24].copy_from_slice(&item.to_bytes());
            at += 24;
        }
        let mut at = 816;
        for item in &self.filter {
            bytes[at..at + 8].copy_from_slice(&item.to_le_bytes());
            at += 8;
        }
        bytes
    }
}

/// A fault in the process backend.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxFault {
    /// Byte 0: SANDBOX_FAULT_MAGIC.
    pub magic: u32,
    /// Byte 4: signal number.
    pub signal: u32,
    /// Byte 8: si_code.
    pub code: u32,
    /// Byte 12: si_syscall of SIGSYS.
    pub syscall: u32,
    /// Byte 16: exception vector.
    pub vector: u64,
    /// Byte 24: error code of the exception.
    pub error_code: u64,
    /// Byte 32: faulting address.
    pub cr2: u64,
    /// Byte 40: in the order of RegistersX86_64.
    pub registers: [u64; 18],
    /// Byte 184: zero.
    pub pad: u64,
}

const _: () = {
    assert!(core::mem::size_of::<SandboxFault>() == 192);
    assert!(core::mem::align_of::<SandboxFault>() == 8);
    assert!(core::mem::offset_of!(SandboxFault, magic) == 0);
    assert!(core::mem::offset_of!(SandboxFault, signal) == 4);
    assert!(core::mem::offset_of!(SandboxFault, code) == 8);
    assert!(core::mem::offset_of!(SandboxFault, syscall) == 12);
    assert!(core::mem::offset_of!(SandboxFault, vector) == 16);
    assert!(core::mem::offset_of!(SandboxFault, error_code) == 24);
    assert!(core::mem::offset_of!(SandboxFault, cr2) == 32);
    assert!(core::mem::offset_of!(SandboxFault, registers) == 40);
    assert!(core::mem::offset_of!(SandboxFault, pad) == 184);
};

impl SandboxFault {
    /// Size in bytes.
    pub const SIZE: usize = 192;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `signal`.
    pub const OFFSET_SIGNAL: usize = 4;
    /// Byte offset of `code`.
    pub const OFFSET_CODE: usize = 8;
    /// Byte offset of `syscall`.
    pub const OFFSET_SYSCALL: usize = 12;
    /// Byte offset of `vector`.
    pub const OFFSET_VECTOR: usize = 16;
    /// Byte offset of `error_code`.
    pub const OFFSET_ERROR_CODE: usize = 24;
    /// Byte offset of `cr2`.
    pub const OFFSET_CR2: usize = 32;
    /// Byte offset of `registers`.
    pub const OFFSET_REGISTERS: usize = 40;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 184;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        signal: 0,
        code: 0,
        syscall: 0,
        vector: 0,
        error_code: 0,
        cr2: 0,
        registers: [0; 18],
        pad: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 192]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.signal = u32::from_le_bytes(take(bytes, 4));
        value.code = u32::from_le_bytes(take(bytes, 8));
        value.syscall = u32::from_le_bytes(take(bytes, 12));
        value.vector = u64::from_le_bytes(take(bytes, 16));
        value.error_code = u64::from_le_bytes(take(bytes, 24));
        value.cr2 = u64::from_le_bytes(take(bytes, 32));
        let mut at = 40;
        for item in &mut value.registers {
            *item = u64::from_le_bytes(take(bytes, at));
            at += 8;
        }
        value.pad = u64::from_le_bytes(take(bytes, 184));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 192] {
        let mut bytes = [0; 192];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.signal.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.syscall.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.vector.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.error_code.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.cr2.to_le_bytes());
        let mut at = 40;
        for item in &self.registers {
            bytes[at..at + 8].copy_from_slice(&item.to_le_bytes());
            at += 8;
        }
        bytes[184..192].copy_from_slice(&self.pad.to_le_bytes());
        bytes
    }
}

/// One region of the child.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxRegion {
    /// Byte 0: first byte, also the offset in the shared file.
    pub address: u64,
    /// Byte 8: bytes.
    pub size: u64,
    /// Byte 16: SandboxRegionFlag.
    pub flags: u32,
    /// Byte 20: zero.
    pub pad: u32,
}

const _: () = {
    assert!(core::mem::size_of::<SandboxRegion>() == 24);
    assert!(core::mem::align_of::<SandboxRegion>() == 8);
    assert!(core::mem::offset_of!(SandboxRegion, address) == 0);
    assert!(core::mem::offset_of!(SandboxRegion, size) == 8);
    assert!(core::mem::offset_of!(SandboxRegion, flags) == 16);
    assert!(core::mem::offset_of!(SandboxRegion, pad) == 20);
};

impl SandboxRegion {
    /// Size in bytes.
    pub const SIZE: usize = 24;
    /// Byte offset of `address`.
    pub const OFFSET_ADDRESS: usize = 0;
    /// Byte offset of `size`.
    pub const OFFSET_SIZE: usize = 8;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 16;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 20;
    /// All fields zero.
    pub const ZERO: Self = Self {
        address: 0,
        size: 0,
        flags: 0,
        pad: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 24]) -> Self {
        let mut value = Self::ZERO;
        value.address = u64::from_le_bytes(take(bytes, 0));
        value.size = u64::from_le_bytes(take(bytes, 8));
        value.flags = u32::from_le_bytes(take(bytes, 16));
        value.pad = u32::from_le_bytes(take(bytes, 20));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[0..8].copy_from_slice(&self.address.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.flags.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.pad.to_le_bytes());
        bytes
    }
}

/// One passphrase.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretEntry {
    /// Byte 0: DeviceRole of the image whose chain it is for, 0 for any; OUTPUT: it is the key of the output.
    pub role: u32,
    /// Byte 4: bytes.
    pub length: u32,
    /// Byte 8: where its bytes lie (byte offset from the beginning of SecretsConfig).
    pub offset: u32,
    /// Byte 12: SecretUse.
    pub r#use: u32,
}

const _: () = {
    assert!(core::mem::size_of::<SecretEntry>() == 16);
    assert!(core::mem::align_of::<SecretEntry>() == 4);
    assert!(core::mem::offset_of!(SecretEntry, role) == 0);
    assert!(core::mem::offset_of!(SecretEntry, length) == 4);
    assert!(core::mem::offset_of!(SecretEntry, offset) == 8);
    assert!(core::mem::offset_of!(SecretEntry, r#use) == 12);
};

impl SecretEntry {
    /// Size in bytes.
    pub const SIZE: usize = 16;
    /// Byte offset of `role`.
    pub const OFFSET_ROLE: usize = 0;
    /// Byte offset of `length`.
    pub const OFFSET_LENGTH: usize = 4;
    /// Byte offset of `offset`.
    pub const OFFSET_OFFSET: usize = 8;
    /// Byte offset of `r#use`.
    pub const OFFSET_USE: usize = 12;
    /// All fields zero.
    pub const ZERO: Self = Self {
        role: 0,
        length: 0,
        offset: 0,
        r#use: 0,
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let mut value = Self::ZERO;
        value.role = u32::from_le_bytes(take(bytes, 0));
        value.length = u32::from_le_bytes(take(bytes, 4));
        value.offset = u32::from_le_bytes(take(bytes, 8));
        value.r#use = u32::from_le_bytes(take(bytes, 12));
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0..4].copy_from_slice(&self.role.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.r#use.to_le_bytes());
        bytes
    }
}

/// Passphrases of encrypted images.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretsConfig {
    /// Byte 0: SECRETS_MAGIC.
    pub magic: u32,
    /// Byte 4: how many entries are used.
    pub count: u32,
    /// Byte 8: bytes of guest memory that the region takes, at least what the memory map says.
    pub memory_size: u64,
    /// Byte 16: the passphrases.
    pub entries: [SecretEntry; 8],
}

const _: () = {
    assert!(core::mem::size_of::<SecretsConfig>() == 144);
    assert!(core::mem::align_of::<SecretsConfig>() == 8);
    assert!(core::mem::offset_of!(SecretsConfig, magic) == 0);
    assert!(core::mem::offset_of!(SecretsConfig, count) == 4);
    assert!(core::mem::offset_of!(SecretsConfig, memory_size) == 8);
    assert!(core::mem::offset_of!(SecretsConfig, entries) == 16);
};

impl SecretsConfig {
    /// Size in bytes.
    pub const SIZE: usize = 144;
    /// Byte offset of `magic`.
    pub const OFFSET_MAGIC: usize = 0;
    /// Byte offset of `count`.
    pub const OFFSET_COUNT: usize = 4;
    /// Byte offset of `memory_size`.
    pub const OFFSET_MEMORY_SIZE: usize = 8;
    /// Byte offset of `entries`.
    pub const OFFSET_ENTRIES: usize = 16;
    /// All fields zero.
    pub const ZERO: Self = Self {
        magic: 0,
        count: 0,
        memory_size: 0,
        entries: [SecretEntry::ZERO; 8],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 144]) -> Self {
        let mut value = Self::ZERO;
        value.magic = u32::from_le_bytes(take(bytes, 0));
        value.count = u32::from_le_bytes(take(bytes, 4));
        value.memory_size = u64::from_le_bytes(take(bytes, 8));
        let mut at = 16;
        for item in &mut value.entries {
            *item = SecretEntry::from_bytes(&take(bytes, at));
            at += 16;
        }
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 144] {
        let mut bytes = [0; 144];
        bytes[0..4].copy_from_slice(&self.magic.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.memory_size.to_le_bytes());
        let mut at = 16;
        for item in &self.entries {
            bytes[at..at + 16].copy_from_slice(&item.to_bytes());
            at += 16;
        }
        bytes
    }
}

/// The internal snapshot that is read.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotChoice {
    /// Byte 0: SnapshotChoiceFlag; 0 for the image itself.
    pub flags: u32,
    /// Byte 4: bytes of `id`.
    pub id_len: u32,
    /// Byte 8: bytes of `name`.
    pub name_len: u32,
    /// Byte 12: zero.
    pub pad: u32,
    /// Byte 16: id, UTF-8.
    pub id: [u8; 128],
    /// Byte 144: name, UTF-8.
    pub name: [u8; 256],
}

const _: () = {
    assert!(core::mem::size_of::<SnapshotChoice>() == 400);
    assert!(core::mem::align_of::<SnapshotChoice>() == 4);
    assert!(core::mem::offset_of!(SnapshotChoice, flags) == 0);
    assert!(core::mem::offset_of!(SnapshotChoice, id_len) == 4);
    assert!(core::mem::offset_of!(SnapshotChoice, name_len) == 8);
    assert!(core::mem::offset_of!(SnapshotChoice, pad) == 12);
    assert!(core::mem::offset_of!(SnapshotChoice, id) == 16);
    assert!(core::mem::offset_of!(SnapshotChoice, name) == 144);
};

impl SnapshotChoice {
    /// Size in bytes.
    pub const SIZE: usize = 400;
    /// Byte offset of `flags`.
    pub const OFFSET_FLAGS: usize = 0;
    /// Byte offset of `id_len`.
    pub const OFFSET_ID_LEN: usize = 4;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 8;
    /// Byte offset of `pad`.
    pub const OFFSET_PAD: usize = 12;
    /// Byte offset of `id`.
    pub const OFFSET_ID: usize = 16;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 144;
    /// All fields zero.
    pub const ZERO: Self = Self {
        flags: 0,
        id_len: 0,
        name_len: 0,
        pad: 0,
        id: [0; 128],
        name: [0; 256],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 400]) -> Self {
        let mut value = Self::ZERO;
        value.flags = u32::from_le_bytes(take(bytes, 0));
        value.id_len = u32::from_le_bytes(take(bytes, 4));
        value.name_len = u32::from_le_bytes(take(bytes, 8));
        value.pad = u32::from_le_bytes(take(bytes, 12));
        value.id = take(bytes, 16);
        value.name = take(bytes, 144);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 400] {
        let mut bytes = [0; 400];
        bytes[0..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.id_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.pad.to_le_bytes());
        bytes[16..144].copy_from_slice(&self.id);
        bytes[144..400].copy_from_slice(&self.name);
        bytes
    }
}

/// One internal snapshot.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Byte 0: bytes of `id`.
    pub id_len: u32,
    /// Byte 4: bytes of `name`.
    pub name_len: u32,
    /// Byte 8: bytes of VM state.
    pub vm_state_size: u64,
    /// Byte 16: seconds since the epoch.
    pub date_sec: u32,
    /// Byte 20: nanoseconds within the second.
    pub date_nsec: u32,
    /// Byte 24: the guest's clock (nanoseconds).
    pub vm_clock_nsec: u64,
    /// Byte 32: virtual size at the snapshot (bytes).
    pub disk_size: u64,
    /// Byte 40: instruction count, −1 when not recorded.
    pub icount: i64,
    /// Byte 48: zero.
    pub reserved: u64,
    /// Byte 56: unique identifier.
    pub id: [u8; 128],
    /// Byte 184: name.
    pub name: [u8; 256],
}

const _: () = {
    assert!(core::mem::size_of::<SnapshotRecord>() == 440);
    assert!(core::mem::align_of::<SnapshotRecord>() == 8);
    assert!(core::mem::offset_of!(SnapshotRecord, id_len) == 0);
    assert!(core::mem::offset_of!(SnapshotRecord, name_len) == 4);
    assert!(core::mem::offset_of!(SnapshotRecord, vm_state_size) == 8);
    assert!(core::mem::offset_of!(SnapshotRecord, date_sec) == 16);
    assert!(core::mem::offset_of!(SnapshotRecord, date_nsec) == 20);
    assert!(core::mem::offset_of!(SnapshotRecord, vm_clock_nsec) == 24);
    assert!(core::mem::offset_of!(SnapshotRecord, disk_size) == 32);
    assert!(core::mem::offset_of!(SnapshotRecord, icount) == 40);
    assert!(core::mem::offset_of!(SnapshotRecord, reserved) == 48);
    assert!(core::mem::offset_of!(SnapshotRecord, id) == 56);
    assert!(core::mem::offset_of!(SnapshotRecord, name) == 184);
};

impl SnapshotRecord {
    /// Size in bytes.
    pub const SIZE: usize = 440;
    /// Byte offset of `id_len`.
    pub const OFFSET_ID_LEN: usize = 0;
    /// Byte offset of `name_len`.
    pub const OFFSET_NAME_LEN: usize = 4;
    /// Byte offset of `vm_state_size`.
    pub const OFFSET_VM_STATE_SIZE: usize = 8;
    /// Byte offset of `date_sec`.
    pub const OFFSET_DATE_SEC: usize = 16;
    /// Byte offset of `date_nsec`.
    pub const OFFSET_DATE_NSEC: usize = 20;
    /// Byte offset of `vm_clock_nsec`.
    pub const OFFSET_VM_CLOCK_NSEC: usize = 24;
    /// Byte offset of `disk_size`.
    pub const OFFSET_DISK_SIZE: usize = 32;
    /// Byte offset of `icount`.
    pub const OFFSET_ICOUNT: usize = 40;
    /// Byte offset of `reserved`.
    pub const OFFSET_RESERVED: usize = 48;
    /// Byte offset of `id`.
    pub const OFFSET_ID: usize = 56;
    /// Byte offset of `name`.
    pub const OFFSET_NAME: usize = 184;
    /// All fields zero.
    pub const ZERO: Self = Self {
        id_len: 0,
        name_len: 0,
        vm_state_size: 0,
        date_sec: 0,
        date_nsec: 0,
        vm_clock_nsec: 0,
        disk_size: 0,
        icount: 0,
        reserved: 0,
        id: [0; 128],
        name: [0; 256],
    };

    /// Reads the struct from its bytes (little endian).
    pub fn from_bytes(bytes: &[u8; 440]) -> Self {
        let mut value = Self::ZERO;
        value.id_len = u32::from_le_bytes(take(bytes, 0));
        value.name_len = u32::from_le_bytes(take(bytes, 4));
        value.vm_state_size = u64::from_le_bytes(take(bytes, 8));
        value.date_sec = u32::from_le_bytes(take(bytes, 16));
        value.date_nsec = u32::from_le_bytes(take(bytes, 20));
        value.vm_clock_nsec = u64::from_le_bytes(take(bytes, 24));
        value.disk_size = u64::from_le_bytes(take(bytes, 32));
        value.icount = i64::from_le_bytes(take(bytes, 40));
        value.reserved = u64::from_le_bytes(take(bytes, 48));
        value.id = take(bytes, 56);
        value.name = take(bytes, 184);
        value
    }

    /// The bytes of the struct (little endian).
    pub fn to_bytes(&self) -> [u8; 440] {
        let mut bytes = [0; 440];
        bytes[0..4].copy_from_slice(&self.id_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.vm_state_size.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.date_sec.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.date_nsec.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.vm_clock_nsec.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.disk_size.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.icount.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.reserved.to_le_bytes());
        bytes[56..184].copy_from_slice(&self.id);
        bytes[184..440].copy_from_slice(&self.name);
        bytes
    }
}

/// Fingerprints of the older minor versions of this major one.
pub const OLDER_FINGERPRINTS: [[u8; 32]; 17] = [
    [
        250, 89, 85, 35, 146, 154, 197, 88, 31, 39, 27, 13, 198, 175, 16, 57, 97, 118, 149, 238,
        95, 1, 238, 40, 155, 167, 178, 18, 80, 139, 78, 69,
    ],
    [
        242, 6, 69, 243, 58, 6, 175, 215, 169, 139, 230, 253, 159, 237, 246, 67, 161, 94, 18, 240,
        99, 177, 65, 123, 72, 57, 51, 103, 146, 53, 26, 65,
    ],
    [
        144, 93, 74, 71, 135, 5, 116, 212, 15, 174, 193, 230, 85, 140, 138, 18, 16, 80, 16, 196,
        103, 137, 137, 86, 255, 244, 126, 60, 135, 244, 241, 162,
    ],
    [
        37, 203, 121, 50, 80, 38, 135, 255, 110, 142, 164, 163, 63, 231, 138, 155, 174, 229, 20,
        180, 108, 128, 176, 225, 120, 158, 194, 9, 221, 205, 209, 219,
    ],
    [
        23, 194, 183, 47, 157, 2, 225, 219, 6, 34, 161, 83, 211, 135, 235, 90, 147, 1, 234, 205,
        201, 232, 52, 154, 235, 41, 165, 119, 78, 79, 121, 175,
    ],
    [
        32, 1, 207, 130, 108, 29, 58, 34, 95, 130, 110, 124, 55, 37, 67, 253, 84, 232, 98, 37, 246,
        170, 160, 17, 42, 237, 24, 245, 71, 220, 213, 138,
    ],
    [
        138, 62, 250, 148, 190, 42, 57, 156, 90, 214, 91, 207, 246, 150, 169, 168, 154, 13, 157,
        207, 136, 122, 8, 41, 138, 48, 220, 205, 153, 81, 198, 79,
    ],
    [
        8, 91, 140, 171, 0, 11, 237, 183, 244, 26, 95, 95, 103, 147, 110, 63, 153, 180, 28, 96,
        241, 161, 159, 174, 198, 86, 179, 238, 198, 103, 223, 174,
    ],
    [
        1, 78, 164, 13, 250, 136, 127, 208, 83, 2, 153, 154, 224, 130, 80, 66, 99, 238, 197, 206,
        51, 212, 224, 174, 29, 139, 115, 43, 53, 250, 117, 119,
    ],
    [
        102, 149, 82, 179, 184, 21, 65, 101, 16, 142, 52, 160, 254, 27, 161, 136, 194, 42, 121,
        218, 180, 22, 89, 76, 104, 192, 189, 216, 44, 138, 243, 181,
    ],
    [
        208, 167, 165, 137, 113, 232, 68, 231, 8, 190, 83, 155, 174, 57, 21, 23, 154, 245, 139,
        220, 17, 127, 218, 224, 232, 9, 210, 237, 161, 128, 110, 116,
    ],
    [
        254, 169, 89, 133, 131, 248, 226, 138, 240, 103, 172, 45, 52, 111, 101, 178, 184, 209, 117,
        25, 121, 95, 201, 217, 197, 253, 26, 196, 109, 128, 151, 255,
    ],
    [
        195, 31, 136, 207, 192, 110, 242, 146, 134, 195, 208, 26, 194, 62, 69, 28, 106, 211, 20,
        26, 27, 166, 196, 5, 204, 226, 5, 23, 168, 87, 96, 17,
    ],
    [
        246, 249, 223, 4, 123, 124, 28, 116, 25, 10, 45, 66, 137, 37, 74, 255, 242, 68, 49, 78,
        181, 11, 191, 209, 194, 122, 65, 60, 48, 5, 139, 243,
    ],
    [
        119, 54, 76, 245, 33, 236, 172, 27, 52, 108, 135, 26, 248, 219, 106, 120, 117, 88, 140, 14,
        142, 95, 252, 58, 75, 92, 54, 168, 173, 231, 113, 111,
    ],
    [
        229, 223, 167, 66, 20, 216, 141, 80, 229, 195, 223, 240, 14, 147, 166, 211, 136, 218, 23,
        238, 201, 14, 99, 28, 196, 26, 70, 248, 30, 208, 210, 148,
    ],
    [
        171, 102, 135, 138, 157, 45, 53, 213, 205, 183, 203, 150, 250, 149, 141, 51, 146, 204, 72,
        251, 95, 138, 86, 147, 54, 34, 48, 122, 242, 125, 90, 32,
    ],
];

/// Hands every format to a macro: variant, constant of [`image_format`], name.
#[macro_export]
macro_rules! for_each_format {
    ($then:ident) => {
        $then! {
            Raw = RAW, "raw";
            Qcow2 = QCOW2, "qcow2";
            Vmdk = VMDK, "vmdk";
            Vdi = VDI, "vdi";
            Vpc = VPC, "vpc";
            Vhdx = VHDX, "vhdx";
            Qcow = QCOW, "qcow";
            Luks = LUKS, "luks";
            Qed = QED, "qed";
            Parallels = PARALLELS, "parallels";
            Bochs = BOCHS, "bochs";
            Cloop = CLOOP, "cloop";
            Dmg = DMG, "dmg";
            Iso9660 = ISO, "iso9660";
            Simg = SIMG, "simg";
            Gzip = GZIP, "gzip";
            Xz = XZ, "xz";
            Zstd = ZSTD, "zstd";
            Bzip2 = BZIP2, "bzip2";
            Asif = ASIF, "asif";
            Sparseimage = SPARSEIMAGE, "sparseimage";
        }
    };
}
/// Hands every format that is read to a macro: variant, module of its driver.
#[macro_export]
macro_rules! for_each_driver {
    ($then:ident) => {
        $then! {
            Raw => raw;
            Qcow2 => qcow2;
            Vmdk => vmdk;
            Vdi => vdi;
            Vpc => vpc;
            Vhdx => vhdx;
            Qcow => qcow;
            Luks => luks;
            Qed => qed;
            Parallels => parallels;
            Bochs => bochs;
            Cloop => cloop;
            Dmg => dmg;
            Simg => simg;
            Gzip => gzip;
            Xz => xz;
            Zstd => zstd;
            Bzip2 => bzip2;
            Asif => asif;
            Sparseimage => sparseimage;
        }
    };
}
