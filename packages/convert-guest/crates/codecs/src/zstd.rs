//! Zstandard (RFC 8878): frame after frame until the cluster is full.
//!
//! Frames are decoded in a single pass straight into the output, so no window is ever allocated,
//! whatever window size a frame declares.

use core::fmt;

use zstd_safe::DCtx;

use crate::CodecError;

pub(crate) struct Decompressor {
    context: DCtx<'static>,
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Decompressor {
    pub fn new() -> Result<Self, CodecError> {
        DCtx::try_create()
            .map(|context| Self { context })
            .ok_or(CodecError::OutOfMemory)
    }

    /// The input ends with padding that is no frame, so each frame's length is asked for first.
    pub fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        let mut input = input;
        let mut output = output;
        while !output.is_empty() {
            if input.is_empty() {
                return Err(CodecError::ShortOutput);
            }
            let length = zstd_safe::find_frame_compressed_size(input).map_err(classify)?;
            let (frame, rest) = input.split_at_checked(length).ok_or(CodecError::BadData)?;
            let written = self.context.decompress(output, frame).map_err(classify)?;
            output = output.get_mut(written..).ok_or(CodecError::BadData)?;
            input = rest;
        }
        Ok(())
    }
}

impl Decompressor {
    /// Decodes a single frame that fills `output` exactly. Returns how many bytes of `input` it takes. `None` for a frame that asks more
    /// of its reader than it must be able to give.
    pub fn decompress_whole(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        if !asks_little(input) {
            return None;
        }
        let length = zstd_safe::find_frame_compressed_size(input).ok()?;
        let frame = input.get(..length)?;
        let written = self.context.decompress(output, frame).ok()?;
        (written == output.len()).then_some(length)
    }
}

/// First bytes of a frame (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// `Frame_Header_Descriptor`: the frame itself is its window; and the length of a dictionary's number.
const SINGLE_SEGMENT: u8 = 1 << 5;
const DICTIONARY: u8 = 0b11;
/// `Window_Descriptor` of 8 MiB, which every reader should be able to give (3.1.1.1.2).
const LARGEST_WINDOW: u8 = 13 << 3;

/// Whether a frame needs no dictionary, and no larger window than all readers have.
fn asks_little(input: &[u8]) -> bool {
    let Some((magic, [descriptor, window, ..])) = input.split_first_chunk() else {
        return false;
    };
    *magic == MAGIC
        && descriptor & DICTIONARY == 0
        && (descriptor & SINGLE_SEGMENT != 0 || *window <= LARGEST_WINDOW)
}

/// `ZSTD_ErrorCode` of zstd_errors.h; the functions return it negated, as a size.
const DESTINATION_TOO_SMALL: usize = 70;
const MEMORY_ALLOCATION: usize = 64;

fn classify(code: usize) -> CodecError {
    match code.wrapping_neg() {
        DESTINATION_TOO_SMALL => CodecError::LongOutput,
        MEMORY_ALLOCATION => CodecError::OutOfMemory,
        _ => CodecError::BadData,
    }
}
