//! The layout of a new, dense qcow2 image, as pure arithmetic: all metadata first, then every guest
//! cluster in order.
//!
//! A dense image has no choices left to make while it is written, so that its metadata can be
//! produced in any order and in pieces of any number of clusters, and guest data keeps its order:
//! `host offset = data start + virtual offset`.
//!
//! ```text
//! header | encryption header | refcount table | refcount blocks | L1 table | L2 tables | data
//! ```

mod header;
mod metadata;
mod options;
mod refcounts;
mod shared_clusters;
mod sparse;

pub use sparse::SparseLayout;

pub use options::{Backing, DataFile, LayoutError, LayoutOptions, References};

use crate::arith::{PowerOfTwo, SECTOR};
use crate::qcow2::header::{MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES};
use options::Shape;
use refcounts::refcount_clusters;

/// An entry of the refcount table, and of the L1 table.
const REFCOUNT_TABLE_ENTRY: PowerOfTwo = PowerOfTwo::from_bits(3);
const L1_ENTRY: PowerOfTwo = PowerOfTwo::from_bits(3);

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
    shape: Shape,
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
    /// `NotWholeSectors`, `BadClusterSize`, `BadOptions`, `TooBig`.
    pub fn new(virtual_size: u64, options: LayoutOptions) -> Result<Self, LayoutError> {
        if !SECTOR.is_aligned(virtual_size) {
            return Err(LayoutError::NotWholeSectors);
        }
        let shape = Shape::new(options)?;
        let cluster = shape.cluster;
        let data_clusters = cluster.count_for(virtual_size);
        let l1_entries = shape.l2_entries().count_for(data_clusters);
        let l1_clusters = shape.entries().count_for(l1_entries);
        let others = [
            shape.first_clusters(),
            l1_clusters,
            l1_entries,
            data_clusters,
        ];
        let others = others.into_iter().fold(0_u64, u64::saturating_add);
        let (table_clusters, blocks) = refcount_clusters(shape, others, 0);

        let table_bytes = cluster.times(table_clusters).unwrap_or(u64::MAX);
        let l1_bytes = L1_ENTRY.times(l1_entries).unwrap_or(u64::MAX);
        if l1_bytes > MAX_L1_BYTES || table_bytes > MAX_REFCOUNT_TABLE_BYTES {
            return Err(LayoutError::TooBig {
                safe_size: shape.safe_size(),
            });
        }

        let refcount_table = Region {
            first: shape.first_clusters(),
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
            shape,
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
        self.shape.cluster.size()
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
        let step = self
            .shape
            .cluster
            .round_down(largest)
            .max(self.shape.cluster.size());
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
        self.shape.offset_of(cluster)
    }
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
