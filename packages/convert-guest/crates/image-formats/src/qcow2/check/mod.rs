//! Checks refcounts and table entries against each other, as `qemu-img check` does, in bounded memory: references are counted
//! for a range of clusters at a time, and all tables are walked once for each range.

mod refcounts;
mod references;
mod tables;

use alloc::format;
use alloc::string::String;

use crate::check::{CheckCounts, Findings};
use crate::error::FormatError;
use crate::file_parts::{FileParts, Use};
use crate::qcow2::header::MAX_L1_BYTES;
use crate::qcow2::{Qcow2Image, bitmap, l1, snapshot};
use crate::source::ByteSource;
use references::{Place, Range};
use tables::L1;

/// Bits 9 to 55 of an entry of a bitmap table.
const BITMAP_CLUSTER: u64 = 0x00ff_ffff_ffff_fe00;

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
            let place = Place {
                device: self.cache.device(),
                first,
                all: clusters,
                file_size,
                cluster,
                refcount_bits: self.header.refcount_bits,
            };
            let mut range = Range::new(place, &mut counts, findings)?;
            self.count_references(&mut range)?;
            self.compare(&mut range, &mut parts)?;
            if !range.agrees {
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
}
