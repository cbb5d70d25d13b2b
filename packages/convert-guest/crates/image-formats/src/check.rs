//! What a check of an image's metadata finds.

use alloc::string::String;

use crate::error::FormatError;

/// Kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The image contradicts itself, and data may be wrong.
    Corruption,
    /// Room is taken that nothing uses.
    Leak,
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
}

/// Takes findings as they come, so that lists without an end pass through.
pub trait Findings {
    /// Takes one.
    ///
    /// # Errors
    /// Where it cannot be passed on; the check ends then.
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError>;
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
}
