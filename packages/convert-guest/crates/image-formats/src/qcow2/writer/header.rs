//! The header of a new image (qcow2.txt "Header", "Header extensions").

use alloc::vec::Vec;

use super::options::{Backing, DataFile, LayoutError, References, Shape};
use crate::arith::{to_u64, to_usize};
use crate::extent::Codec;
use crate::qcow2::extensions;
use crate::qcow2::features;
use crate::qcow2::header::MAGIC;
use crate::structure::Built;
use crate::structures::qcow2::header;

const HEADER_LENGTH: u32 = 112;

/// `crypt_method` of an image that is encrypted as LUKS does it.
const METHOD_LUKS: u32 = 2;

/// Type, bit, name: what a program that does not know a feature shows instead of a number.
const FEATURE_NAMES: [(u8, u8, &[u8]); 8] = [
    (0, 0, b"dirty bit"),
    (0, 1, b"corrupt bit"),
    (0, 2, b"external data file"),
    (0, 3, b"compression type"),
    (0, 4, b"extended L2 entries"),
    (1, 0, b"lazy refcounts"),
    (2, 0, b"bitmaps"),
    (2, 1, b"raw external data"),
];

/// What is new about the header of a new image.
#[derive(Clone, Copy)]
pub(super) struct NewHeader {
    pub shape: Shape,
    pub virtual_size: u64,
    pub l1_entries: u64,
    pub l1_offset: u64,
    pub refcount_table_offset: u64,
    pub refcount_table_clusters: u64,
}

impl NewHeader {
    /// Its bytes, with the names of other files behind them.
    ///
    /// # Errors
    /// `NoRoomForName` where they take more than a cluster.
    pub fn bytes(&self, references: References<'_>) -> Result<Vec<u8>, LayoutError> {
        let References { backing, data_file } = references;
        let options = &self.shape.options;
        let low = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let mut extensions = Bytes::default();
        if let Some(Backing { format, .. }) = backing
            && !format.is_empty()
        {
            extensions.extension(extensions::BACKING_FORMAT, format);
        }
        if let Some(DataFile { name, .. }) = data_file {
            extensions.extension(extensions::DATA_FILE_NAME, name);
        }
        if options.encryption_header > 0 {
            let mut place = Bytes::default();
            place.be64(self.shape.cluster.size());
            place.be64(options.encryption_header);
            extensions.extension(extensions::ENCRYPTION_HEADER, &place.0);
        }
        if options.feature_names && !options.version_2 && options.cluster_bits > 9 {
            let mut names = Bytes::default();
            for (kind, bit, name) in FEATURE_NAMES {
                let end = names
                    .0
                    .len()
                    .saturating_add(to_usize(features::NAME_ENTRY_LENGTH));
                names.put(&[kind, bit]);
                names.put(name);
                names.0.resize(end, 0);
            }
            extensions.extension(extensions::FEATURE_NAMES, &names.0);
        }
        extensions.extension(extensions::END, &[]);

        let fixed = if options.version_2 { 72 } else { HEADER_LENGTH };
        let name = backing.map_or(&[][..], |backing| backing.name);
        let name_offset = u64::from(fixed).saturating_add(to_u64(extensions.0.len()));
        let has = |feature, there| if there { feature } else { 0 };
        let kind = compression_type(options.codec);
        let incompatible = has(features::INCOMPATIBLE_COMPRESSION, kind != 0)
            | has(features::INCOMPATIBLE_DATA_FILE, data_file.is_some())
            | has(features::INCOMPATIBLE_EXTENDED_L2, options.extended_l2);
        let lazy = has(features::COMPATIBLE_LAZY_REFCOUNTS, options.lazy_refcounts);
        let raw = data_file.is_some_and(|file| file.raw);
        let autoclear = has(features::AUTOCLEAR_DATA_FILE_RAW, raw);
        // An empty disk has no L1 table.
        let l1_offset = has(self.l1_offset, self.l1_entries != 0);
        let fields = Built::new(header::BYTES)
            .put(header::MAGIC, MAGIC)
            .put(header::VERSION, if options.version_2 { 2 } else { 3 })
            .put(
                header::BACKING_FILE_OFFSET,
                has(name_offset, !name.is_empty()),
            )
            .put(header::BACKING_FILE_SIZE, low(to_u64(name.len())))
            .put(header::CLUSTER_BITS, options.cluster_bits)
            .put(header::SIZE, self.virtual_size)
            .put(header::CRYPT_METHOD, self.crypt_method())
            .put(header::L1_SIZE, low(self.l1_entries))
            .put(header::L1_TABLE_OFFSET, l1_offset)
            .put(header::REFCOUNT_TABLE_OFFSET, self.refcount_table_offset)
            .put(
                header::REFCOUNT_TABLE_CLUSTERS,
                low(self.refcount_table_clusters),
            )
            .put(header::INCOMPATIBLE_FEATURES, incompatible)
            .put(header::COMPATIBLE_FEATURES, lazy)
            .put(header::AUTOCLEAR_FEATURES, autoclear)
            .put(header::REFCOUNT_ORDER, options.refcount_order)
            .put(header::HEADER_LENGTH, HEADER_LENGTH)
            .put(header::COMPRESSION_TYPE, kind);
        let mut out = Bytes(fields.done());
        // Version 2 ends before the features.
        out.0.truncate(to_usize(fixed.into()));
        out.put(&extensions.0);
        out.put(name);
        if out.0.len() > self.shape.cluster.in_memory() {
            return Err(LayoutError::NoRoomForName);
        }
        Ok(out.0)
    }
}

impl NewHeader {
    fn crypt_method(&self) -> u32 {
        match self.shape.options.encryption_header {
            0 => 0,
            _ => METHOD_LUKS,
        }
    }
}

fn compression_type(codec: Codec) -> u8 {
    match codec {
        Codec::Zstd => 1,
        _ => 0,
    }
}

/// Fields one after the other, big-endian.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn be32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn be64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    fn extension(&mut self, kind: u32, bytes: &[u8]) {
        self.be32(kind);
        self.be32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }
}
