//! Parallels disks are repaired: entries that name nothing inside the file, clusters that two entries name, the mark of a disk
//! that was not closed, and what lies behind the last cluster.

use super::header::Header;
use crate::arith::SECTOR;
use crate::blocks::{BlockSize, Mender, mend};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, not_of_format};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::source::DeviceIndex;

impl Mender for Header {
    const WIDTH: usize = 4;
    const NOTHING: u64 = 0;

    fn block(&self) -> u64 {
        self.cluster.bytes()
    }

    fn place(&mut self, end: u64) -> Option<(u64, u64)> {
        let unit = BlockSize::new(SECTOR.times(self.sectors_of_entry)?)?;
        let entry = unit.count_for(end);
        u32::try_from(entry).ok()?;
        Some((unit.times(entry), entry))
    }
}

/// Edits the image in `target`.
///
/// # Errors
/// What [`Header::read`] refuses, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let Edit::Repair { leaks_only } = *edit else {
        return Err(not_of_format(device, Format::Parallels));
    };
    let mut header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    let mended = mend(
        &mut target,
        device,
        (Format::Parallels, &mut header),
        leaks_only,
    )?;
    Ok(Edited {
        file_length: mended.keep.unwrap_or(u64::MAX),
        virtual_size: header.size,
        corruptions_fixed: mended.corruptions,
        leaks_fixed: mended.leaks,
        ..Edited::default()
    })
}
