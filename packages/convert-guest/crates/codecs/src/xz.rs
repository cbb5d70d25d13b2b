//! xz: one stream of LZMA2.

use lzma_rust2::{Error, Read, XzReader};

use crate::CodecError;

/// Most memory that a stream may ask for (KiB): a dictionary of 8 MiB, as the usual level has, and what goes with it.
const MOST_MEMORY: u32 = 9 << 10;

/// Fills `output` from the stream at the beginning of `input`, to its end: its checks are looked at.
pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
    let mut reader = XzReader::new_mem_limit(input, false, MOST_MEMORY);
    reader
        .read_exact(output)
        .map_err(|error| classify(&error))?;
    let mut more = [0];
    match reader.read(&mut more) {
        Ok(0) => Ok(()),
        Ok(_) => Err(CodecError::LongOutput),
        Err(error) => Err(classify(&error)),
    }
}

fn classify(error: &Error) -> CodecError {
    match error {
        Error::Eof => CodecError::ShortOutput,
        Error::OutOfMemory(_) => CodecError::OutOfMemory,
        _ => CodecError::BadData,
    }
}
