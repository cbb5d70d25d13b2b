//! Zstandard (RFC 8878): frames one after the other.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{PackedBytes, TRUNCATED, UnpackError};

/// `ZSTD_ErrorCode` of zstd_errors.h; the functions return it negated, as a size.
const PREFIX_UNKNOWN: usize = 10;
const VERSION_UNSUPPORTED: usize = 12;
const FRAME_PARAMETER: usize = 14;
const WINDOW_TOO_LARGE: usize = 16;
const CHECKSUM_WRONG: usize = 22;
const DICTIONARY_WRONG: usize = 32;
const MEMORY_ALLOCATION: usize = 64;

pub(super) struct Unzstd<B> {
    pub bytes: B,
    context: DCtx<'static>,
    between_frames: bool,
}

impl<B: PackedBytes> Unzstd<B> {
    pub fn new(bytes: B, window: u64) -> Result<Self, UnpackError> {
        let mut context = DCtx::try_create().ok_or(UnpackError::OutOfMemory)?;
        context
            .set_parameter(DParameter::WindowLogMax(
                window.checked_ilog2().unwrap_or(0),
            ))
            .map_err(|_| UnpackError::OutOfMemory)?;
        Ok(Self {
            bytes,
            context,
            between_frames: false,
        })
    }

    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        loop {
            let input = self.bytes.peek()?;
            let at_end = input.is_empty();
            if at_end && self.between_frames {
                return Ok(0);
            }
            let mut from = InBuffer::around(input);
            let mut to = OutBuffer::around(&mut *output);
            let hint = self.context.decompress_stream(&mut to, &mut from);
            let (consumed, written) = (from.pos(), to.pos());
            let behind = self.between_frames;
            self.bytes.advance(consumed);
            let hint = hint.map_err(|code| classify(code, behind))?;
            self.between_frames = hint == 0;
            if written > 0 {
                return Ok(written);
            }
            if at_end && hint != 0 {
                return Err(TRUNCATED);
            }
        }
    }
}

fn classify(code: usize, behind: bool) -> UnpackError {
    match code.wrapping_neg() {
        MEMORY_ALLOCATION => UnpackError::OutOfMemory,
        WINDOW_TOO_LARGE => UnpackError::WindowTooLarge,
        DICTIONARY_WRONG => UnpackError::Unsupported("frames that need no dictionary"),
        VERSION_UNSUPPORTED | FRAME_PARAMETER => UnpackError::Unsupported("frames of RFC 8878"),
        CHECKSUM_WRONG => UnpackError::Damaged("a checksum (XXH64) that agrees with the data"),
        PREFIX_UNKNOWN if behind => {
            UnpackError::Damaged("nothing behind the last frame, or another one")
        }
        _ => UnpackError::Damaged("undamaged zstd data"),
    }
}
