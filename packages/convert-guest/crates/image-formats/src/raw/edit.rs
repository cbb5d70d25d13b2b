//! A raw image has one thing that can be changed: its length.

use alloc::boxed::Box;

use crate::arith::{PowerOfTwo, SECTOR};
use crate::edit::{DiskWriter, Edit, EditTarget, Edited, too_small, unsupported};
use crate::error::FormatError;
use crate::facts::Identity;
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
    let Edit::Resize { size, shrink, .. } = *edit else {
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
        ..Edited::default()
    })
}

/// Bytes that are written at a time.
const UNIT: u64 = 1 << 16;

/// Opens the image in `target` for writing its disk.
pub fn open_writer<'a, T: EditTarget + 'a>(
    target: T,
    device: DeviceIndex,
) -> Box<dyn DiskWriter + 'a> {
    Box::new(Writer {
        target,
        device,
        kept: None,
        disk: None,
    })
}

/// Opens a file for writing its first `size` bytes, which are the disk.
pub(crate) fn open_plain<'a, T: EditTarget + 'a>(
    target: T,
    device: DeviceIndex,
    size: u64,
) -> Box<dyn DiskWriter + 'a> {
    Box::new(Writer {
        target,
        device,
        kept: None,
        disk: Some(size),
    })
}

/// Bytes that are kept together before a small part of them is overwritten.
const KEPT: PowerOfTwo = PowerOfTwo::from_bits(20);

struct Writer<T> {
    target: T,
    device: DeviceIndex,
    /// Number of the part that was kept last.
    kept: Option<u64>,
    /// Bytes of the disk, where something stands behind it.
    disk: Option<u64>,
}

impl<T: EditTarget> DiskWriter for Writer<T> {
    fn unit(&self) -> u64 {
        UNIT
    }

    fn virtual_size(&self) -> u64 {
        let whole = SECTOR.round_up(self.target.size());
        self.disk.unwrap_or(whole.unwrap_or(u64::MAX))
    }

    fn content_end(&self) -> u64 {
        self.disk.unwrap_or(self.target.size())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        self.target.write_at(offset, bytes).map_err(failed)
    }

    fn copy(
        &mut self,
        offset: u64,
        length: u64,
        from: (DeviceIndex, u64),
    ) -> Result<u64, FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        let copied = self.target.copy_at(offset, length, from).map_err(failed)?;
        Ok(if copied { length } else { 0 })
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, FormatError> {
        let number = KEPT.index_of(offset);
        if self.kept != Some(number) {
            let failed = |error| FormatError::of_source(self.device, offset, error);
            let start = KEPT.times(number).unwrap_or(u64::MAX);
            let length = self.target.size().saturating_sub(start).min(KEPT.size());
            self.target.preserve(start, length).map_err(failed)?;
            self.kept = Some(number);
        }
        self.write(offset, bytes)?;
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, 0, error);
        self.target.flush().map_err(failed)
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        self.target.zero_at(offset, length).map_err(failed)
    }

    fn set_backing(&mut self, _: &[u8], _: &[u8], _: Option<Identity>) -> Result<(), FormatError> {
        Err(unsupported(self.device, "raw images have no backing file"))
    }

    fn grow(&mut self, size: u64, _: bool) -> Result<(), FormatError> {
        if self.disk.is_some() {
            return Err(too_small(self.device));
        }
        let failed = |error| FormatError::of_source(self.device, size, error);
        let last = size.saturating_sub(1);
        self.target.write_at(last, &[0]).map_err(failed)
    }

    fn finish(&mut self) -> Result<Edited, FormatError> {
        self.flush()?;
        Ok(Edited {
            file_length: u64::MAX,
            virtual_size: self.virtual_size(),
            ..Edited::default()
        })
    }
}
