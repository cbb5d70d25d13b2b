//! A raw image has one thing that can be changed: its length.

use crate::arith::SECTOR;
use crate::edit::{Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::source::DeviceIndex;

/// Edits the image in `target`.
///
/// # Errors
/// `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let Edit::Resize { size, shrink } = *edit else {
        return Err(unsupported(device, "raw images have nothing but content"));
    };
    let failed = |error| FormatError::of_source(device, size, error);
    let before = target.size();
    if size < before && !shrink {
        let what = "it would become smaller, which takes data away";
        return Err(unsupported(device, what));
    }
    if size > before {
        let last = size.saturating_sub(1);
        target.write_at(last, &[0]).map_err(failed)?;
    }
    target.flush().map_err(failed)?;
    Ok(Edited {
        file_length: size,
        virtual_size: SECTOR.round_up(size).unwrap_or(size),
    })
}
