//! Decoders and encoders for compressed clusters: whole input, whole output, no growth; and decoders for whole files that are
//! packed ([`Unpacker`]), in bounded memory.
//!
//! Every decoder of clusters fills the output exactly and needs no window of its own, so that a hostile stream
//! costs no more memory than an honest one. The fast paths are C (libdeflate, libzstd): they run
//! inside the sandbox, and everything they are given is bounded by slices.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
#![warn(missing_docs)]

extern crate alloc;

mod adc;
mod byte_counts;
#[allow(unsafe_code)]
mod bzip2;
mod codec;
mod compressor;
mod deflate;
mod incompressible;
#[allow(unsafe_code)]
mod libdeflate;
#[allow(unsafe_code)]
mod lzfse;
mod stream;
mod xz;
mod zstd;

use core::fmt;

pub use codec::{Codec, Packing};
pub use compressor::{Compressor, Effort};
pub use libdeflate::crc32;
pub use stream::{LARGE_WINDOW, PackedBytes, ReadFailed, SMALL_WINDOW, UnpackError, Unpacker};

/// Why a cluster could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The input is not a stream of this codec, or it is damaged.
    BadData,
    /// The input ends before the output is full.
    ShortOutput,
    /// The stream holds more than the cluster, which this codec's images never do.
    LongOutput,
    /// A decoder's tables could not be allocated.
    OutOfMemory,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadData => "the compressed data is damaged",
            Self::ShortOutput => "the compressed data ends before the cluster is full",
            Self::LongOutput => "the compressed data holds more than one cluster",
            Self::OutOfMemory => "no memory is left for the decoder",
        })
    }
}

impl core::error::Error for CodecError {}

/// Repeats the first word of the input.
fn fill(input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
    let word = input.first_chunk::<4>().ok_or(CodecError::ShortOutput)?;
    for place in output.chunks_mut(word.len()) {
        let part = word.get(..place.len()).ok_or(CodecError::BadData)?;
        place.copy_from_slice(part);
    }
    Ok(())
}

/// A reusable decoder; each codec's tables are allocated when it is first needed.
#[derive(Debug, Default)]
pub struct Decoder {
    deflate: Option<deflate::Inflater>,
    lzfse: Option<lzfse::Lzfse>,
    zstd: Option<zstd::Decompressor>,
}

impl Decoder {
    /// A decoder that has allocated nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one cluster: fills `output` exactly from the beginning of `input`. Bytes of the input
    /// behind the stream's end are ignored, because a cluster's length is known in sectors only.
    ///
    /// # Errors
    /// When the stream cannot fill the output; the output's content is then unspecified.
    pub fn decode_cluster(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CodecError> {
        match codec {
            Codec::Deflate => self.inflater()?.inflate(input, output),
            Codec::Zlib => self.inflater()?.inflate_zlib(input, output),
            Codec::Bzip2 => bzip2::decode(input, output),
            Codec::Xz => xz::decode(input, output),
            Codec::Adc => adc::decode(input, output),
            Codec::Fill => fill(input, output),
            Codec::Lzfse => match &mut self.lzfse {
                Some(lzfse) => lzfse.decode(input, output),
                none => none.insert(lzfse::Lzfse::new()?).decode(input, output),
            },
            Codec::Zstd => self.decompressor()?.decompress(input, output),
        }
    }

    /// Decodes one cluster whose stream is whole: it has its end, fills `output` exactly, and asks nothing of a reader that not each
    /// has. Returns how many bytes of `input` it takes. `None` where it is not so, or that is not known of the codec; `output`'s
    /// content is then unspecified, and [`decode_cluster`](Self::decode_cluster) may be able to decode it all the same.
    ///
    /// After [`prepare`](Self::prepare) it allocates nothing.
    pub fn decode_whole(&mut self, codec: Codec, input: &[u8], output: &mut [u8]) -> Option<usize> {
        match codec {
            Codec::Deflate => self.inflater().ok()?.inflate_whole(input, output),
            Codec::Zstd => self.decompressor().ok()?.decompress_whole(input, output),
            _ => None,
        }
    }

    /// Allocates what decoding clusters of this codec takes.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn prepare(&mut self, codec: Codec) -> Result<(), CodecError> {
        match codec {
            Codec::Deflate | Codec::Zlib => self.inflater()?.prepare(),
            Codec::Zstd => {
                self.decompressor()?;
            }
            Codec::Lzfse | Codec::Bzip2 | Codec::Xz | Codec::Adc | Codec::Fill => {}
        }
        Ok(())
    }

    fn decompressor(&mut self) -> Result<&mut zstd::Decompressor, CodecError> {
        Ok(match &mut self.zstd {
            Some(decompressor) => decompressor,
            none => none.insert(zstd::Decompressor::new()?),
        })
    }

    fn inflater(&mut self) -> Result<&mut deflate::Inflater, CodecError> {
        Ok(match &mut self.deflate {
            Some(inflater) => inflater,
            none => none.insert(deflate::Inflater::new()?),
        })
    }
}
