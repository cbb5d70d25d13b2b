//! The bytes of a new image's metadata, any cluster of it at any time.

use super::{DenseLayout, LayoutError, REFCOUNT_BYTES, TABLE_ENTRY, per_cluster};
use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::extent::Codec;
use crate::qcow2::extensions;
use crate::qcow2::features;
use crate::qcow2::header::MAGIC;

const HEADER_LENGTH: u32 = 112;
const VERSION: u32 = 3;
/// 16-bit refcounts.
const REFCOUNT_ORDER: u32 = 4;
pub(super) const COPIED: u64 = 1 << 63;

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

impl DenseLayout {
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
        let last = cluster.saturating_add(to_u64(chunks.len()));
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

    fn fill_header(&self, buffer: &mut [u8]) {
        NewHeader {
            cluster: self.cluster,
            virtual_size: self.virtual_size,
            l1_entries: self.l1_entries,
            l1_offset: self.offset_of(self.l1_table.first),
            refcount_table_offset: self.offset_of(self.refcount_table.first),
            refcount_table_clusters: self.refcount_table.count,
            feature_names: self.feature_names,
            codec: self.codec,
        }
        .fill(buffer);
    }
}

/// What is new about the header of a new image.
pub(super) struct NewHeader {
    pub cluster: PowerOfTwo,
    pub virtual_size: u64,
    pub l1_entries: u64,
    pub l1_offset: u64,
    pub refcount_table_offset: u64,
    pub refcount_table_clusters: u64,
    pub feature_names: bool,
    pub codec: Codec,
}

impl NewHeader {
    /// qcow2.txt "Header".
    pub fn fill(&self, buffer: &mut [u8]) {
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
            self.l1_offset
        });
        out.be64(self.refcount_table_offset);
        out.be32(low(self.refcount_table_clusters));
        out.be32(0); // nb_snapshots
        out.be64(0); // snapshots_offset
        let kind = compression_type(self.codec);
        out.be64(if kind == 0 {
            0
        } else {
            features::INCOMPATIBLE_COMPRESSION
        });
        out.be64(0); // compatible_features
        out.be64(0); // autoclear_features
        out.be32(REFCOUNT_ORDER);
        out.be32(HEADER_LENGTH);
        out.bytes(&[kind, 0, 0, 0, 0, 0, 0, 0]);
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
        Codec::Zstd => 1,
        _ => 0,
    }
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
