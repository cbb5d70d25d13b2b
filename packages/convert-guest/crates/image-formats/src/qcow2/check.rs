//! Checks refcounts and table entries against each other, as `qemu-img check` does, in bounded memory: references are counted
//! for a range of clusters at a time, and all tables are walked once for each range.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::{to_u64, to_usize};
use crate::check::{CheckCounts, Finding, FindingKind, Findings, Remedy};
use crate::error::FormatError;
use crate::file_parts::{FileParts, Use, Uses};
use crate::qcow2::header::MAX_L1_BYTES;
use crate::qcow2::{Qcow2Image, bitmap, compressed, l1, refcounts, snapshot};
use crate::source::ByteSource;

/// Clusters whose references are counted at a time.
const RANGE: u64 = 4 << 20;
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
/// Bits 9 to 55 of an entry of a bitmap table.
const BITMAP_CLUSTER: u64 = 0x00ff_ffff_ffff_fe00;

/// References to a range of clusters.
struct Range<'a> {
    first: u64,
    references: Vec<u32>,
    /// What they are used for, where that is wanted.
    uses: Uses,
    counts: &'a mut CheckCounts,
    findings: &'a mut dyn Findings,
    /// What is found while tables are walked is told once.
    tells: bool,
    file_size: u64,
    cluster_bits: u32,
    /// Largest refcount of the image's width.
    most: u32,
}

impl Range<'_> {
    fn end(&self) -> u64 {
        self.first.saturating_add(to_u64(self.references.len()))
    }

    fn tell(
        &mut self,
        kind: FindingKind,
        offset: u64,
        value: u64,
        expected: u64,
        text: String,
        remedy: Remedy,
    ) -> Result<(), FormatError> {
        let count = match kind {
            FindingKind::Corruption => &mut self.counts.corruptions,
            FindingKind::Leak => &mut self.counts.leaks,
        };
        *count = count.saturating_add(1);
        self.findings.take(&Finding {
            kind,
            offset,
            value,
            expected,
            text,
            remedy,
        })
    }

    fn corrupt(&mut self, at: u64, value: u64, text: String) -> Result<(), FormatError> {
        self.mendable(at, value, text, Remedy::None)
    }

    fn mendable(
        &mut self,
        at: u64,
        value: u64,
        text: String,
        remedy: Remedy,
    ) -> Result<(), FormatError> {
        if !self.tells {
            return Ok(());
        }
        self.tell(FindingKind::Corruption, at, value, 0, text, remedy)
    }

    /// References to a cluster so far; `None` outside the range.
    fn references_to(&self, number: u64) -> Option<u32> {
        let index = number.checked_sub(self.first)?;
        self.references.get(to_usize(index)).copied()
    }

    /// Counts a reference to every cluster of a table.
    fn refer(&mut self, at: u64, offset: u64, length: u64) -> Result<(), FormatError> {
        self.refer_to(Use::Table, at, offset, length)
    }

    /// Counts a reference to every cluster of a part of the file.
    fn refer_to(
        &mut self,
        used: Use,
        at: u64,
        offset: u64,
        length: u64,
    ) -> Result<(), FormatError> {
        if length == 0 {
            return Ok(());
        }
        let end = offset.saturating_add(length);
        let cluster = 1_u64.wrapping_shl(self.cluster_bits);
        if end >= self.file_size.saturating_add(cluster) {
            let text = format!(
                "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset {offset:#x} size {length:#x}"
            );
            return self.corrupt(at, end, text);
        }
        let first = offset.wrapping_shr(self.cluster_bits).max(self.first);
        let last = end.saturating_sub(1).wrapping_shr(self.cluster_bits);
        let mut number = first;
        while number <= last && number < self.end() {
            self.uses.set(number.saturating_sub(self.first), used);
            let index = to_usize(number.saturating_sub(self.first));
            match self.references.get_mut(index) {
                Some(references) if *references < self.most => {
                    *references = references.saturating_add(1);
                }
                _ => {
                    let offset = number.wrapping_shl(self.cluster_bits);
                    let text = format!("ERROR: overflow cluster offset={offset:#x}");
                    self.tell(FindingKind::Corruption, at, offset, 0, text, Remedy::None)?;
                }
            }
            number = number.saturating_add(1);
        }
        Ok(())
    }
}

/// An L1 table: the active one, or a snapshot's.
struct L1 {
    offset: u64,
    entries: u64,
    active: bool,
}

impl<S: ByteSource> Qcow2Image<S> {
    /// Checks the image, and tells what it finds.
    ///
    /// # Errors
    /// `SourceFailed` and `OutOfMemory`, what `findings` cannot take, and lists that cannot be walked.
    pub fn check_tables(
        &mut self,
        findings: &mut dyn Findings,
    ) -> Result<CheckCounts, FormatError> {
        let cluster = self.header.cluster;
        let mut counts = CheckCounts {
            total_clusters: cluster.count_for(self.virtual_size),
            ..CheckCounts::default()
        };
        let file_size = self.cache.file_size();
        // One more: the last cluster of the file may be named in full.
        let clusters = cluster.count_for(file_size).saturating_add(1);
        let mut parts = FileParts::new(file_size, findings.parts());
        let mut first = 0;
        while first < clusters {
            let length = to_usize(clusters.saturating_sub(first).min(RANGE));
            let mut references = Vec::new();
            references
                .try_reserve_exact(length)
                .map_err(|_| FormatError::out_of_memory(self.cache.device(), 0, to_u64(length)))?;
            references.resize(length, 0);
            let counted = if parts.wanted() { length } else { 0 };
            let uses = Uses::of(counted)
                .map_err(|bytes| FormatError::out_of_memory(self.cache.device(), 0, bytes))?;
            let mut range = Range {
                first,
                references,
                uses,
                counts: &mut counts,
                findings,
                tells: first == 0,
                file_size,
                cluster_bits: cluster.bits(),
                most: u32::MAX
                    .wrapping_shr(u32::BITS.saturating_sub(self.header.refcount_bits.min(32))),
            };
            self.count_references(&mut range)?;
            self.compare(&mut range, &mut parts)?;
            if first == 0 {
                self.check_copied(&mut range)?;
            }
            first = range.end();
        }
        Ok(counts)
    }

    fn count_references(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        range.refer_to(Use::Header, 0, 0, cluster.size())?;
        let active = L1 {
            offset: self.header.l1_table_offset,
            entries: self.header.l1_entries,
            active: true,
        };
        self.count_l1(range, &active)?;
        let mut snapshots = snapshot::Walk::new(&self.header, self.virtual_size);
        let table = snapshots.position();
        while let Some(snapshot) = snapshots.next(&mut self.cache, true)? {
            let entries = u64::from(snapshot.l1_entries);
            if entries.saturating_mul(l1::ENTRY_BYTES) > MAX_L1_BYTES {
                let (id, name) = (snapshot.id.escape_ascii(), snapshot.name.escape_ascii());
                let text = format!(
                    "ERROR snapshot {id} ({name}) l1_size={entries:#x}: L1 table is too large; snapshot table entry corrupted"
                );
                range.corrupt(table, entries, text)?;
                continue;
            }
            let l1 = L1 {
                offset: snapshot.l1_table_offset,
                entries: u64::from(snapshot.l1_entries),
                active: false,
            };
            if !cluster.is_aligned(l1.offset) {
                let text = String::from("ERROR snapshot: L1 table is not cluster aligned");
                range.corrupt(table, l1.offset, text)?;
                continue;
            }
            self.count_l1(range, &l1)?;
        }
        range.refer(64, table, snapshots.position().saturating_sub(table))?;
        if let Some(header) = self.extensions.encryption_header {
            range.refer(header.offset.offset, header.offset.value, header.length)?;
        }
        self.count_bitmaps(range)?;
        self.count_refcounts(range)
    }

    fn count_bitmaps(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
        let Some(directory) = self.extensions.bitmaps else {
            return Ok(());
        };
        let at = directory.length.offset;
        range.refer(at, directory.offset, directory.length.value)?;
        let mut bitmaps = bitmap::Walk::new(directory);
        while let Some(found) =
            bitmaps.next(&mut self.cache, &self.header, self.virtual_size, false)?
        {
            let entries = u64::from(found.table_entries);
            range.refer(at, found.table_offset, entries.saturating_mul(8))?;
            for index in 0..entries {
                let at = found.table_offset.saturating_add(index.saturating_mul(8));
                let offset = self.cache.be64(at)? & BITMAP_CLUSTER;
                if offset != 0 {
                    range.refer(at, offset, self.header.cluster.size())?;
                }
            }
        }
        Ok(())
    }

    fn count_refcounts(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        let table = self.header.refcount_table_offset;
        let entries = refcounts::table_entries(&self.header);
        range.refer(48, table, entries.saturating_mul(refcounts::TABLE_ENTRY))?;
        for index in 0..entries {
            let at = table.saturating_add(index.saturating_mul(refcounts::TABLE_ENTRY));
            let entry = self.cache.be64(at)?;
            let block = entry & refcounts::BLOCK;
            if entry != block {
                let text = format!("ERROR refcount table entry {index} has reserved bits set");
                range.mendable(at, entry, text, Remedy::Recount)?;
            } else if !cluster.is_aligned(block) {
                let text = format!(
                    "ERROR refcount block {index} is not cluster aligned; refcount table entry corrupted"
                );
                range.mendable(at, block, text, Remedy::Recount)?;
            } else if block >= cluster.round_up(range.file_size).unwrap_or(u64::MAX) {
                let text = format!("ERROR refcount block {index} is outside image");
                range.mendable(at, block, text, Remedy::Recount)?;
            } else if block != 0 {
                range.refer(at, block, cluster.size())?;
                let references = range.references_to(cluster.index_of(block)).unwrap_or(1);
                if references != 1 {
                    let text = format!("ERROR refcount block {index} refcount={references}");
                    let found = references.into();
                    let remedy = Remedy::Recount;
                    range.tell(FindingKind::Corruption, at, found, 1, text, remedy)?;
                }
            }
        }
        Ok(())
    }

    fn count_l1(&mut self, range: &mut Range<'_>, l1: &L1) -> Result<(), FormatError> {
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
            if !cluster.is_aligned(table) {
                let text = format!(
                    "ERROR l2_offset={table:x}: Table is not cluster aligned; L1 entry corrupted"
                );
                range.corrupt(at, table, text)?;
                continue;
            }
            self.count_l2(range, l1, table)?;
        }
        Ok(())
    }

    fn count_l2(&mut self, range: &mut Range<'_>, l1: &L1, table: u64) -> Result<(), FormatError> {
        let (cluster, entry_size) = (self.header.cluster, self.header.l2_entry());
        let entries = cluster.size().wrapping_shr(entry_size.bits());
        let counted = l1.active && range.tells;
        // Where the cluster would lie that follows the last one of this table.
        let mut next = 0;
        for index in 0..entries {
            let at = table.saturating_add(entry_size.times(index).unwrap_or(u64::MAX));
            let entry = self.cache.be64(at)?;
            let bitmap = if self.header.has_extended_l2() {
                self.cache.be64(at.saturating_add(8))?
            } else {
                0
            };
            if entry & COMPRESSED != 0 {
                self.count_stream(range, counted, index, (at, entry, bitmap))?;
                continue;
            }
            if entry & L2_RESERVED != 0 {
                let text = format!("ERROR found l2 entry with reserved bits set: {entry:x}");
                range.corrupt(at, entry, text)?;
            }
            let host = entry & OFFSET;
            let (zero, allocated) = (bitmap >> 32, bitmap & u64::from(u32::MAX));
            // In a data file offset 0 is a place like others.
            if host == 0 && !(self.header.has_data_file() && entry & COPIED != 0) {
                if allocated != 0 {
                    let text = "ERROR: Unallocated cluster has non-zero subcluster allocation map";
                    range.corrupt(at, bitmap, String::from(text))?;
                }
                continue;
            }
            if zero & allocated != 0 {
                let text = format!(
                    "ERROR offset={host:x}: Allocated cluster has corrupted subcluster allocation bitmap"
                );
                range.corrupt(at, bitmap, text)?;
            }
            if !cluster.is_aligned(host) {
                let holds_data = if self.header.has_extended_l2() {
                    allocated != 0
                } else {
                    entry & 1 == 0
                };
                let what = if holds_data { "Data" } else { "Preallocated" };
                let text = format!(
                    "ERROR offset={host:x}: {what} cluster is not properly aligned; L2 entry corrupted."
                );
                range.corrupt(at, host, text)?;
            }
            if counted {
                let counts = &mut *range.counts;
                counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
                if next != 0 && host != next {
                    counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
                }
                next = host.saturating_add(cluster.size());
            }
            if !self.header.has_data_file() {
                range.refer_to(Use::Data, at, host, cluster.size())?;
            }
        }
        Ok(())
    }

    /// Counts a compressed cluster: its entry, where that stands, and its subcluster bitmap.
    fn count_stream(
        &mut self,
        range: &mut Range<'_>,
        counted: bool,
        index: u64,
        (at, entry, bitmap): (u64, u64, u64),
    ) -> Result<(), FormatError> {
        let stream = compressed::decode(entry, self.header.cluster);
        if entry & COPIED != 0 {
            let offset = stream.offset;
            let text = format!(
                "ERROR: coffset=0x{offset:x}: copied flag must never be set for compressed clusters"
            );
            range.corrupt(at, entry, text)?;
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
            let text = format!("ERROR compressed cluster {index} with {strange}, entry=0x{told:x}");
            return range.corrupt(at, entry, text);
        }
        range.refer_to(Use::Compressed, at, stream.offset, stream.max_length)?;
        if counted {
            let counts = &mut *range.counts;
            counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
            counts.compressed_clusters = counts.compressed_clusters.saturating_add(1);
            counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
        }
        Ok(())
    }

    /// Compares what was counted with what the image says.
    fn compare(&mut self, range: &mut Range<'_>, parts: &mut FileParts) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        let (first, end) = (range.first, range.end());
        for number in first..end {
            let stored = refcounts::refcount(&mut self.cache, &self.header, number)?;
            let index = to_usize(number.saturating_sub(first));
            let counted = range.references.get(index).copied().unwrap_or(0);
            let counted = u64::from(counted);
            // Behind the end of the file only what is named counts.
            if counted == 0 && number >= cluster.count_for(range.file_size) {
                continue;
            }
            let offset = cluster.times(number).unwrap_or(u64::MAX);
            if parts.wanted() {
                let used = match (stored, counted) {
                    (0, 0) => Use::Free,
                    (_, 0) => Use::Leaked,
                    _ => range.uses.get(number.saturating_sub(first)),
                };
                parts.take(used, offset, cluster.size(), range.findings)?;
            }
            if stored > 0 || counted > 0 {
                range.counts.image_end = offset.saturating_add(cluster.size());
            }
            if stored < counted {
                let text = format!("ERROR cluster {number} refcount={stored} reference={counted}");
                let remedy = Remedy::Refcount;
                range.tell(
                    FindingKind::Corruption,
                    offset,
                    stored,
                    counted,
                    text,
                    remedy,
                )?;
            } else if stored > counted {
                let text = format!("Leaked cluster {number} refcount={stored} reference={counted}");
                let remedy = Remedy::Refcount;
                range.tell(FindingKind::Leak, offset, stored, counted, text, remedy)?;
            }
        }
        Ok(())
    }

    /// Every entry says of itself whether its refcount is exactly one.
    fn check_copied(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
        let (cluster, entry_size) = (self.header.cluster, self.header.l2_entry());
        for index in 0..self.header.l1_entries {
            let offset = index.saturating_mul(l1::ENTRY_BYTES);
            let at = self.header.l1_table_offset.saturating_add(offset);
            let entry = self.cache.be64(at)?;
            let table = entry & OFFSET;
            if table == 0 || !cluster.is_aligned(table) {
                continue;
            }
            let count = self.refcount_at(table)?;
            if (count == 1) != (entry & COPIED != 0) {
                let text = format!(
                    "ERROR OFLAG_COPIED L2 cluster: l1_index={index} l1_entry={entry:x} refcount={count}"
                );
                range.mendable(at, entry, text, Remedy::Copied)?;
            }
            let entries = cluster.size().wrapping_shr(entry_size.bits());
            for index in 0..entries {
                let at = table.saturating_add(entry_size.times(index).unwrap_or(u64::MAX));
                let entry = self.cache.be64(at)?;
                let host = entry & OFFSET;
                if entry & COMPRESSED != 0 || host == 0 || self.header.has_data_file() {
                    continue;
                }
                let count = self.refcount_at(host)?;
                if (count == 1) != (entry & COPIED != 0) {
                    let text = format!(
                        "ERROR OFLAG_COPIED data cluster: l2_entry={entry:x} refcount={count}"
                    );
                    range.mendable(at, entry, text, Remedy::Copied)?;
                }
            }
        }
        Ok(())
    }

    fn refcount_at(&mut self, offset: u64) -> Result<u64, FormatError> {
        let number = self.header.cluster.index_of(offset);
        refcounts::refcount(&mut self.cache, &self.header, number)
    }
}
