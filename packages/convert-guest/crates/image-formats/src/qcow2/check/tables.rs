//! Walks L1 and L2 tables: what they refer to, and what their entries say of refcounts.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::references::Range;
use crate::arith::{to_u64, to_usize};
use crate::check::{FindingKind, Remedy};
use crate::error::FormatError;
use crate::file_parts::Use;
use crate::metadata_cache::{BLOCK, MetadataCache};
use crate::qcow2::header::Header;
use crate::qcow2::{Qcow2Image, compressed, l1, refcounts};
use crate::source::ByteSource;

/// Bit 63 of L1 and L2 entries: the refcount is exactly one.
const COPIED: u64 = 1 << 63;
/// Bit 62 of an L2 entry: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Bits 9 to 55 of an entry: an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bits of a standard L2 entry that are reserved.
const L2_RESERVED: u64 = 0x3f00_0000_0000_01fe;
/// Bits of an L1 entry that are reserved.
const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;

/// Clusters between two tables that are read together.
const NEAR: u64 = 16;

/// An L1 table: the active one, or a snapshot's.
pub(super) struct L1 {
    pub offset: u64,
    pub entries: u64,
    pub active: bool,
}

impl<S: ByteSource> Qcow2Image<S> {
    /// Counts what an L1 table and the tables that it names refer to.
    pub(super) fn count_l1(&mut self, range: &mut Range<'_>, l1: &L1) -> Result<(), FormatError> {
        range.refer(40, l1.offset, l1.entries.saturating_mul(l1::ENTRY_BYTES))?;
        let cluster = self.header.cluster;
        for index in 0..l1.entries {
            let at = l1
                .offset
                .saturating_add(index.saturating_mul(l1::ENTRY_BYTES));
            let entry = self.cache.be64(at)?;
            let table = entry & OFFSET;
            if entry == 0 {
                continue;
            }
            if entry & L1_RESERVED != 0 {
                let text = format!("ERROR found L1 entry with reserved bits set: {entry:x}");
                range.corrupt(at, entry, text)?;
            }
            range.refer(at, table, cluster.size())?;
            if l1.active {
                range.said(cluster.index_of(table), entry & COPIED != 0);
            }
            if !cluster.is_aligned(table) {
                let text = format!(
                    "ERROR l2_offset={table:x}: Table is not cluster aligned; L1 entry corrupted"
                );
                // It is walked all the same, as qemu-img does: what it refers to is no leak.
                range.corrupt(at, table, text)?;
            }
            // Behind the last entry stands something else, which is as good a guess as any.
            let next = self.cache.be64(at.saturating_add(l1::ENTRY_BYTES))? & OFFSET;
            let mut counting = Counting {
                header: &self.header,
                table,
                active: l1.active,
                counted: l1.active && range.tells,
                next: 0,
                range,
            };
            each_piece(&mut self.cache, &self.header, (table, next), |at, piece| {
                counting.piece(at, piece)
            })?;
        }
        Ok(())
    }

    /// Every entry says of itself whether its refcount is exactly one: compares it with what was counted.
    pub(super) fn check_copied(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
        for index in 0..self.header.l1_entries {
            let offset = index.saturating_mul(l1::ENTRY_BYTES);
            let at = self.header.l1_table_offset.saturating_add(offset);
            let entry = self.cache.be64(at)?;
            let table = entry & OFFSET;
            if table == 0 {
                continue;
            }
            if !is_right(&self.header, range, entry) {
                let count = self.refcount_at(table)?;
                if (count == 1) != (entry & COPIED != 0) {
                    let text = format!(
                        "ERROR OFLAG_COPIED L2 cluster: l1_index={index} l1_entry={entry:x} refcount={count}"
                    );
                    let (kind, remedy) = (FindingKind::Corruption, Remedy::Copied);
                    range.tell(kind, at, entry, 0, text, remedy)?;
                }
            }
            if !self.header.has_data_file() {
                self.check_copied_of(range, table)?;
            }
        }
        Ok(())
    }

    /// The same, of the entries of an L2 table.
    fn check_copied_of(&mut self, range: &mut Range<'_>, table: u64) -> Result<(), FormatError> {
        let mut doubtful = Doubtful {
            header: &self.header,
            range,
            entries: Vec::new(),
        };
        each_piece(
            &mut self.cache,
            &self.header,
            (table, table),
            |at, piece| doubtful.piece(at, piece),
        )?;
        for (at, entry) in doubtful.entries {
            let count = self.refcount_at(entry & OFFSET)?;
            if (count == 1) != (entry & COPIED != 0) {
                let text =
                    format!("ERROR OFLAG_COPIED data cluster: l2_entry={entry:x} refcount={count}");
                let (kind, remedy) = (FindingKind::Corruption, Remedy::Copied);
                range.tell(kind, at, entry, 0, text, remedy)?;
            }
        }
        Ok(())
    }

    fn refcount_at(&mut self, offset: u64) -> Result<u64, FormatError> {
        let number = self.header.cluster.index_of(offset);
        refcounts::refcount(&mut self.cache, &self.header, number)
    }
}

/// Calls `take` with the place and the bytes of each part of an L2 table; parts hold whole entries. `next` is the table that is looked at
/// afterwards.
fn each_piece<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    (table, next): (u64, u64),
    mut take: impl FnMut(u64, &[u8]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let length = header.cluster.size();
    let is_alone = table.abs_diff(next) > length.saturating_mul(NEAR)
        || BLOCK.index_of(table) != BLOCK.index_of(next);
    let mut done = 0;
    while done < length {
        let at = table.saturating_add(done);
        let rest = to_usize(length.saturating_sub(done));
        let piece = if is_alone {
            cache.view_alone(at, rest)?
        } else {
            cache.view(at, rest)?
        };
        if piece.is_empty() {
            break;
        }
        take(at, piece)?;
        done = done.saturating_add(to_u64(piece.len()));
    }
    Ok(())
}

/// The numbers of an L2 entry: its descriptor, and its subcluster bitmap where there is one.
fn numbers_of(entry: &[u8]) -> (u64, u64) {
    let number = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let (descriptor, bitmap) = entry.split_at_checked(8).unwrap_or_default();
    (
        number(descriptor.first_chunk()),
        number(bitmap.first_chunk()),
    )
}

/// Counts what an L2 table refers to.
struct Counting<'a, 'b> {
    header: &'a Header,
    /// Where it lies.
    table: u64,
    range: &'a mut Range<'b>,
    /// Whether its clusters are those of the disk.
    active: bool,
    /// Whether they are counted as well: once, whatever ranges there are.
    counted: bool,
    /// Where the cluster would lie that follows the last one.
    next: u64,
}

impl Counting<'_, '_> {
    fn piece(&mut self, at: u64, piece: &[u8]) -> Result<(), FormatError> {
        let entry_size = self.header.l2_entry();
        let unaligned = self.header.cluster.size().wrapping_sub(1) & OFFSET;
        let plain = !self.header.has_extended_l2() && !self.header.has_data_file();
        let unusual = COMPRESSED | L2_RESERVED | unaligned;
        let mut at = at;
        for entry in piece.chunks_exact(entry_size.in_memory()) {
            let (descriptor, bitmap) = numbers_of(entry);
            if !plain || descriptor & unusual != 0 {
                self.entry(at, descriptor, bitmap)?;
            } else if descriptor & OFFSET != 0 {
                let host = descriptor & OFFSET;
                self.count(host);
                self.range.refer_to_data(at, host)?;
                self.said(descriptor);
            }
            at = at.saturating_add(entry_size.size());
        }
        Ok(())
    }

    /// Counts a cluster of the disk that has bytes in the file.
    fn count(&mut self, host: u64) {
        if self.counted {
            let counts = &mut *self.range.counts;
            counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
            if self.next != 0 && host != self.next {
                counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
            }
            self.next = host.saturating_add(self.header.cluster.size());
        }
    }

    fn entry(&mut self, at: u64, entry: u64, bitmap: u64) -> Result<(), FormatError> {
        if entry & COMPRESSED != 0 {
            return self.stream(at, entry, bitmap);
        }
        let cluster = self.header.cluster;
        if entry & L2_RESERVED != 0 {
            let text = format!("ERROR found l2 entry with reserved bits set: {entry:x}");
            self.range.corrupt(at, entry, text)?;
        }
        let host = entry & OFFSET;
        let (zero, allocated) = (bitmap >> 32, bitmap & u64::from(u32::MAX));
        // In a data file offset 0 is a place like others.
        if host == 0 && !(self.header.has_data_file() && entry & COPIED != 0) {
            if allocated != 0 {
                let text = "ERROR: Unallocated cluster has non-zero subcluster allocation map";
                self.range.corrupt(at, bitmap, String::from(text))?;
            }
            return Ok(());
        }
        if zero & allocated != 0 {
            let text = format!(
                "ERROR offset={host:x}: Allocated cluster has corrupted subcluster allocation bitmap"
            );
            self.range.corrupt(at, bitmap, text)?;
        }
        if !cluster.is_aligned(host) {
            let holds_data = if self.header.has_extended_l2() {
                allocated != 0
            } else {
                entry & 1 == 0
            };
            // What reads as zeros needs no place.
            let (what, remedy) = if holds_data {
                ("Data", Remedy::None)
            } else {
                ("Preallocated", Remedy::Unallocate)
            };
            let text = format!(
                "ERROR offset={host:x}: {what} cluster is not properly aligned; L2 entry corrupted."
            );
            self.range.mendable(at, host, text, remedy)?;
        }
        self.count(host);
        if self.header.has_data_file() {
            return Ok(());
        }
        self.said(entry);
        self.range.refer_to(Use::Data, at, host, cluster.size())
    }

    /// Keeps what an entry says of its cluster's refcount.
    fn said(&mut self, entry: u64) {
        if self.active {
            let number = self.header.cluster.index_of(entry & OFFSET);
            self.range.said(number, entry & COPIED != 0);
        }
    }

    /// Counts a compressed cluster: where its entry stands, the entry, and its subcluster bitmap.
    fn stream(&mut self, at: u64, entry: u64, bitmap: u64) -> Result<(), FormatError> {
        let stream = compressed::decode(entry, self.header.cluster);
        if entry & COPIED != 0 {
            let offset = stream.offset;
            let text = format!(
                "ERROR: coffset=0x{offset:x}: copied flag must never be set for compressed clusters"
            );
            self.range.corrupt(at, entry, text)?;
        }
        let strange = if self.header.has_data_file() {
            Some("data file")
        } else if bitmap != 0 {
            Some("non-zero subcluster allocation bitmap")
        } else {
            None
        };
        if let Some(strange) = strange {
            // The flag has been told of.
            let told = entry & !COPIED;
            let index = self.index_of(at);
            let text = format!("ERROR compressed cluster {index} with {strange}, entry=0x{told:x}");
            return self.range.corrupt(at, entry, text);
        }
        self.range
            .refer_to(Use::Compressed, at, stream.offset, stream.max_length)?;
        if self.counted {
            let counts = &mut *self.range.counts;
            counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
            counts.compressed_clusters = counts.compressed_clusters.saturating_add(1);
            counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
        }
        Ok(())
    }
    /// Index in its table of the entry at this place.
    fn index_of(&self, at: u64) -> u64 {
        self.header
            .l2_entry()
            .index_of(at.saturating_sub(self.table))
    }
}

/// Whether an entry, if it is for the range at all, is known to say what is.
fn is_right(header: &Header, range: &Range<'_>, entry: u64) -> bool {
    let number = header.cluster.index_of(entry & OFFSET);
    match range.references_to(number) {
        Some(counted) => range.agrees && (counted == 1) == (entry & COPIED != 0),
        // It is for another range; the first one has those that are for none as well.
        None => range.place.first != 0 || number < range.place.all,
    }
}

/// Collects entries that may say something else of a refcount than what it is.
struct Doubtful<'a, 'b> {
    header: &'a Header,
    range: &'a Range<'b>,
    /// Of these the refcount has to be looked up: where the entry stands, and the entry.
    entries: Vec<(u64, u64)>,
}

impl Doubtful<'_, '_> {
    fn piece(&mut self, at: u64, piece: &[u8]) -> Result<(), FormatError> {
        let entry_size = self.header.l2_entry();
        let mut at = at;
        for entry in piece.chunks_exact(entry_size.in_memory()) {
            let (entry, _) = numbers_of(entry);
            if entry & OFFSET != 0
                && entry & COMPRESSED == 0
                && !is_right(self.header, self.range, entry)
            {
                self.entries
                    .try_reserve(1)
                    .map_err(|_| self.range.out_of_memory(16))?;
                self.entries.push((at, entry));
            }
            at = at.saturating_add(entry_size.size());
        }
        Ok(())
    }
}
