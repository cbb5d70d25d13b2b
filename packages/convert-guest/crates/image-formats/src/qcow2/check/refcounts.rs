//! What the image counts, against what was counted.

use alloc::format;

use super::references::Range;
use crate::arith::to_usize;
use crate::check::{FindingKind, Remedy};
use crate::error::FormatError;
use crate::file_parts::{FileParts, Use};
use crate::qcow2::{Qcow2Image, refcounts};
use crate::source::ByteSource;

/// Refcounts that are read at a time.
const RUN: usize = 1024;

impl<S: ByteSource> Qcow2Image<S> {
    /// Counts what the refcounts themselves take.
    pub(super) fn count_refcounts(&mut self, range: &mut Range<'_>) -> Result<(), FormatError> {
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
            } else if block >= cluster.round_up(range.place.file_size).unwrap_or(u64::MAX) {
                let text = format!("ERROR refcount block {index} is outside image");
                range.mendable(at, block, text, Remedy::RecountSome)?;
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

    /// Compares what was counted with what the image says.
    pub(super) fn compare(
        &mut self,
        range: &mut Range<'_>,
        parts: &mut FileParts,
    ) -> Result<(), FormatError> {
        let mut stored = [0; RUN];
        let mut number = range.place.first;
        while number < range.end() {
            let wanted = to_usize(range.end().saturating_sub(number)).min(RUN);
            let wanted = stored.get_mut(..wanted).unwrap_or_default();
            let read = refcounts::read_run(&mut self.cache, &self.header, number, wanted)?;
            if read == 0 {
                break;
            }
            for stored in stored.iter().take(read) {
                let counted = u64::from(range.references_to(number).unwrap_or(0));
                if *stored != counted || parts.wanted() {
                    compare_one(range, parts, number, (*stored, counted))?;
                } else if counted > 0 {
                    range.counts.image_end = end_of(range, number);
                }
                range.agrees &= range.is_as_said(number);
                number = number.saturating_add(1);
            }
        }
        Ok(())
    }
}

fn end_of(range: &Range<'_>, number: u64) -> u64 {
    let behind = number.saturating_add(1);
    range.place.cluster.times(behind).unwrap_or(u64::MAX)
}

fn compare_one(
    range: &mut Range<'_>,
    parts: &mut FileParts,
    number: u64,
    (stored, counted): (u64, u64),
) -> Result<(), FormatError> {
    // Behind the end of the file only what is named counts.
    if counted == 0 && number >= range.place.cluster.count_for(range.place.file_size) {
        range.agrees &= stored == 0;
        return Ok(());
    }
    let offset = range.place.cluster.times(number).unwrap_or(u64::MAX);
    if parts.wanted() {
        let used = match (stored, counted) {
            (0, 0) => Use::Free,
            (_, 0) => Use::Leaked,
            _ => range.uses.get(number.saturating_sub(range.place.first)),
        };
        parts.take(used, offset, range.place.cluster.size(), range.findings)?;
    }
    if stored > 0 || counted > 0 {
        range.counts.image_end = end_of(range, number);
    }
    let (kind, text) = if stored < counted {
        let text = format!("ERROR cluster {number} refcount={stored} reference={counted}");
        (FindingKind::Corruption, text)
    } else if stored > counted {
        let text = format!("Leaked cluster {number} refcount={stored} reference={counted}");
        (FindingKind::Leak, text)
    } else {
        return Ok(());
    };
    range.agrees = false;
    range.tell(kind, offset, stored, counted, text, Remedy::Refcount)
}
