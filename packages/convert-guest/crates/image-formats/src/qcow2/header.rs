//! The header (qcow2.txt "Header"): read once, every bound checked before anything relies on it.

use crate::arith::PowerOfTwo;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::Codec;
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::features;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::qcow2::header;

/// "QFI" and 0xfb.
pub const MAGIC: u32 = 0x5146_49fb;

const MIN_CLUSTER_BITS: u32 = 9;
const MAX_CLUSTER_BITS: u32 = 21;
const SUBCLUSTERS: PowerOfTwo = PowerOfTwo::from_bits(5);

const V2_LENGTH: u32 = 72;
const V3_LENGTH: u32 = 104;

// Limits that QEMU keeps, so that a file which it accepts is accepted here and the other way round.
pub(super) const MAX_L1_BYTES: u64 = 32 << 20;
pub(super) const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
pub(super) const MAX_SNAPSHOTS: u64 = 65536;
const MAX_BACKING_NAME: u64 = 1023;

const L1_ENTRY_BYTES: u64 = 8;
const SNAPSHOT_BYTES: u64 = 40;
const MAX_FILE_OFFSET: u64 = u64::MAX >> 1;

pub use crate::facts::Encryption;

/// A header whose numbers have been checked against each other and against QEMU's limits.
#[derive(Clone, Debug)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Cluster size.
    pub cluster: PowerOfTwo,
    /// Size of a subcluster; that of a cluster without extended L2 entries.
    pub subcluster: PowerOfTwo,
    /// Virtual size in bytes as written, perhaps not a multiple of 512.
    pub size: u64,
    /// Where the backing file's name lies; 0 for none.
    pub backing_name_offset: Field<u64>,
    /// Its length in bytes.
    pub backing_name_length: Field<u32>,
    /// `crypt_method`, checked.
    pub encryption: Encryption,
    /// `crypt_method`, for messages.
    pub crypt_method: Field<u32>,
    /// Entries of the active L1 table.
    pub l1_entries: u64,
    /// Its byte offset.
    pub l1_table_offset: u64,
    /// Byte offset of the refcount table.
    pub refcount_table_offset: u64,
    /// Clusters of the refcount table.
    pub refcount_table_clusters: u64,
    /// Number of internal snapshots.
    pub snapshot_count: Field<u32>,
    /// Byte offset of the snapshot table.
    pub snapshot_table_offset: u64,
    /// Incompatible feature bits.
    pub incompatible: u64,
    /// Compatible feature bits.
    pub compatible: u64,
    /// Autoclear feature bits.
    pub autoclear: Field<u64>,
    /// Width of a refcount in bits.
    pub refcount_bits: u32,
    /// Where the header extensions begin.
    pub header_length: u64,
    /// How compressed clusters are compressed.
    pub compression: Codec,
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// One kind for each rule; see [`ErrorKind`].
    pub(super) fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let mut bytes = [0; header::BYTES];
        cache.read(0, &mut bytes)?;
        let head = Structure::new(&bytes, 0, cache.device(), ErrorKind::NotThisFormat);

        let magic = head.get(header::MAGIC)?;
        if magic.value != MAGIC {
            return Err(magic.refuse(ErrorKind::NotThisFormat, Expected::Value(u64::from(MAGIC))));
        }
        let version = head.get(header::VERSION)?;
        if !(2..=3).contains(&version.value) {
            return Err(version.refuse(ErrorKind::UnsupportedVersion, Expected::Between(2, 3)));
        }
        let backing_name_offset = head.get(header::BACKING_FILE_OFFSET)?;
        let backing_name_length = head.get(header::BACKING_FILE_SIZE)?;
        let cluster = read_cluster_size(head.get(header::CLUSTER_BITS)?)?;
        let size = head.get(header::SIZE)?;
        let crypt_method = head.get(header::CRYPT_METHOD)?;
        let l1_size = head.get(header::L1_SIZE)?;
        let l1_table_offset = head.get(header::L1_TABLE_OFFSET)?;
        let refcount_table_offset = head.get(header::REFCOUNT_TABLE_OFFSET)?;
        let refcount_table_clusters = head.get(header::REFCOUNT_TABLE_CLUSTERS)?;
        let snapshot_count = head.get(header::NB_SNAPSHOTS)?;
        let snapshot_table_offset = head.get(header::SNAPSHOTS_OFFSET)?;

        // Version 2 ends here; what follows in such a file is not part of the header.
        let mut incompatible = head.get(header::INCOMPATIBLE_FEATURES)?;
        let mut compatible = head.get(header::COMPATIBLE_FEATURES)?;
        let mut autoclear = head.get(header::AUTOCLEAR_FEATURES)?;
        let mut refcount_order = head.get(header::REFCOUNT_ORDER)?;
        let mut header_length = head.get(header::HEADER_LENGTH)?;
        let mut compression_type = head.get(header::COMPRESSION_TYPE)?;
        if version.value == 2 {
            incompatible.value = 0;
            compatible.value = 0;
            autoclear.value = 0;
            refcount_order.value = 4;
            header_length.value = V2_LENGTH;
        } else if header_length.value < V3_LENGTH {
            let expected = Expected::AtLeast(u64::from(V3_LENGTH));
            return Err(header_length.refuse(ErrorKind::BadHeaderLength, expected));
        }
        if u64::from(header_length.value) > cluster.size() {
            let expected = Expected::AtMost(cluster.size());
            return Err(header_length.refuse(ErrorKind::BadHeaderLength, expected));
        }
        if u64::from(header_length.value) <= compression_type.offset {
            compression_type.value = 0;
        }
        if backing_name_offset.value > cluster.size() {
            let expected = Expected::AtMost(cluster.size());
            return Err(backing_name_offset.refuse(ErrorKind::BadBackingName, expected));
        }
        let compression = read_compression(compression_type, incompatible)?;

        let mut header = Self {
            version: version.value,
            cluster,
            subcluster: cluster,
            size: size.value,
            backing_name_offset,
            backing_name_length,
            encryption: Encryption::None,
            crypt_method,
            l1_entries: u64::from(l1_size.value),
            l1_table_offset: l1_table_offset.value,
            refcount_table_offset: refcount_table_offset.value,
            refcount_table_clusters: u64::from(refcount_table_clusters.value),
            snapshot_count,
            snapshot_table_offset: snapshot_table_offset.value,
            incompatible: incompatible.value,
            compatible: compatible.value,
            autoclear,
            refcount_bits: 0,
            header_length: u64::from(header_length.value),
            compression,
        };
        features::refuse_unknown(cache, &header, incompatible)?;
        header.subcluster = header.read_subcluster_size(incompatible)?;
        header.refcount_bits = read_refcount_bits(refcount_order)?;

        if refcount_table_clusters.value == 0 {
            return Err(
                refcount_table_clusters.refuse(ErrorKind::BadRefcountTable, Expected::AtLeast(1))
            );
        }
        Table {
            kind: ErrorKind::BadRefcountTable,
            offset: refcount_table_offset,
            entries: refcount_table_clusters,
            entry_bytes: cluster.size(),
            max_bytes: MAX_REFCOUNT_TABLE_BYTES,
        }
        .check(cluster)?;
        Table {
            kind: ErrorKind::BadSnapshotTable,
            offset: snapshot_table_offset,
            entries: snapshot_count,
            entry_bytes: SNAPSHOT_BYTES,
            max_bytes: SNAPSHOT_BYTES.saturating_mul(MAX_SNAPSHOTS),
        }
        .check(cluster)?;
        Table {
            kind: ErrorKind::BadL1Table,
            offset: l1_table_offset,
            entries: l1_size,
            entry_bytes: L1_ENTRY_BYTES,
            max_bytes: MAX_L1_BYTES,
        }
        .check(cluster)?;
        header.check_size(size, l1_size)?;
        header.encryption = read_encryption(crypt_method)?;
        Ok(header)
    }

    /// Whether L2 entries describe subclusters.
    pub fn has_extended_l2(&self) -> bool {
        self.incompatible & features::INCOMPATIBLE_EXTENDED_L2 != 0
    }

    /// Whether guest data lies in another file.
    pub fn has_data_file(&self) -> bool {
        self.incompatible & features::INCOMPATIBLE_DATA_FILE != 0
    }

    /// Whether the external data file is a raw image of its own.
    pub fn is_data_file_raw(&self) -> bool {
        self.autoclear.value & features::AUTOCLEAR_DATA_FILE_RAW != 0
    }

    /// Bytes of an L2 entry.
    pub(super) fn l2_entry(&self) -> PowerOfTwo {
        PowerOfTwo::from_bits(if self.has_extended_l2() { 4 } else { 3 })
    }

    /// Virtual bytes that one L2 table, which fills one cluster, describes.
    pub(super) fn l1_span(&self) -> PowerOfTwo {
        let entries = self.cluster.bits().saturating_sub(self.l2_entry().bits());
        PowerOfTwo::from_bits(self.cluster.bits().saturating_add(entries))
    }

    /// Where the header extensions must have ended: at the backing file's name, else with the first
    /// cluster.
    pub(super) fn extensions_end(&self) -> u64 {
        match self.backing_name_offset.value {
            0 => self.cluster.size(),
            offset => offset,
        }
    }

    /// The longest backing file name that fits behind its offset.
    pub(super) fn max_backing_name(&self) -> u64 {
        let left = self
            .cluster
            .size()
            .saturating_sub(self.backing_name_offset.value);
        left.min(MAX_BACKING_NAME)
    }

    fn read_subcluster_size(&self, incompatible: Field<u64>) -> Result<PowerOfTwo, FormatError> {
        if !self.has_extended_l2() {
            return Ok(self.cluster);
        }
        let bits = self.cluster.bits().saturating_sub(SUBCLUSTERS.bits());
        if bits < MIN_CLUSTER_BITS {
            let expected = Expected::Sentence(
                "clusters of at least 16384 bytes where extended L2 entries are used",
            );
            return Err(incompatible.refuse(ErrorKind::BadClusterSize, expected));
        }
        Ok(PowerOfTwo::from_bits(bits))
    }

    fn check_size(&self, size: Field<u64>, l1_size: Field<u32>) -> Result<(), FormatError> {
        let needed = self.l1_span().count_for(size.value);
        let most = u64::from(i32::MAX.unsigned_abs());
        if size.value > MAX_FILE_OFFSET || needed > most {
            let limit = self.l1_span().times(most).unwrap_or(MAX_FILE_OFFSET);
            let expected = Expected::AtMost(limit.min(MAX_FILE_OFFSET));
            return Err(size.refuse(ErrorKind::ImageTooBig, expected));
        }
        if self.l1_entries < needed {
            return Err(l1_size.refuse(ErrorKind::L1TableTooSmall, Expected::AtLeast(needed)));
        }
        Ok(())
    }
}

fn read_cluster_size(bits: Field<u32>) -> Result<PowerOfTwo, FormatError> {
    if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&bits.value) {
        let expected = Expected::Between(MIN_CLUSTER_BITS.into(), MAX_CLUSTER_BITS.into());
        return Err(bits.refuse(ErrorKind::BadClusterSize, expected));
    }
    Ok(PowerOfTwo::from_bits(bits.value))
}

/// The type and the incompatible bit say the same thing twice (qcow2.txt "Header", byte 104), and
/// must agree.
fn read_compression(
    compression_type: Field<u8>,
    incompatible: Field<u64>,
) -> Result<Codec, FormatError> {
    let bit = incompatible.value & features::INCOMPATIBLE_COMPRESSION != 0;
    match (compression_type.value, bit) {
        (0, false) => Ok(Codec::Deflate),
        (1, true) => Ok(Codec::Zstd),
        (0, true) => Err(compression_type.refuse(
            ErrorKind::BadCompressionType,
            Expected::Sentence("not 0, as the incompatible compression bit is set"),
        )),
        (1, false) => Err(compression_type.refuse(
            ErrorKind::BadCompressionType,
            Expected::Sentence("0, as the incompatible compression bit is clear"),
        )),
        _ => Err(compression_type.refuse(ErrorKind::BadCompressionType, Expected::Between(0, 1))),
    }
}

fn read_refcount_bits(order: Field<u32>) -> Result<u32, FormatError> {
    if order.value > 6 {
        return Err(order.refuse(ErrorKind::BadRefcountWidth, Expected::AtMost(6)));
    }
    Ok(1_u32.wrapping_shl(order.value))
}

fn read_encryption(crypt_method: Field<u32>) -> Result<Encryption, FormatError> {
    match crypt_method.value {
        0 => Ok(Encryption::None),
        1 => Ok(Encryption::Aes),
        2 => Ok(Encryption::Luks),
        _ => Err(crypt_method.refuse(ErrorKind::UnsupportedEncryption, Expected::Between(0, 2))),
    }
}

/// A table that the header places in the file.
struct Table {
    kind: ErrorKind,
    offset: Field<u64>,
    entries: Field<u32>,
    entry_bytes: u64,
    max_bytes: u64,
}

impl Table {
    /// Not too large, at the start of a cluster, and its end is a possible file offset.
    fn check(&self, cluster: PowerOfTwo) -> Result<(), FormatError> {
        let most = self.max_bytes.checked_div(self.entry_bytes).unwrap_or(0);
        let entries = u64::from(self.entries.value);
        if entries > most {
            return Err(self.entries.refuse(self.kind, Expected::AtMost(most)));
        }
        if !cluster.is_aligned(self.offset.value) {
            return Err(self
                .offset
                .refuse(self.kind, Expected::MultipleOf(cluster.size())));
        }
        let bytes = entries.saturating_mul(self.entry_bytes);
        let last = MAX_FILE_OFFSET.saturating_sub(bytes);
        if self.offset.value > last {
            return Err(self.offset.refuse(self.kind, Expected::AtMost(last)));
        }
        Ok(())
    }
}
