//! Packed files, unpacked from front to back in bounded memory. All their checksums are compared, and nothing may follow
//! that their own tools would not read.

mod bzip2;
mod gzip;
mod xz;
mod zstd;

use alloc::boxed::Box;

use crate::Packing;

/// The bytes of a packed file, in order.
pub trait PackedBytes {
    /// The next bytes, at least one; none at the end of the file.
    ///
    /// # Errors
    /// `ReadFailed`: why, the implementation knows.
    fn peek(&mut self) -> Result<&[u8], ReadFailed>;

    /// Goes on, by no more than was seen.
    fn advance(&mut self, count: usize);
}

/// The packed bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFailed;

/// Why a file could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// Its bytes could not be read.
    ReadFailed,
    /// It is damaged; this is what was expected.
    Damaged(&'static str),
    /// It uses what is not supported; this is what would be.
    Unsupported(&'static str),
    /// Its dictionary or window is larger than is allowed.
    WindowTooLarge,
    /// A decoder's tables could not be allocated.
    OutOfMemory,
}

/// Bytes of a dictionary or window that every guest has room for: what xz asks for up to level 7 and zstd up to 19.
pub const SMALL_WINDOW: u64 = 16 << 20;
/// Those that a guest has room for which was given more memory: xz at level 9, zstd at 22 and `--long`.
pub const LARGE_WINDOW: u64 = 128 << 20;

impl From<ReadFailed> for UnpackError {
    fn from(ReadFailed: ReadFailed) -> Self {
        Self::ReadFailed
    }
}

/// The file ends inside of what it holds.
const TRUNCATED: UnpackError = UnpackError::Damaged("more packed data: the file ends too early");

/// Unpacks one file.
pub struct Unpacker<B: PackedBytes>(Decoder<B>);

enum Decoder<B: PackedBytes> {
    Gzip(Box<gzip::Gunzip<B>>),
    Xz(Box<xz::Unxz<B>>),
    Zstd(zstd::Unzstd<B>),
    Bzip2(bzip2::Bunzip2<B>),
}

impl<B: PackedBytes> core::fmt::Debug for Unpacker<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Unpacker")
    }
}

impl<B: PackedBytes> Unpacker<B> {
    /// Begins with the first of the bytes.
    /// `window`: most bytes of a dictionary.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(packing: Packing, bytes: B, window: u64) -> Result<Self, UnpackError> {
        Ok(Self(match packing {
            Packing::Gzip => Decoder::Gzip(Box::new(gzip::Gunzip::new(bytes))),
            Packing::Xz => Decoder::Xz(Box::new(xz::Unxz::new(bytes, window))),
            Packing::Zstd => Decoder::Zstd(zstd::Unzstd::new(bytes, window)?),
            Packing::Bzip2 => Decoder::Bzip2(bzip2::Bunzip2::new(bytes)?),
        }))
    }

    /// Unpacks the next bytes to the beginning of `output`, and returns how many: 0 behind the last one, when everything was
    /// found to be right.
    ///
    /// # Errors
    /// As [`UnpackError`] says. What was unpacked before may be wrong as well where a checksum is.
    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        if output.is_empty() {
            return Ok(0);
        }
        match &mut self.0 {
            Decoder::Gzip(decoder) => decoder.read(output),
            Decoder::Xz(decoder) => decoder.read(output),
            Decoder::Zstd(decoder) => decoder.read(output),
            Decoder::Bzip2(decoder) => decoder.read(output),
        }
    }

    /// Where the packed bytes come from.
    pub fn bytes(&self) -> &B {
        match &self.0 {
            Decoder::Gzip(decoder) => &decoder.bytes,
            Decoder::Xz(decoder) => decoder.bytes(),
            Decoder::Zstd(decoder) => &decoder.bytes,
            Decoder::Bzip2(decoder) => &decoder.bytes,
        }
    }
}

/// The next byte; `None` at the end.
fn next_byte(bytes: &mut impl PackedBytes) -> Result<Option<u8>, ReadFailed> {
    let byte = bytes.peek()?.first().copied();
    if byte.is_some() {
        bytes.advance(1);
    }
    Ok(byte)
}

#[cfg(test)]
mod tests;
