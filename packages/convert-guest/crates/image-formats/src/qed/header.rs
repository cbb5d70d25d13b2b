//! The header: 64 bytes, little-endian, in the first clusters of the file.

use alloc::vec::Vec;

use crate::arith::{SECTOR, to_usize};
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::qed::header;

pub(super) const MAGIC: [u8; 4] = *b"QED\0";

/// Feature bits: those that a reader must know, all of them.
const BACKING_FILE: u64 = 1;
const NEED_CHECK: u64 = 2;
const BACKING_RAW: u64 = 4;
const KNOWN: u64 = BACKING_FILE | NEED_CHECK | BACKING_RAW;

const LEAST_CLUSTER: u32 = 1 << 12;
const MOST_CLUSTER: u32 = 1 << 26;
const MOST_TABLE_CLUSTERS: u32 = 16;
/// QEMU's limit for the name of a backing file (bytes).
const MOST_NAME: u32 = 1023;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub cluster: BlockSize,
    /// What an entry of the L1 table stands for.
    pub l1_span: BlockSize,
    /// Entries of each table.
    pub entries: u64,
    /// Bytes of the file that the header's clusters take.
    pub header_bytes: u64,
    pub features: Field<u64>,
    pub compatible: u64,
    pub autoclear: u64,
    pub l1_table_offset: u64,
    /// Bytes of the disk.
    pub size: u64,
    name_offset: Field<u32>,
    name_length: Field<u32>,
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnknownFeature`, `BadClusterSize`, `BadTable`, `BadHeaderLength` or `ImageTooBig`.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, header::BYTES)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let magic = head.get(header::MAGIC)?;
        if magic.value != u32::from_le_bytes(MAGIC) {
            let expected = Expected::Value(u32::from_le_bytes(MAGIC).into());
            return Err(magic.refuse(ErrorKind::NotThisFormat, expected));
        }
        let cluster_size = head.get(header::CLUSTER_SIZE)?;
        let possible = LEAST_CLUSTER..=MOST_CLUSTER;
        let cluster = BlockSize::new(cluster_size.value.into()).filter(|_| {
            cluster_size.value.is_power_of_two() && possible.contains(&cluster_size.value)
        });
        let Some(cluster) = cluster else {
            let expected = Expected::Sentence("a power of two from 4096 to 67108864");
            return Err(cluster_size.refuse(ErrorKind::BadClusterSize, expected));
        };
        let table_size = head.get(header::TABLE_SIZE)?;
        if !table_size.value.is_power_of_two() || table_size.value > MOST_TABLE_CLUSTERS {
            let expected = Expected::Sentence("1, 2, 4, 8 or 16 clusters");
            return Err(table_size.refuse(ErrorKind::BadTable, expected));
        }
        let header_size = head.get(header::HEADER_SIZE)?;
        let header_bytes = cluster.times(header_size.value.into());
        if header_size.value == 0 || header_bytes > u64::from(u32::MAX) {
            let expected = Expected::Between(1, cluster.index_of(u32::MAX.into()));
            return Err(header_size.refuse(ErrorKind::BadHeaderLength, expected));
        }
        let features = head.get(header::FEATURES)?;
        if features.value & !KNOWN != 0 {
            let expected = Expected::Sentence("features 0 (backing file), 1 (need check), 2 (raw)");
            return Err(features.refuse(ErrorKind::UnknownFeature, expected));
        }
        let compatible = head.get(header::COMPAT_FEATURES)?.value;
        let autoclear = head.get(header::AUTOCLEAR_FEATURES)?.value;
        let l1_table = head.get(header::L1_TABLE_OFFSET)?;
        let misplaced = l1_table.value < header_bytes || l1_table.value >= cache.file_size();
        if misplaced || cluster.within(l1_table.value) != 0 {
            let expected = Expected::Sentence("whole clusters behind the header, inside the file");
            return Err(l1_table.refuse(ErrorKind::BadTable, expected));
        }
        let size = head.get(header::IMAGE_SIZE)?;
        let entries = cluster.times(table_size.value.into()) / 8;
        let span = cluster.times(entries);
        let most = span.saturating_mul(entries).min(i64::MAX.unsigned_abs());
        if size.value > most || !SECTOR.is_aligned(size.value) {
            let expected = Expected::AtMost(most);
            return Err(size.refuse(ErrorKind::ImageTooBig, expected));
        }
        Ok(Self {
            cluster,
            l1_span: BlockSize::new(span).unwrap_or(cluster),
            entries,
            header_bytes,
            features,
            compatible,
            autoclear,
            l1_table_offset: l1_table.value,
            size: size.value,
            name_offset: head.get(header::BACKING_FILENAME_OFFSET)?,
            name_length: head.get(header::BACKING_FILENAME_SIZE)?,
        })
    }

    /// Whether the image was not closed properly.
    pub fn needs_check(&self) -> bool {
        self.features.value & NEED_CHECK != 0
    }

    /// The feature bits of an image that was checked.
    pub fn checked_features(&self) -> u64 {
        self.features.value & !NEED_CHECK
    }

    /// Whether the backing file is raw and must not be probed.
    pub fn is_backing_raw(&self) -> bool {
        self.features.value & BACKING_RAW != 0
    }

    /// The name of the backing file, which lies in the header's clusters.
    ///
    /// # Errors
    /// `BadBackingName` when it does not.
    pub fn read_backing_name<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
    ) -> Result<Option<Vec<u8>>, FormatError> {
        if self.features.value & BACKING_FILE == 0 {
            return Ok(None);
        }
        let (offset, length) = (self.name_offset.value, self.name_length.value);
        let end = u64::from(offset).saturating_add(length.into());
        if end > self.header_bytes {
            let expected = Expected::AtMost(self.header_bytes.saturating_sub(length.into()));
            return Err(self.name_offset.refuse(ErrorKind::BadBackingName, expected));
        }
        if length > MOST_NAME {
            let expected = Expected::AtMost(MOST_NAME.into());
            return Err(self.name_length.refuse(ErrorKind::BadBackingName, expected));
        }
        let mut name = cache.read_vec(offset.into(), to_usize(length.into()))?;
        let end = name.iter().position(|byte| *byte == 0);
        name.truncate(end.unwrap_or(name.len()));
        Ok(Some(name).filter(|name| !name.is_empty()))
    }
}
