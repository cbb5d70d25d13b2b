//! Compresses one page after the other with one set of contexts.

use compcol::lzo::block::encode_block;
use libdeflater::{CompressionLvl, Compressor as Deflate};
use zstd_safe::{CCtx, CParameter};

use crate::{PageCodec, PageError};

/// makedumpfile and QEMU use zlib's fastest level; this one is faster than that and packs better.
const ZLIB_LEVEL: i32 = 1;
/// The slowest level that is at least twice as fast as our zlib (figures in the phase file).
const ZSTD_LEVEL: i32 = -1;

enum Encoder {
    Raw,
    Zlib(Deflate),
    Lzo,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(CCtx<'static>),
}

/// Contexts of one codec for one thread, and room for one page that grew.
pub struct Compressor {
    encoder: Encoder,
    room: Vec<u8>,
}

impl Compressor {
    /// A compressor of pages of `page_size` bytes.
    pub fn new(codec: PageCodec, page_size: usize) -> Result<Self, PageError> {
        let (encoder, room) = match codec {
            PageCodec::Raw => (Encoder::Raw, 0),
            PageCodec::Zlib => {
                let level = CompressionLvl::new(ZLIB_LEVEL)
                    .map_err(|_| PageError::BadArgument("libdeflate does not know the level".into()))?;
                (Encoder::Zlib(Deflate::new(level)), page_size)
            }
            // The encoder makes its output as long as it needs.
            PageCodec::Lzo => (Encoder::Lzo, 0),
            PageCodec::Snappy => {
                (Encoder::Snappy(Box::new(snap::raw::Encoder::new())), snap::raw::max_compress_len(page_size))
            }
            PageCodec::Zstd => {
                let mut context = CCtx::try_create().ok_or(PageError::NoMemory)?;
                context.set_parameter(CParameter::CompressionLevel(ZSTD_LEVEL)).map_err(|_| PageError::NoMemory)?;
                (Encoder::Zstd(context), zstd_safe::compress_bound(page_size))
            }
        };
        Ok(Self { encoder, room: vec![0; room] })
    }

    /// Stores one page at the start of `out`, which must have room for it as it is. Returns the stored bytes: fewer than
    /// the page has, or as many, and then it is stored raw.
    pub fn compress(&mut self, page: &[u8], out: &mut [u8]) -> usize {
        if matches!(self.encoder, Encoder::Lzo) {
            encode_block(page, &mut self.room);
        }
        let room = self.room.as_mut_slice();
        let packed = match &mut self.encoder {
            Encoder::Raw => None,
            Encoder::Lzo => Some(room.len()),
            Encoder::Zlib(deflate) => deflate.zlib_compress(page, room).ok(),
            Encoder::Snappy(snappy) => snappy.compress(page, room).ok(),
            Encoder::Zstd(context) => context.compress2(room, page).ok(),
        };
        let stored = packed.filter(|size| *size < page.len()).and_then(|size| self.room.get(..size)).unwrap_or(page);
        if let Some(target) = out.get_mut(..stored.len()) {
            target.copy_from_slice(stored);
        }
        stored.len()
    }
}
