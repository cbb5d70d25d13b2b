//! The bitmaps of an image that is not edited, for one that takes them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::bitmap_bits::BitLayout;
use super::{Bitmap, Qcow2Image, bitmap};
use crate::arith::SECTOR;
use crate::edit::OtherBitmaps;
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex, SourceError};

struct Reading<S> {
    source: S,
    bitmaps: Vec<Bitmap>,
    layout: BitLayout,
}

/// Reads of a source that is somebody else's.
struct Borrowed<'a, S>(&'a mut S);

impl<S: ByteSource> ByteSource for Borrowed<'_, S> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.0.read_exact_at(offset, buffer)
    }
}

/// The bitmaps of the image in `source`.
///
/// # Errors
/// What [`Qcow2Image::open`] refuses.
pub fn bitmaps_of<'a, S: ByteSource + 'a>(
    mut source: S,
    device: DeviceIndex,
) -> Result<Box<dyn OtherBitmaps + 'a>, FormatError> {
    let image = Qcow2Image::open(Borrowed(&mut source), device, 4)?;
    let (header, extensions) = (image.header, image.extensions);
    let size = SECTOR.round_down(header.size);
    let mut bitmaps = Vec::new();
    if let Some(directory) = extensions.bitmaps {
        let mut cache = MetadataCache::new(Borrowed(&mut source), device, 4);
        let mut walk = bitmap::Walk::new(directory);
        while let Some(bitmap) = walk.next(&mut cache, &header, size, true)? {
            bitmaps.push(bitmap);
        }
    }
    let layout = BitLayout {
        cluster: header.cluster,
        size,
        device,
    };
    Ok(Box::new(Reading {
        source,
        bitmaps,
        layout,
    }))
}

impl<S: ByteSource> OtherBitmaps for Reading<S> {
    fn virtual_size(&self) -> u64 {
        self.layout.size
    }

    fn list(&mut self) -> Result<Vec<Bitmap>, FormatError> {
        Ok(self.bitmaps.clone())
    }

    fn each_range(
        &mut self,
        bitmap: &Bitmap,
        take: &mut dyn FnMut(u64, u64) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        for index in 0..u64::from(bitmap.table_entries) {
            if let Some(bits) = self.layout.bits(&mut self.source, bitmap, index)? {
                self.layout.each_range(bitmap, index, &bits, take)?;
            }
        }
        Ok(())
    }
}
