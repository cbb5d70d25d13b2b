//! VDI disks are written to: a new block gets the number behind the last.

use alloc::boxed::Box;

use super::header::Header;
use crate::blocks::{Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::vdi::header as fields;

impl Writable for Header {
    fn place(&self, end: u64) -> Option<u64> {
        let used = end.saturating_sub(self.data_offset);
        let place = self.offset_of(self.block.count_for(used));
        // A number of the map counts blocks.
        (self.block.count_for(used) < self.blocks).then_some(place)
    }

    fn name(&self, place: u64) -> Option<u64> {
        Some(self.block.index_of(place.checked_sub(self.data_offset)?))
    }

    fn finish<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        added: u64,
        _: u64,
    ) -> Result<(), FormatError> {
        let count = u64::from(self.allocated.value).saturating_add(added);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        file.put(0, fields::BLOCKS_ALLOCATED, count)
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
    require_sound(&mut target, device, Format::Vdi)?;
    let header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    // Behind the blocks that are counted, be the last of them cut.
    let counted = header.offset_of(header.allocated.value.into());
    let end = target.size().max(counted);
    let file = StagedFile::new(target, device);
    Ok(open_blocks(
        file,
        header,
        (header.size, header.block.bytes()),
        false,
        end,
    ))
}
