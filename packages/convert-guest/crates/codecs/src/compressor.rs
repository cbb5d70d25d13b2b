//! Encoders for compressed clusters: whole input, whole output.

use alloc::boxed::Box;
use core::fmt;

use zstd_safe::CCtx;

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
    /// 4 KiB), so that files are between 4 % larger and a quarter smaller, in a quarter of the time; level 4 saves another 4 % to
    /// 6 % and takes half as long again.
    fn deflate_level(self) -> i32 {
        match self {
            Self::Fast | Self::Default => 1,
            Self::Best => 9,
        }
    }

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

/// An encoder that stores what does not become shorter without having tried.
struct Deflater {
    encoder: libdeflate::Compressor,
    /// None where everything is tried.
    judge: Option<Judge>,
}

struct Judge {
    /// Stores bytes as they are.
    storing: libdeflate::Compressor,
    places: Box<Places>,
}

impl Deflater {
    fn new(effort: Effort) -> Result<Self, CodecError> {
        let judge = match effort {
            Effort::Fast | Effort::Default => Some(Judge {
                storing: libdeflate::Compressor::new(0)?,
                places: Box::new(PLACES),
            }),
            Effort::Best => None,
        };
        Ok(Self {
            encoder: libdeflate::Compressor::new(effort.deflate_level())?,
            judge,
        })
    }

    /// The encoder that an input is for.
    fn of(&mut self, input: &[u8]) -> &mut libdeflate::Compressor {
        if let Some(Judge { storing, places }) = &mut self.judge
            && is_incompressible(input, places)
        {
            return storing;
        }
        &mut self.encoder
    }
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
            Encoder::Deflate(deflater) => deflater.of(input).deflate(input, output),
            Encoder::Zlib(deflater) => deflater.of(input).deflate_zlib(input, output),
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
