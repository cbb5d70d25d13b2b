//! An image that is a part of a file, as a disk in an archive is.

use alloc::boxed::Box;

use crate::check::{CheckCounts, Finding, Findings};
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::extent::{Extent, ExtentKind, Image};
use crate::facts::{Facts, ListLimits};
use crate::source::{ByteSource, SourceError};
use crate::within::{Beyond, Tail, Within};

/// Some bytes of a file, as a file of their own.
pub(crate) struct PartOfFile<S> {
    pub source: S,
    /// Where they begin (byte offset).
    pub start: u64,
    /// How many they are.
    pub length: u64,
}

impl<S: ByteSource> ByteSource for PartOfFile<S> {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let end = offset.checked_add(crate::arith::to_u64(buffer.len()));
        let place = self.start.checked_add(offset);
        match (place, end) {
            (Some(place), Some(end)) if end <= self.length => {
                self.source.read_exact_at(place, buffer)
            }
            _ => Err(SourceError::OutOfRange),
        }
    }
}

/// An image that was opened from a part of a file: its places are told as those of the file.
pub(crate) struct PartImage<'a> {
    pub image: Box<dyn FormatImage + 'a>,
    /// Where the part begins (byte offset).
    pub start: u64,
}

impl Image for PartImage<'_> {
    fn virtual_size(&self) -> u64 {
        self.image.virtual_size()
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let start = self.start;
        let found = self.image.map(offset, max_length);
        let mut extent = found.map_err(|error| error.moved(start))?;
        match &mut extent.kind {
            ExtentKind::Data { offset, .. }
            | ExtentKind::Compressed { offset, .. }
            | ExtentKind::Encrypted { offset, .. } => *offset = offset.saturating_add(start),
            ExtentKind::Zero | ExtentKind::Unallocated | ExtentKind::Packed { .. } => {}
        }
        Ok(extent)
    }
}

impl FormatImage for PartImage<'_> {
    fn facts(&mut self, limits: ListLimits) -> Result<Facts, FormatError> {
        self.image.facts(limits)
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        let start = self.start;
        Ok(match self.image.within_file(budget)? {
            Within::Whole(mut tails) => {
                for Tail {
                    at, offset, end, ..
                } in &mut tails
                {
                    for place in [at, offset, end] {
                        *place = place.saturating_add(start);
                    }
                }
                Within::Whole(tails)
            }
            Within::Beyond(Beyond { field, at, end }) => Within::Beyond(Beyond {
                field,
                at: at.saturating_add(start),
                end: end.saturating_add(start),
            }),
            Within::Fault(error) => Within::Fault(error.moved(start)),
            Within::TooMany => Within::TooMany,
        })
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        let start = self.start;
        self.image.check(&mut Shifted { findings, start })
    }

    fn backing_name(&self) -> Option<&[u8]> {
        self.image.backing_name()
    }

    fn content_id(&self) -> Option<u32> {
        self.image.content_id()
    }

    fn parent_content_id(&self) -> Option<u32> {
        self.image.parent_content_id()
    }
}

struct Shifted<'a> {
    findings: &'a mut dyn Findings,
    start: u64,
}

impl Findings for Shifted<'_> {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        let offset = finding.offset.saturating_add(self.start);
        self.findings.take(&Finding {
            offset,
            ..finding.clone()
        })
    }
}
