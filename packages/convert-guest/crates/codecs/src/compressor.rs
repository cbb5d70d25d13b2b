//! Encoders for compressed clusters: whole input, whole output.

use alloc::boxed::Box;
use core::fmt;

use zstd_safe::CCtx;

use crate::byte_counts::{Counts, sampled};
use crate::incompressible::{PLACES, Places, is_incompressible};
use crate::libdeflate;
use crate::{Codec, CodecError};

/// How much time an encoder takes to make streams shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// As little as possible.
    Fast,
    /// What suits most.
    #[default]
    Default,
    /// As much as pays.
    Best,
}

impl Effort {
    /// Of libdeflate's 12 levels. In clusters, its first looks back further than qemu-img's encoder does (zlib at its default,
    /// 4 KiB), so that files of a Linux system are between 4 % larger and a quarter smaller, in a quarter of the time; level 4 saves
    /// another 4 % to 6 % and takes half as long again. Lists of short records (JSON, CSV) are up to an eighth larger.
    fn deflate_level(self) -> i32 {
        match self {
            Self::Fast | Self::Default => 1,
            Self::Best => 9,
        }
    }

    /// The level of what the first leaves too long.
    const DEEP: i32 = 5;

    /// Of zstd's 22 levels; 3 is what its own tools take where nobody says otherwise.
    fn zstd_level(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Default => 3,
            Self::Best => 12,
        }
    }
}

/// A reusable encoder of one codec.
#[derive(Debug)]
pub struct Compressor(Encoder);

enum Encoder {
    Deflate(Deflater),
    Zlib(Deflater),
    Zstd(CCtx<'static>, i32),
}

/// An encoder that stores what does not become shorter without having tried, and tries another time what it finds few repetitions
/// in.
struct Deflater {
    encoder: libdeflate::Compressor,
    /// None where everything is tried.
    judge: Option<Judge>,
    /// None where one try is all.
    deep: Option<libdeflate::Compressor>,
}

struct Judge {
    /// Stores bytes as they are.
    storing: libdeflate::Compressor,
    places: Box<Places>,
}

/// A function of an encoder that writes a stream, raw or of zlib.
type Encode = fn(&mut libdeflate::Compressor, &[u8], &mut [u8]) -> Option<usize>;

impl Deflater {
    fn new(effort: Effort) -> Result<Self, CodecError> {
        let judge = match effort {
            Effort::Fast | Effort::Default => Some(Judge {
                storing: libdeflate::Compressor::new(0)?,
                places: Box::new(PLACES),
            }),
            Effort::Best => None,
        };
        let deep = match effort {
            Effort::Default => Some(libdeflate::Compressor::new(Effort::DEEP)?),
            Effort::Fast | Effort::Best => None,
        };
        Ok(Self {
            encoder: libdeflate::Compressor::new(effort.deflate_level())?,
            judge,
            deep,
        })
    }

    /// Encodes an input. Returns the length of the stream; `None` where it does not fit.
    fn compress(&mut self, input: &[u8], output: &mut [u8], encode: Encode) -> Option<usize> {
        if let Some(Judge { storing, places }) = &mut self.judge
            && is_incompressible(input, places)
        {
            return encode(storing, input, output);
        }
        let length = encode(&mut self.encoder, input, output)?;
        let Some(deep) = &mut self.deep else {
            return Some(length);
        };
        if !is_too_long(length, input) {
            return Some(length);
        }
        // It is taken where it is shorter; where it is not, it has overwritten the other.
        let room = output.get_mut(..length.saturating_sub(1));
        match room.and_then(|room| encode(deep, input, room)) {
            Some(shorter) => Some(shorter),
            None => encode(&mut self.encoder, input, output),
        }
    }
}

/// Whether a stream is not much shorter than one that tells how often each byte comes up and nothing of repetitions: short or near
/// ones were passed over then, as in columns of numbers, or taken where single bytes are shorter, as in few and small symbols. That
/// is so of one in 20 clusters of a Linux system. Of what hardly becomes shorter no encoder makes much.
fn is_too_long(length: usize, input: &[u8]) -> bool {
    let (length, whole) = (length as u64, input.len() as u64);
    if length.saturating_mul(4) >= whole.saturating_mul(3) || length.saturating_mul(100) < whole {
        return false;
    }
    let mut counts = Counts::default();
    sampled(input).for_each(|run| counts.add(run));
    length.saturating_mul(100) >= counts.coded_length(whole).saturating_mul(80)
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate(_) => "Deflate",
            Self::Zlib(_) => "Zlib",
            Self::Zstd(..) => "Zstd",
        })
    }
}

impl Compressor {
    /// An encoder with tables of its own.
    ///
    /// # Errors
    /// `OutOfMemory`; `BadData` for a codec that is only read.
    pub fn new(codec: Codec, effort: Effort) -> Result<Self, CodecError> {
        let deflate = || Deflater::new(effort);
        Ok(Self(match codec {
            Codec::Deflate => Encoder::Deflate(deflate()?),
            Codec::Zlib => Encoder::Zlib(deflate()?),
            Codec::Zstd => {
                let context = CCtx::try_create().ok_or(CodecError::OutOfMemory)?;
                Encoder::Zstd(context, effort.zstd_level())
            }
            _ => return Err(CodecError::BadData),
        }))
    }

    /// Encodes all of `input` at the beginning of `output`. Returns the length of the stream (bytes); `None` where it does not
    /// fit.
    pub fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        match &mut self.0 {
            Encoder::Deflate(deflater) => {
                deflater.compress(input, output, libdeflate::Compressor::deflate)
            }
            Encoder::Zlib(deflater) => {
                deflater.compress(input, output, libdeflate::Compressor::deflate_zlib)
            }
            Encoder::Zstd(context, level) => context.compress(output, input, *level).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let input: Vec<u8> = (0..65_536_u32).map(|at| (at / 7 % 251) as u8).collect();
        for codec in [Codec::Deflate, Codec::Zlib, Codec::Zstd] {
            for effort in [Effort::Fast, Effort::Default, Effort::Best] {
                let mut output = vec![0; 65_536];
                let length = Compressor::new(codec, effort)
                    .unwrap()
                    .compress(&input, &mut output)
                    .unwrap();
                assert!(length < 16_384, "{length}");
                let mut decoded = vec![0; input.len()];
                Decoder::new()
                    .decode_cluster(codec, &output[..length], &mut decoded)
                    .unwrap();
                assert!(decoded == input);
            }
        }
    }

    #[test]
    fn noise_is_stored_and_decodes_to_the_same() {
        let mut state = 1_u32;
        let input: Vec<u8> = (0..65_536)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        for (codec, most) in [(Codec::Deflate, 65_546), (Codec::Zlib, 65_552)] {
            let mut encoder = Compressor::new(codec, Effort::Default).unwrap();
            assert_eq!(encoder.compress(&input, &mut vec![0; 65_535]), None);
            let mut output = vec![0; 70_000];
            let length = encoder.compress(&input, &mut output).unwrap();
            assert!((input.len()..=most).contains(&length), "{length}");
            let mut decoded = vec![0; input.len()];
            Decoder::new()
                .decode_cluster(codec, &output[..length], &mut decoded)
                .unwrap();
            assert!(decoded == input);
        }
    }

    #[test]
    fn numbers_and_few_symbols_become_as_short_as_another_encoder_makes_them() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let column: Vec<u8> = (0..16_384_u32)
            .flat_map(|at| (at * 7).to_le_bytes())
            .collect();
        let symbols: Vec<u8> = (0..65_536).map(|_| random() & 1).collect();
        let digits: Vec<u8> = (0..65_536)
            .map(|_| b"0123456789abcdef"[usize::from(random() & 15)])
            .collect();
        for input in [column, symbols, digits] {
            let mut deep = libdeflate::Compressor::new(Effort::DEEP).unwrap();
            let expected = deep.deflate(&input, &mut vec![0; 65_536]).unwrap();
            let mut first = libdeflate::Compressor::new(1).unwrap();
            assert!(first.deflate(&input, &mut vec![0; 65_536]).unwrap() > expected);
            let mut output = vec![0; 65_536];
            let mut encoder = Compressor::new(Codec::Deflate, Effort::Default).unwrap();
            let length = encoder.compress(&input, &mut output).unwrap();
            assert_eq!(length, expected);
            let mut decoded = vec![0; input.len()];
            Decoder::new()
                .decode_cluster(Codec::Deflate, &output[..length], &mut decoded)
                .unwrap();
            assert!(decoded == input);
        }
    }

    #[test]
    fn what_another_try_makes_longer_is_as_it_was_at_first() {
        // One bit in eight.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let input: Vec<u8> = (0..65_536)
            .map(|_| {
                (0..8).fold(0_u8, |byte, bit| {
                    state ^= state >> 12;
                    state ^= state << 25;
                    state ^= state >> 27;
                    let chance = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 61;
                    byte | u8::from(chance == 0) << bit
                })
            })
            .collect();
        let mut first = libdeflate::Compressor::new(1).unwrap();
        let expected = first.deflate_zlib(&input, &mut vec![0; 65_536]).unwrap();
        assert!(is_too_long(expected, &input));
        let mut output = vec![0; 65_536];
        let mut encoder = Compressor::new(Codec::Zlib, Effort::Default).unwrap();
        assert_eq!(encoder.compress(&input, &mut output), Some(expected));
        let mut decoded = vec![0; input.len()];
        Decoder::new()
            .decode_cluster(Codec::Zlib, &output[..expected], &mut decoded)
            .unwrap();
        assert!(decoded == input);
    }

    #[test]
    fn a_stream_that_does_not_fit_is_none() {
        let input = [7; 4096];
        for codec in [Codec::Deflate, Codec::Zlib, Codec::Zstd] {
            assert_eq!(
                Compressor::new(codec, Effort::Default)
                    .unwrap()
                    .compress(&input, &mut [0; 8]),
                None
            );
        }
    }
}
