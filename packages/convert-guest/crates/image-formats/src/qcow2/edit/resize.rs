//! Another size of the disk.

use alloc::vec::Vec;

use super::allocate::Change;
use super::references::descriptor;
use super::{COPIED, Editor};
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::edit::{Edit, EditTarget};
use crate::error::FormatError;
use crate::qcow2::header::MAX_L1_BYTES;
use crate::qcow2::l1;

impl<T: EditTarget> Editor<T> {
    /// Gives the disk another size; `shrink` says that data may be cut off.
    pub(super) fn resize(&mut self, size: u64, shrink: bool) -> Result<(), FormatError> {
        if !SECTOR.is_aligned(size) {
            return Err(self.unsupported("the new size must be a multiple of 512"));
        }
        if size == self.header.size {
            return Ok(());
        }
        if self.header.version < 3 && self.header.snapshot_count.value > 0 {
            let what =
                "an image of version 2 that has snapshots is not resized; make it version 3 first";
            return Err(self.unsupported(what));
        }
        if size < self.header.size {
            if !shrink {
                return Err(self.unsupported("it would become smaller, which takes data away"));
            }
            return self.shrink(size);
        }
        self.grow(size)
    }

    /// Whether an edit gives the disk more bytes and neither takes a cluster for that nor writes into one but the header's: whatever the
    /// refcounts and tables say of others then, none can be damaged.
    pub(super) fn only_grows_in_place(&mut self, edit: &Edit<'_>) -> Result<bool, FormatError> {
        let Edit::Resize {
            size,
            preallocate: false,
            ..
        } = *edit
        else {
            return Ok(false);
        };
        if size <= self.header.size
            || self.header.backing_name_offset.value != 0
            || self.header.is_data_file_raw()
            || self.extensions.bitmaps.is_some()
        {
            return Ok(false);
        }
        let needed = self.header.l1_span().count_for(size);
        Ok(needed <= self.header.l1_entries || self.has_l1_room(needed)?)
    }

    /// Whether the active L1 table can have so many entries where it is: what its own clusters hold behind it is zeros.
    fn has_l1_room(&mut self, needed: u64) -> Result<bool, FormatError> {
        let cluster = self.header.cluster;
        let (offset, entries) = (self.header.l1_table_offset, self.header.l1_entries);
        let length = entries.saturating_mul(l1::ENTRY_BYTES);
        let wanted = needed.saturating_mul(l1::ENTRY_BYTES);
        let clusters = cluster.count_for(length);
        if wanted > cluster.times(clusters).unwrap_or(0) || offset == 0 {
            return Ok(false);
        }
        if !self.is_alone(offset, length)? {
            return Ok(false);
        }
        let behind = offset.saturating_add(length);
        let room = self.file.read_vec(behind, wanted.saturating_sub(length))?;
        Ok(room.iter().all(|byte| *byte == 0))
    }

    fn grow(&mut self, size: u64) -> Result<(), FormatError> {
        let before = SECTOR.round_down(self.header.size);
        let has_backing = self.header.backing_name_offset.value != 0;
        if has_backing && self.header.version < 3 {
            let what =
                "an image of version 2 with a backing file does not grow; make it version 3 first";
            return Err(self.unsupported(what));
        }
        let cluster = self.header.cluster;
        let is_whole = cluster.is_aligned(before) || self.padded == Some(cluster.index_of(before));
        if has_backing && !is_whole {
            let what = "it ends within a cluster, of which the backing file may show something";
            return Err(self.unsupported(what));
        }
        let needed = self.header.l1_span().count_for(size);
        if needed.saturating_mul(l1::ENTRY_BYTES) > MAX_L1_BYTES {
            return Err(self.unsupported("its L1 table would be too large"));
        }
        let (old_offset, old_entries) = (self.header.l1_table_offset, self.header.l1_entries);
        if needed > old_entries && self.has_l1_room(needed)? {
            self.put_active_l1(old_offset, needed)?;
        } else if needed > old_entries {
            let mut l1 = self.read_l1(old_offset, old_entries)?;
            l1.resize(to_usize(needed), 0);
            let offset = self.new_l1(&l1)?;
            self.file.flush()?;
            self.put_active_l1(offset, needed)?;
            self.file.flush()?;
            self.free(old_offset, old_entries.saturating_mul(l1::ENTRY_BYTES))?;
        }
        self.resize_bitmaps(size)?;
        if has_backing {
            // What the backing file may have there is not to show.
            for number in cluster.count_for(before)..cluster.count_for(size) {
                self.zero_cluster(number)?;
            }
        }
        self.file.flush()?;
        self.put_size(size)
    }

    fn shrink(&mut self, size: u64) -> Result<(), FormatError> {
        let span = self.header.l1_span();
        let cluster = self.header.cluster;
        let old_offset = self.header.l1_table_offset;
        let old = self.read_l1(old_offset, self.header.l1_entries)?;
        let kept = span.count_for(size);
        let mut l1: Vec<u64> = old.iter().copied().take(to_usize(kept)).collect();
        let freed: Vec<u64> = old.iter().copied().skip(to_usize(kept)).collect();
        // Of the table in which the disk ends, what lies behind goes.
        let mut cut = Vec::new();
        let within = cluster.count_for(span.offset_within(size));
        if !span.is_aligned(size)
            && let Some(last) = l1.last_mut()
            && let Some(table) = self.table_in(0, *last)?
        {
            let mut bytes = self.file.read_vec(table, cluster.size())?;
            let keep = to_usize(within).saturating_mul(self.entry_size());
            let behind = bytes.get_mut(keep..).unwrap_or_default();
            cut.extend(behind.chunks_exact(self.entry_size()).map(descriptor));
            behind.fill(0);
            // A new table, whoever else uses the old one: until the header names it, nothing has changed.
            let offset = self.new_table(&bytes)?;
            *last = offset | COPIED;
            // What stays is counted as before: the new table names it in the place of the old one.
            cut.push(table);
        }
        let new_offset = self.new_l1(&l1)?;
        self.file.flush()?;
        self.put_active_l1(new_offset, to_u64(l1.len()))?;
        self.put_size(size)?;
        self.file.flush()?;
        if let Some(table) = cut.pop() {
            for entry in cut {
                self.count_entry(table, entry, Change::Less)?;
            }
            self.free(table, cluster.size())?;
        }
        self.count_l1(&freed, Change::Less)?;
        self.free(
            old_offset,
            to_u64(old.len()).saturating_mul(l1::ENTRY_BYTES),
        )?;
        self.file.flush()?;
        self.resize_bitmaps(size)?;
        self.mark_copied()?;
        self.file.flush()?;
        self.keep = Some(self.used_length()?);
        Ok(())
    }

    /// End of the last cluster that is used (byte offset in the file).
    pub(super) fn used_length(&mut self) -> Result<u64, FormatError> {
        let mut end = self.end;
        while let Some(last) = end.checked_sub(1) {
            if self.refcount(last)? != 0 {
                break;
            }
            end = last;
        }
        self.offset_of(end)
    }
}
