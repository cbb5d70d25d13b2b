//! VDI images are repaired: entries that name no block of the file, blocks that two entries name, and their count.

use super::header::Header;
use crate::blocks::{Mender, mend};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::source::DeviceIndex;
use crate::used_units::UsedUnits;

/// An entry whose block was never written.
const NEVER_WRITTEN: u64 = 0xffff_ffff;

/// The blocks of the file that no entry names.
struct Free {
    header: Header,
    used: UsedUnits,
}

impl Free {
    fn find<T: EditTarget>(
        cache: &mut MetadataCache<Borrowed<'_, T>>,
        header: Header,
    ) -> Result<Self, FormatError> {
        let mut used = UsedUnits::new(cache.device(), 1, header.blocks)?;
        for index in 0..header.blocks {
            let entry = header.block_map().read(cache, header.block.times(index))?;
            if entry.value < header.blocks {
                used.mark(entry.value, 1);
            }
        }
        Ok(Self { header, used })
    }
}

impl Mender for Free {
    const WIDTH: usize = 4;
    const NOTHING: u64 = NEVER_WRITTEN;

    fn block(&self) -> u64 {
        self.header.block.bytes()
    }

    fn place(&mut self, _: u64) -> Option<(u64, u64)> {
        let number = self.used.find(0, self.header.blocks, false)?;
        self.used.mark(number, 1);
        Some((self.header.offset_of(number), number))
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
        return Err(unsupported(device, "vdi"));
    };
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let header = Header::read(&mut cache)?;
    let mut free = Free::find(&mut cache, header)?;
    drop(cache);
    let mended = mend(&mut target, device, (Format::Vdi, &mut free), leaks_only)?;
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: header.size,
        corruptions_fixed: mended.corruptions,
        leaks_fixed: mended.leaks,
    })
}
