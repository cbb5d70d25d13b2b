//! Where a reader's bytes come from.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arith::{to_u64, to_usize};

/// The number of a host file, as the chain configuration counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceIndex(pub u32);

/// Why bytes could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The range does not lie inside the file.
    OutOfRange,
    /// The host could not read; the code is the host's own (an `errno` on Linux).
    Failed {
        /// The host's error number.
        code: u32,
    },
}

/// Random access to the bytes of one host file.
///
/// Readers fetch metadata only, through a bounded cache; guest data never passes here.
pub trait ByteSource {
    /// Length of the file in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset`, or fails without promising anything about its content.
    ///
    /// # Errors
    /// `OutOfRange` when the range ends beyond [`size`](Self::size), `Failed` for what the host reports.
    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError>;
}

fn copy_from(bytes: &[u8], offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
    let start = to_usize(offset);
    let source = start
        .checked_add(buffer.len())
        .and_then(|end| bytes.get(start..end))
        .ok_or(SourceError::OutOfRange)?;
    buffer.copy_from_slice(source);
    Ok(())
}

impl ByteSource for &[u8] {
    fn size(&self) -> u64 {
        to_u64(self.len())
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        copy_from(self, offset, buffer)
    }
}

impl ByteSource for Vec<u8> {
    fn size(&self) -> u64 {
        to_u64(self.len())
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        copy_from(self, offset, buffer)
    }
}

impl<S: ByteSource + ?Sized> ByteSource for &mut S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_exact_at(offset, buffer)
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Box<S> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_exact_at(offset, buffer)
    }
}
