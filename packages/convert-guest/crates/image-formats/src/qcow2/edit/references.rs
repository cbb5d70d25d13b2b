//! What an L1 table refers to: counted once more or once less, and marked as its own or shared.

use super::allocate::Change;
use super::{COMPRESSED, COPIED, Editor, OFFSET};
use crate::arith::to_u64;
use crate::edit::EditTarget;
use crate::error::FormatError;
use crate::qcow2::{compressed, l1};

impl<T: EditTarget> Editor<T> {
    /// The L2 table that an entry names, checked; `None` where there is none.
    pub(super) fn table_in(&self, at: u64, entry: u64) -> Result<Option<u64>, FormatError> {
        let table = entry & OFFSET;
        if table == 0 {
            return Ok(None);
        }
        let cluster = self.header.cluster;
        if !cluster.is_aligned(table) || cluster.index_of(table) >= self.end {
            return Err(self.repair_first("L2 table offset", at, table));
        }
        Ok(Some(table))
    }

    /// Bytes of an L2 entry.
    pub(super) fn entry_size(&self) -> usize {
        self.header.l2_entry().in_memory()
    }

    /// Counts everything that an L1 table refers to once more, or once less: its L2 tables, and what they refer to.
    pub(super) fn count_l1(&mut self, l1: &[u64], change: Change) -> Result<(), FormatError> {
        for entry in l1 {
            let Some(table) = self.table_in(0, *entry)? else {
                continue;
            };
            let cluster = self.header.cluster.size();
            let bytes = self.file.read_vec(table, cluster)?;
            for (index, entry) in bytes.chunks_exact(self.entry_size()).enumerate() {
                let at = table.saturating_add(to_u64(index.saturating_mul(self.entry_size())));
                self.count_entry(at, descriptor(entry), change)?;
            }
            self.count(0, table, cluster, change)?;
        }
        Ok(())
    }

    /// Counts what an L2 entry refers to.
    pub(super) fn count_entry(
        &mut self,
        at: u64,
        entry: u64,
        change: Change,
    ) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        if entry & COMPRESSED != 0 {
            let stream = compressed::decode(entry, cluster);
            return self.count(at, stream.offset, stream.max_length, change);
        }
        let host = entry & OFFSET;
        if host == 0 || self.header.has_data_file() {
            return Ok(());
        }
        if !cluster.is_aligned(host) {
            return Err(self.repair_first("host cluster offset", at, host));
        }
        self.count(at, host, cluster.size(), change)
    }

    /// Marks the entries of the active tables as their refcounts are: 1, or not.
    pub(super) fn mark_copied(&mut self) -> Result<(), FormatError> {
        let l1 = self.read_l1(self.header.l1_table_offset, self.header.l1_entries)?;
        let cluster = self.header.cluster;
        let others = self.find_structures()?;
        for (index, entry) in (0_u64..).zip(l1) {
            let offset = index.saturating_mul(l1::ENTRY_BYTES);
            let at = self.header.l1_table_offset.saturating_add(offset);
            if entry & OFFSET != 0 {
                let marked = self.marked(entry, entry & OFFSET)?;
                self.put_be64(at, marked)?;
            }
            // What cannot be a table has no marks, and what is another structure would be damaged.
            let Ok(Some(table)) = self.table_in(at, entry) else {
                continue;
            };
            if others.contains(&cluster.index_of(table)) {
                continue;
            }
            let mut bytes = self.file.read_vec(table, cluster.size())?;
            for chunk in bytes.chunks_exact_mut(self.header.l2_entry().in_memory()) {
                let entry = descriptor(chunk);
                let host = entry & OFFSET;
                if entry & COMPRESSED != 0 || host == 0 || self.header.has_data_file() {
                    continue;
                }
                let marked = self.marked(entry, host)?;
                if let Some(place) = chunk.first_chunk_mut() {
                    *place = marked.to_be_bytes();
                }
            }
            self.file.write(table, &bytes)?;
        }
        Ok(())
    }

    fn marked(&mut self, entry: u64, offset: u64) -> Result<u64, FormatError> {
        let number = self.header.cluster.index_of(offset);
        Ok(match self.refcount(number)? {
            1 => entry | COPIED,
            _ => entry & !COPIED,
        })
    }
}

/// The first word of an L2 entry.
pub(super) fn descriptor(entry: &[u8]) -> u64 {
    entry
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
