//! The layout of a new image in which only what is written takes room: clusters are placed one after the other as their
//! data comes, in the order of the disk, each L2 table in front of the first cluster that it describes.
//!
//! ```text
//! header | L1 table | L2 table, data … | L2 table, data … | refcount blocks | refcount table
//! ```
//!
//! Of all tables, one L2 table and the L1 table are in memory. The header comes last, so that a file which was not
//! finished is no image.

use crate::growing::Part;
use alloc::vec::Vec;

use super::metadata::{COPIED, NewHeader};
use super::shared_clusters::SharedClusters;
use super::{
    DenseLayout, LayoutError, LayoutOptions, REFCOUNT_BYTES, TABLE_ENTRY, per_cluster,
    refcount_clusters,
};
use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::extent::Codec;
use crate::qcow2::compressed;

/// An L2 table that is still being filled.
struct Table {
    /// Entry of the L1 table.
    index: u64,
    /// Its own place in the file.
    offset: u64,
    entries: Vec<u64>,
}

/// A piece of metadata whose bytes are settled.
pub struct Metadata {
    /// Byte offset in the file.
    pub offset: u64,
    bytes: Settled,
}

enum Settled {
    Table(Vec<u64>),
    Refcounts { used: u64, counted: Vec<u16> },
    Header(NewHeader),
}

impl Metadata {
    /// The bytes of its cluster.
    pub fn part(&self, cluster_size: u64) -> Part {
        let mut bytes = alloc::vec![0; to_usize(cluster_size)];
        self.fill(&mut bytes);
        Part {
            offset: self.offset,
            bytes,
        }
    }

    /// Fills a buffer of one cluster.
    pub fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        match &self.bytes {
            Settled::Table(entries) => {
                let (places, _) = buffer.as_chunks_mut::<8>();
                for (place, entry) in places.iter_mut().zip(entries) {
                    *place = entry.to_be_bytes();
                }
            }
            Settled::Refcounts { used, counted } => {
                let counts = counted.iter().copied().chain(core::iter::repeat(1));
                let (places, _) = buffer.as_chunks_mut::<2>();
                for (place, count) in places.iter_mut().take(to_usize(*used)).zip(counts) {
                    *place = count.to_be_bytes();
                }
            }
            Settled::Header(header) => header.fill(buffer),
        }
    }
}

/// A new image that grows with its data.
pub struct SparseLayout {
    virtual_size: u64,
    cluster: PowerOfTwo,
    feature_names: bool,
    l1: Vec<u64>,
    table: Option<Table>,
    /// The first cluster of the file that nothing has.
    next: u64,
    codec: Codec,
    shared: SharedClusters,
}

impl SparseLayout {
    /// An image of `virtual_size` bytes without any data.
    ///
    /// # Errors
    /// As [`DenseLayout::new`], and `TooBig` where the L1 table does not fit memory.
    pub fn new(virtual_size: u64, options: LayoutOptions) -> Result<Self, LayoutError> {
        let dense = DenseLayout::new(virtual_size, options)?;
        let mut l1 = Vec::new();
        l1.try_reserve_exact(to_usize(dense.l1_entries))
            .map_err(|_| LayoutError::TooBig {
                safe_size: super::safe_size(dense.cluster),
            })?;
        l1.resize(to_usize(dense.l1_entries), 0);
        Ok(Self {
            virtual_size,
            cluster: dense.cluster,
            feature_names: dense.feature_names,
            l1,
            table: None,
            next: dense.l1_table.count.saturating_add(1),
            codec: dense.codec,
            shared: SharedClusters::new(per_cluster(dense.cluster, REFCOUNT_BYTES)),
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

    /// Bytes of the file so far.
    pub fn file_length(&self) -> u64 {
        self.offset_of(self.next)
    }

    /// Where the guest byte at `offset` lies, and for how many of `most` bytes that holds: up to the end of its cluster.
    /// A cluster that has no place gets one; offsets come in ascending order of their L2 tables.
    ///
    /// The third value is an L2 table that will not change any more: it must be written.
    ///
    /// # Errors
    /// `BadRange` beyond the disk and for a table that was handed out already, `TooBig` without memory for a table.
    pub fn place(
        &mut self,
        offset: u64,
        most: u64,
    ) -> Result<(u64, u64, Option<Metadata>), LayoutError> {
        if offset >= self.virtual_size {
            return Err(LayoutError::BadRange);
        }
        let finished = self.reach(offset)?;
        let next = self.offset_of(self.next);
        let entry = self.entry(offset)?;
        if *entry == 0 {
            *entry = COPIED | next;
        }
        let placed = *entry & !COPIED;
        if placed == next {
            self.next = self.next.saturating_add(1);
        }
        let within = self.cluster.offset_within(offset);
        let host = placed.saturating_add(within);
        let length = most.min(self.cluster.size().saturating_sub(within));
        Ok((host, length, finished))
    }

    /// Where `length` bytes, to which the cluster at `offset` was compressed, go: right behind those before, wherever that is.
    /// The second value is an L2 table that will not change any more.
    ///
    /// # Errors
    /// As [`place`](Self::place), and `BadRange` for a stream that takes as much as its cluster.
    pub fn place_compressed(
        &mut self,
        offset: u64,
        length: u64,
    ) -> Result<(u64, Option<Metadata>), LayoutError> {
        if offset >= self.virtual_size || length == 0 || length >= self.cluster.size() {
            return Err(LayoutError::BadRange);
        }
        let finished = self.reach(offset)?;
        let open_until = self.offset_of(self.next);
        let host = match self.shared.free {
            // What lies in the last cluster of the file may go on in the one that follows it.
            Some(free) if self.cluster.round_up(free) == Some(open_until) => free,
            Some(free)
                if free.saturating_add(length) <= self.cluster.round_up(free).unwrap_or(0) =>
            {
                free
            }
            _ => open_until,
        };
        let end = host.saturating_add(length);
        let cluster = self.cluster;
        while self.offset_of(self.next) < end {
            self.next = self.next.saturating_add(1);
        }
        let encoded = compressed::encode(host, length, cluster).ok_or(LayoutError::BadRange)?;
        let entry = self.entry(offset)?;
        if *entry != 0 {
            return Err(LayoutError::BadRange);
        }
        *entry = encoded;
        let last = cluster.index_of(end.saturating_sub(1));
        for used in cluster.index_of(host)..=last {
            self.shared.count(used)?;
        }
        self.shared.free = (!cluster.is_aligned(end)).then_some(end);
        Ok((host, finished))
    }

    /// Makes the table that has the entry of an offset the one in memory. Returns the one before it, which is complete.
    fn reach(&mut self, offset: u64) -> Result<Option<Metadata>, LayoutError> {
        let per_table = per_cluster(self.cluster, TABLE_ENTRY);
        let index = per_table.index_of(self.cluster.index_of(offset));
        match &self.table {
            Some(table) if table.index == index => Ok(None),
            Some(table) if table.index > index => Err(LayoutError::BadRange),
            _ => {
                let finished = self.take_table();
                self.begin_table(index)?;
                Ok(finished)
            }
        }
    }

    /// The entry of an offset in the table that is in memory.
    fn entry(&mut self, offset: u64) -> Result<&mut u64, LayoutError> {
        let per_table = per_cluster(self.cluster, TABLE_ENTRY);
        let place = per_table.offset_within(self.cluster.index_of(offset));
        self.table
            .as_mut()
            .and_then(|table| table.entries.get_mut(to_usize(place)))
            .ok_or(LayoutError::BadRange)
    }

    /// All that is still to be written, in order; the header last. The length of the file is right after that.
    pub fn finish(&mut self) -> Vec<Metadata> {
        let mut rest: Vec<Metadata> = self.take_table().into_iter().collect();
        let per_table = to_usize(per_cluster(self.cluster, TABLE_ENTRY).size());
        for (entries, cluster) in self.l1.chunks(per_table).zip(1..) {
            rest.push(Metadata {
                offset: self.offset_of(cluster),
                bytes: Settled::Table(entries.to_vec()),
            });
        }
        let (tables, blocks) = refcount_clusters(self.cluster, self.next);
        let first_block = self.next;
        let first_table = first_block.saturating_add(blocks);
        self.next = first_table.saturating_add(tables);
        let per_block = per_cluster(self.cluster, REFCOUNT_BYTES).size();
        for index in 0..blocks {
            let before = index.saturating_mul(per_block);
            rest.push(Metadata {
                offset: self.offset_of(first_block.saturating_add(index)),
                bytes: Settled::Refcounts {
                    used: self.next.saturating_sub(before).min(per_block),
                    counted: self.shared.take(index),
                },
            });
        }
        for index in 0..tables {
            let first = index.saturating_mul(to_u64(per_table));
            let last = first.saturating_add(to_u64(per_table)).min(blocks);
            let entries = (first..last)
                .map(|block| self.offset_of(first_block.saturating_add(block)))
                .collect();
            rest.push(Metadata {
                offset: self.offset_of(first_table.saturating_add(index)),
                bytes: Settled::Table(entries),
            });
        }
        let header = NewHeader {
            cluster: self.cluster,
            virtual_size: self.virtual_size,
            l1_entries: to_u64(self.l1.len()),
            l1_offset: self.offset_of(1),
            refcount_table_offset: self.offset_of(first_table),
            refcount_table_clusters: tables,
            feature_names: self.feature_names,
            codec: self.codec,
        };
        rest.push(Metadata {
            offset: 0,
            bytes: Settled::Header(header),
        });
        rest
    }

    fn begin_table(&mut self, index: u64) -> Result<(), LayoutError> {
        let offset = self.offset_of(self.next);
        let count = to_usize(per_cluster(self.cluster, TABLE_ENTRY).size());
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(count)
            .map_err(|_| LayoutError::TooBig {
                safe_size: super::safe_size(self.cluster),
            })?;
        entries.resize(count, 0);
        let place = self
            .l1
            .get_mut(to_usize(index))
            .filter(|place| **place == 0)
            .ok_or(LayoutError::BadRange)?;
        *place = COPIED | offset;
        self.next = self.next.saturating_add(1);
        self.table = Some(Table {
            index,
            offset,
            entries,
        });
        Ok(())
    }

    fn take_table(&mut self) -> Option<Metadata> {
        self.table.take().map(|table| Metadata {
            offset: table.offset,
            bytes: Settled::Table(table.entries),
        })
    }

    fn offset_of(&self, cluster: u64) -> u64 {
        self.cluster.times(cluster).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: u64 = 65536;

    fn layout(size: u64) -> SparseLayout {
        SparseLayout::new(size, LayoutOptions::default()).unwrap()
    }

    #[test]
    fn what_is_not_written_takes_no_room() {
        let mut layout = layout(1 << 40);
        let before = layout.file_length();
        let (host, length, finished) = layout.place(7 << 36, 1 << 20).unwrap();
        assert_eq!((host, length), (before + CLUSTER, CLUSTER));
        assert!(finished.is_none());
        assert_eq!(layout.file_length(), before + 2 * CLUSTER);
    }

    #[test]
    fn parts_of_a_cluster_share_its_place() {
        let mut layout = layout(1 << 30);
        let (first, length, _) = layout.place(CLUSTER + 512, 1000).unwrap();
        assert_eq!(length, 1000);
        let (second, length, _) = layout.place(CLUSTER + 2048, 1 << 20).unwrap();
        assert_eq!((second, length), (first + 1536, CLUSTER - 2048));
    }

    #[test]
    fn a_table_is_handed_out_once_and_never_changes_after_that() {
        let mut layout = layout(4 << 30);
        layout.place(0, 1).unwrap();
        let (_, _, finished) = layout.place(512 << 20, 1).unwrap();
        assert_eq!(finished.map(|table| table.offset), Some(2 * CLUSTER));
        assert!(matches!(layout.place(0, 1), Err(LayoutError::BadRange)));
        assert!(matches!(
            layout.place(4 << 30, 1),
            Err(LayoutError::BadRange)
        ));
    }
}
