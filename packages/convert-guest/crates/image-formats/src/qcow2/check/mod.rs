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

/// Clusters whose references are counted at a time.
const MOST: u64 = 4 << 20;
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
        self.check_in_ranges(findings, MOST)
    }

    fn check_in_ranges(
        &mut self,
        findings: &mut dyn Findings,
        most: u64,
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
                most,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Finding;
    use crate::source::DeviceIndex;
    use alloc::vec;
    use alloc::vec::Vec;

    const CLUSTER: usize = 512;
    const TABLES: usize = 8;
    const ENTRIES: usize = CLUSTER / 8;
    /// Header, L1 table, refcount table and three refcount blocks.
    const FIRST_TABLE: usize = 6;
    const COPIED: u64 = 1 << 63;

    fn put(image: &mut [u8], at: usize, value: u64) {
        image[at..at + 8].copy_from_slice(&value.to_be_bytes());
    }

    /// Offset of a table, behind which its clusters lie.
    fn table(index: usize) -> usize {
        (FIRST_TABLE + index * (ENTRIES + 1)) * CLUSTER
    }

    /// A whole image of version 2 with all its clusters.
    fn image() -> Vec<u8> {
        let clusters = FIRST_TABLE + TABLES * (ENTRIES + 1);
        let mut image = vec![0; clusters * CLUSTER];
        image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        image[20..24].copy_from_slice(&9_u32.to_be_bytes());
        put(&mut image, 24, (TABLES * ENTRIES * CLUSTER) as u64);
        image[36..40].copy_from_slice(&(TABLES as u32).to_be_bytes());
        put(&mut image, 40, CLUSTER as u64);
        put(&mut image, 48, 2 * CLUSTER as u64);
        image[56..60].copy_from_slice(&1_u32.to_be_bytes());
        for block in 0..3 {
            put(
                &mut image,
                2 * CLUSTER + block * 8,
                ((3 + block) * CLUSTER) as u64,
            );
        }
        for number in 0..clusters {
            image[3 * CLUSTER + number * 2 + 1] = 1;
        }
        for index in 0..TABLES {
            put(
                &mut image,
                CLUSTER + index * 8,
                COPIED | table(index) as u64,
            );
            for entry in 0..ENTRIES {
                let host = table(index) + (entry + 1) * CLUSTER;
                put(&mut image, table(index) + entry * 8, COPIED | host as u64);
            }
        }
        image
    }

    #[derive(Default)]
    struct Texts(Vec<String>);

    impl Findings for Texts {
        fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
            self.0.push(finding.text.clone());
            Ok(())
        }
    }

    fn check(image: &[u8], most: u64) -> (CheckCounts, Vec<String>) {
        let mut image = Qcow2Image::open(image, DeviceIndex(0), 4).unwrap();
        let mut found = Texts::default();
        let counts = image.check_in_ranges(&mut found, most).unwrap();
        found.0.sort();
        (counts, found.0)
    }

    #[test]
    fn in_many_ranges_the_same_is_found_as_in_one() {
        let whole = image();
        let (counts, found) = check(&whole, MOST);
        assert_eq!((counts.corruptions, counts.leaks, found.len()), (0, 0, 0));
        assert_eq!(counts.allocated_clusters, (TABLES * ENTRIES) as u64);
        let mut bent = whole.clone();
        // Not marked as its own; named twice; behind the end; a table that is not marked; refcounts too high and too low.
        put(&mut bent, table(1), (table(1) + CLUSTER) as u64);
        put(
            &mut bent,
            table(2) + 8,
            COPIED | (table(6) + CLUSTER) as u64,
        );
        put(&mut bent, table(3), COPIED | 1 << 40);
        put(&mut bent, CLUSTER + 7 * 8, table(7) as u64);
        bent[3 * CLUSTER + 20 * 2 + 1] = 2;
        bent[3 * CLUSTER + 500 * 2 + 1] = 0;
        let (counts, found) = check(&bent, MOST);
        assert_eq!(found.len(), 11, "{found:#?}");
        for most in [1, 7, 100, 256, 511] {
            assert_eq!(check(&whole, most), check(&whole, MOST));
            assert_eq!(
                check(&bent, most),
                (counts, found.clone()),
                "{most} at a time"
            );
        }
    }
}
