//! QED images are repaired (entries that name no place of the file, and the mark of an image that was not closed), and grow.

use super::header::Header;
use crate::blocks::{Mender, mend};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::qed::header as fields;

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
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let mut header = Header::read(&mut cache)?;
    let has_backing = header.read_backing_name(&mut cache)?.is_some();
    drop(cache);
    if !matches!(edit, Edit::Repair { .. }) {
        return grow(target, device, edit, (&header, has_backing));
    }
    let mended = mend(&mut target, device, (Format::Qed, &mut header), false)?;
    if mended.left.corruptions == 0 && header.needs_check() {
        // What was mended is on the disk by now.
        let mut file = StagedFile::new(&mut target, device);
        file.put(0, fields::FEATURES, header.checked_features())?;
        file.flush()?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: header.size,
        corruptions_fixed: mended.corruptions,
        leaks_fixed: 0,
        ..Edited::default()
    })
}

/// Gives the disk more bytes, for which the tables have room.
fn grow<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
    (header, has_backing): (&Header, bool),
) -> Result<Edited, FormatError> {
    let wanted = wanted_size(device, Format::Qed, edit, header.size)?;
    if let Some(size) = wanted {
        if has_backing {
            // What that may have behind the old end would show.
            let what = "a qed image with a backing file does not grow";
            return Err(unsupported(device, what));
        }
        if size > header.l1_span.times(header.entries) {
            return Err(unsupported(
                device,
                "its tables have no room for so many bytes",
            ));
        }
        require_sound(&mut target, device, Format::Qed)?;
        let mut file = StagedFile::new(&mut target, device);
        file.put(0, fields::IMAGE_SIZE, size)?;
        file.flush()?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: wanted.unwrap_or(header.size),
        ..Edited::default()
    })
}
