//! Refcounts that change, and clusters that are taken and freed (qcow2.txt "Host cluster management").

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Editor;
use crate::edit::EditTarget;
use crate::error::{ErrorKind, FormatError};
use crate::qcow2::header::MAX_REFCOUNT_TABLE_BYTES;
use crate::qcow2::l1;
use crate::qcow2::refcounts::{self, BLOCK, TABLE_ENTRY};
use crate::structures::qcow2::header;

/// Refcounts that are looked at together for free clusters.
const RUN: usize = 64;

impl<T: EditTarget> Editor<T> {
    /// Where the refcount block of a cluster is named, and where that lies; 0 where there is none.
    fn block_of(&mut self, index: u64) -> Result<(u64, u64), FormatError> {
        if index >= refcounts::table_entries(&self.header) {
            return Ok((0, 0));
        }
        let at = index.saturating_mul(TABLE_ENTRY);
        let at = self.header.refcount_table_offset.saturating_add(at);
        let block = self.file.be64(at)? & BLOCK;
        let cluster = self.header.cluster;
        if !cluster.is_aligned(block) || cluster.index_of(block) > self.end {
            return Err(self.repair_first("refcount block offset", at, block));
        }
        Ok((at, block))
    }

    /// Byte offset, shift and mask of a refcount in its block.
    fn place_of(&self, number: u64) -> (u64, u32, u64) {
        let bits = self.header.refcount_bits;
        let within = refcounts::per_block(&self.header).offset_within(number);
        let bit = within.saturating_mul(u64::from(bits));
        let mask = u64::MAX.wrapping_shr(64_u32.saturating_sub(bits));
        (bit / 8, u32::try_from(bit % 8).unwrap_or(0), mask)
    }

    /// The refcount of a cluster.
    pub(super) fn refcount(&mut self, number: u64) -> Result<u64, FormatError> {
        let index = refcounts::per_block(&self.header).index_of(number);
        let (_, block) = self.block_of(index)?;
        if block == 0 {
            return Ok(0);
        }
        self.stored(block, number)
    }

    /// Whether something refers to each cluster of a range just once.
    pub(super) fn is_alone(&mut self, offset: u64, length: u64) -> Result<bool, FormatError> {
        let cluster = self.header.cluster;
        let first = cluster.index_of(offset);
        for number in first..first.saturating_add(cluster.count_for(length)) {
            if self.refcount(number)? != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the refcounts of clusters from `first` on: at least one of those that are asked for. Says how many.
    fn read_run(&mut self, first: u64, counts: &mut [u64]) -> Result<usize, FormatError> {
        let per_block = refcounts::per_block(&self.header);
        let rest = per_block
            .size()
            .saturating_sub(per_block.offset_within(first));
        let rest = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(counts.len());
        let counts = counts.get_mut(..rest).unwrap_or_default();
        let (_, block) = self.block_of(per_block.index_of(first))?;
        if block == 0 {
            counts.fill(0);
            return Ok(rest);
        }
        let width = self.count_bytes();
        let (offset, _, mask) = self.place_of(first);
        if mask <= 0xf {
            if let Some(one) = counts.first_mut() {
                *one = self.stored(block, first)?;
            }
            return Ok(rest.min(1));
        }
        let at = block.saturating_add(offset);
        let bytes = self.file.view(at, rest.saturating_mul(width))?;
        Ok(refcounts::decode(bytes, width, counts))
    }

    fn stored(&mut self, block: u64, number: u64) -> Result<u64, FormatError> {
        let (offset, shift, mask) = self.place_of(number);
        let at = block.saturating_add(offset);
        let mut bytes = [0; 8];
        let length = self.count_bytes();
        let from = bytes.len().saturating_sub(length);
        self.file
            .read(at, bytes.get_mut(from..).unwrap_or_default())?;
        Ok(u64::from_be_bytes(bytes).wrapping_shr(shift) & mask)
    }

    /// Bytes that hold a refcount.
    fn count_bytes(&self) -> usize {
        usize::try_from(self.header.refcount_bits.div_ceil(8)).unwrap_or(8)
    }

    fn store(&mut self, block: u64, number: u64, count: u64) -> Result<(), FormatError> {
        let (offset, shift, mask) = self.place_of(number);
        let at = block.saturating_add(offset);
        let mut bytes = [0; 8];
        let length = self.count_bytes();
        let from = bytes.len().saturating_sub(length);
        self.file
            .read(at, bytes.get_mut(from..).unwrap_or_default())?;
        let others = u64::from_be_bytes(bytes) & !mask.wrapping_shl(shift);
        let bytes = (others | count.wrapping_shl(shift)).to_be_bytes();
        self.file.write(at, bytes.get(from..).unwrap_or_default())
    }

    /// Whether the refcount of a cluster can become larger.
    pub(super) fn can_count_more(&mut self, number: u64) -> Result<bool, FormatError> {
        let (_, _, most) = self.place_of(number);
        Ok(self.refcount(number)? < most)
    }

    /// Sets the refcount of a cluster.
    pub(super) fn set_refcount(&mut self, number: u64, count: u64) -> Result<(), FormatError> {
        self.require_width(number, count)?;
        let index = refcounts::per_block(&self.header).index_of(number);
        let block = self.ensure_block(index)?;
        self.put_refcount(block, number, count)
    }

    /// Refuses a count that refcounts have no bits for.
    fn require_width(&self, number: u64, count: u64) -> Result<(), FormatError> {
        let (_, _, most) = self.place_of(number);
        if count <= most {
            return Ok(());
        }
        let what = "references to a cluster";
        let error = self.error(ErrorKind::UnsupportedEdit, what, 0, count);
        Err(error.with_text(b"a cluster would have more references than its refcount can count"))
    }

    /// Sets the refcount of a cluster in its block.
    fn put_refcount(&mut self, block: u64, number: u64, count: u64) -> Result<(), FormatError> {
        self.store(block, number, count)?;
        if count == 0 {
            self.first_free = self.first_free.min(number);
            if let Some(known) = &mut self.metadata {
                known.remove(&number);
            }
        } else {
            self.end = self.end.max(number.saturating_add(1));
        }
        Ok(())
    }

    /// The refcount block of this index, which is made where there is none: it lies behind all that is used.
    fn ensure_block(&mut self, index: u64) -> Result<u64, FormatError> {
        if index >= refcounts::table_entries(&self.header) {
            self.grow_table(index)?;
        }
        let (at, block) = self.block_of(index)?;
        if block != 0 {
            return Ok(block);
        }
        let number = self.take_end();
        let cluster = self.header.cluster;
        let offset = self.offset_of(number)?;
        let zeros = crate::staged_file::zeros(self.file.device(), offset, cluster.size())?;
        self.file.write(offset, &zeros)?;
        let own = refcounts::per_block(&self.header).index_of(number);
        if own == index {
            self.store(offset, number, 1)?;
        } else {
            self.set_refcount(number, 1)?;
        }
        self.put_be64(at, offset)?;
        Ok(offset)
    }

    fn take_end(&mut self) -> u64 {
        let number = self.end;
        self.end = number.saturating_add(1);
        number
    }

    pub(super) fn offset_of(&self, number: u64) -> Result<u64, FormatError> {
        let offset = self.header.cluster.times(number);
        // An offset of an entry has 56 bits.
        offset
            .filter(|offset| offset & !super::OFFSET == 0)
            .ok_or_else(|| self.unsupported("the file would be too large"))
    }

    /// Moves the refcount table to where there is room for the entry `index` and half as many again.
    fn grow_table(&mut self, index: u64) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        let old_clusters = self.header.refcount_table_clusters;
        let old_offset = self.header.refcount_table_offset;
        let old_length = cluster.times(old_clusters).unwrap_or(u64::MAX);
        let wanted = index.saturating_add(1).saturating_add(index / 2);
        let clusters = cluster.count_for(wanted.saturating_mul(TABLE_ENTRY));
        let clusters = clusters.max(old_clusters.saturating_add(1));
        let length = cluster.times(clusters).unwrap_or(u64::MAX);
        if length > MAX_REFCOUNT_TABLE_BYTES {
            return Err(self.unsupported("the file would need too large a refcount table"));
        }
        let first = self.end;
        self.end = first.saturating_add(clusters);
        let offset = self.offset_of(first)?;
        let mut table = self.file.read_vec(old_offset, old_length)?;
        table.resize(crate::arith::to_usize(length), 0);
        self.file.write(offset, &table)?;
        self.header.refcount_table_offset = offset;
        self.header.refcount_table_clusters = clusters;
        for number in first..first.saturating_add(clusters) {
            self.set_refcount(number, 1)?;
        }
        // All that it names is on the disk before the header names it.
        self.file.flush()?;
        self.put_refcount_table(offset, clusters)?;
        self.file.flush()?;
        let old = cluster.index_of(old_offset);
        for number in old..old.saturating_add(old_clusters) {
            self.set_refcount(number, 0)?;
        }
        Ok(())
    }

    /// Has the header name another refcount table.
    pub(super) fn put_refcount_table(
        &mut self,
        offset: u64,
        clusters: u64,
    ) -> Result<(), FormatError> {
        let count = u32::try_from(clusters).unwrap_or(u32::MAX);
        let mut fields = Vec::from(offset.to_be_bytes());
        fields.extend_from_slice(&count.to_be_bytes());
        self.file
            .write(header::REFCOUNT_TABLE_OFFSET.place(0), &fields)?;
        self.header.refcount_table_offset = offset;
        self.header.refcount_table_clusters = clusters;
        Ok(())
    }

    /// Takes neighbouring clusters that nothing uses, and counts them. Returns the offset of the first.
    pub(super) fn allocate(&mut self, count: u64) -> Result<u64, FormatError> {
        let mut first = self.first_free;
        let mut number = first;
        let mut stored = [0; RUN];
        while number.saturating_sub(first) < count {
            // Behind all that is used everything is free.
            let known = usize::try_from(self.end.saturating_sub(number)).unwrap_or(RUN);
            if known == 0 {
                number = first.saturating_add(count);
                break;
            }
            let known = stored.get_mut(..known.min(RUN)).unwrap_or_default();
            let known = self.read_run(number, known)?;
            for stored in stored.iter().take(known) {
                if *stored != 0 {
                    first = number.saturating_add(1);
                    if number == self.first_free {
                        self.first_free = first;
                    }
                }
                number = number.saturating_add(1);
                if number.saturating_sub(first) >= count {
                    break;
                }
            }
        }
        self.end = self.end.max(number);
        for number in first..first.saturating_add(count) {
            self.refuse_metadata(number)?;
        }
        let offset = self.offset_of(first)?;
        for number in first..first.saturating_add(count) {
            self.set_refcount(number, 1)?;
        }
        Ok(offset)
    }

    /// Refuses to take a cluster that holds metadata though its refcount says that it is free.
    fn refuse_metadata(&mut self, number: u64) -> Result<(), FormatError> {
        let known = match self.metadata.take() {
            Some(known) => known,
            None => self.find_metadata()?,
        };
        let is_metadata = known.contains(&number);
        self.metadata = Some(known);
        if is_metadata {
            return Err(self.repair_first("refcount of metadata", 0, 0));
        }
        Ok(())
    }

    /// Clusters of the header, the refcounts, and the active tables, before anything is changed.
    fn find_metadata(&mut self) -> Result<BTreeSet<u64>, FormatError> {
        let mut found = self.find_structures()?;
        let tables = self.read_l1(self.header.l1_table_offset, self.header.l1_entries)?;
        let named = tables.iter().map(|entry| entry & super::OFFSET);
        let named = named.filter(|offset| *offset != 0);
        found.extend(named.map(|offset| self.header.cluster.index_of(offset)));
        Ok(found)
    }

    /// The same without the L2 tables.
    pub(super) fn find_structures(&mut self) -> Result<BTreeSet<u64>, FormatError> {
        let cluster = self.header.cluster;
        let mut found = BTreeSet::from([0]);
        let first = cluster.index_of(self.header.refcount_table_offset);
        let clusters = self.header.refcount_table_clusters;
        found.extend(first..first.saturating_add(clusters));
        let (l1, entries) = (self.header.l1_table_offset, self.header.l1_entries);
        let length = entries.saturating_mul(l1::ENTRY_BYTES);
        let first = cluster.index_of(l1);
        if length > 0 {
            found.extend(first..first.saturating_add(cluster.count_for(length)));
        }
        if self.header.snapshot_count.value > 0 {
            found.insert(cluster.index_of(self.header.snapshot_table_offset));
        }
        let table = self.header.refcount_table_offset;
        let length = cluster.times(clusters).unwrap_or(u64::MAX);
        let blocks = self.file.read_vec(table, length)?;
        let (blocks, _) = blocks.as_chunks::<8>();
        let blocks = blocks
            .iter()
            .map(|entry| u64::from_be_bytes(*entry) & BLOCK);
        let named = blocks.filter(|offset| *offset != 0);
        found.extend(named.map(|offset| cluster.index_of(offset)));
        Ok(found)
    }

    /// Takes a reference from every cluster of a range.
    pub(super) fn free(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        self.count(0, offset, length, Change::Less)
    }

    /// Changes the refcount of every cluster of a range, which lies in the file.
    pub(super) fn count(
        &mut self,
        at: u64,
        offset: u64,
        length: u64,
        change: Change,
    ) -> Result<(), FormatError> {
        if length == 0 {
            return Ok(());
        }
        let cluster = self.header.cluster;
        let first = cluster.index_of(offset);
        let last = cluster.index_of(offset.saturating_add(length).saturating_sub(1));
        if last >= self.end {
            return Err(self.repair_first("offset of a cluster", at, offset));
        }
        for number in first..=last {
            let index = refcounts::per_block(&self.header).index_of(number);
            let (_, block) = self.block_of(index)?;
            let count = match block {
                0 => 0,
                block => self.stored(block, number)?,
            };
            // What is used has been counted.
            let next = match (count, change) {
                (0, _) => None,
                (count, Change::More) => count.checked_add(1),
                (count, Change::Less) => count.checked_sub(1),
            };
            let next = next.ok_or_else(|| self.repair_first("refcount", at, count))?;
            self.require_width(number, next)?;
            self.put_refcount(block, number, next)?;
        }
        Ok(())
    }
}

/// Which way refcounts change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// By one more reference.
    More,
    /// By one less.
    Less,
}
