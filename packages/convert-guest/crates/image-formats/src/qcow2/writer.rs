//! The layout of a new, dense qcow2 image, as pure arithmetic: all metadata first, then every guest
//! cluster in order.
//!
//! A dense image has no choices left to make while it is written, so that its metadata can be
//! produced in any order and in pieces of any number of clusters, and guest data keeps its order:
//! `host offset = data start + virtual offset`.
//!
//! ```text
//! header | refcount table | refcount blocks | L1 table | L2 tables | data
//! ```

mod metadata;
mod shared_clusters;
mod sparse;

pub use sparse::{Metadata, SparseLayout};

use crate::arith::{PowerOfTwo, SECTOR};
use crate::extent::Codec;
use crate::qcow2::header::{MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES};

/// 16-bit refcounts.
const REFCOUNT_BYTES: PowerOfTwo = PowerOfTwo::from_bits(1);
const TABLE_ENTRY: PowerOfTwo = PowerOfTwo::from_bits(3);

/// Options of a new image; the default is what `qemu-img create -f qcow2` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Exponent of the cluster size, 9 to 21.
    pub cluster_bits: u32,
    /// Whether the header carries the feature name table (not with 512-byte clusters, where it
    /// leaves no room).
    pub feature_names: bool,
    /// What compressed clusters are encoded with: DEFLATE or Zstandard.
    pub codec: Codec,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            cluster_bits: 16,
            feature_names: true,
            codec: Codec::Deflate,
        }
    }
}

/// Why an image cannot be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The virtual size is not a multiple of 512.
    NotWholeSectors,
    /// The cluster size is none that qcow2 knows.
    BadClusterSize,
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

/// Clusters in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    first: u64,
    count: u64,
}

impl Region {
    fn end(self) -> u64 {
        self.first.saturating_add(self.count)
    }

    fn index_of(self, cluster: u64) -> Option<u64> {
        cluster
            .checked_sub(self.first)
            .filter(|index| *index < self.count)
    }
}

/// Where everything of a new dense image lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseLayout {
    virtual_size: u64,
    cluster: PowerOfTwo,
    feature_names: bool,
    codec: Codec,
    refcount_table: Region,
    refcount_blocks: Region,
    l1_entries: u64,
    l1_table: Region,
    l2_tables: Region,
    data: Region,
}

impl DenseLayout {
    /// Lays out an image of `virtual_size` bytes.
    ///
    /// # Errors
    /// `NotWholeSectors`, `BadClusterSize`, `TooBig`.
    pub fn new(virtual_size: u64, options: LayoutOptions) -> Result<Self, LayoutError> {
        if !SECTOR.is_aligned(virtual_size) {
            return Err(LayoutError::NotWholeSectors);
        }
        if !(9..=21).contains(&options.cluster_bits) {
            return Err(LayoutError::BadClusterSize);
        }
        let cluster = PowerOfTwo::from_bits(options.cluster_bits);
        let l2_entries = per_cluster(cluster, TABLE_ENTRY);
        let data_clusters = cluster.count_for(virtual_size);
        let l1_entries = l2_entries.count_for(data_clusters);
        let l1_clusters = l2_entries.count_for(l1_entries);
        let others = [1, l1_clusters, l1_entries, data_clusters];
        let others = others.into_iter().fold(0_u64, u64::saturating_add);
        let (table_clusters, blocks) = refcount_clusters(cluster, others);

        let table_bytes = cluster.times(table_clusters).unwrap_or(u64::MAX);
        let l1_bytes = TABLE_ENTRY.times(l1_entries).unwrap_or(u64::MAX);
        if l1_bytes > MAX_L1_BYTES || table_bytes > MAX_REFCOUNT_TABLE_BYTES {
            return Err(LayoutError::TooBig {
                safe_size: safe_size(cluster),
            });
        }

        let refcount_table = Region {
            first: 1,
            count: table_clusters,
        };
        let refcount_blocks = Region {
            first: refcount_table.end(),
            count: blocks,
        };
        let l1_table = Region {
            first: refcount_blocks.end(),
            count: l1_clusters,
        };
        let l2_tables = Region {
            first: l1_table.end(),
            count: l1_entries,
        };
        let data = Region {
            first: l2_tables.end(),
            count: data_clusters,
        };
        Ok(Self {
            virtual_size,
            cluster,
            feature_names: options.feature_names,
            codec: options.codec,
            refcount_table,
            refcount_blocks,
            l1_entries,
            l1_table,
            l2_tables,
            data,
        })
    }

    /// Bytes of the virtual disk.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    /// Bytes of a cluster.
    pub fn cluster_size(&self) -> u64 {
        self.cluster.size()
    }

    /// Bytes of metadata, which begin the file: a multiple of the cluster size.
    pub fn metadata_length(&self) -> u64 {
        self.offset_of(self.data.first)
    }

    /// Bytes of the whole file: the last guest cluster counts in full, whatever part of it the
    /// virtual disk reaches; the rest of it must read as zeros.
    pub fn file_length(&self) -> u64 {
        self.offset_of(self.data.end())
    }

    /// Where in the file the guest byte at `virtual_offset` lies, or `None` beyond the disk. What
    /// follows it on the disk follows it in the file.
    pub fn data_offset(&self, virtual_offset: u64) -> Option<u64> {
        (virtual_offset < self.virtual_size)
            .then(|| self.metadata_length().checked_add(virtual_offset))
            .flatten()
    }

    /// The metadata in pieces of at most `largest` bytes (at least one cluster each): offset and
    /// length for [`fill_metadata`](Self::fill_metadata).
    pub fn pieces(&self, largest: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let step = self.cluster.round_down(largest).max(self.cluster.size());
        let end = self.metadata_length();
        let mut offset = 0;
        core::iter::from_fn(move || {
            let length = end.saturating_sub(offset).min(step);
            let piece = (offset, length);
            offset = offset.saturating_add(length);
            (length > 0).then_some(piece)
        })
    }

    fn offset_of(&self, cluster: u64) -> u64 {
        // Cannot saturate: the tables' limits keep the file below 2^63.
        self.cluster.times(cluster).unwrap_or(u64::MAX)
    }
}

/// How many things of `size` a cluster holds.
fn per_cluster(cluster: PowerOfTwo, size: PowerOfTwo) -> PowerOfTwo {
    PowerOfTwo::from_bits(cluster.bits().saturating_sub(size.bits()))
}

/// Clusters of the refcount table and of refcount blocks for a file of `others` clusters besides
/// them, which they count as well: each round can only need more, and a block pays for thousands of
/// clusters, so that it settles after a few.
fn refcount_clusters(cluster: PowerOfTwo, others: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let total = others.saturating_add(table).saturating_add(blocks);
        let needed_blocks = per_cluster(cluster, REFCOUNT_BYTES).count_for(total);
        let needed_table = per_cluster(cluster, TABLE_ENTRY).count_for(needed_blocks);
        if needed_blocks <= blocks && needed_table <= table {
            return (table, blocks);
        }
        (table, blocks) = (needed_table.max(table), needed_blocks.max(blocks));
    }
}

/// What the L1 table's limit allows, less what the refcount table's limit costs where that is the
/// tighter one: half, which leaves room for all metadata.
fn safe_size(cluster: PowerOfTwo) -> u64 {
    let per_l1_entry = per_cluster(cluster, TABLE_ENTRY)
        .bits()
        .saturating_add(cluster.bits());
    let by_l1 = PowerOfTwo::from_bits(per_l1_entry).times(MAX_L1_BYTES >> 3);
    let per_block = per_cluster(cluster, REFCOUNT_BYTES)
        .bits()
        .saturating_add(cluster.bits());
    let by_refcounts = PowerOfTwo::from_bits(per_block).times(MAX_REFCOUNT_TABLE_BYTES >> 4);
    by_l1
        .unwrap_or(u64::MAX)
        .min(by_refcounts.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: u64) -> DenseLayout {
        DenseLayout::new(size, LayoutOptions::default()).unwrap()
    }

    #[test]
    fn an_empty_image_is_as_long_as_the_one_that_qemu_img_makes() {
        assert_eq!(layout(0).file_length(), 196_608);
        assert_eq!(layout(0).data_offset(0), None);
    }

    #[test]
    fn data_is_linear_behind_the_metadata() {
        let layout = layout(1 << 40);
        let start = layout.metadata_length();
        assert_eq!(layout.data_offset(0), Some(start));
        assert_eq!(
            layout.data_offset((1 << 40) - 1),
            Some(start + (1 << 40) - 1)
        );
        assert_eq!(layout.data_offset(1 << 40), None);
        assert_eq!(layout.file_length(), start + (1 << 40));
    }

    #[test]
    fn refcounts_cover_the_file_at_the_edges_of_their_blocks() {
        for bits in [9, 12, 16, 21] {
            let cluster = PowerOfTwo::from_bits(bits);
            let per_block = per_cluster(cluster, REFCOUNT_BYTES).size();
            for others in (per_block - 4..per_block + 4).chain([per_block * per_block, 1]) {
                let (table, blocks) = refcount_clusters(cluster, others);
                assert!(blocks * per_block >= others + table + blocks);
                assert!(table * (cluster.size() / 8) >= blocks);
            }
        }
    }

    #[test]
    fn sizes_that_qemu_would_not_open_are_refused() {
        for bits in 9..=21 {
            let options = LayoutOptions {
                cluster_bits: bits,
                ..Default::default()
            };
            let huge = DenseLayout::new(1 << 62, options);
            let Err(LayoutError::TooBig { safe_size }) = huge else {
                panic!("{huge:?}")
            };
            assert!(
                DenseLayout::new(safe_size, options).is_ok(),
                "{bits} {safe_size}"
            );
        }
        let odd = DenseLayout::new(513, LayoutOptions::default());
        assert_eq!(odd, Err(LayoutError::NotWholeSectors));
    }

    #[test]
    fn only_whole_metadata_clusters_are_filled() {
        let layout = layout(1 << 20);
        let mut buffer = vec![0; 65536];
        assert_eq!(layout.fill_metadata(0, &mut buffer), Ok(()));
        assert_eq!(
            layout.fill_metadata(512, &mut buffer),
            Err(LayoutError::BadRange)
        );
        assert_eq!(
            layout.fill_metadata(0, &mut buffer[1..]),
            Err(LayoutError::BadRange)
        );
        let end = layout.metadata_length();
        assert_eq!(
            layout.fill_metadata(end, &mut buffer),
            Err(LayoutError::BadRange)
        );
    }

    #[test]
    fn pieces_tile_the_metadata() {
        let layout = layout(3 << 40);
        let mut next = 0;
        for (offset, length) in layout.pieces(1_000_000) {
            assert_eq!(offset, next);
            assert!(length > 0 && length <= 1_000_000);
            next = offset + length;
        }
        assert_eq!(next, layout.metadata_length());
    }
}
