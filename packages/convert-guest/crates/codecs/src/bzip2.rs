//! bzip2, by the Rust port of its library, whose interface is that of C.
//!
//! One of the two files of this crate with unsafe code.

use core::ffi::c_uint;

use libbz2_rs_sys::BZ2_bzBuffToBuffDecompress;

use crate::CodecError;

// `bzlib.h`.
const OK: i32 = 0;
const MEMORY: i32 = -3;
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
