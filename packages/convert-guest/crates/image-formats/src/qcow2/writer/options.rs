//! What a new image can be made with, and what that comes to.

use super::REFCOUNT_TABLE_ENTRY;
use crate::arith::PowerOfTwo;
use crate::extent::Codec;
use crate::qcow2::header::{MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES};

/// 16-bit refcounts, which version 2 of the format always has.
const REFCOUNT_ORDER: u32 = 4;
/// Clusters of subclusters have at least 16 KiB.
const SUBCLUSTERS_FROM_BITS: u32 = 14;

/// Options of a new image; the default is what `qemu-img create -f qcow2` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Exponent of the cluster size, 9 to 21.
    pub cluster_bits: u32,
    /// Exponent of the width of a refcount in bits, 0 to 6.
    pub refcount_order: u32,
    /// Version 2 of the format, which has nothing of what follows.
    pub version_2: bool,
    /// L2 entries describe 32 subclusters each.
    pub extended_l2: bool,
    /// Whoever writes the image may write refcounts late.
    pub lazy_refcounts: bool,
    /// Whether the header carries the feature name table (not with 512-byte clusters, where it
    /// leaves no room).
    pub feature_names: bool,
    /// What compressed clusters are encoded with: DEFLATE or Zstandard.
    pub codec: Codec,
    /// Bytes of a LUKS header, which gets the clusters behind the first and is written by somebody else; 0 for an image that
    /// is not encrypted.
    pub encryption_header: u64,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            cluster_bits: 16,
            refcount_order: REFCOUNT_ORDER,
            version_2: false,
            extended_l2: false,
            lazy_refcounts: false,
            feature_names: true,
            codec: Codec::Deflate,
            encryption_header: 0,
        }
    }
}

/// The image below a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backing<'a> {
    /// Its name as the header holds it, 1 to 1023 bytes.
    pub name: &'a [u8],
    /// Its format; none where it is empty.
    pub format: &'a [u8],
}

/// The file that has the data of a new image in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFile<'a> {
    /// Its name as the header holds it.
    pub name: &'a [u8],
    /// It alone is the disk: whoever reads it needs no tables.
    pub raw: bool,
}

/// Files that a new image names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References<'a> {
    /// The image below.
    pub backing: Option<Backing<'a>>,
    /// The file of its data.
    pub data_file: Option<DataFile<'a>>,
}

/// Why an image cannot be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The virtual size is not a multiple of 512.
    NotWholeSectors,
    /// The cluster size is none that the format knows.
    BadClusterSize,
    /// Options that do not go together.
    BadOptions,
    /// The header's cluster has no room for the names of other files.
    NoRoomForName,
    /// The name of the backing file is none that this format can hold.
    NotBeside,
    /// The virtual size needs larger tables than QEMU opens.
    TooBig {
        /// A size that every image with these clusters can have, in bytes.
        safe_size: u64,
    },
    /// The format has no disk without bytes, or its readers open none.
    Empty,
    /// A range was asked for that does not consist of whole metadata clusters.
    BadRange,
}

impl core::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotWholeSectors => f.write_str("the virtual size is not a multiple of 512"),
            Self::BadClusterSize => f.write_str("the cluster size is not 512 bytes to 2 MiB"),
            Self::BadOptions => f.write_str("options that do not go together"),
            Self::NotBeside => f.write_str("the name of the parent is not relative"),
            Self::NoRoomForName => {
                f.write_str("the header has no room for the names of other files")
            }
            Self::TooBig { safe_size } => {
                write!(
                    f,
                    "the virtual size is too big for its clusters (up to {safe_size} fits)"
                )
            }
            Self::Empty => f.write_str("a disk of this format has at least one sector"),
            Self::BadRange => f.write_str("the range is not made of whole metadata clusters"),
        }
    }
}

impl core::error::Error for LayoutError {}

/// Checked options, and how much their tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub options: LayoutOptions,
    pub cluster: PowerOfTwo,
}

impl Shape {
    /// # Errors
    /// `BadClusterSize`, `BadOptions`.
    pub fn new(options: LayoutOptions) -> Result<Self, LayoutError> {
        if !(9..=21).contains(&options.cluster_bits) {
            return Err(LayoutError::BadClusterSize);
        }
        if options.extended_l2 && options.cluster_bits < SUBCLUSTERS_FROM_BITS {
            return Err(LayoutError::BadClusterSize);
        }
        let plain = !options.extended_l2
            && !options.lazy_refcounts
            && options.refcount_order == REFCOUNT_ORDER
            && options.codec == Codec::Deflate;
        if options.refcount_order > 6 || options.version_2 && !plain {
            return Err(LayoutError::BadOptions);
        }
        Ok(Self {
            options,
            cluster: PowerOfTwo::from_bits(options.cluster_bits),
        })
    }

    /// How many things of 2 to the `bits` bytes a cluster holds.
    fn hold(self, bits: u32) -> PowerOfTwo {
        PowerOfTwo::from_bits(self.cluster.bits().saturating_sub(bits))
    }

    /// 8-byte entries of a cluster: of the L1 table, of the refcount table.
    pub fn entries(self) -> PowerOfTwo {
        self.hold(REFCOUNT_TABLE_ENTRY.bits())
    }

    /// Entries of an L2 table.
    pub fn l2_entries(self) -> PowerOfTwo {
        self.hold(if self.options.extended_l2 { 4 } else { 3 })
    }

    /// Refcounts of a block.
    pub fn refcounts(self) -> PowerOfTwo {
        let bits = self.cluster.bits().saturating_add(3);
        PowerOfTwo::from_bits(bits.saturating_sub(self.options.refcount_order))
    }

    /// The largest refcount, as far as anybody counts here.
    pub fn most_references(self) -> u16 {
        let bits = 1_u32.wrapping_shl(self.options.refcount_order);
        let most = 1_u32.checked_shl(bits).unwrap_or(0).wrapping_sub(1);
        u16::try_from(most).unwrap_or(u16::MAX)
    }

    /// What the L1 table's limit allows, less what the refcount table's limit costs where that is the
    /// tighter one: half, which leaves room for all metadata.
    pub fn safe_size(self) -> u64 {
        let by_l1 =
            PowerOfTwo::from_bits(self.l2_entries().bits().saturating_add(self.cluster.bits()));
        let by_refcounts =
            PowerOfTwo::from_bits(self.refcounts().bits().saturating_add(self.cluster.bits()));
        let by_l1 = by_l1.times(MAX_L1_BYTES >> 3).unwrap_or(u64::MAX);
        let by_refcounts = by_refcounts.times(MAX_REFCOUNT_TABLE_BYTES >> 4);
        by_l1.min(by_refcounts.unwrap_or(u64::MAX))
    }

    /// Clusters at the beginning of the file: the header, and the encryption header behind it.
    pub fn first_clusters(self) -> u64 {
        let encryption = self.cluster.count_for(self.options.encryption_header);
        encryption.saturating_add(1)
    }

    /// Byte offset of a cluster of the file.
    pub fn offset_of(self, cluster: u64) -> u64 {
        // Cannot saturate: the tables' limits keep the file below 2^63.
        self.cluster.times(cluster).unwrap_or(u64::MAX)
    }
}
