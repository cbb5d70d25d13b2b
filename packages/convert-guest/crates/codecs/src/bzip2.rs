//! bzip2, by the Rust port of its library, whose interface is that of C.
//!
//! One of the two files of this crate with unsafe code.

use alloc::boxed::Box;
use core::ffi::c_uint;

use libbz2_rs_sys::{
    BZ2_bzBuffToBuffDecompress, BZ2_bzDecompress, BZ2_bzDecompressEnd, BZ2_bzDecompressInit,
    bz_stream,
};

use crate::CodecError;

// `bzlib.h`.
const OK: i32 = 0;
const END: i32 = 4;
const MEMORY: i32 = -3;
const NOT_BZIP2: i32 = -5;
const FULL: i32 = -8;
const UNEXPECTED_END: i32 = -7;

/// Fills `output` from the stream at the beginning of `input`.
pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
    let (Ok(input_length), Ok(length)) = (
        c_uint::try_from(input.len()),
        c_uint::try_from(output.len()),
    ) else {
        return Err(CodecError::LongOutput);
    };
    let mut written = length;
    // SAFETY: pointers and lengths are those of two live slices, which cannot overlap; the function writes nothing but
    // `output` and `written`, and takes the input's pointer as mutable without writing there.
    let result = unsafe {
        BZ2_bzBuffToBuffDecompress(
            output.as_mut_ptr().cast(),
            &mut written,
            input.as_ptr().cast_mut().cast(),
            input_length,
            0,
            0,
        )
    };
    match result {
        OK if written == length => Ok(()),
        OK | UNEXPECTED_END => Err(CodecError::ShortOutput),
        FULL => Err(CodecError::LongOutput),
        MEMORY => Err(CodecError::OutOfMemory),
        _ => Err(CodecError::BadData),
    }
}

/// How a step through a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more of it.
    More,
    /// It has ended, and its checksums agree.
    End,
    /// It does not begin like a stream.
    NotBzip2,
    BadData,
    NoMemory,
}

/// One stream, decoded piece by piece.
pub(crate) struct Stream {
    /// Its address must not change: the state remembers it.
    raw: Box<bz_stream>,
}

impl Stream {
    /// `None` without memory.
    pub fn new() -> Option<Self> {
        let mut raw = Box::new(bz_stream::zeroed());
        // SAFETY: the stream is valid and zero, as the function wants it: without an allocator it takes the crate's own.
        let result = unsafe { BZ2_bzDecompressInit(&mut *raw, 0, 0) };
        (result == OK).then_some(Self { raw })
    }

    /// Decodes what fits. Returns how many bytes of the input were used, and how many of the output filled.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> (Step, usize, usize) {
        let input_length = c_uint::try_from(input.len()).unwrap_or(c_uint::MAX);
        let length = c_uint::try_from(output.len()).unwrap_or(c_uint::MAX);
        self.raw.next_in = input.as_ptr().cast();
        self.raw.avail_in = input_length;
        self.raw.next_out = output.as_mut_ptr().cast();
        self.raw.avail_out = length;
        // SAFETY: the stream was initialized, and has not moved; pointers and lengths are those of two live slices, which
        // cannot overlap, or of a part of them.
        let result = unsafe { BZ2_bzDecompress(&mut *self.raw) };
        let used = |all: c_uint, left: c_uint| {
            usize::try_from(all.saturating_sub(left)).unwrap_or(usize::MAX)
        };
        let consumed = used(input_length, self.raw.avail_in);
        let written = used(length, self.raw.avail_out);
        let step = match result {
            OK => Step::More,
            END => Step::End,
            MEMORY => Step::NoMemory,
            NOT_BZIP2 => Step::NotBzip2,
            _ => Step::BadData,
        };
        (step, consumed, written)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream was initialized, and nobody uses it after this.
        unsafe { BZ2_bzDecompressEnd(&mut *self.raw) };
    }
}
