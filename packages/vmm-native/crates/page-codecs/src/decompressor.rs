//! Decompresses one stored page after the other with one set of contexts.

use libdeflater::Decompressor as Inflate;
use zstd_safe::DCtx;

use crate::PageCodec;

/// Contexts of one thread, made when a page first needs them.
#[derive(Default)]
pub struct Decompressor {
    zlib: Option<Inflate>,
    snappy: Option<snap::raw::Decoder>,
    zstd: Option<DCtx<'static>>,
}

impl Decompressor {
    /// Fills `page` from its stored bytes, or says why they are not exactly one page. After an error `page` holds
    /// anything.
    pub fn decompress(&mut self, codec: PageCodec, stored: &[u8], page: &mut [u8]) -> Result<(), String> {
        let size = match codec {
            PageCodec::Raw => {
                if stored.len() == page.len() {
                    page.copy_from_slice(stored);
                }
                stored.len()
            }
            PageCodec::Zlib => self
                .zlib
                .get_or_insert_with(Inflate::new)
                .zlib_decompress(stored, page)
                .map_err(|error| format!("not a zlib stream of one page: {error}"))?,
            PageCodec::Lzo => lzo::decompress_into(stored, page).map_err(|error| error.to_string())?,
            PageCodec::Snappy => self
                .snappy
                .get_or_insert_with(snap::raw::Decoder::new)
                .decompress(stored, page)
                .map_err(|error| error.to_string())?,
            PageCodec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = DCtx::try_create();
                }
                let context = self.zstd.as_mut().ok_or("zstd: no memory for a context")?;
                context.decompress(page, stored).map_err(|code| format!("zstd: {}", zstd_safe::get_error_name(code)))?
            }
        };
        if size == page.len() {
            Ok(())
        } else {
            Err(format!("holds {size} bytes, expected {}", page.len()))
        }
    }
}
