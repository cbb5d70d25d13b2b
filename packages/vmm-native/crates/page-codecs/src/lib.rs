//! Page codecs of kdump-compressed dumps, and the zstd stream around a whole dump file.
//!
//! Stored pages come from strangers: a page is decompressed into exactly one page of memory, never more, and whatever
//! does not fill it is an error with the page's index.

mod batch;
mod compressor;
mod decompressor;
mod zstd_stream;

pub use batch::{compress_pages, decompress_pages, PackedPages, StoredPages};
pub use compressor::Compressor;
pub use decompressor::Decompressor;
pub use zstd_stream::ZstdStream;

/// Smallest page that is handled (bytes).
pub const MIN_PAGE_SIZE: usize = 512;
/// Largest page that is handled (bytes): 64 KiB, as on aarch64 and ppc64.
pub const MAX_PAGE_SIZE: usize = 65_536;

/// How a page is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCodec {
    /// As it is.
    Raw,
    /// zlib (RFC 1950).
    Zlib,
    /// LZO1X.
    Lzo,
    /// Snappy's raw format.
    Snappy,
    /// One zstd frame (RFC 8878).
    Zstd,
}

impl PageCodec {
    /// The codec of a number: 0 raw, 1 zlib, 2 lzo, 3 snappy, 4 zstd.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Raw,
            1 => Self::Zlib,
            2 => Self::Lzo,
            3 => Self::Snappy,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// The codec of a name: `none`, `zlib`, `lzo`, `snappy` or `zstd`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::Raw,
            "zlib" => Self::Zlib,
            "lzo" => Self::Lzo,
            "snappy" => Self::Snappy,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// Why pages were not handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageError {
    /// A stored page does not decompress to exactly one page.
    BadPage {
        /// Index of the page in the batch.
        page: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The arguments contradict each other.
    BadArgument(String),
    /// A codec could not get the memory that it works with.
    NoMemory,
}

impl PageError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            PageError::BadPage { .. } => "BAD_PAGE",
            PageError::BadArgument(_) => "BAD_ARGUMENT",
            PageError::NoMemory => "ENOMEM",
        }
    }
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PageError::BadPage { page, reason } => write!(f, "page {page}: {reason}"),
            PageError::BadArgument(text) => f.write_str(text),
            PageError::NoMemory => f.write_str("a page codec could not get the memory that it works with"),
        }
    }
}

impl std::error::Error for PageError {}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Blocks rather than bytes: the compiler makes vector code of the inner fold, and most pages differ early.
    let (blocks, rest) = bytes.as_chunks::<256>();
    blocks.iter().all(|block| block.iter().fold(0, |seen, byte| seen | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}
