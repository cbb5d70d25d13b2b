//! Builds small qcow2 images field by field, so that a test can say which one it bends.

#![allow(dead_code)]

/// Field offsets in the header (qcow2.txt "Header").
pub mod at {
    pub const VERSION: usize = 4;
    pub const BACKING_OFFSET: usize = 8;
    pub const BACKING_LENGTH: usize = 16;
    pub const CLUSTER_BITS: usize = 20;
    pub const SIZE: usize = 24;
    pub const CRYPT_METHOD: usize = 32;
    pub const L1_SIZE: usize = 36;
    pub const L1_OFFSET: usize = 40;
    pub const REFCOUNT_OFFSET: usize = 48;
    pub const REFCOUNT_CLUSTERS: usize = 56;
    pub const SNAPSHOT_COUNT: usize = 60;
    pub const SNAPSHOT_OFFSET: usize = 64;
    pub const INCOMPATIBLE: usize = 72;
    pub const COMPATIBLE: usize = 80;
    pub const AUTOCLEAR: usize = 88;
    pub const REFCOUNT_ORDER: usize = 96;
    pub const HEADER_LENGTH: usize = 100;
    pub const COMPRESSION: usize = 104;
    pub const EXTENSIONS: usize = 112;
}

pub const CLUSTER: usize = 65536;
const REFCOUNT_TABLE: usize = CLUSTER;
const REFCOUNT_BLOCK: usize = 2 * CLUSTER;
pub const L1_TABLE: usize = 3 * CLUSTER;
pub const L2_TABLE: usize = 4 * CLUSTER;
pub const DATA: usize = 5 * CLUSTER;
/// A cluster that nothing uses, for snapshot tables and the like.
pub const SPARE: usize = 7 * CLUSTER;
/// Another one, all zeros.
pub const ZEROS: usize = 8 * CLUSTER;
pub const DISK_SIZE: u64 = 1 << 20;
pub const COPIED: u64 = 1 << 63;
pub const COMPRESSED: u64 = 1 << 62;

/// An image file in memory.
#[derive(Clone)]
pub struct Builder {
    pub bytes: Vec<u8>,
}

impl Builder {
    /// Version 3, 64 KiB clusters, 1 MiB, the first two clusters hold 0x11 and 0x22.
    pub fn new() -> Self {
        let mut image = Self {
            bytes: vec![0; 9 * CLUSTER],
        };
        image
            .bytes(0, b"QFI\xfb")
            .u32(at::VERSION, 3)
            .u32(at::CLUSTER_BITS, 16)
            .u64(at::SIZE, DISK_SIZE)
            .u32(at::L1_SIZE, 1)
            .u64(at::L1_OFFSET, L1_TABLE as u64)
            .u64(at::REFCOUNT_OFFSET, REFCOUNT_TABLE as u64)
            .u32(at::REFCOUNT_CLUSTERS, 1)
            .u32(at::REFCOUNT_ORDER, 4)
            .u32(at::HEADER_LENGTH, 112)
            .u64(REFCOUNT_TABLE, REFCOUNT_BLOCK as u64)
            .u64(L1_TABLE, COPIED | L2_TABLE as u64)
            .l2(0, COPIED | DATA as u64)
            .l2(1, COPIED | (DATA + CLUSTER) as u64);
        for cluster in 0..9 {
            image.bytes(REFCOUNT_BLOCK + 2 * cluster, &[0, 1]);
        }
        image.bytes[DATA..DATA + CLUSTER].fill(0x11);
        image.bytes[DATA + CLUSTER..DATA + 2 * CLUSTER].fill(0x22);
        image
    }

    /// The same with version 2's shorter header.
    pub fn version_2() -> Self {
        let mut image = Self::new();
        image.bytes[at::INCOMPATIBLE..at::EXTENSIONS].fill(0);
        image.u32(at::VERSION, 2);
        image
    }

    /// The same with 16-byte L2 entries; all subclusters of the first two clusters are allocated.
    pub fn extended_l2() -> Self {
        let mut image = Self::new();
        image.u64(at::INCOMPATIBLE, 1 << 4);
        image.extended(0, COPIED | DATA as u64, 0xffff_ffff);
        image.extended(1, COPIED | (DATA + CLUSTER) as u64, 0xffff_ffff);
        image
    }

    /// The same with an external data file of the name `data`.
    pub fn data_file() -> Self {
        let mut image = Self::new();
        image
            .u64(at::INCOMPATIBLE, 1 << 2)
            .extension(at::EXTENSIONS, 0x4441_5441, b"data");
        image.l2(0, COPIED).l2(1, COPIED | CLUSTER as u64);
        image
    }

    pub fn bytes(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub fn u32(&mut self, at: usize, value: u32) -> &mut Self {
        self.bytes(at, &value.to_be_bytes())
    }

    pub fn u64(&mut self, at: usize, value: u64) -> &mut Self {
        self.bytes(at, &value.to_be_bytes())
    }

    /// Sets a standard L2 entry.
    pub fn l2(&mut self, index: usize, entry: u64) -> &mut Self {
        self.u64(L2_TABLE + 8 * index, entry)
    }

    /// Sets an extended L2 entry.
    pub fn extended(&mut self, index: usize, entry: u64, bitmap: u64) -> &mut Self {
        self.u64(L2_TABLE + 16 * index, entry)
            .u64(L2_TABLE + 16 * index + 8, bitmap)
    }

    /// Puts a header extension; what follows it stays as it is.
    pub fn extension(&mut self, at: usize, tag: u32, data: &[u8]) -> &mut Self {
        self.u32(at, tag)
            .u32(at + 4, data.len() as u32)
            .bytes(at + 8, data)
    }

    /// Puts the bitmaps extension and one entry of its directory into the spare cluster.
    pub fn bitmap(&mut self, entry: &BitmapEntry) -> &mut Self {
        let entry = entry.bytes();
        self.bytes(SPARE, &entry);
        self.bitmaps_extension(1, 0, entry.len() as u64, SPARE as u64)
    }

    pub fn bitmaps_extension(
        &mut self,
        count: u32,
        reserved: u32,
        length: u64,
        offset: u64,
    ) -> &mut Self {
        let mut data = [count.to_be_bytes(), reserved.to_be_bytes()].concat();
        data.extend(length.to_be_bytes());
        data.extend(offset.to_be_bytes());
        self.u64(at::AUTOCLEAR, 1)
            .extension(at::EXTENSIONS, 0x2385_2875, &data)
    }

    /// Puts a snapshot table with one entry into the spare cluster.
    pub fn snapshot(&mut self, extra_length: u32, extra: &[u8], id: &str, name: &str) -> &mut Self {
        self.u32(at::SNAPSHOT_COUNT, 1)
            .u64(at::SNAPSHOT_OFFSET, SPARE as u64);
        self.u64(SPARE, L1_TABLE as u64).u32(SPARE + 8, 1);
        self.bytes(SPARE + 12, &(id.len() as u16).to_be_bytes());
        self.bytes(SPARE + 14, &(name.len() as u16).to_be_bytes());
        self.u32(SPARE + 36, extra_length).bytes(SPARE + 40, extra);
        let text = SPARE + 40 + extra.len();
        self.bytes(text, id.as_bytes())
            .bytes(text + id.len(), name.as_bytes())
    }
}

/// An entry of the bitmap directory (qcow2.txt "Bitmap directory").
#[derive(Clone)]
pub struct BitmapEntry {
    pub table_offset: u64,
    pub table_entries: u32,
    pub flags: u32,
    pub kind: u8,
    pub granularity_bits: u8,
    pub extra_length: u32,
    pub name: Vec<u8>,
}

impl Default for BitmapEntry {
    fn default() -> Self {
        Self {
            // A table of zeros: nothing is dirty.
            table_offset: ZEROS as u64,
            table_entries: 1,
            flags: 2,
            kind: 1,
            granularity_bits: 16,
            extra_length: 0,
            name: b"bitmap".to_vec(),
        }
    }
}

impl BitmapEntry {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.table_offset.to_be_bytes().to_vec();
        bytes.extend(self.table_entries.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend([self.kind, self.granularity_bits]);
        bytes.extend((self.name.len() as u16).to_be_bytes());
        bytes.extend(self.extra_length.to_be_bytes());
        bytes.extend(&self.name);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }
}
