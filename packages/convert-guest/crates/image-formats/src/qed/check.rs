//! Checks that every cluster is used once, as `qemu-img check` does.

use alloc::format;

use crate::arith::SECTOR;
use crate::blocks::Check;
use crate::blocks::TableDisk;
use crate::check::{Remedy, Teller};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::ByteSource;
use crate::used_units::{MOST_UNITS, UsedUnits};

use super::QedTables;

impl Check for QedTables {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        let header = disk.layout.header;
        let cluster = header.cluster;
        // A part of a cluster at the end of the file is none; QEMU counts whole sectors.
        let file_size = disk.cache.file_size();
        let clusters = cluster.index_of(SECTOR.round_up(file_size).unwrap_or(file_size));
        let device = disk.cache.device();
        if clusters > MOST_UNITS {
            // Whether a table counts depends on all that was found before it, so the file is looked at in one go.
            let most = cluster.times(MOST_UNITS);
            let kind = ErrorKind::ImageTooBig;
            let expected = Expected::AtMost(most);
            return Err(FormatError::new(
                kind,
                device,
                "file length",
                0,
                file_size,
                expected,
            ));
        }
        teller.counts.total_clusters = cluster.count_for(header.size);
        let mut walk = Walk {
            used: UsedUnits::new(device, cluster.bytes(), clusters)?,
            disk,
            clusters,
            teller,
        };
        walk.walk_l1()?;
        walk.find_leaks()
    }
}

struct Walk<'a, 'b, S> {
    disk: &'a mut TableDisk<S, QedTables>,
    teller: &'a mut Teller<'b>,
    used: UsedUnits,
    /// Whole clusters of the file.
    clusters: u64,
}

impl<S: ByteSource> Walk<'_, '_, S> {
    /// Whether a part of the file consists of whole clusters behind the header.
    fn is_place(&self, offset: u64, length: u64) -> bool {
        let header = &self.disk.layout.header;
        let end = header.cluster.times(self.clusters);
        let inside = offset.checked_add(length).is_some_and(|last| last <= end);
        header.cluster.within(offset) == 0 && offset >= header.header_bytes && inside
    }

    /// Marks a part of the file as used; says whether nothing else uses it.
    fn refer(&mut self, at: u64, offset: u64, length: u64) -> Result<bool, FormatError> {
        let cluster = self.disk.layout.header.cluster.bytes();
        let end = offset.saturating_add(length);
        let (mut part, mut alone) = (offset, true);
        while part < end {
            if self.used.mark(part, cluster) {
                let text = format!("ERROR the cluster at offset {part:#x} is used more than once");
                self.teller.corrupt(at, part, 0, text)?;
                alone = false;
            }
            part = part.saturating_add(cluster);
        }
        Ok(alone)
    }

    fn walk_l1(&mut self) -> Result<(), FormatError> {
        let header = self.disk.layout.header;
        let table_bytes = header.entries.saturating_mul(8);
        let (l1_field, l1_table) = (
            crate::structures::qed::header::L1_TABLE_OFFSET.place(0),
            header.l1_table_offset,
        );
        if !self.is_place(l1_table, table_bytes) {
            let text = format!("ERROR the L1 table at offset {l1_table:#x} is not inside the file");
            return self.teller.corrupt(l1_field, l1_table, 0, text);
        }
        self.refer(l1_field, l1_table, table_bytes)?;
        let l1 = self.disk.layout.table(l1_table, 0, header.l1_span);
        for index in 0..header.entries {
            let entry = l1.read(&mut self.disk.cache, header.l1_span.times(index))?;
            let offset = entry.value;
            if offset == 0 {
                continue;
            }
            if !self.is_place(offset, table_bytes) {
                let text =
                    format!("ERROR L1 table entry {index} is {offset:#x}, where no table can be");
                let found = (entry.at, offset, 0);
                self.teller.mendable(Remedy::Unallocate, found, text)?;
                continue;
            }
            // A table that shares clusters with something is none.
            if self.refer(entry.at, offset, table_bytes)? {
                self.walk_l2(offset)?;
            }
        }
        Ok(())
    }

    fn walk_l2(&mut self, table: u64) -> Result<(), FormatError> {
        let header = self.disk.layout.header;
        let l2 = self.disk.layout.table(table, 0, header.cluster);
        let mut next = None;
        for index in 0..header.entries {
            let entry = l2.read(&mut self.disk.cache, header.cluster.times(index))?;
            let offset = entry.value;
            // Unallocated, and zeros.
            if offset <= 1 {
                continue;
            }
            let counts = &mut self.teller.counts;
            counts.allocated_clusters = counts.allocated_clusters.saturating_add(1);
            if next.is_some_and(|next| next != offset) {
                counts.fragmented_clusters = counts.fragmented_clusters.saturating_add(1);
            }
            next = Some(offset.wrapping_add(header.cluster.bytes()));
            if self.is_place(offset, header.cluster.bytes()) {
                self.refer(entry.at, offset, header.cluster.bytes())?;
            } else {
                let text = format!(
                    "ERROR L2 table entry {index} of the table at {table:#x} is {offset:#x}, where no cluster can be"
                );
                let found = (entry.at, offset, 0);
                self.teller.mendable(Remedy::Unallocate, found, text)?;
            }
        }
        Ok(())
    }

    fn find_leaks(&mut self) -> Result<(), FormatError> {
        let cluster = self.disk.layout.header.cluster;
        let mut from = cluster.index_of(self.disk.layout.header.header_bytes);
        while let Some(first) = self.used.find(from, self.clusters, false) {
            let end = self.used.find(first, self.clusters, true);
            let end = end.unwrap_or(self.clusters);
            let leaked = end.saturating_sub(first);
            let text = match leaked {
                1 => format!("Leaked cluster {first}"),
                _ => format!("Leaked clusters {first} to {}", end.saturating_sub(1)),
            };
            self.teller.leak(cluster.times(first), leaked, text)?;
            from = end;
        }
        Ok(())
    }
}
