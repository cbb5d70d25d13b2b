//! Edits of images: what may be asked, and which driver does it.

use crate::error::{ErrorKind, Expected, FormatError};
use crate::probe::Format;
use crate::source::{ByteSource, DeviceIndex, SourceError};
use crate::{qcow2, raw};

/// A file that is edited: what was written is read again.
pub trait EditTarget: ByteSource {
    /// Says that a range will be overwritten, so that what it holds can be kept; many of these cost one sync.
    ///
    /// # Errors
    /// What the host reports; so for all the others.
    fn preserve(&mut self, offset: u64, length: u64) -> Result<(), SourceError>;

    /// Writes bytes; the file grows where they end behind its end.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SourceError>;

    /// Makes a range read as zeros; the file grows where it ends behind its end.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), SourceError>;

    /// Brings what was written to the disk, before anything that is written later.
    ///
    /// # Errors
    /// See [`preserve`](Self::preserve).
    fn flush(&mut self) -> Result<(), SourceError>;
}

/// When something is done, as the host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: u64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// What is done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Takes a snapshot.
    CreateSnapshot {
        /// Its name.
        name: &'a [u8],
        /// When.
        time: Time,
    },
    /// Goes back to the snapshot of this id, or else of this name.
    ApplySnapshot(&'a [u8]),
    /// Removes the first snapshot of this name.
    DeleteSnapshot(&'a [u8]),
    /// Gives the disk another size.
    Resize {
        /// Bytes of the disk.
        size: u64,
        /// Data may be cut off.
        shrink: bool,
    },
}

/// What came of an edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Bytes that the file is to have: what lies behind them is cut off.
    pub file_length: u64,
    /// Bytes of the disk.
    pub virtual_size: u64,
}

/// Edits the image in `target`. Everything has reached the disk when this returns; the order of the writes is such that an
/// image whose edit stops halfway has leaks at most, where the format allows that.
///
/// # Errors
/// `UnsupportedEdit`, `RepairFirst`, and whatever the reader of the format refuses.
pub fn edit<T: EditTarget>(
    format: Format,
    target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    match format {
        Format::Raw => raw::edit(target, device, edit),
        Format::Qcow2 => qcow2::edit(target, device, edit),
        other => Err(unsupported(device, other.name())),
    }
}

/// The refusal of an edit that a format does not know.
pub(crate) fn unsupported(device: DeviceIndex, what: &str) -> FormatError {
    let expected = Expected::Sentence("another edit");
    FormatError::new(ErrorKind::UnsupportedEdit, device, "", 0, 0, expected)
        .with_text(what.as_bytes())
}
