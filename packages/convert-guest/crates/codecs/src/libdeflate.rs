//! The functions of libdeflate that are used (libdeflate.h), behind a safe face.
//!
//! One of the files of this crate with unsafe code.

use core::ffi::{c_int, c_void};
use core::fmt;
use core::ptr::NonNull;

use crate::CodecError;

/// The C side's `struct libdeflate_decompressor`, which only it looks into.
#[repr(C)]
struct Context {
    private: [u8; 0],
}

/// The C side's `struct libdeflate_compressor`.
#[repr(C)]
struct CompressorContext {
    private: [u8; 0],
}

unsafe extern "C" {
    fn libdeflate_crc32(crc: u32, bytes: *const c_void, length: usize) -> u32;
    fn libdeflate_alloc_compressor(level: c_int) -> *mut CompressorContext;
    fn libdeflate_free_compressor(context: *mut CompressorContext);
    fn libdeflate_deflate_compress(
        context: *mut CompressorContext,
        input: *const c_void,
        input_length: usize,
        output: *mut c_void,
        output_length: usize,
    ) -> usize;
    fn libdeflate_zlib_compress(
        context: *mut CompressorContext,
        input: *const c_void,
        input_length: usize,
        output: *mut c_void,
        output_length: usize,
    ) -> usize;
    fn libdeflate_alloc_decompressor() -> *mut Context;
    fn libdeflate_free_decompressor(context: *mut Context);
    fn libdeflate_deflate_decompress(
        context: *mut Context,
        input: *const c_void,
        input_length: usize,
        output: *mut c_void,
        output_length: usize,
        actual_output: *mut usize,
    ) -> c_int;
    fn libdeflate_deflate_decompress_ex(
        context: *mut Context,
        input: *const c_void,
        input_length: usize,
        output: *mut c_void,
        output_length: usize,
        actual_input: *mut usize,
        actual_output: *mut usize,
    ) -> c_int;
    fn libdeflate_zlib_decompress(
        context: *mut Context,
        input: *const c_void,
        input_length: usize,
        output: *mut c_void,
        output_length: usize,
        actual_output: *mut usize,
    ) -> c_int;
}

/// What both decoding functions are.
type Compress =
    unsafe extern "C" fn(*mut CompressorContext, *const c_void, usize, *mut c_void, usize) -> usize;

type Decompress = unsafe extern "C" fn(
    *mut Context,
    *const c_void,
    usize,
    *mut c_void,
    usize,
    *mut usize,
) -> c_int;

/// Goes on with a CRC-32 (RFC 1952, 8); 0 is that of no bytes.
pub fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the pointer and the length are those of a live slice, which the function only reads.
    unsafe { libdeflate_crc32(crc, bytes.as_ptr().cast(), bytes.len()) }
}

// `enum libdeflate_result`.
const SUCCESS: c_int = 0;
const INSUFFICIENT_SPACE: c_int = 3;

/// A libdeflate decompressor.
pub(crate) struct Libdeflate {
    context: NonNull<Context>,
}

// SAFETY: the context is plain memory without ties to a thread, and `&mut self` keeps its use exclusive.
unsafe impl Send for Libdeflate {}

impl fmt::Debug for Libdeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Libdeflate")
    }
}

impl Libdeflate {
    /// Allocates a context with the C allocator.
    pub fn new() -> Result<Self, CodecError> {
        // SAFETY: the function takes nothing, and null is its way to say that memory ran out.
        let context = unsafe { libdeflate_alloc_decompressor() };
        NonNull::new(context)
            .map(|context| Self { context })
            .ok_or(CodecError::OutOfMemory)
    }

    /// Decodes the stream at the start of `input` and says how many bytes of `output` it filled.
    /// `LongOutput` when the stream has more than fits.
    pub fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, CodecError> {
        self.run(libdeflate_deflate_decompress, input, output)
    }

    /// The same, with the bytes of `input` that the stream takes in front of those that it fills.
    pub fn inflate_counting(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), CodecError> {
        let (mut read, mut written) = (0, 0);
        // SAFETY: as in `run`; the C side writes nothing but `output`, `read` and `written`.
        let result = unsafe {
            libdeflate_deflate_decompress_ex(
                self.context.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &mut read,
                &mut written,
            )
        };
        outcome(result).map(|()| (read, written))
    }

    /// The same for a stream in a zlib wrapper, whose checksum is compared.
    pub fn inflate_zlib(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, CodecError> {
        self.run(libdeflate_zlib_decompress, input, output)
    }

    fn run(
        &mut self,
        decompress: Decompress,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let mut written = 0;
        // SAFETY: `decompress` is one of the two functions above, which have one contract. The context came
        // from the allocating function and is freed only in `drop`; the
        // pointers and lengths are those of two live slices, which cannot overlap, and the C side
        // writes nothing but `output` and `written`.
        let result = unsafe {
            decompress(
                self.context.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &mut written,
            )
        };
        outcome(result).map(|()| written)
    }
}

/// What an `enum libdeflate_result` says.
fn outcome(result: c_int) -> Result<(), CodecError> {
    match result {
        SUCCESS => Ok(()),
        INSUFFICIENT_SPACE => Err(CodecError::LongOutput),
        _ => Err(CodecError::BadData),
    }
}

impl Drop for Libdeflate {
    fn drop(&mut self) {
        // SAFETY: the context came from the allocating function and nobody uses it after this.
        unsafe { libdeflate_free_decompressor(self.context.as_ptr()) }
    }
}

/// A libdeflate compressor.
pub(crate) struct Compressor {
    context: NonNull<CompressorContext>,
}

// SAFETY: the context is plain memory without ties to a thread, and `&mut self` keeps its use exclusive.
unsafe impl Send for Compressor {}

impl Compressor {
    /// Allocates a context with the C allocator, for a level from 0 to 12.
    pub fn new(level: i32) -> Result<Self, CodecError> {
        // SAFETY: the function takes a number, whose range it checks, and null is its way to say that it could not.
        let context = unsafe { libdeflate_alloc_compressor(level) };
        NonNull::new(context)
            .map(|context| Self { context })
            .ok_or(CodecError::OutOfMemory)
    }

    /// Encodes `input` as one raw DEFLATE stream. Returns its length (bytes); `None` where it does not fit.
    pub fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        self.run(libdeflate_deflate_compress, input, output)
    }

    /// As [`deflate`](Self::deflate), with a zlib header and checksum.
    pub fn deflate_zlib(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        self.run(libdeflate_zlib_compress, input, output)
    }

    fn run(&mut self, function: Compress, input: &[u8], output: &mut [u8]) -> Option<usize> {
        // SAFETY: the context came from the allocating function and is freed only in `drop`; the pointers and lengths are
        // those of two live slices, which cannot overlap, and the C side writes nothing but `output`.
        let length = unsafe {
            function(
                self.context.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
            )
        };
        (length > 0).then_some(length)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the context came from the allocating function and nobody uses it after this.
        unsafe { libdeflate_free_compressor(self.context.as_ptr()) }
    }
}
