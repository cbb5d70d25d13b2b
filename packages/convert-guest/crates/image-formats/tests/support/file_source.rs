//! A host file as a source of bytes.

use instar_image_formats::arith::to_u64;
use instar_image_formats::{ByteSource, SourceError};

/// A file of the machine that the tests run on.
#[derive(Debug)]
pub struct FileSource {
    file: std::fs::File,
    size: u64,
}

impl FileSource {
    /// Takes an open file; its length is read once, here.
    ///
    /// # Errors
    /// What the operating system reports for the length.
    pub fn new(file: std::fs::File) -> std::io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl ByteSource for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        use std::os::unix::fs::FileExt;
        let end = offset
            .checked_add(to_u64(buffer.len()))
            .ok_or(SourceError::OutOfRange)?;
        if end > self.size {
            return Err(SourceError::OutOfRange);
        }
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| SourceError::Failed {
                code: error.raw_os_error().map_or(0, i32::unsigned_abs),
            })
    }
}
