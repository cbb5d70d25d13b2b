//! What editors share that give a disk more bytes.

use crate::arith::SECTOR;
use crate::check::{Finding, FindingKind, Findings};
use crate::disk_image::OpenOptions;
use crate::driver;
use crate::edit::{Borrowed, Edit, EditTarget, not_of_format, unsupported};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::probe::Format;
use crate::source::DeviceIndex;

/// The bytes that a disk is to have instead of `before`; `None` where it has them already.
///
/// # Errors
/// `UnsupportedEdit` for other edits, and for disks that would become smaller.
pub(crate) fn wanted_size(
    device: DeviceIndex,
    format: Format,
    edit: &Edit<'_>,
    before: u64,
) -> Result<Option<u64>, FormatError> {
    let Edit::Resize {
        size, preallocate, ..
    } = *edit
    else {
        return Err(not_of_format(device, format));
    };
    if !SECTOR.is_aligned(size) {
        return Err(unsupported(
            device,
            "the new size must be a multiple of 512",
        ));
    }
    if size < before {
        return Err(unsupported(
            device,
            "disks of its format only become larger",
        ));
    }
    if preallocate {
        return Err(unsupported(
            device,
            "what is added to disks of its format is not preallocated",
        ));
    }
    Ok((size > before).then_some(size))
}

/// Refuses an image in which a check finds a contradiction.
///
/// # Errors
/// `RepairFirst`, and what the reader of the format refuses.
pub(crate) fn require_sound<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    format: Format,
) -> Result<(), FormatError> {
    let mut first = First(None);
    let source = Borrowed(&mut *target);
    let mut image = driver::open(format, source, device, OpenOptions::default())?;
    image.check(&mut first)?;
    first.0.map_or(Ok(()), |(offset, value)| {
        let expected = Expected::Sentence("an image that check finds nothing wrong with");
        let kind = ErrorKind::RepairFirst;
        Err(FormatError::new(kind, device, "", offset, value, expected))
    })
}

/// The first contradiction that is found.
struct First(Option<(u64, u64)>);

impl Findings for First {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        if finding.kind == FindingKind::Corruption {
            self.0.get_or_insert((finding.offset, finding.value));
        }
        Ok(())
    }
}
