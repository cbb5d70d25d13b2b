//! LZFSE, by Apple's own decoder (lzfse.h), behind a safe face.

use alloc::vec::Vec;

use crate::CodecError;

unsafe extern "C" {
    fn lzfse_decode_scratch_size() -> usize;
    fn lzfse_decode_buffer(
        output: *mut u8,
        output_length: usize,
        input: *const u8,
        input_length: usize,
        scratch: *mut u64,
    ) -> usize;
}

/// The decoder's own memory, which serves one stream after the other.
#[derive(Debug)]
pub(crate) struct Lzfse {
    /// Words, so that it is aligned for whatever the decoder keeps there.
    scratch: Vec<u64>,
    /// One byte longer than what is wanted, see [`decode`](Self::decode).
    output: Vec<u8>,
}

impl Lzfse {
    pub fn new() -> Result<Self, CodecError> {
        // SAFETY: the function takes nothing and returns the size of a struct.
        let words = unsafe { lzfse_decode_scratch_size() }.div_ceil(size_of::<u64>());
        Ok(Self {
            scratch: zeros(words)?,
            output: Vec::new(),
        })
    }

    /// Fills `output` from the stream at the beginning of `input`, which holds nothing more.
    ///
    /// The decoder says "the output is full" of some streams that are cut, without having filled it: so it gets one byte
    /// more than a whole stream fills.
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        let room = output.len().saturating_add(1);
        if self.output.len() != room {
            self.output = Vec::new();
            self.output = zeros(room)?;
        }
        // SAFETY: the pointers and lengths are those of two live slices, which cannot overlap; the scratch memory has the
        // size that the decoder asked for, is aligned for 64-bit numbers and exclusively borrowed. Given scratch memory, the
        // decoder allocates none.
        let written = unsafe {
            lzfse_decode_buffer(
                self.output.as_mut_ptr(),
                self.output.len(),
                input.as_ptr(),
                input.len(),
                self.scratch.as_mut_ptr(),
            )
        };
        match self.output.split_at_checked(output.len()) {
            Some((whole, _)) if written == whole.len() => output.copy_from_slice(whole),
            // It says "nothing written" of most damaged streams.
            _ if written == 0 || written > output.len() => return Err(CodecError::BadData),
            _ => return Err(CodecError::ShortOutput),
        }
        Ok(())
    }
}

fn zeros<T: Clone + Default>(count: usize) -> Result<Vec<T>, CodecError> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(count)
        .map_err(|_| CodecError::OutOfMemory)?;
    memory.resize(count, T::default());
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn streams_of_another_encoder_are_decoded() {
        let mut lzfse = Lzfse::new().unwrap();
        // Long enough for entropy coding, then for LZVN, then stored.
        for length in [300_000_usize, 3000, 10] {
            // Letters of a small alphabet: the multiplier is Knuth's (MMIX).
            let mut state = 1_u64;
            let plain: Vec<u8> = (0..length)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    b'a' + (state >> 61) as u8
                })
                .collect();
            let mut packed = Vec::new();
            lzfse_rust::encode_bytes(&plain, &mut packed).unwrap();
            assert!(length < 100 || packed.len() < length);
            let mut output = vec![0; length];
            lzfse.decode(&packed, &mut output).unwrap();
            assert!(output == plain, "{length}");
            // What does not fill the output, or is cut, or is no stream.
            let mut longer = vec![0; length + 1];
            let short = lzfse.decode(&packed, &mut longer);
            assert_eq!(short, Err(CodecError::ShortOutput));
            let cut = lzfse.decode(&packed[..packed.len() / 2], &mut output);
            assert!(cut.is_err(), "{length}");
            packed[..4].copy_from_slice(b"bvx?");
            assert_eq!(lzfse.decode(&packed, &mut output), Err(CodecError::BadData));
        }
    }
}
