//! A container becomes larger with its file: its header does not say how many bytes it has. What is added is not zeros, but what
//! zeros decrypt to.

use super::Header;
use super::key_slots::{SlotEdit, SlotKeys, edit_slots};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::wanted_size;
use crate::source::DeviceIndex;

/// Edits the container in `target`.
///
/// # Errors
/// What [`Header::read`] refuses, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2), 0)?;
    if header.payload_size.is_some() {
        let what = "its header says how long its segment is, as that of no container that grows";
        return Err(unsupported(device, what));
    }
    let start = header.payload_offset.value;
    let before = header.whole_sectors(target.size().saturating_sub(start));
    let wanted = wanted_size(device, Format::Luks, edit, before)?;
    if let Some(size) = wanted {
        if header.whole_sectors(size) != size {
            let what = "the new size must be a multiple of its sectors";
            return Err(unsupported(device, what));
        }
        let last = start.saturating_add(size).saturating_sub(1);
        let failed = |error| FormatError::of_source(device, last, error);
        target.write_at(last, &[0]).map_err(failed)?;
        target.flush().map_err(failed)?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: wanted.unwrap_or(before),
        ..Edited::default()
    })
}

/// Changes key slots of the container in `target`.
///
/// # Errors
/// As for [`edit`], and `Encrypted` where no passphrase opens it.
pub fn edit_key_slots<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    keys: &SlotKeys<'_>,
    edit: &SlotEdit<'_>,
) -> Result<Edited, FormatError> {
    let header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2), 0)?;
    let (end, size) = (header.payload_offset.value, target.size());
    let changed = edit_slots(&mut target, device, &header, 0..end, keys, edit)?;
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: header.whole_sectors(size.saturating_sub(end)),
        key_slots: changed,
        ..Edited::default()
    })
}
