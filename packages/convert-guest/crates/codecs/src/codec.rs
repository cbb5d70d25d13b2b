//! The names of codecs.

/// How the bytes of a compressed cluster were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A raw deflate stream (RFC 1951), without a zlib or gzip wrapper.
    Deflate,
    /// A deflate stream inside a zlib wrapper (RFC 1950).
    Zlib,
    /// Zstandard frames (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
    /// LZMA2 in an xz stream.
    Xz,
    /// Apple Data Compression.
    Adc,
    /// LZFSE, Apple's.
    Lzfse,
    /// One word of four bytes, again and again.
    Fill,
}

/// What a whole file was packed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
}
