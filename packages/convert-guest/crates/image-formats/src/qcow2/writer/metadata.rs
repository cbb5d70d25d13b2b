//! The bytes of a new image's metadata, any cluster of it at any time.

use super::header::NewHeader;
use super::refcounts::{fill_block, with_ones};
use super::{DenseLayout, LayoutError, References};
use crate::arith::to_u64;

/// An L1 or L2 entry: what it names has no other user.
pub(super) const COPIED: u64 = 1 << 63;
/// The bitmap of an extended L2 entry whose subclusters are all in their cluster.
const ALL_ALLOCATED: u64 = 0xffff_ffff;

impl DenseLayout {
    /// Writes the metadata at `offset` of the file into `buffer`, all of it.
    ///
    /// # Errors
    /// `BadRange` unless `offset` and the buffer's length are multiples of the cluster size and the
    /// range ends within the metadata.
    pub fn fill_metadata(&self, offset: u64, buffer: &mut [u8]) -> Result<(), LayoutError> {
        let size = self.shape.cluster.in_memory();
        let mut chunks = buffer.chunks_exact_mut(size);
        let mut cluster = self.shape.cluster.index_of(offset);
        let aligned = self.shape.cluster.is_aligned(offset);
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
        let entries = self.shape.entries().size();
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
            self.fill_l2_table(index, buffer);
        }
    }

    fn fill_l2_table(&self, index: u64, buffer: &mut [u8]) {
        let per_table = self.shape.l2_entries().size();
        let first = index.saturating_mul(per_table);
        let place = |cluster: u64| COPIED | self.offset_of(self.data.first.saturating_add(cluster));
        if !self.shape.options.extended_l2 {
            fill_table(buffer, first, self.data.count, place);
            return;
        }
        let last = first.saturating_add(per_table).min(self.data.count);
        let (words, _) = buffer.as_chunks_mut::<8>();
        let values = (first..last).flat_map(|cluster| [place(cluster), ALL_ALLOCATED]);
        for (word, value) in words.iter_mut().zip(values) {
            *word = value.to_be_bytes();
        }
    }

    /// Every cluster of the file is used exactly once.
    fn fill_refcounts(&self, index: u64, buffer: &mut [u8]) {
        let before = index.saturating_mul(self.shape.refcounts().size());
        let used = self.data.end().saturating_sub(before);
        let used = used.min(self.shape.refcounts().size());
        fill_block(
            buffer,
            self.shape.options.refcount_order,
            with_ones(&[], used),
        );
    }

    fn fill_header(&self, buffer: &mut [u8]) {
        let header = NewHeader {
            shape: self.shape,
            virtual_size: self.virtual_size,
            l1_entries: self.l1_entries,
            l1_offset: self.offset_of(self.l1_table.first),
            refcount_table_offset: self.offset_of(self.refcount_table.first),
            refcount_table_clusters: self.refcount_table.count,
        };
        // Without the names of other files there is room in every cluster.
        let bytes = header.bytes(References::default()).unwrap_or_default();
        for (place, byte) in buffer.iter_mut().zip(bytes) {
            *place = byte;
        }
    }
}

/// A cluster's worth of a table of `count` offsets, from its entry `first` on.
fn fill_table(buffer: &mut [u8], first: u64, count: u64, value: impl Fn(u64) -> u64) {
    let (entries, _) = buffer.as_chunks_mut::<8>();
    for (entry, index) in entries.iter_mut().zip(first..count) {
        *entry = value(index).to_be_bytes();
    }
}
