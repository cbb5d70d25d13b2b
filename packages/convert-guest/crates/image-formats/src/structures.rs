// @generated from packages/shared-abi/src/disk: edit there, then `npm run generate`.
//! Structures of disk images: where each field is, how wide, in which byte order, and what messages call it.
#![allow(dead_code, unused_imports)]
/// Structures of asif.
pub mod asif {
    /// Header of Apple's sparse image.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 70;
        /// "shdw".
        pub const MAGIC: Number<Be<u32>> = Number::new("magic", 0);
        /// 1.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Bytes, 512.
        pub const HEADER_SIZE: Number<Be<u32>> = Number::new("header size", 8);
        /// Flags.
        pub const FLAGS: Number<Be<u32>> = Number::new("flags", 12);
        /// Byte offset.
        pub const FIRST_DIRECTORY: Number<Be<u64>> = Number::new("first directory", 16);
        /// Byte offset; the one with the higher number counts.
        pub const SECOND_DIRECTORY: Number<Be<u64>> = Number::new("second directory", 24);
        /// Of the image.
        pub const UUID: Span = Span::new("uuid", 32, 16);
        /// Sectors of the disk.
        pub const SECTOR_COUNT: Number<Be<u64>> = Number::new("sector count", 48);
        /// Sectors that it may grow to.
        pub const MAXIMUM_SECTOR_COUNT: Number<Be<u64>> = Number::new("maximum sector count", 56);
        /// Bytes.
        pub const CHUNK_SIZE: Number<Be<u32>> = Number::new("chunk size", 64);
        /// Bytes.
        pub const SECTOR_SIZE: Number<Be<u16>> = Number::new("sector size", 68);
    }
}
/// Structures of bochs.
pub mod bochs {
    /// Header of a growing disk, version 2.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 96;
        /// "Bochs Virtual HD Image".
        pub const MAGIC: Span = Span::new("magic", 0, 32);
        /// "Redolog".
        pub const TYPE: Span = Span::new("type", 32, 16);
        /// "Growing".
        pub const SUBTYPE: Span = Span::new("subtype", 48, 16);
        /// 0x10000 or 0x20000.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 64);
        /// Bytes of the header, behind which the catalog lies.
        pub const HEADER: Number<Le<u32>> = Number::new("header", 68);
        /// Entries of the catalog.
        pub const CATALOG: Number<Le<u32>> = Number::new("catalog", 72);
        /// Bytes of the bitmap of an extent.
        pub const BITMAP: Number<Le<u32>> = Number::new("bitmap", 76);
        /// Bytes of an extent.
        pub const EXTENT: Number<Le<u32>> = Number::new("extent", 80);
        /// Of the file below (FAT).
        pub const TIMESTAMP: Number<Le<u32>> = Number::new("timestamp", 84);
        /// Bytes of the disk.
        pub const DISK: Number<Le<u64>> = Number::new("disk", 88);
    }
    /// Header of a growing disk, version 1.
    pub mod header1 {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 92;
        /// "Bochs Virtual HD Image".
        pub const MAGIC: Span = Span::new("magic", 0, 32);
        /// "Redolog".
        pub const TYPE: Span = Span::new("type", 32, 16);
        /// "Growing".
        pub const SUBTYPE: Span = Span::new("subtype", 48, 16);
        /// 0x10000 or 0x20000.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 64);
        /// Bytes of the header, behind which the catalog lies.
        pub const HEADER: Number<Le<u32>> = Number::new("header", 68);
        /// Entries of the catalog.
        pub const CATALOG: Number<Le<u32>> = Number::new("catalog", 72);
        /// Bytes of the bitmap of an extent.
        pub const BITMAP: Number<Le<u32>> = Number::new("bitmap", 76);
        /// Bytes of an extent.
        pub const EXTENT: Number<Le<u32>> = Number::new("extent", 80);
        /// Bytes of the disk.
        pub const DISK: Number<Le<u64>> = Number::new("disk", 84);
    }
}
/// Structures of cloop.
pub mod cloop {
    /// Header of a compressed loop image.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 136;
        /// A shell script that mounts it.
        pub const SCRIPT: Span = Span::new("script", 0, 128);
        /// Bytes of a block.
        pub const BLOCK_SIZE: Number<Be<u32>> = Number::new("block_size", 128);
        /// Blocks; one offset more follows.
        pub const N_BLOCKS: Number<Be<u32>> = Number::new("n_blocks", 132);
    }
}
/// Structures of dmg.
pub mod dmg {
    /// Head of a resource fork.
    pub mod resource_fork {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 16;
        /// Byte offset of the data.
        pub const DATA_OFFSET: Number<Be<u32>> = Number::new("offset of resource data", 0);
        /// Byte offset of the map.
        pub const MAP_OFFSET: Number<Be<u32>> = Number::new("map offset", 4);
        /// Bytes.
        pub const DATA_LENGTH: Number<Be<u32>> = Number::new("length of resource data", 8);
        /// Bytes.
        pub const MAP_LENGTH: Number<Be<u32>> = Number::new("map length", 12);
    }
    /// A run of sectors.
    pub mod run {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 40;
        /// 0 zeros, 1 raw, 2 ignored, 0x80000004 ADC to 0x80000008 LZMA, 0x7ffffffe comment, 0xffffffff end.
        pub const TYPE: Number<Be<u32>> = Number::new("type of a run", 0);
        /// Of a comment.
        pub const COMMENT: Number<Be<u32>> = Number::new("comment", 4);
        /// From the first of the table.
        pub const FIRST_SECTOR: Number<Be<u64>> = Number::new("first sector of a run", 8);
        /// Sectors of the disk.
        pub const SECTOR_COUNT: Number<Be<u64>> = Number::new("sector count of a run", 16);
        /// Byte offset in the data fork, from that of the table.
        pub const OFFSET: Number<Be<u64>> = Number::new("offset of a run", 24);
        /// Bytes in the file.
        pub const LENGTH: Number<Be<u64>> = Number::new("length of a run", 32);
    }
    /// Head of a table of runs.
    pub mod table {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 204;
        /// "mish".
        pub const SIGNATURE: Span = Span::new("signature", 0, 4);
        /// 1.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Of the disk.
        pub const FIRST_SECTOR: Number<Be<u64>> = Number::new("first sector", 8);
        /// Sectors of all runs.
        pub const SECTOR_COUNT: Number<Be<u64>> = Number::new("sector count", 16);
        /// Byte offset in the data fork.
        pub const DATA_OFFSET: Number<Be<u64>> = Number::new("data offset", 24);
        /// Sectors.
        pub const BUFFERS_NEEDED: Number<Be<u32>> = Number::new("buffers needed", 32);
        /// Number of the table.
        pub const DESCRIPTORS: Number<Be<u32>> = Number::new("descriptors", 36);
        /// Zero.
        pub const RESERVED: Span = Span::new("reserved", 40, 24);
        /// 2 for CRC-32.
        pub const CHECKSUM_TYPE: Number<Be<u32>> = Number::new("checksum type", 64);
        /// Bits of the checksum.
        pub const CHECKSUM_BITS: Number<Be<u32>> = Number::new("checksum bits", 68);
        /// Of the content.
        pub const CHECKSUM: Span = Span::new("checksum", 72, 128);
        /// Runs that follow.
        pub const RUN_COUNT: Number<Be<u32>> = Number::new("run count", 200);
    }
    /// Trailer of an Apple disk image.
    pub mod trailer {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// "koly".
        pub const MAGIC: Span = Span::new("magic", 0, 4);
        /// 4.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Bytes, 512.
        pub const HEADER_SIZE: Number<Be<u32>> = Number::new("header size", 8);
        /// Flags.
        pub const FLAGS: Number<Be<u32>> = Number::new("flags", 12);
        /// Byte offset, of images in several files.
        pub const RUNNING_DATA_FORK_OFFSET: Number<Be<u64>> =
            Number::new("running data fork offset", 16);
        /// Byte offset.
        pub const DATA_FORK_OFFSET: Number<Be<u64>> = Number::new("data fork offset", 24);
        /// Bytes.
        pub const DATA_FORK_LENGTH: Number<Be<u64>> = Number::new("data fork length", 32);
        /// Byte offset.
        pub const RESOURCE_FORK_OFFSET: Number<Be<u64>> = Number::new("resource fork offset", 40);
        /// Bytes.
        pub const RESOURCE_FORK_LENGTH: Number<Be<u64>> = Number::new("resource fork length", 48);
        /// From 1.
        pub const SEGMENT_NUMBER: Number<Be<u32>> = Number::new("segment number", 56);
        /// Files of the image.
        pub const SEGMENT_COUNT: Number<Be<u32>> = Number::new("segment count", 60);
        /// That all files share.
        pub const SEGMENT_IDENTIFIER: Span = Span::new("segment identifier", 64, 16);
        /// 2 for CRC-32.
        pub const DATA_CHECKSUM_TYPE: Number<Be<u32>> = Number::new("data checksum type", 80);
        /// Bits of the checksum.
        pub const DATA_CHECKSUM_BITS: Number<Be<u32>> = Number::new("data checksum bits", 84);
        /// Of the data fork.
        pub const DATA_CHECKSUM: Span = Span::new("data checksum", 88, 128);
        /// Byte offset.
        pub const PROPERTY_LIST_OFFSET: Number<Be<u64>> = Number::new("property list offset", 216);
        /// Bytes.
        pub const PROPERTY_LIST_LENGTH: Number<Be<u64>> = Number::new("property list length", 224);
        /// Zero.
        pub const RESERVED: Span = Span::new("reserved", 232, 120);
        /// 2 for CRC-32.
        pub const MASTER_CHECKSUM_TYPE: Number<Be<u32>> = Number::new("master checksum type", 352);
        /// Bits of the checksum.
        pub const MASTER_CHECKSUM_BITS: Number<Be<u32>> = Number::new("master checksum bits", 356);
        /// Of the checksums of all tables.
        pub const MASTER_CHECKSUM: Span = Span::new("master checksum", 360, 128);
        /// 1 of a device, 2 of a partition.
        pub const IMAGE_VARIANT: Number<Be<u32>> = Number::new("image variant", 488);
        /// Sectors of the disk.
        pub const SECTOR_COUNT: Number<Be<u64>> = Number::new("sector count", 492);
        /// Zero.
        pub const RESERVED2: Span = Span::new("reserved2", 500, 12);
    }
}
/// Structures of luks2.
pub mod luks2 {
    /// Binary header of LUKS 2.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 4096;
        /// "LUKS" or, of the second one, "SKUL", 0xba, 0xbe.
        pub const MAGIC: Span = Span::new("magic", 0, 6);
        /// 2.
        pub const VERSION: Number<Be<u16>> = Number::new("version", 6);
        /// Bytes with the metadata behind it.
        pub const HEADER_SIZE: Number<Be<u64>> = Number::new("header size", 8);
        /// The higher one counts.
        pub const SEQUENCE_NUMBER: Number<Be<u64>> = Number::new("sequence number", 16);
        /// Text.
        pub const LABEL: Span = Span::new("label", 24, 48);
        /// Such as "sha256".
        pub const CHECKSUM_ALGORITHM: Span = Span::new("checksum algorithm", 72, 32);
        /// That both headers differ by.
        pub const SALT: Span = Span::new("salt", 104, 64);
        /// Text.
        pub const UUID: Span = Span::new("uuid", 168, 40);
        /// Text.
        pub const SUBSYSTEM: Span = Span::new("subsystem", 208, 48);
        /// Byte offset of this header.
        pub const HEADER_OFFSET: Number<Be<u64>> = Number::new("header offset", 256);
        /// Zero.
        pub const PADDING: Span = Span::new("padding", 264, 184);
        /// Of header and metadata, with zeros in this place.
        pub const CHECKSUM: Span = Span::new("checksum", 448, 64);
        /// Zero.
        pub const PADDING4096: Span = Span::new("padding4096", 512, 3584);
    }
}
/// Structures of luks.
pub mod luks {
    /// Header of LUKS 1.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 592;
        /// "LUKS", 0xba, 0xbe.
        pub const MAGIC: Span = Span::new("magic", 0, 6);
        /// 1.
        pub const VERSION: Number<Be<u16>> = Number::new("version", 6);
        /// Such as "aes".
        pub const CIPHER_NAME: Span = Span::new("cipher name", 8, 32);
        /// Such as "xts-plain64".
        pub const CIPHER_MODE: Span = Span::new("cipher mode", 40, 32);
        /// Such as "sha256".
        pub const HASH_SPEC: Span = Span::new("hash spec", 72, 32);
        /// Sector of the disk.
        pub const PAYLOAD_OFFSET: Number<Be<u32>> = Number::new("payload offset", 104);
        /// Bytes of the volume key.
        pub const KEY_BYTES: Number<Be<u32>> = Number::new("key bytes", 108);
        /// Of the volume key.
        pub const MK_DIGEST: Span = Span::new("mk digest", 112, 20);
        /// Of that digest.
        pub const MK_DIGEST_SALT: Span = Span::new("mk digest salt", 132, 32);
        /// Of that digest.
        pub const MK_DIGEST_ITERATIONS: Number<Be<u32>> = Number::new("mk digest iterations", 164);
        /// Text.
        pub const UUID: Span = Span::new("uuid", 168, 40);
        /// Key slots.
        pub const KEY_SLOTS: Span = Span::new("key slots", 208, 384);
    }
    /// Key slot of LUKS 1.
    pub mod key_slot {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 48;
        /// 0x00ac71f3 in use, 0x0000dead not.
        pub const STATE: Number<Be<u32>> = Number::new("key slot state", 0);
        /// Of PBKDF2.
        pub const ITERATIONS: Number<Be<u32>> = Number::new("key slot iterations", 4);
        /// Of PBKDF2.
        pub const SALT: Span = Span::new("key slot salt", 8, 32);
        /// Sector.
        pub const KEY_MATERIAL_OFFSET: Number<Be<u32>> = Number::new("key material offset", 40);
        /// Parts that the key is split into.
        pub const STRIPES: Number<Be<u32>> = Number::new("key slot stripes", 44);
    }
}
/// Structures of parallels.
pub mod parallels {
    /// Header of a Parallels disk.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 64;
        /// "WithoutFreeSpace", or "WithouFreSpacExt" where entries count clusters.
        pub const MAGIC: Span = Span::new("magic", 0, 16);
        /// 2.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 16);
        /// Of the geometry.
        pub const HEADS: Number<Le<u32>> = Number::new("heads", 20);
        /// Of the geometry.
        pub const CYLINDERS: Number<Le<u32>> = Number::new("cylinders", 24);
        /// Sectors of a cluster.
        pub const TRACKS: Number<Le<u32>> = Number::new("tracks", 28);
        /// Entries of the block allocation table, which follows the header.
        pub const BAT_ENTRIES: Number<Le<u32>> = Number::new("bat_entries", 32);
        /// Sectors of the disk.
        pub const NB_SECTORS: Number<Le<u64>> = Number::new("nb_sectors", 36);
        /// 0x746f6e59 while it is written.
        pub const INUSE: Number<Le<u32>> = Number::new("inuse", 44);
        /// Sector of the first cluster.
        pub const DATA_OFF: Number<Le<u32>> = Number::new("data_off", 48);
        /// 1 for an image that is empty.
        pub const FLAGS: Number<Le<u32>> = Number::new("flags", 52);
        /// Sector of the format extension; 0 for none.
        pub const EXT_OFF: Number<Le<u64>> = Number::new("ext_off", 56);
    }
}
/// Structures of qcow2.
pub mod qcow2 {
    /// Head of an entry of the bitmap directory.
    pub mod bitmap_entry {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 24;
        /// Byte offset.
        pub const BITMAP_TABLE_OFFSET: Number<Be<u64>> = Number::new("bitmap_table_offset", 0);
        /// Entries of its table.
        pub const BITMAP_TABLE_SIZE: Number<Be<u32>> = Number::new("bitmap_table_size", 8);
        /// 1 in use, 2 enabled, 4 extra data may be ignored.
        pub const FLAGS: Number<Be<u32>> = Number::new("bitmap flags", 12);
        /// 1: what was written.
        pub const TYPE: Number<u8> = Number::new("bitmap type", 16);
        /// A bit stands for 2^n bytes.
        pub const GRANULARITY_BITS: Number<u8> = Number::new("bitmap granularity_bits", 17);
        /// Bytes of its name.
        pub const NAME_SIZE: Number<Be<u16>> = Number::new("bitmap name_size", 18);
        /// Bytes of extra data, in front of the name.
        pub const EXTRA_DATA_SIZE: Number<Be<u32>> = Number::new("bitmap extra_data_size", 20);
    }
    /// Where the bitmaps are listed.
    pub mod bitmaps_extension {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 24;
        /// Entries of the directory.
        pub const NB_BITMAPS: Number<Be<u32>> = Number::new("nb_bitmaps", 0);
        /// Zero.
        pub const RESERVED: Number<Be<u32>> = Number::new("reserved", 4);
        /// Bytes.
        pub const BITMAP_DIRECTORY_SIZE: Number<Be<u64>> = Number::new("bitmap_directory_size", 8);
        /// Byte offset.
        pub const BITMAP_DIRECTORY_OFFSET: Number<Be<u64>> =
            Number::new("bitmap_directory_offset", 16);
    }
    /// Head of a header extension.
    pub mod extension {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 8;
        /// What it is; 0 ends the list.
        pub const TYPE: Number<Be<u32>> = Number::new("type", 0);
        /// Bytes of its data, which are filled up to a multiple of 8.
        pub const LENGTH: Number<Be<u32>> = Number::new("length", 4);
    }
    /// Header of a qcow2 image.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 112;
        /// "QFI" and 0xfb.
        pub const MAGIC: Number<Be<u32>> = Number::new("magic", 0);
        /// 2 or 3.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Byte offset of its name; 0 for none.
        pub const BACKING_FILE_OFFSET: Number<Be<u64>> = Number::new("backing_file_offset", 8);
        /// Bytes of its name.
        pub const BACKING_FILE_SIZE: Number<Be<u32>> = Number::new("backing_file_size", 16);
        /// A cluster has 2^n bytes.
        pub const CLUSTER_BITS: Number<Be<u32>> = Number::new("cluster_bits", 20);
        /// Bytes of the disk.
        pub const SIZE: Number<Be<u64>> = Number::new("size", 24);
        /// 0 none, 1 AES, 2 LUKS.
        pub const CRYPT_METHOD: Number<Be<u32>> = Number::new("crypt_method", 32);
        /// Entries of the L1 table.
        pub const L1_SIZE: Number<Be<u32>> = Number::new("l1_size", 36);
        /// Byte offset.
        pub const L1_TABLE_OFFSET: Number<Be<u64>> = Number::new("l1_table_offset", 40);
        /// Byte offset.
        pub const REFCOUNT_TABLE_OFFSET: Number<Be<u64>> = Number::new("refcount_table_offset", 48);
        /// Clusters of the refcount table.
        pub const REFCOUNT_TABLE_CLUSTERS: Number<Be<u32>> =
            Number::new("refcount_table_clusters", 56);
        /// Entries of the snapshot table.
        pub const NB_SNAPSHOTS: Number<Be<u32>> = Number::new("nb_snapshots", 60);
        /// Byte offset of the snapshot table.
        pub const SNAPSHOTS_OFFSET: Number<Be<u64>> = Number::new("snapshots_offset", 64);
        /// What who does not know it must not open.
        pub const INCOMPATIBLE_FEATURES: Number<Be<u64>> = Number::new("incompatible_features", 72);
        /// What who does not know it may ignore.
        pub const COMPATIBLE_FEATURES: Number<Be<u64>> = Number::new("compatible_features", 80);
        /// What who does not know it clears.
        pub const AUTOCLEAR_FEATURES: Number<Be<u64>> = Number::new("autoclear_features", 88);
        /// A refcount has 2^n bits.
        pub const REFCOUNT_ORDER: Number<Be<u32>> = Number::new("refcount_order", 96);
        /// Bytes of the header.
        pub const HEADER_LENGTH: Number<Be<u32>> = Number::new("header_length", 100);
        /// 0 zlib, 1 zstd.
        pub const COMPRESSION_TYPE: Number<u8> = Number::new("compression_type", 104);
        /// Zero.
        pub const PADDING: Span = Span::new("padding", 105, 7);
    }
    /// Head of an entry of the snapshot table.
    pub mod snapshot {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 40;
        /// Byte offset.
        pub const L1_TABLE_OFFSET: Number<Be<u64>> = Number::new("snapshot's l1_table_offset", 0);
        /// Entries of its L1 table.
        pub const L1_SIZE: Number<Be<u32>> = Number::new("snapshot's l1_size", 8);
        /// Bytes of its id.
        pub const ID_STR_SIZE: Number<Be<u16>> = Number::new("snapshot's id_str_size", 12);
        /// Bytes of its name.
        pub const NAME_SIZE: Number<Be<u16>> = Number::new("snapshot's name_size", 14);
        /// Seconds since 1970.
        pub const DATE_SEC: Number<Be<u32>> = Number::new("snapshot's date_sec", 16);
        /// Nanoseconds within the second.
        pub const DATE_NSEC: Number<Be<u32>> = Number::new("snapshot's date_nsec", 20);
        /// Time that the machine has run (nanoseconds).
        pub const VM_CLOCK_NSEC: Number<Be<u64>> = Number::new("snapshot's vm_clock_nsec", 24);
        /// Bytes of the state of the machine, unless the extra data say it.
        pub const VM_STATE_SIZE: Number<Be<u32>> = Number::new("snapshot's vm_state_size", 32);
        /// Bytes of extra data, in front of the id.
        pub const EXTRA_DATA_SIZE: Number<Be<u32>> = Number::new("snapshot's extra_data_size", 36);
    }
    /// Extra data of a snapshot.
    pub mod snapshot_extra {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 24;
        /// Bytes of the state of the machine.
        pub const VM_STATE_SIZE: Number<Be<u64>> = Number::new("vm_state_size", 0);
        /// Bytes of the disk.
        pub const DISK_SIZE: Number<Be<u64>> = Number::new("disk_size", 8);
        /// Instructions that were run; all ones where nobody counted.
        pub const ICOUNT: Number<Be<u64>> = Number::new("icount", 16);
    }
}
/// Structures of qcow.
pub mod qcow {
    /// Header of a qcow image, version 1.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 48;
        /// "QFI" and 0xfb.
        pub const MAGIC: Number<Be<u32>> = Number::new("magic", 0);
        /// 1.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Byte offset of its name; 0 for none.
        pub const BACKING_FILE_OFFSET: Number<Be<u64>> = Number::new("backing_file_offset", 8);
        /// Bytes of its name.
        pub const BACKING_FILE_SIZE: Number<Be<u32>> = Number::new("backing_file_size", 16);
        /// When it was changed last.
        pub const MTIME: Number<Be<u32>> = Number::new("mtime", 20);
        /// Bytes of the disk.
        pub const SIZE: Number<Be<u64>> = Number::new("size", 24);
        /// A cluster has 2^n bytes.
        pub const CLUSTER_BITS: Number<u8> = Number::new("cluster_bits", 32);
        /// An L2 table has 2^n entries.
        pub const L2_BITS: Number<u8> = Number::new("l2_bits", 33);
        /// Zero.
        pub const PADDING: Number<Be<u16>> = Number::new("padding", 34);
        /// 0 none, 1 AES.
        pub const CRYPT_METHOD: Number<Be<u32>> = Number::new("crypt_method", 36);
        /// Byte offset.
        pub const L1_TABLE_OFFSET: Number<Be<u64>> = Number::new("l1_table_offset", 40);
    }
}
/// Structures of qed.
pub mod qed {
    /// Header of a QED image.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 64;
        /// "QED" and a zero.
        pub const MAGIC: Number<Le<u32>> = Number::new("magic", 0);
        /// Bytes.
        pub const CLUSTER_SIZE: Number<Le<u32>> = Number::new("cluster_size", 4);
        /// Clusters of a table.
        pub const TABLE_SIZE: Number<Le<u32>> = Number::new("table_size", 8);
        /// Clusters of the header.
        pub const HEADER_SIZE: Number<Le<u32>> = Number::new("header_size", 12);
        /// 1 a backing file, 2 to be checked, 4 a raw backing file.
        pub const FEATURES: Number<Le<u64>> = Number::new("features", 16);
        /// What who does not know it may ignore.
        pub const COMPAT_FEATURES: Number<Le<u64>> = Number::new("compat_features", 24);
        /// What who does not know it clears.
        pub const AUTOCLEAR_FEATURES: Number<Le<u64>> = Number::new("autoclear_features", 32);
        /// Byte offset.
        pub const L1_TABLE_OFFSET: Number<Le<u64>> = Number::new("l1_table_offset", 40);
        /// Bytes of the disk.
        pub const IMAGE_SIZE: Number<Le<u64>> = Number::new("image_size", 48);
        /// Byte offset.
        pub const BACKING_FILENAME_OFFSET: Number<Le<u32>> =
            Number::new("backing_filename_offset", 56);
        /// Bytes.
        pub const BACKING_FILENAME_SIZE: Number<Le<u32>> = Number::new("backing_filename_size", 60);
    }
}
/// Structures of simg.
pub mod simg {
    /// Head of a chunk.
    pub mod chunk {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 12;
        /// 0xcac1 raw, 0xcac2 fill, 0xcac3 not stored, 0xcac4 CRC-32.
        pub const CHUNK_TYPE: Number<Le<u16>> = Number::new("chunk_type", 0);
        /// Zero.
        pub const RESERVED1: Number<Le<u16>> = Number::new("reserved1", 2);
        /// Blocks of the disk.
        pub const CHUNK_SZ: Number<Le<u32>> = Number::new("chunk_sz", 4);
        /// Bytes of the chunk with its head.
        pub const TOTAL_SZ: Number<Le<u32>> = Number::new("total_sz", 8);
    }
    /// Header of an Android sparse image.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 28;
        /// 0xed26ff3a.
        pub const MAGIC: Number<Le<u32>> = Number::new("magic", 0);
        /// 1.
        pub const MAJOR_VERSION: Number<Le<u16>> = Number::new("major_version", 4);
        /// 0.
        pub const MINOR_VERSION: Number<Le<u16>> = Number::new("minor_version", 6);
        /// Bytes of this header.
        pub const FILE_HDR_SZ: Number<Le<u16>> = Number::new("file_hdr_sz", 8);
        /// Bytes of the head of a chunk.
        pub const CHUNK_HDR_SZ: Number<Le<u16>> = Number::new("chunk_hdr_sz", 10);
        /// Bytes of a block.
        pub const BLK_SZ: Number<Le<u32>> = Number::new("blk_sz", 12);
        /// Blocks of the disk.
        pub const TOTAL_BLKS: Number<Le<u32>> = Number::new("total_blks", 16);
        /// Chunks that follow.
        pub const TOTAL_CHUNKS: Number<Le<u32>> = Number::new("total_chunks", 20);
        /// CRC-32 of the disk; 0 for none.
        pub const IMAGE_CHECKSUM: Number<Le<u32>> = Number::new("image_checksum", 24);
    }
}
/// Structures of sparseimage.
pub mod sparseimage {
    /// Header of Apple's old sparse image (UDSP).
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 4096;
        /// "sprs".
        pub const MAGIC: Span = Span::new("magic", 0, 4);
        /// 3.
        pub const VERSION: Number<Be<u32>> = Number::new("version", 4);
        /// Sectors.
        pub const SECTORS_PER_BAND: Number<Be<u32>> = Number::new("sectors_per_band", 8);
        /// 1.
        pub const UNKNOWN: Number<Be<u32>> = Number::new("unknown", 12);
        /// Sectors of the disk.
        pub const SECTOR_COUNT: Number<Be<u32>> = Number::new("sector_count", 16);
        /// Zero, but for one number that nobody knows.
        pub const RESERVED: Span = Span::new("reserved", 20, 44);
        /// Of each band of the file, which one of the disk it is (from 1, 32 bits); 0 for none.
        pub const BANDS: Span = Span::new("bands", 64, 4032);
    }
}
/// Structures of vdi.
pub mod vdi {
    /// Header of a VirtualBox disk image, version 1.1.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// A line that names the program.
        pub const TEXT: Span = Span::new("text", 0, 64);
        /// 0xbeda107f.
        pub const SIGNATURE: Number<Le<u32>> = Number::new("signature", 64);
        /// 0x10001.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 68);
        /// Bytes of the header from here on.
        pub const HEADER_SIZE: Number<Le<u32>> = Number::new("header_size", 72);
        /// 1 dynamic, 2 fixed, 3 undo, 4 differencing.
        pub const IMAGE_TYPE: Number<Le<u32>> = Number::new("image_type", 76);
        /// Flags.
        pub const IMAGE_FLAGS: Number<Le<u32>> = Number::new("image_flags", 80);
        /// A comment.
        pub const DESCRIPTION: Span = Span::new("description", 84, 256);
        /// Byte offset of the block map.
        pub const OFFSET_BMAP: Number<Le<u32>> = Number::new("offset_bmap", 340);
        /// Byte offset of the first block.
        pub const OFFSET_DATA: Number<Le<u32>> = Number::new("offset_data", 344);
        /// Of the geometry.
        pub const CYLINDERS: Number<Le<u32>> = Number::new("cylinders", 348);
        /// Of the geometry.
        pub const HEADS: Number<Le<u32>> = Number::new("heads", 352);
        /// Of a track.
        pub const SECTORS: Number<Le<u32>> = Number::new("sectors", 356);
        /// Bytes, 512.
        pub const SECTOR_SIZE: Number<Le<u32>> = Number::new("sector_size", 360);
        /// Not used.
        pub const UNUSED: Number<Le<u32>> = Number::new("unused", 364);
        /// Bytes.
        pub const DISK_SIZE: Number<Le<u64>> = Number::new("disk_size", 368);
        /// Bytes.
        pub const BLOCK_SIZE: Number<Le<u32>> = Number::new("block_size", 376);
        /// Bytes in front of the content of a block.
        pub const BLOCK_EXTRA: Number<Le<u32>> = Number::new("block_extra", 380);
        /// Entries of the block map.
        pub const BLOCKS_IN_IMAGE: Number<Le<u32>> = Number::new("blocks_in_image", 384);
        /// Blocks that have a place in the file.
        pub const BLOCKS_ALLOCATED: Number<Le<u32>> = Number::new("blocks_allocated", 388);
        /// Of this image.
        pub const UUID_IMAGE: Span = Span::new("uuid_image", 392, 16);
        /// Changes with each snapshot.
        pub const UUID_LAST_SNAP: Span = Span::new("uuid_last_snap", 408, 16);
        /// Of the parent.
        pub const UUID_LINK: Span = Span::new("uuid_link", 424, 16);
        /// What uuid_last_snap of the parent is.
        pub const UUID_PARENT: Span = Span::new("uuid_parent", 440, 16);
        /// Zero.
        pub const UNUSED2: Span = Span::new("unused2", 456, 56);
    }
}
/// Structures of vhdx.
pub mod vhdx {
    /// A VHDX begins with this.
    pub mod file_identifier {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 520;
        /// "vhdxfile".
        pub const SIGNATURE: Span = Span::new("Signature", 0, 8);
        /// Name of the program, UTF-16.
        pub const CREATOR: Span = Span::new("Creator", 8, 512);
    }
    /// Header of a VHDX.
    pub mod header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 4096;
        /// "head".
        pub const SIGNATURE: Span = Span::new("header signature", 0, 4);
        /// CRC-32C of the header with zeros in this place.
        pub const CHECKSUM: Number<Le<u32>> = Number::new("header checksum", 4);
        /// The higher one counts.
        pub const SEQUENCE_NUMBER: Number<Le<u64>> = Number::new("SequenceNumber", 8);
        /// Changes whenever somebody begins to write.
        pub const FILE_WRITE_GUID: Span = Span::new("FileWriteGuid", 16, 16);
        /// Changes when the disk does.
        pub const DATA_WRITE_GUID: Span = Span::new("DataWriteGuid", 32, 16);
        /// Of the entries of the log that count; zero for none.
        pub const LOG_GUID: Span = Span::new("LogGuid", 48, 16);
        /// 0.
        pub const LOG_VERSION: Number<Le<u16>> = Number::new("LogVersion", 64);
        /// 1.
        pub const VERSION: Number<Le<u16>> = Number::new("Version", 66);
        /// Bytes.
        pub const LOG_LENGTH: Number<Le<u32>> = Number::new("LogLength", 68);
        /// Byte offset.
        pub const LOG_OFFSET: Number<Le<u64>> = Number::new("LogOffset", 72);
        /// Zero.
        pub const RESERVED: Span = Span::new("Reserved", 80, 4016);
    }
    /// What an entry of the log changes.
    pub mod log_descriptor {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// "desc", or "zero" for zeros.
        pub const SIGNATURE: Span = Span::new("descriptor signature", 0, 4);
        /// Last bytes of the sector.
        pub const TRAILING_BYTES: Span = Span::new("TrailingBytes", 4, 4);
        /// First bytes of the sector; of zeros, how many.
        pub const LEADING_BYTES: Span = Span::new("LeadingBytes", 8, 8);
        /// Where they belong.
        pub const FILE_OFFSET: Number<Le<u64>> = Number::new("FileOffset", 16);
        /// That of the entry.
        pub const SEQUENCE_NUMBER: Number<Le<u64>> = Number::new("SequenceNumber", 24);
    }
    /// Head of an entry of the log.
    pub mod log_entry {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 64;
        /// "loge".
        pub const SIGNATURE: Span = Span::new("log signature", 0, 4);
        /// CRC-32C of the entry with zeros in this place.
        pub const CHECKSUM: Number<Le<u32>> = Number::new("log checksum", 4);
        /// Bytes, whole sectors of 4 KiB.
        pub const ENTRY_LENGTH: Number<Le<u32>> = Number::new("EntryLength", 8);
        /// Byte offset, in the log, of the first entry of the sequence.
        pub const TAIL: Number<Le<u32>> = Number::new("Tail", 12);
        /// One more than that of the entry before.
        pub const SEQUENCE_NUMBER: Number<Le<u64>> = Number::new("SequenceNumber", 16);
        /// Descriptors that follow.
        pub const DESCRIPTOR_COUNT: Number<Le<u32>> = Number::new("DescriptorCount", 24);
        /// Zero.
        pub const RESERVED: Number<Le<u32>> = Number::new("Reserved", 28);
        /// As in the header.
        pub const LOG_GUID: Span = Span::new("LogGuid", 32, 16);
        /// Bytes that the file had at least.
        pub const FLUSHED_FILE_OFFSET: Number<Le<u64>> = Number::new("FlushedFileOffset", 48);
        /// Bytes that the file must have.
        pub const LAST_FILE_OFFSET: Number<Le<u64>> = Number::new("LastFileOffset", 56);
    }
    /// A sector of data in the log.
    pub mod log_sector {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 4096;
        /// "data".
        pub const SIGNATURE: Span = Span::new("Signature", 0, 4);
        /// Upper half of the number of the entry.
        pub const SEQUENCE_HIGH: Number<Le<u32>> = Number::new("SequenceHigh", 4);
        /// All but the leading and trailing bytes.
        pub const DATA: Span = Span::new("Data", 8, 4084);
        /// Lower half.
        pub const SEQUENCE_LOW: Number<Le<u32>> = Number::new("SequenceLow", 4092);
    }
    /// An item of metadata.
    pub mod metadata_entry {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// What it is.
        pub const ITEM_ID: Span = Span::new("ItemId", 0, 16);
        /// Byte offset in the metadata region.
        pub const OFFSET: Number<Le<u32>> = Number::new("item offset", 16);
        /// Bytes.
        pub const LENGTH: Number<Le<u32>> = Number::new("item length", 20);
        /// 1 of a user, 2 of the disk, 4 required.
        pub const FLAGS: Number<Le<u32>> = Number::new("item flags", 24);
        /// Zero.
        pub const RESERVED2: Number<Le<u32>> = Number::new("Reserved2", 28);
    }
    /// Head of the metadata table.
    pub mod metadata_table {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// "metadata".
        pub const SIGNATURE: Span = Span::new("metadata signature", 0, 8);
        /// Zero.
        pub const RESERVED: Number<Le<u16>> = Number::new("Reserved", 8);
        /// Entries that follow.
        pub const ENTRY_COUNT: Number<Le<u16>> = Number::new("EntryCount", 10);
        /// Zero.
        pub const RESERVED2: Span = Span::new("Reserved2", 12, 20);
    }
    /// Head of the parent locator.
    pub mod parent_locator {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 20;
        /// What kind of parent.
        pub const LOCATOR_TYPE: Span = Span::new("LocatorType", 0, 16);
        /// Zero.
        pub const RESERVED: Number<Le<u16>> = Number::new("Reserved", 16);
        /// Entries that follow.
        pub const KEY_VALUE_COUNT: Number<Le<u16>> = Number::new("KeyValueCount", 18);
    }
    /// A key and its value.
    pub mod parent_locator_entry {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 12;
        /// Byte offset in the locator.
        pub const KEY_OFFSET: Number<Le<u32>> = Number::new("KeyOffset", 0);
        /// Byte offset in the locator.
        pub const VALUE_OFFSET: Number<Le<u32>> = Number::new("ValueOffset", 4);
        /// Bytes, UTF-16.
        pub const KEY_LENGTH: Number<Le<u16>> = Number::new("KeyLength", 8);
        /// Bytes, UTF-16.
        pub const VALUE_LENGTH: Number<Le<u16>> = Number::new("ValueLength", 10);
    }
    /// A region of a VHDX.
    pub mod region_entry {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// What it is.
        pub const GUID: Span = Span::new("region", 0, 16);
        /// Byte offset.
        pub const FILE_OFFSET: Number<Le<u64>> = Number::new("FileOffset", 16);
        /// Bytes.
        pub const LENGTH: Number<Le<u32>> = Number::new("Length", 24);
        /// 1 where whoever does not know it must not open the disk.
        pub const REQUIRED: Number<Le<u32>> = Number::new("Required", 28);
    }
    /// Head of a region table.
    pub mod region_table {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 16;
        /// "regi".
        pub const SIGNATURE: Span = Span::new("region table signature", 0, 4);
        /// CRC-32C of the 64 KiB with zeros in this place.
        pub const CHECKSUM: Number<Le<u32>> = Number::new("region table checksum", 4);
        /// Entries that follow.
        pub const ENTRY_COUNT: Number<Le<u32>> = Number::new("EntryCount", 8);
        /// Zero.
        pub const RESERVED: Number<Le<u32>> = Number::new("Reserved", 12);
    }
}
/// Structures of vmdk.
pub mod vmdk {
    /// Header of a COWD extent.
    pub mod cowd_header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// "COWD".
        pub const MAGIC_NUMBER: Span = Span::new("magicNumber", 0, 4);
        /// 1.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 4);
        /// Flags.
        pub const FLAGS: Number<Le<u32>> = Number::new("flags", 8);
        /// Sectors of the disk.
        pub const NUM_SECTORS: Number<Le<u32>> = Number::new("numSectors", 12);
        /// Sectors.
        pub const GRAIN_SIZE: Number<Le<u32>> = Number::new("grainSize", 16);
        /// Sector of the grain directory.
        pub const GD_OFFSET: Number<Le<u32>> = Number::new("gdOffset", 20);
        /// Entries of the directory.
        pub const NUM_GDENTRIES: Number<Le<u32>> = Number::new("numGDEntries", 24);
        /// First sector that nothing uses.
        pub const FREE_SECTOR: Number<Le<u32>> = Number::new("freeSector", 28);
    }
    /// Head of a compressed grain.
    pub mod grain_marker {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 12;
        /// Sector of the disk.
        pub const LBA: Number<Le<u64>> = Number::new("lba", 0);
        /// Bytes of the deflate stream that follows.
        pub const SIZE: Number<Le<u32>> = Number::new("size", 8);
    }
    /// Marker of a stream-optimized extent.
    pub mod marker {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// Sectors of what follows.
        pub const VAL: Number<Le<u64>> = Number::new("marker", 0);
        /// 0: not a grain.
        pub const SIZE: Number<Le<u32>> = Number::new("marker size", 8);
        /// 0 end of the stream, 1 grain table, 2 grain directory, 3 footer.
        pub const TYPE: Number<Le<u32>> = Number::new("marker type", 12);
        /// Zero.
        pub const PAD: Span = Span::new("pad", 16, 496);
    }
    /// Constant header of an SESparse extent.
    pub mod se_sparse_header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// 0xcafebabe.
        pub const MAGIC: Number<Le<u64>> = Number::new("magic", 0);
        /// 0x0000000200000001.
        pub const VERSION: Number<Le<u64>> = Number::new("version", 8);
        /// Sectors of the disk.
        pub const CAPACITY: Number<Le<u64>> = Number::new("capacity", 16);
        /// Sectors, 8.
        pub const GRAIN_SIZE: Number<Le<u64>> = Number::new("grainSize", 24);
        /// Sectors, 64.
        pub const GRAIN_TABLE_SIZE: Number<Le<u64>> = Number::new("grainTableSize", 32);
        /// 0.
        pub const FLAGS: Number<Le<u64>> = Number::new("flags", 40);
        /// Zero.
        pub const RESERVED: Span = Span::new("reserved", 48, 32);
        /// Of the volatile header.
        pub const VOLATILE_HEADER_OFFSET: Number<Le<u64>> = Number::new("volatileHeaderOffset", 80);
        /// Of the volatile header.
        pub const VOLATILE_HEADER_SIZE: Number<Le<u64>> = Number::new("volatileHeaderSize", 88);
        /// Of the journal header.
        pub const JOURNAL_HEADER_OFFSET: Number<Le<u64>> = Number::new("journalHeaderOffset", 96);
        /// Of the journal header.
        pub const JOURNAL_HEADER_SIZE: Number<Le<u64>> = Number::new("journalHeaderSize", 104);
        /// Of the journal.
        pub const JOURNAL_OFFSET: Number<Le<u64>> = Number::new("journalOffset", 112);
        /// Of the journal.
        pub const JOURNAL_SIZE: Number<Le<u64>> = Number::new("journalSize", 120);
        /// Of the grain directory.
        pub const GRAIN_DIR_OFFSET: Number<Le<u64>> = Number::new("grainDirOffset", 128);
        /// Of the grain directory.
        pub const GRAIN_DIR_SIZE: Number<Le<u64>> = Number::new("grainDirSize", 136);
        /// Of the grain tables.
        pub const GRAIN_TABLES_OFFSET: Number<Le<u64>> = Number::new("grainTablesOffset", 144);
        /// Of the grain tables.
        pub const GRAIN_TABLES_SIZE: Number<Le<u64>> = Number::new("grainTablesSize", 152);
        /// Of the bitmap of what is free.
        pub const FREE_BITMAP_OFFSET: Number<Le<u64>> = Number::new("freeBitmapOffset", 160);
        /// Of the bitmap of what is free.
        pub const FREE_BITMAP_SIZE: Number<Le<u64>> = Number::new("freeBitmapSize", 168);
        /// Of the map from grains back to the disk.
        pub const BACK_MAP_OFFSET: Number<Le<u64>> = Number::new("backMapOffset", 176);
        /// Of that map.
        pub const BACK_MAP_SIZE: Number<Le<u64>> = Number::new("backMapSize", 184);
        /// Of the grains.
        pub const GRAINS_OFFSET: Number<Le<u64>> = Number::new("grainsOffset", 192);
        /// Of the grains.
        pub const GRAINS_SIZE: Number<Le<u64>> = Number::new("grainsSize", 200);
        /// Zero.
        pub const PAD: Span = Span::new("pad", 208, 304);
    }
    /// Volatile header of an SESparse extent.
    pub mod se_sparse_volatile_header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 32;
        /// 0xcafecafe.
        pub const MAGIC: Number<Le<u64>> = Number::new("volatile magic", 0);
        /// First grain table that is free.
        pub const FREE_GTNUMBER: Number<Le<u64>> = Number::new("freeGTNumber", 8);
        /// Number of the next transaction.
        pub const NEXT_TXN_SEQ_NUMBER: Number<Le<u64>> = Number::new("nextTxnSeqNumber", 16);
        /// 1 while the journal has to be replayed.
        pub const REPLAY_JOURNAL: Number<Le<u64>> = Number::new("replayJournal", 24);
    }
    /// Header of a hosted sparse extent.
    pub mod sparse_header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// "KDMV".
        pub const MAGIC_NUMBER: Span = Span::new("magicNumber", 0, 4);
        /// 1, 2 or 3.
        pub const VERSION: Number<Le<u32>> = Number::new("version", 4);
        /// 1 line ends are checked, 2 a redundant directory, 4 zeroed grains, 0x10000 compressed, 0x20000 markers.
        pub const FLAGS: Number<Le<u32>> = Number::new("flags", 8);
        /// Sectors.
        pub const CAPACITY: Number<Le<u64>> = Number::new("capacity", 12);
        /// Sectors.
        pub const GRAIN_SIZE: Number<Le<u64>> = Number::new("grainSize", 20);
        /// Sector.
        pub const DESCRIPTOR_OFFSET: Number<Le<u64>> = Number::new("descriptorOffset", 28);
        /// Sectors.
        pub const DESCRIPTOR_SIZE: Number<Le<u64>> = Number::new("descriptorSize", 36);
        /// Entries of a grain table.
        pub const NUM_GTES_PER_GT: Number<Le<u32>> = Number::new("numGTEsPerGT", 44);
        /// Sector of the redundant directory.
        pub const RGD_OFFSET: Number<Le<u64>> = Number::new("rgdOffset", 48);
        /// Sector of the grain directory; all ones where a footer says it.
        pub const GD_OFFSET: Number<Le<u64>> = Number::new("gdOffset", 56);
        /// Sectors in front of the first grain.
        pub const OVER_HEAD: Number<Le<u64>> = Number::new("overHead", 64);
        /// 1 while it is written.
        pub const UNCLEAN_SHUTDOWN: Number<u8> = Number::new("uncleanShutdown", 72);
        /// A line feed.
        pub const SINGLE_END_LINE_CHAR: Number<u8> = Number::new("singleEndLineChar", 73);
        /// A blank.
        pub const NON_END_LINE_CHAR: Number<u8> = Number::new("nonEndLineChar", 74);
        /// A carriage return.
        pub const DOUBLE_END_LINE_CHAR1: Number<u8> = Number::new("doubleEndLineChar1", 75);
        /// A line feed.
        pub const DOUBLE_END_LINE_CHAR2: Number<u8> = Number::new("doubleEndLineChar2", 76);
        /// 0 none, 1 deflate.
        pub const COMPRESS_ALGORITHM: Number<Le<u16>> = Number::new("compressAlgorithm", 77);
        /// Zero.
        pub const PAD: Span = Span::new("pad", 79, 433);
    }
}
/// Structures of vpc.
pub mod vpc {
    /// Dynamic header of a VHD.
    pub mod dynamic_header {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 1024;
        /// "cxsparse".
        pub const COOKIE: Span = Span::new("cookie", 0, 8);
        /// All ones.
        pub const DATA_OFFSET: Number<Be<u64>> = Number::new("data offset", 8);
        /// Byte offset of the block allocation table.
        pub const TABLE_OFFSET: Number<Be<u64>> = Number::new("table offset", 16);
        /// 0x10000.
        pub const HEADER_VERSION: Number<Be<u32>> = Number::new("header version", 24);
        /// Entries of the table.
        pub const MAX_TABLE_ENTRIES: Number<Be<u32>> = Number::new("max table entries", 28);
        /// Bytes without the bitmap in front.
        pub const BLOCK_SIZE: Number<Be<u32>> = Number::new("block size", 32);
        /// Ones complement of the sum of all other bytes.
        pub const CHECKSUM: Number<Be<u32>> = Number::new("checksum", 36);
        /// What the parent must be.
        pub const PARENT_UNIQUE_ID: Span = Span::new("parent unique id", 40, 16);
        /// When the parent was changed last (seconds since 2000).
        pub const PARENT_TIME_STAMP: Number<Be<u32>> = Number::new("parent time stamp", 56);
        /// Zero.
        pub const RESERVED: Number<Be<u32>> = Number::new("reserved", 60);
        /// Name of the parent, UTF-16, the high byte first.
        pub const PARENT_UNICODE_NAME: Span = Span::new("parent unicode name", 64, 512);
        /// Names of the parent.
        pub const PARENT_LOCATORS: Span = Span::new("parent locators", 576, 192);
        /// Zero.
        pub const RESERVED2: Span = Span::new("reserved2", 768, 256);
    }
    /// Footer of a VHD.
    pub mod footer {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 512;
        /// "conectix".
        pub const COOKIE: Span = Span::new("cookie", 0, 8);
        /// Flags; 2 is always set.
        pub const FEATURES: Number<Be<u32>> = Number::new("features", 8);
        /// 0x10000.
        pub const FILE_FORMAT_VERSION: Number<Be<u32>> = Number::new("file format version", 12);
        /// Byte offset of the dynamic header; all ones for a fixed disk.
        pub const DATA_OFFSET: Number<Be<u64>> = Number::new("data offset", 16);
        /// Seconds since 2000.
        pub const TIME_STAMP: Number<Be<u32>> = Number::new("time stamp", 24);
        /// Such as "vpc ".
        pub const CREATOR_APPLICATION: Span = Span::new("creator application", 28, 4);
        /// Of the program.
        pub const CREATOR_VERSION: Number<Be<u32>> = Number::new("creator version", 32);
        /// "Wi2k" or "Mac ".
        pub const CREATOR_HOST_OS: Span = Span::new("creator host os", 36, 4);
        /// Bytes.
        pub const ORIGINAL_SIZE: Number<Be<u64>> = Number::new("original size", 40);
        /// Bytes.
        pub const CURRENT_SIZE: Number<Be<u64>> = Number::new("current size", 48);
        /// Of the geometry.
        pub const CYLINDERS: Number<Be<u16>> = Number::new("cylinders", 56);
        /// Of the geometry.
        pub const HEADS: Number<u8> = Number::new("heads", 58);
        /// Of the geometry.
        pub const SECTORS_PER_TRACK: Number<u8> = Number::new("sectors per track", 59);
        /// 2 fixed, 3 dynamic, 4 differencing.
        pub const DISK_TYPE: Number<Be<u32>> = Number::new("disk type", 60);
        /// Ones complement of the sum of all other bytes.
        pub const CHECKSUM: Number<Be<u32>> = Number::new("checksum", 64);
        /// What differencing disks know it by.
        pub const UNIQUE_ID: Span = Span::new("unique id", 68, 16);
        /// 1 for a machine that was saved.
        pub const SAVED_STATE: Number<u8> = Number::new("saved state", 84);
        /// Zero.
        pub const RESERVED: Span = Span::new("reserved", 85, 427);
    }
    /// Entry of the parents of a differencing VHD.
    pub mod parent_locator {
        use crate::structure::*;
        /// Bytes.
        pub const BYTES: usize = 24;
        /// Such as "W2ru", 0 for none.
        pub const PLATFORM_CODE: Number<Be<u32>> = Number::new("platform code", 0);
        /// Room for the name: sectors, or bytes.
        pub const PLATFORM_DATA_SPACE: Number<Be<u32>> = Number::new("platform data space", 4);
        /// Bytes of the name.
        pub const PLATFORM_DATA_LENGTH: Number<Be<u32>> = Number::new("platform data length", 8);
        /// Zero.
        pub const RESERVED: Number<Be<u32>> = Number::new("reserved", 12);
        /// Byte offset of the name.
        pub const PLATFORM_DATA_OFFSET: Number<Be<u64>> = Number::new("platform data offset", 16);
    }
}
