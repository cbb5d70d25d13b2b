//! One zstd frame, written piece by piece.

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::PageError;

/// A zstd frame with a checksum that is being written.
pub struct ZstdStream {
    context: CCtx<'static>,
    finished: bool,
}

impl ZstdStream {
    /// A stream at a level of zstd's (1 fast, 19 small, negative faster than fast).
    pub fn new(level: i32) -> Result<Self, PageError> {
        let mut context = CCtx::try_create().ok_or(PageError::NoMemory)?;
        for parameter in [CParameter::CompressionLevel(level), CParameter::ChecksumFlag(true)] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Self { context, finished: false })
    }

    /// Takes `chunk`, and returns what of the frame is ready; with `last` all that is left of it.
    pub fn compress(&mut self, chunk: &[u8], last: bool) -> Result<Vec<u8>, PageError> {
        if self.finished {
            return Err(PageError::BadArgument("the zstd stream was finished before".into()));
        }
        let directive = if last { ZSTD_EndDirective::ZSTD_e_end } else { ZSTD_EndDirective::ZSTD_e_continue };
        let mut input = InBuffer::around(chunk);
        let mut ready = Vec::new();
        let mut piece = vec![0; CCtx::out_size()];
        loop {
            let mut output = OutBuffer::around(piece.as_mut_slice());
            let left = self.context.compress_stream2(&mut output, &mut input, directive).map_err(failed)?;
            ready.extend_from_slice(output.as_slice());
            let done = if last { left == 0 } else { input.pos() >= chunk.len() };
            if done {
                self.finished = last;
                return Ok(ready);
            }
        }
    }
}

fn failed(code: usize) -> PageError {
    PageError::BadArgument(format!("zstd: {}", zstd_safe::get_error_name(code)))
}
