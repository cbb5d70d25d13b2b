//! Parallels disks are written to: a new cluster gets its place behind the last.

use alloc::boxed::Box;

use super::header::Header;
use crate::arith::SECTOR;
use crate::blocks::{Mender, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

impl Header {
    /// Where the next cluster lies, and its entry.
    fn next(&self, end: u64) -> Option<(u64, u64)> {
        let mut header = *self;
        Mender::place(&mut header, end)
    }
}

impl Writable for Header {
    fn place(&self, end: u64) -> Option<u64> {
        self.next(end).map(|(place, _)| place)
    }

    fn name(&self, place: u64) -> Option<u64> {
        self.next(place).map(|(_, entry)| entry)
    }
}

/// Opens the image in `target` for writing its disk.
///
/// # Errors
/// What [`Header::read`] refuses, `RepairFirst`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    require_sound(&mut target, device, Format::Parallels)?;
    let header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    let first = SECTOR.times(header.data_offset.value.into()).unwrap_or(0);
    let tables = header.allocation_table().file_end().max(first);
    let end = target.size().max(tables);
    let file = StagedFile::new(target, device);
    let shape = (header.size, header.cluster.bytes());
    Ok(open_blocks(file, header, shape, false, end))
}
