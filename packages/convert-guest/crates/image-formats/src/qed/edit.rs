//! QED images are repaired: entries that name no place of the file, and the mark of an image that was not closed.

use super::header::{FEATURES_FIELD, Header};
use crate::blocks::{Mender, mend};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

impl Mender for Header {
    const WIDTH: usize = 8;
    const NOTHING: u64 = 0;

    fn block(&self) -> u64 {
        self.cluster.bytes()
    }

    fn place(&mut self, _: u64) -> Option<(u64, u64)> {
        None
    }
}

/// Edits the image in `target`. As QEMU does, entries are mended also where only leaks are to be freed, of which none are.
///
/// # Errors
/// What [`Header::read`] refuses, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    if !matches!(edit, Edit::Repair { .. }) {
        return Err(unsupported(device, "qed"));
    }
    let mut header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    let mended = mend(&mut target, device, (Format::Qed, &mut header), false)?;
    if mended.left.corruptions == 0 && header.needs_check() {
        // What was mended is on the disk by now.
        let mut file = StagedFile::new(&mut target, device);
        file.write(FEATURES_FIELD, &header.checked_features().to_le_bytes())?;
        file.flush()?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: header.size,
        corruptions_fixed: mended.corruptions,
        leaks_fixed: 0,
    })
}
