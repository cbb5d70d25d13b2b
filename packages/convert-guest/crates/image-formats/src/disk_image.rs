//! An image of any format that is read.

use alloc::boxed::Box;
use core::fmt;

use crate::check::{CheckCounts, Findings};
use crate::driver::{self, FormatImage};
use crate::encrypted::ClusterKey;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, Image};
use crate::facts::{Facts, Identity, ListLimits};
use crate::keys::Unlocking;
use crate::probe::{Format, Probe, probe};
use crate::snapshot_choice::SnapshotChoice;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Within;

/// How an image is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Blocks of 64 KiB that the metadata cache may hold; at least 2 are used.
    pub cache_blocks: usize,
    /// Bytes that the file unpacks to, where it is packed and an earlier look has told.
    pub unpacked: Option<u64>,
    /// Most bytes that it may unpack to.
    pub most_unpacked: u64,
    /// Most bytes that a dictionary of a packed file may have.
    pub window: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_blocks: crate::metadata_cache::DEFAULT_BLOCKS,
            unpacked: None,
            most_unpacked: u64::MAX,
            window: instar_codecs::SMALL_WINDOW,
        }
    }
}

/// An open image.
pub struct DiskImage<'a> {
    format: Format,
    device: DeviceIndex,
    opened: Box<dyn FormatImage + 'a>,
}

impl fmt::Debug for DiskImage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DiskImage").field(&self.format).finish()
    }
}

impl<'a> DiskImage<'a> {
    /// Opens the file as `format`, or as what it answers to when that is `None`. A format that was
    /// named is believed: nothing is probed then.
    ///
    /// # Errors
    /// `AmbiguousFormat` and `UnsupportedFormat` from the choice of the format, and whatever the
    /// reader of the format refuses.
    pub fn open<S: ByteSource + 'a>(
        mut source: S,
        device: DeviceIndex,
        format: Option<Format>,
        options: OpenOptions,
    ) -> Result<Self, FormatError> {
        let format = match format {
            Some(format) => format,
            None => probe(&mut source)
                .map_err(|error| FormatError::of_source(device, 0, error))
                .and_then(|answer| decide(answer, device))?,
        };
        let opened = driver::open(format, source, device, options)?;
        Ok(Self {
            format,
            device,
            opened,
        })
    }

    /// How the file is read.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether this is the image that the one above it was made over, as far as the two can tell.
    ///
    /// # Errors
    /// `BadHeader`, of this image.
    pub fn require_child(&self, above: &Self) -> Result<(), FormatError> {
        let refuse = |field, value, expected| {
            let kind = ErrorKind::BadHeader;
            FormatError::new(kind, self.device, field, 0, value, expected)
        };
        if let (Some(expected), Some(found)) = (above.parent_content_id(), self.content_id())
            && expected != found
        {
            return Err(refuse(
                "CID",
                found.into(),
                Expected::Value(expected.into()),
            ));
        }
        let known = above.parent_identities();
        if let Some(found) = self.identity()
            && !known.is_empty()
            && !known.contains(&found)
        {
            let expected = Expected::Sentence("the one that the differencing disk names");
            let (start, _) = found.split_at(8);
            let start = start
                .first_chunk()
                .map_or(0, |bytes| u64::from_be_bytes(*bytes));
            let text = b"the parent is another disk, or was changed since";
            return Err(refuse("unique id", start, expected).with_text(text));
        }
        Ok(())
    }

    /// The image file.
    pub fn device(&self) -> DeviceIndex {
        self.device
    }
}

/// The one format that a probed file is opened as.
fn decide(answer: Probe, device: DeviceIndex) -> Result<Format, FormatError> {
    match answer {
        Probe::Raw { .. } => Ok(Format::Raw),
        Probe::Known(format) => Ok(format),
        Probe::Ambiguous(first, second) => {
            let text = alloc::format!("{} and {}", first.name(), second.name());
            let expected = Expected::Sentence("the magic number of one format only");
            let error = FormatError::new(
                ErrorKind::AmbiguousFormat,
                device,
                "format",
                second.magic_offset(),
                u64::from(second.code()),
                expected,
            );
            Err(error.with_text(text.as_bytes()))
        }
    }
}

impl Image for DiskImage<'_> {
    fn virtual_size(&self) -> u64 {
        self.opened.virtual_size()
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        self.opened.map(offset, max_length)
    }
}

impl FormatImage for DiskImage<'_> {
    fn facts(&mut self, limits: ListLimits) -> Result<Facts, FormatError> {
        self.opened.facts(limits)
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        self.opened.within_file(budget)
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        self.opened.check(findings)
    }

    fn keeps_holes(&self) -> bool {
        self.opened.keeps_holes()
    }

    fn select_snapshot(
        &mut self,
        choice: SnapshotChoice<'_>,
        device: DeviceIndex,
    ) -> Result<(), FormatError> {
        self.opened.select_snapshot(choice, device)
    }

    fn unpacked(&self) -> Option<u64> {
        self.opened.unpacked()
    }

    fn is_locked(&self) -> bool {
        self.opened.is_locked()
    }

    fn unlock(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.opened.unlock(with)
    }

    fn key(&self) -> Option<ClusterKey> {
        self.opened.key()
    }

    fn backing_name(&self) -> Option<&[u8]> {
        self.opened.backing_name()
    }

    fn attach_data_file(&mut self, device: DeviceIndex, size: u64) -> Result<(), FormatError> {
        self.opened.attach_data_file(device, size)
    }

    fn content_id(&self) -> Option<u32> {
        self.opened.content_id()
    }

    fn parent_content_id(&self) -> Option<u32> {
        self.opened.parent_content_id()
    }

    fn identity(&self) -> Option<Identity> {
        self.opened.identity()
    }

    fn parent_identities(&self) -> &[Identity] {
        self.opened.parent_identities()
    }

    fn attach_extent(
        &mut self,
        number: usize,
        device: DeviceIndex,
        source: Box<dyn ByteSource>,
    ) -> Result<(), FormatError> {
        self.opened.attach_extent(number, device, source)
    }
}
