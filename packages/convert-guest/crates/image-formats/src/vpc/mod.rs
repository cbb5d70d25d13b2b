//! Virtual PC and Hyper-V disks (VHD; Microsoft's "Virtual Hard Disk Image Format Specification" 1.0), fixed,
//! dynamic and differencing.

mod check;
mod dynamic;
mod edit;
mod fixed;
mod footer;
mod locator;
mod parent;
mod write;

use alloc::boxed::Box;

use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};

pub use edit::edit;
pub(crate) use footer::checksum;
use footer::{DiskType, Footer};
pub(crate) use locator::Parent;
pub use write::open_writer;

/// Whether a file has the footer at its end, or a copy of it at its beginning, as dynamic disks have.
pub fn probe(ends: &Ends<'_>) -> bool {
    [ends.head, ends.trailer]
        .iter()
        .any(|end| end.starts_with(footer::COOKIE))
}

/// Opens an image.
///
/// # Errors
/// What the readers of the footer and of the dynamic header refuse.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let footer = Footer::read(&mut cache)?;
    match footer.disk_type {
        DiskType::Fixed => Ok(Box::new(fixed::FixedDisk::new(&cache, &footer))),
        DiskType::Dynamic | DiskType::Differencing => dynamic::open(cache, &footer),
    }
}
