//! What a check of an image's metadata finds.

use alloc::string::String;

use crate::error::FormatError;
use crate::file_parts::FilePart;

/// Kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The image contradicts itself, and data may be wrong.
    Corruption,
    /// Room is taken that nothing uses.
    Leak,
}

/// What mends a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that is known.
    #[default]
    None,
    /// The cluster at its offset gets the refcount that is expected.
    Refcount,
    /// Entries are marked as their refcounts are.
    Copied,
    /// All refcounts are counted anew.
    Recount,
    /// The same; what is counted elsewhere can be relied on meanwhile.
    RecountSome,
    /// The entry at its offset comes to name no block.
    Unallocate,
    /// The block that the entry at its offset shares, which its value names, is copied for it.
    Separate,
    /// The field at its offset gets the value that is expected.
    Replace,
    /// The file ends at its offset.
    Cut,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub kind: FindingKind,
    /// Where in the file (bytes).
    pub offset: u64,
    /// What was found there.
    pub value: u64,
    /// What belongs there.
    pub expected: u64,
    /// One sentence.
    pub text: String,
    /// What mends it.
    pub remedy: Remedy,
}

/// Takes findings as they come, so that lists without an end pass through.
pub trait Findings {
    /// Takes one.
    ///
    /// # Errors
    /// Where it cannot be passed on; the check ends then.
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError>;

    /// Equal parts of the file whose uses are wanted as well.
    fn parts(&self) -> u32 {
        0
    }

    /// Takes what a part of the file is used for, in their order.
    ///
    /// # Errors
    /// Where it cannot be passed on; the check ends then.
    fn take_part(&mut self, _: &FilePart) -> Result<(), FormatError> {
        Ok(())
    }
}

/// What a check counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// Findings of that kind.
    pub corruptions: u64,
    /// Findings of that kind.
    pub leaks: u64,
    /// Clusters of the disk.
    pub total_clusters: u64,
    /// Clusters of the disk that have bytes in the file.
    pub allocated_clusters: u64,
    /// Of those, the compressed ones.
    pub compressed_clusters: u64,
    /// Of those, the ones that do not follow their predecessor.
    pub fragmented_clusters: u64,
    /// End of the last cluster that is in use (byte offset in the file).
    pub image_end: u64,
    /// End of what is named a little behind the end of the file (byte offset), 0 where nothing is.
    pub named_end: u64,
}

/// Passes findings on and counts them.
pub(crate) struct Teller<'a> {
    pub counts: CheckCounts,
    findings: &'a mut dyn Findings,
}

impl<'a> Teller<'a> {
    pub fn new(findings: &'a mut dyn Findings) -> Self {
        Self {
            counts: CheckCounts::default(),
            findings,
        }
    }

    /// Tells of a contradiction: where it is, what was found there, and what was expected (0 where no number says it).
    pub fn corrupt(
        &mut self,
        offset: u64,
        value: u64,
        expected: u64,
        text: String,
    ) -> Result<(), FormatError> {
        self.mendable(Remedy::None, (offset, value, expected), text)
    }

    /// Tells of a contradiction that can be mended: how, and as for [`corrupt`](Self::corrupt).
    pub fn mendable(
        &mut self,
        remedy: Remedy,
        (offset, value, expected): (u64, u64, u64),
        text: String,
    ) -> Result<(), FormatError> {
        self.counts.corruptions = self.counts.corruptions.saturating_add(1);
        self.findings.take(&Finding {
            kind: FindingKind::Corruption,
            offset,
            value,
            expected,
            text,
            remedy,
        })
    }

    /// Tells of `clusters` neighbours that nothing uses.
    pub fn leak(&mut self, offset: u64, clusters: u64, text: String) -> Result<(), FormatError> {
        self.mendable_leak(Remedy::None, (offset, clusters), text)
    }

    /// The same, of those that can be given back.
    pub fn mendable_leak(
        &mut self,
        remedy: Remedy,
        (offset, clusters): (u64, u64),
        text: String,
    ) -> Result<(), FormatError> {
        self.counts.leaks = self.counts.leaks.saturating_add(clusters);
        self.findings.take(&Finding {
            kind: FindingKind::Leak,
            offset,
            value: clusters,
            expected: 0,
            text,
            remedy,
        })
    }

    /// Takes the findings of a check of a part, which counts them itself.
    pub fn findings(&mut self) -> &mut dyn Findings {
        self.findings
    }

    /// Adds what the check of a part counted.
    pub fn add(&mut self, part: CheckCounts) {
        let counts = &mut self.counts;
        counts.corruptions = counts.corruptions.saturating_add(part.corruptions);
        counts.leaks = counts.leaks.saturating_add(part.leaks);
    }

    /// Tells of a part that cannot be understood.
    pub fn fault(&mut self, error: &FormatError) -> Result<(), FormatError> {
        let text = alloc::format!("ERROR {error}");
        self.corrupt(error.offset, error.value, 0, text)
    }
}
