//! Raw images: the file's bytes are the disk's bytes.

mod edit;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arith::SECTOR;
use crate::content::recognise;
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::facts::{Facts, ListLimits};
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Within;

pub(crate) use edit::open_plain;
pub use edit::{edit, open_writer};

/// A raw file is what no format claims.
pub fn probe(_: &Ends<'_>) -> bool {
    false
}

/// Takes a file as it is.
///
/// # Errors
/// None.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    _: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let image = RawImage::new(device, source.size());
    Ok(Box::new(RawFile { image, source }))
}

/// A raw disk together with its bytes, which tell what it holds.
struct RawFile<S> {
    image: RawImage,
    source: S,
}

impl<S: ByteSource> Image for RawFile<S> {
    fn virtual_size(&self) -> u64 {
        self.image.virtual_size()
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        self.image.map(offset, max_length)
    }
}

impl<S: ByteSource> FormatImage for RawFile<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        let failed = |error| FormatError::of_source(self.image.device, 0, error);
        let found = recognise(&mut self.source).map_err(failed)?;
        Ok(Facts {
            content: Some(found.content),
            ..Facts::default()
        })
    }

    /// A raw disk has no tables, but what it holds may say how large it was.
    fn within_file(&mut self, _: u64) -> Result<Within, FormatError> {
        let failed = |error| FormatError::of_source(self.image.device, 0, error);
        let found = recognise(&mut self.source).map_err(failed)?;
        Ok(found
            .beyond
            .map_or(Within::Whole(Vec::new()), Within::Beyond))
    }
}

/// A host file read as it is.
#[derive(Clone, Copy, Debug)]
pub struct RawImage {
    device: DeviceIndex,
    file_size: u64,
    virtual_size: u64,
}

impl RawImage {
    /// The disk in a file of `file_size` bytes. A last part of a sector counts as a whole one whose
    /// missing bytes are zero, as QEMU counts it.
    pub fn new(device: DeviceIndex, file_size: u64) -> Self {
        let virtual_size = SECTOR
            .round_up(file_size)
            .unwrap_or(SECTOR.round_down(u64::MAX));
        Self {
            device,
            file_size,
            virtual_size,
        }
    }

    /// The file.
    pub fn device(&self) -> DeviceIndex {
        self.device
    }

    /// Length of the file in bytes, not rounded.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }
}

impl Image for RawImage {
    fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.virtual_size, offset, max_length)?;
        Ok(data_within(
            self.device,
            self.file_size,
            offset,
            offset,
            length,
        ))
    }
}

/// `length` bytes at `offset` of a host file of `file_size` bytes, as the extent at `start`: data up
/// to the file's end, zeros beyond it.
pub(crate) fn data_within(
    device: DeviceIndex,
    file_size: u64,
    start: u64,
    offset: u64,
    length: u64,
) -> Extent {
    match file_size.checked_sub(offset) {
        None | Some(0) => Extent {
            start,
            length,
            kind: ExtentKind::Zero,
        },
        Some(left) => Extent {
            start,
            length: length.min(left),
            kind: ExtentKind::Data { device, offset },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_part_of_a_sector_is_padded_with_zeros() {
        let device = DeviceIndex(4);
        let mut image = RawImage::new(device, 1000);
        assert_eq!(image.virtual_size(), 1024);
        let data = image.map(100, u64::MAX).unwrap();
        assert_eq!(
            data,
            Extent {
                start: 100,
                length: 900,
                kind: ExtentKind::Data {
                    device,
                    offset: 100
                }
            }
        );
        let tail = image.map(1000, u64::MAX).unwrap();
        assert_eq!(
            tail,
            Extent {
                start: 1000,
                length: 24,
                kind: ExtentKind::Zero
            }
        );
    }

    #[test]
    fn nothing_is_mapped_outside_the_disk() {
        let mut image = RawImage::new(DeviceIndex(0), 512);
        assert_eq!(image.map(512, 1).unwrap_err().kind, ErrorKind::OutOfRange);
        assert_eq!(image.map(0, 0).unwrap_err().kind, ErrorKind::OutOfRange);
        assert_eq!(
            RawImage::new(DeviceIndex(0), 0).map(0, 1).unwrap_err().kind,
            ErrorKind::OutOfRange
        );
    }
}
