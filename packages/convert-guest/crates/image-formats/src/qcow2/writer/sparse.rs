//! The layout of a new image in which only what is written takes room: clusters are placed one after the other as their
//! data comes, in the order of the disk, each L2 table in front of the first cluster that it describes.
//!
//! ```text
//! header | encryption header | L1 table | L2 table, data … | L2 table, data … | refcount blocks | refcount table
//! ```
//!
//! Of all tables, one L2 table and the L1 table are in memory. Compressed clusters have refcounts of their own, whose blocks
//! lie among the data. The header comes last, so that a file which was not finished is no image.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::header::NewHeader;
use super::metadata::COPIED;
use super::options::{Backing, DataFile, References, Shape};
use super::refcounts::{fill_block, refcount_clusters, with_ones};
use super::shared_clusters::SharedClusters;
use super::{DenseLayout, LayoutError, LayoutOptions};
use crate::arith::{PowerOfTwo, to_usize};
use crate::growing::{Growing, Marked, Packing, Part, Placement};
use crate::qcow2::compressed;

/// A standard L2 entry: the cluster reads as zeros.
const ZERO: u64 = 1;
/// The bitmap of an extended L2 entry whose subclusters all read as zeros.
const ALL_ZERO: u64 = 0xffff_ffff << 32;
const SUBCLUSTERS: PowerOfTwo = PowerOfTwo::from_bits(5);

/// An L2 table that is still being filled.
struct Table {
    /// Entry of the L1 table.
    index: u64,
    /// Its own place in the file.
    offset: u64,
    /// Words of 8 bytes; an extended entry has two.
    words: Vec<u64>,
}

/// Where the data of an image lies that has none itself.
struct ExternalData {
    name: Vec<u8>,
    raw: bool,
}

/// A new image that grows with its data.
pub struct SparseLayout {
    virtual_size: u64,
    shape: Shape,
    backing_name: Vec<u8>,
    backing_format: Vec<u8>,
    data_file: Option<ExternalData>,
    l1: Vec<u64>,
    table: Option<Table>,
    /// The first cluster of the file that nothing has.
    next: u64,
    shared: SharedClusters,
    /// Refcount blocks that have a place (byte offset), from the first on.
    refcount_blocks: Vec<u64>,
}

impl SparseLayout {
    /// An image of `virtual_size` bytes without any data.
    ///
    /// # Errors
    /// As [`DenseLayout::new`], `NoRoomForName`, and `TooBig` where the L1 table does not fit memory.
    pub fn new(
        virtual_size: u64,
        options: LayoutOptions,
        References { backing, data_file }: References<'_>,
    ) -> Result<Self, LayoutError> {
        let dense = DenseLayout::new(virtual_size, options)?;
        let shape = dense.shape;
        let mut l1 = Vec::new();
        l1.try_reserve_exact(to_usize(dense.l1_entries))
            .map_err(|_| LayoutError::TooBig {
                safe_size: shape.safe_size(),
            })?;
        l1.resize(to_usize(dense.l1_entries), 0);
        let layout = Self {
            virtual_size,
            shape,
            backing_name: backing.map_or_else(Vec::new, |backing| backing.name.to_vec()),
            backing_format: backing.map_or_else(Vec::new, |backing| backing.format.to_vec()),
            data_file: data_file.map(|file| ExternalData {
                name: file.name.to_vec(),
                raw: file.raw,
            }),
            l1,
            table: None,
            next: dense.l1_table.count.saturating_add(shape.first_clusters()),
            shared: SharedClusters::new(shape.refcounts(), shape.most_references()),
            refcount_blocks: Vec::new(),
        };
        layout.header(0, 0)?;
        Ok(layout)
    }

    fn header(&self, table_offset: u64, table_clusters: u64) -> Result<Vec<u8>, LayoutError> {
        let backing = Backing {
            name: &self.backing_name,
            format: &self.backing_format,
        };
        NewHeader {
            shape: self.shape,
            virtual_size: self.virtual_size,
            l1_entries: crate::arith::to_u64(self.l1.len()),
            l1_offset: self.shape.offset_of(self.shape.first_clusters()),
            refcount_table_offset: table_offset,
            refcount_table_clusters: table_clusters,
        }
        .bytes(References {
            backing: (!backing.name.is_empty()).then_some(backing),
            data_file: self.data_file.as_ref().map(|file| DataFile {
                name: &file.name,
                raw: file.raw,
            }),
        })
    }

    /// Where a stream of `length` bytes begins: behind the one before where both may share a cluster.
    fn place_of_stream(&self, length: u64) -> u64 {
        let cluster = self.shape.cluster;
        let open_until = self.shape.offset_of(self.next);
        let free = self.shared.free.filter(|free| {
            let end_of_cluster = cluster.round_up(*free).unwrap_or(0);
            // What lies in the last cluster of the file may go on in the one that follows it.
            let fits =
                end_of_cluster == open_until || free.saturating_add(length) <= end_of_cluster;
            fits && self.shared.takes_more(cluster.index_of(*free))
        });
        free.unwrap_or(open_until)
    }

    /// Refcount blocks that no stream to come will change.
    fn settle_refcounts(&mut self, settled: &mut Vec<Part>) -> Result<(), LayoutError> {
        let cluster = self.shape.cluster;
        let last = self
            .shared
            .free
            .map_or(self.next, |free| cluster.index_of(free));
        while let Some(counted) = self.shared.take_passed(last) {
            let offset = self.shape.offset_of(self.next);
            self.next = self.next.saturating_add(1);
            self.refcount_blocks
                .try_reserve(1)
                .map_err(|_| LayoutError::TooBig { safe_size: 0 })?;
            self.refcount_blocks.push(offset);
            let used = self.shape.refcounts().size();
            settled.push(self.refcount_block(offset, &counted, used));
        }
        Ok(())
    }

    fn refcount_block(&self, offset: u64, counted: &[u16], used: u64) -> Part {
        let mut bytes = alloc::vec![0; self.shape.cluster.in_memory()];
        let order = self.shape.options.refcount_order;
        fill_block(&mut bytes, order, with_ones(counted, used));
        Part { offset, bytes }
    }

    /// A table whose first words these are, the others zero.
    fn table_part(&self, offset: u64, words: &[u64]) -> Part {
        let mut bytes = Vec::with_capacity(self.shape.cluster.in_memory());
        for word in words {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.resize(self.shape.cluster.in_memory(), 0);
        Part { offset, bytes }
    }

    /// Makes the table that has the entry of an offset the one in memory. Returns the one before it, which is complete.
    fn reach(&mut self, offset: u64) -> Result<Vec<Part>, LayoutError> {
        let per_table = self.shape.l2_entries();
        let index = per_table.index_of(self.shape.cluster.index_of(offset));
        match &self.table {
            Some(table) if table.index == index => Ok(Vec::new()),
            Some(table) if table.index > index => Err(LayoutError::BadRange),
            _ => {
                let finished = self.take_table();
                self.begin_table(index)?;
                Ok(finished.into_iter().collect())
            }
        }
    }

    /// The entry of an offset in the table that is in memory, with its bitmap where there is one.
    fn entry(&mut self, offset: u64) -> Result<(&mut u64, Option<&mut u64>), LayoutError> {
        let place = self
            .shape
            .l2_entries()
            .offset_within(self.shape.cluster.index_of(offset));
        let words = &mut self.table.as_mut().ok_or(LayoutError::BadRange)?.words;
        if self.shape.options.extended_l2 {
            let (pairs, _) = words.as_chunks_mut::<2>();
            let [entry, bitmap] = pairs
                .get_mut(to_usize(place))
                .ok_or(LayoutError::BadRange)?;
            Ok((entry, Some(bitmap)))
        } else {
            let entry = words
                .get_mut(to_usize(place))
                .ok_or(LayoutError::BadRange)?;
            Ok((entry, None))
        }
    }

    fn begin_table(&mut self, index: u64) -> Result<(), LayoutError> {
        let offset = self.shape.offset_of(self.next);
        let count = to_usize(self.shape.entries().size());
        let mut words = Vec::new();
        words
            .try_reserve_exact(count)
            .map_err(|_| LayoutError::TooBig {
                safe_size: self.shape.safe_size(),
            })?;
        words.resize(count, 0);
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
            words,
        });
        Ok(())
    }

    fn take_table(&mut self) -> Option<Part> {
        let table = self.table.take()?;
        Some(self.table_part(table.offset, &table.words))
    }
}

/// Bits of the subclusters that `length` bytes touch, from `within` their cluster on.
fn subclusters(cluster: PowerOfTwo, within: u64, length: u64) -> u64 {
    let subcluster = PowerOfTwo::from_bits(cluster.bits().saturating_sub(SUBCLUSTERS.bits()));
    let first = subcluster.index_of(within);
    let end = subcluster.count_for(within.saturating_add(length));
    (first..end.min(SUBCLUSTERS.size()))
        .fold(0, |bits, index| bits | 1_u64.wrapping_shl(bits32(index)))
}

fn bits32(index: u64) -> u32 {
    u32::try_from(index).unwrap_or(0)
}

impl Growing for SparseLayout {
    fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    fn file_length(&self) -> u64 {
        self.shape.offset_of(self.next)
    }

    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError> {
        if offset >= self.virtual_size {
            return Err(LayoutError::BadRange);
        }
        let cluster = self.shape.cluster;
        let settled = self.reach(offset)?;
        let within = cluster.offset_within(offset);
        let external = self.data_file.is_some();
        let next = if external {
            // In the data file every cluster has the place that it has on the disk.
            offset.saturating_sub(within)
        } else {
            self.shape.offset_of(self.next)
        };
        let length = most.min(cluster.size().saturating_sub(within));
        let (entry, bitmap) = self.entry(offset)?;
        if *entry == 0 {
            *entry = COPIED | next;
        }
        if let Some(bitmap) = bitmap {
            *bitmap |= subclusters(cluster, within, length);
        }
        let placed = *entry & !COPIED;
        if placed == next && !external {
            self.next = self.next.saturating_add(1);
        }
        Ok(Placement {
            offset: placed.saturating_add(within),
            length,
            settled,
        })
    }

    fn packing(&self) -> Option<Packing> {
        self.data_file.is_none().then_some(Packing {
            block: self.shape.cluster.size(),
            codec: self.shape.options.codec,
            plain: true,
        })
    }

    fn place_compressed(&mut self, offset: u64, length: u64) -> Result<Placement, LayoutError> {
        let cluster = self.shape.cluster;
        if offset >= self.virtual_size || length == 0 || length >= cluster.size() {
            return Err(LayoutError::BadRange);
        }
        let mut settled = self.reach(offset)?;
        let host = self.place_of_stream(length);
        let end = host.saturating_add(length);
        while self.shape.offset_of(self.next) < end {
            self.next = self.next.saturating_add(1);
        }
        let encoded = compressed::encode(host, length, cluster).ok_or(LayoutError::BadRange)?;
        let (entry, _) = self.entry(offset)?;
        if *entry != 0 {
            return Err(LayoutError::BadRange);
        }
        *entry = encoded;
        let last = cluster.index_of(end.saturating_sub(1));
        for used in cluster.index_of(host)..=last {
            self.shared.count(used)?;
        }
        self.shared.free = (!cluster.is_aligned(end)).then_some(end);
        self.settle_refcounts(&mut settled)?;
        Ok(Placement {
            offset: host,
            length,
            settled,
        })
    }

    fn mark_zeros(&mut self, offset: u64, most: u64) -> Result<Option<Marked>, LayoutError> {
        let cluster = self.shape.cluster;
        let left = self.virtual_size.saturating_sub(offset);
        let whole = cluster.is_aligned(offset) && most >= cluster.size().min(left);
        if self.shape.options.version_2 || !whole || left == 0 {
            return Ok(None);
        }
        let settled = self.reach(offset)?;
        match self.entry(offset)? {
            (0, Some(bitmap)) => *bitmap = ALL_ZERO,
            (entry @ 0, None) => *entry = ZERO,
            _ => return Err(LayoutError::BadRange),
        }
        Ok(Some(Marked {
            length: cluster.size().min(left),
            settled,
        }))
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        let table = self.take_table();
        let shape = self.shape;
        let taken = self.shared.taken();
        let (tables, blocks) = refcount_clusters(shape, self.next, taken);
        let first_block = self.next;
        let first_table = first_block.saturating_add(blocks);
        self.next = first_table.saturating_add(tables);
        let end = self.next;
        let open: Vec<Vec<u16>> = self.shared.take_open();
        let this = &*self;

        let l1 = this
            .l1
            .chunks(to_usize(shape.entries().size()))
            .zip(shape.first_clusters()..);
        let l1 = l1.map(move |(words, cluster)| this.table_part(shape.offset_of(cluster), words));
        let blocks_of_file = (0..blocks).map(move |index| {
            let before = taken
                .saturating_add(index)
                .saturating_mul(shape.refcounts().size());
            let used = end.saturating_sub(before).min(shape.refcounts().size());
            let counted = open.get(to_usize(index)).map_or(&[][..], Vec::as_slice);
            this.refcount_block(
                shape.offset_of(first_block.saturating_add(index)),
                counted,
                used,
            )
        });
        let block_offset = move |number: u64| match number.checked_sub(taken) {
            Some(index) => shape.offset_of(first_block.saturating_add(index)),
            None => this
                .refcount_blocks
                .get(to_usize(number))
                .copied()
                .unwrap_or(0),
        };
        let refcount_tables = (0..tables).map(move |index| {
            let first = index.saturating_mul(shape.entries().size());
            let last = first
                .saturating_add(shape.entries().size())
                .min(taken.saturating_add(blocks));
            let words: Vec<u64> = (first..last).map(block_offset).collect();
            this.table_part(shape.offset_of(first_table.saturating_add(index)), &words)
        });
        let header = core::iter::once_with(move || {
            let mut bytes = this
                .header(shape.offset_of(first_table), tables)
                .unwrap_or_default();
            bytes.resize(shape.cluster.in_memory(), 0);
            Part { offset: 0, bytes }
        });
        Box::new(
            table
                .into_iter()
                .chain(l1)
                .chain(blocks_of_file)
                .chain(refcount_tables)
                .chain(header),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: u64 = 65536;

    fn layout(size: u64) -> SparseLayout {
        SparseLayout::new(size, LayoutOptions::default(), References::default()).unwrap()
    }

    #[test]
    fn what_is_not_written_takes_no_room() {
        let mut layout = layout(1 << 40);
        let before = layout.file_length();
        let placed = layout.place(7 << 36, 1 << 20).unwrap();
        assert_eq!((placed.offset, placed.length), (before + CLUSTER, CLUSTER));
        assert!(placed.settled.is_empty());
        assert_eq!(layout.file_length(), before + 2 * CLUSTER);
    }

    #[test]
    fn parts_of_a_cluster_share_its_place() {
        let mut layout = layout(1 << 30);
        let first = layout.place(CLUSTER + 512, 1000).unwrap();
        assert_eq!(first.length, 1000);
        let second = layout.place(CLUSTER + 2048, 1 << 20).unwrap();
        assert_eq!(
            (second.offset, second.length),
            (first.offset + 1536, CLUSTER - 2048)
        );
    }

    #[test]
    fn a_table_is_handed_out_once_and_never_changes_after_that() {
        let mut layout = layout(4 << 30);
        layout.place(0, 1).unwrap();
        let placed = layout.place(512 << 20, 1).unwrap();
        let offsets: Vec<u64> = placed.settled.iter().map(|part| part.offset).collect();
        assert_eq!(offsets, [2 * CLUSTER]);
        assert!(matches!(layout.place(0, 1), Err(LayoutError::BadRange)));
        assert!(matches!(
            layout.place(4 << 30, 1),
            Err(LayoutError::BadRange)
        ));
    }

    #[test]
    fn refcount_blocks_settle_as_streams_pass_them() {
        let options = LayoutOptions {
            cluster_bits: 9,
            ..Default::default()
        };
        let mut layout = SparseLayout::new(64 << 20, options, References::default()).unwrap();
        let per_block = 256;
        let mut settled = 0;
        for cluster in 0..(64 << 20) / 512 {
            // L2 tables are written over and over; blocks are those parts that are not tables.
            let parts = layout.place_compressed(cluster * 512, 400).unwrap().settled;
            let tables = usize::from(cluster > 0 && cluster % 64 == 0);
            settled += parts.len() - tables;
        }
        let clusters = layout.file_length() / 512;
        assert_eq!(settled as u64, clusters / per_block);
    }

    #[test]
    fn data_of_another_file_takes_no_room_and_keeps_its_place() {
        let data_file = Some(DataFile {
            name: b"disk.raw",
            raw: false,
        });
        let references = References {
            backing: None,
            data_file,
        };
        let mut layout = SparseLayout::new(1 << 30, LayoutOptions::default(), references).unwrap();
        let placed = layout.place(5 * CLUSTER + 512, 1 << 20).unwrap();
        assert_eq!(
            (placed.offset, placed.length),
            (5 * CLUSTER + 512, CLUSTER - 512)
        );
        assert_eq!(layout.place(5 * CLUSTER, 1).unwrap().offset, 5 * CLUSTER);
        // The header, the L1 table, one L2 table.
        assert_eq!(layout.file_length(), 3 * CLUSTER);
        assert!(layout.packing().is_none());
    }

    #[test]
    fn a_name_must_fit_the_header() {
        let options = LayoutOptions {
            cluster_bits: 9,
            ..Default::default()
        };
        let name = [b'n'; 500];
        let backing = Backing {
            name: &name,
            format: b"raw",
        };
        let references = References {
            backing: Some(backing),
            data_file: None,
        };
        let refused = SparseLayout::new(1 << 20, options, references);
        assert!(matches!(refused, Err(LayoutError::NoRoomForName)));
    }
}
