//! xz: streams one after the other, of blocks with a checksum each.

use lzma_rust2::{Error, Read, XzReader};

use super::{PackedBytes, TRUNCATED, UnpackError};

/// What a stream may ask for beside its dictionary (KiB).
const BESIDE: u32 = 1 << 10;

pub(super) struct Unxz<B: PackedBytes> {
    reader: XzReader<Feed<B>>,
}

impl<B: PackedBytes> Unxz<B> {
    pub fn new(bytes: B, window: u64) -> Self {
        let feed = Feed {
            bytes,
            failed: false,
        };
        let most = u32::try_from(window >> 10).unwrap_or(u32::MAX);
        Self {
            reader: XzReader::new_mem_limit(feed, true, most.saturating_add(BESIDE)),
        }
    }

    pub fn bytes(&self) -> &B {
        &self.reader.inner().bytes
    }

    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        self.reader.read(output).map_err(|error| {
            if self.reader.inner().failed {
                return UnpackError::ReadFailed;
            }
            match error {
                Error::Eof => TRUNCATED,
                Error::OutOfMemory(_) => UnpackError::WindowTooLarge,
                Error::Unsupported(_) => UnpackError::Unsupported("filters and checks of xz 5"),
                _ => UnpackError::Damaged("undamaged xz data, and nothing behind it"),
            }
        })
    }
}

/// Hands bytes to the reader.
struct Feed<B> {
    bytes: B,
    /// They could not be had, for which the reader has no word.
    failed: bool,
}

impl<B: PackedBytes> Read for Feed<B> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Ok(bytes) = self.bytes.peek() else {
            self.failed = true;
            return Err(Error::Other("the file could not be read"));
        };
        let length = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), bytes.get(..length)) {
            to.copy_from_slice(from);
        }
        self.bytes.advance(length);
        Ok(length)
    }
}
