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

use crate::arith::{PowerOfTwo, SECTOR, to_usize};
use crate::extent::Codec;
use crate::qcow2::extensions;
use crate::qcow2::features;
use crate::qcow2::header::{MAGIC, MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES};

const HEADER_LENGTH: u32 = 112;
const VERSION: u32 = 3;
/// 16-bit refcounts.
const REFCOUNT_ORDER: u32 = 4;
const REFCOUNT_BYTES: PowerOfTwo = PowerOfTwo::from_bits(1);
const TABLE_ENTRY: PowerOfTwo = PowerOfTwo::from_bits(3);
const COPIED: u64 = 1 << 63;

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

/// Options of a new image; the default is what `qemu-img create -f qcow2` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Exponent of the cluster size, 9 to 21.
    pub cluster_bits: u32,
    /// Whether the header carries the feature name table (not with 512-byte clusters, where it
    /// leaves no room).
    pub feature_names: bool,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            cluster_bits: 16,
            feature_names: true,
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

    /// Writes the metadata at `offset` of the file into `buffer`, all of it.
    ///
    /// # Errors
    /// `BadRange` unless `offset` and the buffer's length are multiples of the cluster size and the
    /// range ends within the metadata.
    pub fn fill_metadata(&self, offset: u64, buffer: &mut [u8]) -> Result<(), LayoutError> {
        let size = self.cluster.in_memory();
        let mut chunks = buffer.chunks_exact_mut(size);
        let mut cluster = self.cluster.index_of(offset);
        let aligned = self.cluster.is_aligned(offset);
        let last = cluster.saturating_add(crate::arith::to_u64(chunks.len()));
        if !aligned || last > self.data.first {
            return Err(LayoutError::BadRange);
        }
        for chunk in chunks.by_ref() {
            self.fill_cluster(cluster, chunk);
            cluster = cluster.saturating_add(1);
        }
        if chunks.into_remainder().is_empty() {
            Ok(())
        } else {
            Err(LayoutError::BadRange)
        }
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

    fn fill_cluster(&self, cluster: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        let entries = per_cluster(self.cluster, TABLE_ENTRY).size();
        if cluster == 0 {
            self.fill_header(buffer);
        } else if let Some(index) = self.refcount_table.index_of(cluster) {
            fill_table(
                buffer,
                index.saturating_mul(entries),
                self.refcount_blocks.count,
                |entry| self.offset_of(self.refcount_blocks.first.saturating_add(entry)),
            );
        } else if let Some(index) = self.refcount_blocks.index_of(cluster) {
            self.fill_refcounts(index, buffer);
        } else if let Some(index) = self.l1_table.index_of(cluster) {
            fill_table(
                buffer,
                index.saturating_mul(entries),
                self.l1_entries,
                |entry| COPIED | self.offset_of(self.l2_tables.first.saturating_add(entry)),
            );
        } else if let Some(index) = self.l2_tables.index_of(cluster) {
            fill_table(
                buffer,
                index.saturating_mul(entries),
                self.data.count,
                |entry| COPIED | self.offset_of(self.data.first.saturating_add(entry)),
            );
        }
    }

    /// Every cluster of the file is used exactly once.
    fn fill_refcounts(&self, index: u64, buffer: &mut [u8]) {
        let per_block = per_cluster(self.cluster, REFCOUNT_BYTES).size();
        let used = self
            .data
            .end()
            .saturating_sub(index.saturating_mul(per_block));
        let (refcounts, _) = buffer.as_chunks_mut::<2>();
        for refcount in refcounts.iter_mut().take(to_usize(used)) {
            *refcount = 1_u16.to_be_bytes();
        }
    }

    /// qcow2.txt "Header".
    fn fill_header(&self, buffer: &mut [u8]) {
        let low = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let mut out = Output { rest: buffer };
        out.be32(MAGIC);
        out.be32(VERSION);
        out.be64(0); // backing_file_offset
        out.be32(0); // backing_file_size
        out.be32(self.cluster.bits());
        out.be64(self.virtual_size);
        out.be32(0); // crypt_method
        out.be32(low(self.l1_entries));
        // An empty disk has no L1 table.
        out.be64(if self.l1_entries == 0 {
            0
        } else {
            self.offset_of(self.l1_table.first)
        });
        out.be64(self.offset_of(self.refcount_table.first));
        out.be32(low(self.refcount_table.count));
        out.be32(0); // nb_snapshots
        out.be64(0); // snapshots_offset
        out.be64(0); // incompatible_features
        out.be64(0); // compatible_features
        out.be64(0); // autoclear_features
        out.be32(REFCOUNT_ORDER);
        out.be32(HEADER_LENGTH);
        out.bytes(&[compression_type(Codec::Deflate), 0, 0, 0, 0, 0, 0, 0]);
        let names = self.feature_names && self.cluster.bits() > 9;
        if names {
            out.be32(extensions::FEATURE_NAMES);
            out.be32(low(features::NAME_ENTRY_LENGTH.saturating_mul(8)));
            for (kind, bit, name) in FEATURE_NAMES {
                let mut entry = [0; 48];
                entry
                    .iter_mut()
                    .zip([kind, bit].iter().chain(name))
                    .for_each(|(to, from)| {
                        *to = *from;
                    });
                out.bytes(&entry);
            }
        }
        out.be32(extensions::END);
        out.be32(0);
    }
}

fn compression_type(codec: Codec) -> u8 {
    match codec {
        Codec::Deflate => 0,
        Codec::Zstd => 1,
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

/// A cluster's worth of a table of `count` offsets, from its entry `first` on.
fn fill_table(buffer: &mut [u8], first: u64, count: u64, value: impl Fn(u64) -> u64) {
    let (entries, _) = buffer.as_chunks_mut::<8>();
    for (entry, index) in entries.iter_mut().zip(first..count) {
        *entry = value(index).to_be_bytes();
    }
}

/// Writes fields one after the other; a cluster has room for all of them.
struct Output<'a> {
    rest: &'a mut [u8],
}

impl Output<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.rest);
        if let Some((place, rest)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.rest = rest;
        }
    }

    fn be32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn be64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
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
