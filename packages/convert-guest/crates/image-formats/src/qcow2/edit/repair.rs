//! Metadata that contradicts itself is made to agree: what a check finds is mended, until it finds nothing more to mend.

use alloc::vec::Vec;

use super::Editor;
use crate::check::{Finding, FindingKind, Findings, Remedy};
use crate::edit::{Borrowed, EditTarget};
use crate::error::{ErrorKind, FormatError};
use crate::qcow2::{Qcow2Image, features, refcounts};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::qcow2::header;

/// Refcounts that are remembered at a time (24 bytes each).
const MOST_COUNTS: usize = 1 << 18;
/// Times that everything is checked: what is mended may bring other things to light, but not for ever.
const MOST_PASSES: usize = 64;
const CACHE_BLOCKS: usize = 32;

/// What was mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repaired {
    pub corruptions: u64,
    pub leaks: u64,
    /// Contradictions that are left.
    pub left: u64,
}

/// What a check found that can be mended.
#[derive(Default)]
struct Mendable {
    /// Clusters by number, and the refcounts that they get.
    counts: Vec<(u64, u64, FindingKind)>,
    cluster_bits: u32,
    /// Entries that are marked wrongly.
    copied: u64,
    /// A cluster has more references than its refcount says.
    missing: bool,
    recount: bool,
}

impl Findings for Mendable {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        match finding.remedy {
            Remedy::Refcount => {
                self.missing |= finding.kind == FindingKind::Corruption;
                if self.counts.len() < MOST_COUNTS {
                    let number = finding.offset.wrapping_shr(self.cluster_bits);
                    self.counts.push((number, finding.expected, finding.kind));
                }
            }
            Remedy::Copied => self.copied = self.copied.saturating_add(1),
            Remedy::Recount => self.recount = true,
            _ => {}
        }
        Ok(())
    }
}

/// Mends what can be mended; leaks only, where that is wished.
///
/// # Errors
/// What [`Qcow2Image::open`] refuses, and `RepairFirst` where leaks cannot be told from what is used.
pub(super) fn repair<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    leaks_only: bool,
) -> Result<Repaired, FormatError> {
    let mut repaired = Repaired::default();
    // What stays after it was mended cannot be.
    let mut previous = None;
    for _ in 0..MOST_PASSES {
        let mut image = Qcow2Image::open(Borrowed(&mut *target), device, CACHE_BLOCKS)?;
        let mut found = Mendable {
            cluster_bits: image.header.cluster.bits(),
            ..Mendable::default()
        };
        let counts = image.check_tables(&mut found)?;
        let (header, extensions) = (image.header, image.extensions);
        let mut editor = Editor::of(StagedFile::new(&mut *target, device), header, extensions);
        if leaks_only && (found.recount || found.missing) {
            let error = editor.error(ErrorKind::RepairFirst, "", 0, 0);
            return Err(error.with_text(b"its refcounts cannot be relied on; -r all counts anew"));
        }
        let signs = (found.recount, found.counts.len(), found.copied);
        let in_vain = previous == Some(signs) && found.counts.len() < MOST_COUNTS;
        previous = Some(signs);
        if in_vain || signs == (false, 0, 0) {
            if counts.corruptions == 0 && !leaks_only {
                editor.clear_doubts()?;
            }
            editor.file.flush()?;
            repaired.left = counts.corruptions;
            return Ok(repaired);
        }
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        if found.recount {
            add(&mut repaired.corruptions, 1);
            editor.drop_refcounts()?;
        } else if found.counts.is_empty() {
            add(&mut repaired.corruptions, found.copied);
            editor.mark_copied()?;
        } else {
            // What marks say is looked at once refcounts are right.
            for (number, count, kind) in found.counts {
                match kind {
                    FindingKind::Leak => add(&mut repaired.leaks, 1),
                    FindingKind::Corruption => add(&mut repaired.corruptions, 1),
                }
                editor.set_refcount(number, count)?;
            }
        }
        editor.file.flush()?;
    }
    Ok(repaired)
}

impl<T: EditTarget> Editor<T> {
    /// Takes back what says that the metadata may be wrong.
    fn clear_doubts(&mut self) -> Result<(), FormatError> {
        let stale = features::INCOMPATIBLE_CORRUPT | features::INCOMPATIBLE_DIRTY;
        if self.header.incompatible & stale != 0 {
            self.header.incompatible &= !stale;
            self.file
                .put(0, header::INCOMPATIBLE_FEATURES, self.header.incompatible)?;
        }
        Ok(())
    }

    /// Has the header name a refcount table without a block, behind all that may be used. The next check finds that all
    /// counts are missing.
    pub(super) fn drop_refcounts(&mut self) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        let per_block = refcounts::per_block(&self.header);
        // Room for what is there, for the blocks, and for the table itself.
        let blocks = per_block.count_for(self.end).saturating_mul(2);
        let bytes = blocks
            .saturating_add(2)
            .saturating_mul(refcounts::TABLE_ENTRY);
        let clusters = cluster.count_for(bytes);
        let first = self.end;
        let offset = self.offset_of(first)?;
        let length = cluster.times(clusters).unwrap_or(u64::MAX);
        let zeros = crate::staged_file::zeros(self.file.device(), offset, length)?;
        self.file.write(offset, &zeros)?;
        self.end = first.saturating_add(clusters);
        self.file.flush()?;
        self.put_refcount_table(offset, clusters)?;
        Ok(())
    }
}
