//! A value of a file that remembers where it stood.

use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::DeviceIndex;

/// A value together with its place, so that a refusal can say both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<T> {
    /// What the field holds.
    pub value: T,
    /// The specification's name for it.
    pub name: &'static str,
    /// Byte offset in the file.
    pub offset: u64,
    /// The file.
    pub device: DeviceIndex,
}

impl<T: Copy + Into<u64>> Field<T> {
    /// The error for a value that cannot be accepted.
    pub fn refuse(&self, kind: ErrorKind, expected: Expected) -> FormatError {
        FormatError::new(
            kind,
            self.device,
            self.name,
            self.offset,
            self.value.into(),
            expected,
        )
    }
}
