//! The disk of a container is written: each sector encrypted, at its place.

use alloc::boxed::Box;
use alloc::rc::Rc;

use super::Header;
use crate::arith::to_u64;
use crate::edit::{Borrowed, DiskWriter, EditTarget, Edited, too_small, unsupported};
use crate::encrypted::ContentCipher;
use crate::error::FormatError;
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::DeviceIndex;

/// Bytes that are written at a time: whole sectors of any size.
const UNIT: u64 = 1 << 16;

/// Opens the container in `target` for writing its disk, which `cipher` encrypts.
///
/// # Errors
/// What [`Header::read`] refuses, and `Encrypted` without a cipher.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
    cipher: Option<Rc<dyn ContentCipher>>,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    let header = Header::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2), 0)?;
    let cipher = cipher.ok_or_else(|| FormatError::locked(device))?;
    let room = target.size().saturating_sub(header.payload_offset.value);
    let length = header
        .payload_size
        .map_or(room, |size| size.value.min(room));
    Ok(Box::new(Writer {
        size: header.whole_sectors(length),
        header,
        target,
        device,
        cipher,
        kept: None,
    }))
}

struct Writer<T> {
    target: T,
    device: DeviceIndex,
    header: Header,
    /// Bytes of the disk.
    size: u64,
    cipher: Rc<dyn ContentCipher>,
    /// The unit that was kept last (byte offset in the disk).
    kept: Option<u64>,
}

impl<T: EditTarget> DiskWriter for Writer<T> {
    fn unit(&self) -> u64 {
        UNIT
    }

    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let host = self.header.payload_offset.value.saturating_add(offset);
        let mut copy = crate::staged_file::zeros(self.device, host, to_u64(bytes.len()))?;
        copy.copy_from_slice(bytes);
        let position = self.header.iv_position(offset);
        self.cipher.encrypt(host, position, &mut copy);
        let failed = |error| FormatError::of_source(self.device, host, error);
        self.target.write_at(host, &copy).map_err(failed)
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, FormatError> {
        let end = offset.saturating_add(to_u64(bytes.len()));
        if [offset, end]
            .iter()
            .any(|at| self.header.whole_sectors(*at) != *at)
        {
            let what = "parts of the sectors of an encrypted image are not written";
            return Err(unsupported(self.device, what));
        }
        let unit = offset.saturating_sub(offset.checked_rem(UNIT).unwrap_or(0));
        if self.kept != Some(unit) {
            let host = self.header.payload_offset.value.saturating_add(unit);
            let failed = |error| FormatError::of_source(self.device, host, error);
            let length = self.size.saturating_sub(unit).min(UNIT);
            self.target.preserve(host, length).map_err(failed)?;
            self.kept = Some(unit);
        }
        self.write(offset, bytes)?;
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, 0, error);
        self.target.flush().map_err(failed)
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let zeros = crate::staged_file::zeros(self.device, offset, length)?;
        self.write(offset, &zeros)
    }

    fn set_backing(&mut self, _: &[u8], _: &[u8], _: Option<Identity>) -> Result<(), FormatError> {
        Err(unsupported(self.device, "luks images have no backing file"))
    }

    fn grow(&mut self, _: u64, _: bool) -> Result<(), FormatError> {
        Err(too_small(self.device))
    }

    fn finish(&mut self) -> Result<Edited, FormatError> {
        self.flush()?;
        Ok(Edited {
            file_length: u64::MAX,
            virtual_size: self.size,
            ..Edited::default()
        })
    }
}
