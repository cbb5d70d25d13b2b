//! Encoders for compressed clusters: whole input, whole output.

use core::fmt;

use instar_image_formats::Codec;
use zstd_safe::CCtx;

use crate::CodecError;
use crate::libdeflate;

/// What a codec's own tools take where nobody says otherwise: 3 of zstd's 22.
const ZSTD_LEVEL: i32 = 3;
/// Of libdeflate's 12. Its files are some 2 % larger than those of zlib at its default, which qemu-img takes.
const DEFLATE_LEVEL: i32 = 4;

/// A reusable encoder of one codec.
#[derive(Debug)]
pub struct Compressor(Encoder);

enum Encoder {
    Deflate(libdeflate::Compressor),
    Zstd(CCtx<'static>),
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deflate(_) => "Deflate",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Compressor {
    /// An encoder with tables of its own.
    ///
    /// # Errors
    /// `OutOfMemory`; `BadData` for a codec that is only read.
    pub fn new(codec: Codec) -> Result<Self, CodecError> {
        Ok(Self(match codec {
            Codec::Deflate => Encoder::Deflate(libdeflate::Compressor::new(DEFLATE_LEVEL)?),
            Codec::Zstd => Encoder::Zstd(CCtx::try_create().ok_or(CodecError::OutOfMemory)?),
            _ => return Err(CodecError::BadData),
        }))
    }

    /// Encodes all of `input` at the beginning of `output`. Returns the length of the stream (bytes); `None` where it does not
    /// fit.
    pub fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        match &mut self.0 {
            Encoder::Deflate(compressor) => compressor.deflate(input, output),
            Encoder::Zstd(context) => context.compress(output, input, ZSTD_LEVEL).ok(),
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
        for codec in [Codec::Deflate, Codec::Zstd] {
            let mut output = vec![0; 65_536];
            let length = Compressor::new(codec)
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

    #[test]
    fn a_stream_that_does_not_fit_is_none() {
        let input = [7; 4096];
        for codec in [Codec::Deflate, Codec::Zstd] {
            assert_eq!(
                Compressor::new(codec)
                    .unwrap()
                    .compress(&input, &mut [0; 8]),
                None
            );
        }
    }
}
