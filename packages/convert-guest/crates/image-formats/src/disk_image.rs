//! An image of any format that is read.

use alloc::boxed::Box;

use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, Image};
use crate::probe::{Format, Probe, probe};
use crate::qcow2::Qcow2Image;
use crate::raw::RawImage;
use crate::source::{ByteSource, DeviceIndex};

/// How an image is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Blocks of 64 KiB that the metadata cache may hold; at least 2 are used.
    pub cache_blocks: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_blocks: crate::metadata_cache::DEFAULT_BLOCKS,
        }
    }
}

/// An open image.
#[derive(Debug)]
pub enum DiskImage<S> {
    /// Raw.
    Raw(RawImage),
    /// qcow2, version 2 or 3.
    Qcow2(Box<Qcow2Image<S>>),
}

impl<S: ByteSource> DiskImage<S> {
    /// Opens the file as `format`, or as what it answers to when that is `None`. A format that was
    /// named is believed: nothing is probed then.
    ///
    /// # Errors
    /// `AmbiguousFormat` and `UnsupportedFormat` from the choice of the format, and whatever the
    /// reader of the format refuses.
    pub fn open(
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
        match format {
            Format::Raw => Ok(Self::Raw(RawImage::new(device, source.size()))),
            Format::Qcow2 => {
                let image = Qcow2Image::open(source, device, options.cache_blocks)?;
                Ok(Self::Qcow2(Box::new(image)))
            }
            other => Err(unsupported(other, device)),
        }
    }

    /// How the file is read.
    pub fn format(&self) -> Format {
        match self {
            Self::Raw(_) => Format::Raw,
            Self::Qcow2(_) => Format::Qcow2,
        }
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

fn unsupported(format: Format, device: DeviceIndex) -> FormatError {
    let expected = Expected::Sentence("raw or qcow2");
    let code = u64::from(format.code());
    FormatError::new(
        ErrorKind::UnsupportedFormat,
        device,
        "format",
        0,
        code,
        expected,
    )
    .with_text(format.name().as_bytes())
}

impl<S: ByteSource> Image for DiskImage<S> {
    fn virtual_size(&self) -> u64 {
        match self {
            Self::Raw(image) => image.virtual_size(),
            Self::Qcow2(image) => image.virtual_size(),
        }
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        match self {
            Self::Raw(image) => image.map(offset, max_length),
            Self::Qcow2(image) => image.map(offset, max_length),
        }
    }
}
