//! Compresses pages one after the other with one set of contexts.

use compcol::lzo::block::encode_block;
use zstd_safe::{CCtx, CParameter};

use crate::deflate::{PageDeflate, GROUP, SLACK};
use crate::{is_zero, PageCodec, PageError};

/// The slowest level that is at least twice as fast as our zlib (figures in the phase file).
const ZSTD_LEVEL: i32 = -1;

enum Encoder {
    Raw,
    Zlib(Box<PageDeflate>),
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
            PageCodec::Zlib => (Encoder::Zlib(Box::default()), page_size.saturating_add(SLACK)),
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

    /// Stores pages of `page_size` bytes at the start of `out`, which must have room for them as they are. `sizes` receives
    /// the stored bytes of each: 0 for a page of zeros, of which nothing is stored; fewer than the page has, or as many, and
    /// then it is stored raw. Returns the bytes used of `out`.
    pub fn compress(&mut self, pages: &[u8], page_size: usize, out: &mut [u8], sizes: &mut [u32]) -> usize {
        sizes.fill(0);
        let mut used = 0_usize;
        let mut keep = |stored: &[u8]| {
            if let Some(target) = out.get_mut(used..).and_then(|rest| rest.get_mut(..stored.len())) {
                target.copy_from_slice(stored);
            }
            used = used.saturating_add(stored.len());
            u32::try_from(stored.len()).unwrap_or(u32::MAX)
        };
        let mut filled = pages.chunks_exact(page_size).zip(sizes).filter(|(page, _)| !is_zero(page));
        if let Encoder::Zlib(deflate) = &mut self.encoder {
            let mut group = Vec::with_capacity(GROUP);
            loop {
                group.extend(filled.by_ref().take(GROUP));
                if group.is_empty() {
                    return used;
                }
                deflate.compress(&mut group, &mut self.room, &mut keep);
                group.clear();
            }
        }
        for (page, size) in filled {
            *size = keep(self.encode(page));
        }
        used
    }

    /// One page as its codec stores it, or as it is.
    fn encode<'a>(&'a mut self, page: &'a [u8]) -> &'a [u8] {
        if matches!(self.encoder, Encoder::Lzo) {
            encode_block(page, &mut self.room);
        }
        let room = self.room.as_mut_slice();
        let packed = match &mut self.encoder {
            Encoder::Raw | Encoder::Zlib(_) => None,
            Encoder::Lzo => Some(room.len()),
            Encoder::Snappy(snappy) => snappy.compress(page, room).ok(),
            Encoder::Zstd(context) => context.compress2(room, page).ok(),
        };
        packed.filter(|size| *size < page.len()).and_then(|size| self.room.get(..size)).unwrap_or(page)
    }
}
