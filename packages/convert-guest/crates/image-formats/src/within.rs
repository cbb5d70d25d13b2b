//! Whether all that an image needs lies inside its file.

use alloc::vec::Vec;

use crate::error::FormatError;
use crate::extent::Codec;

/// A place behind the end of the file that the image needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// What names the place.
    pub field: &'static str,
    /// Where that stands (byte offset in the file).
    pub at: u64,
    /// Where what it names would end (byte offset in the file).
    pub end: u64,
}

/// A compressed cluster whose last sector is not whole: only decoding tells whether its stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Where its descriptor stands (byte offset in the file).
    pub at: u64,
    /// Where its stream begins (byte offset in the file).
    pub offset: u64,
    /// Bytes of it that the file has.
    pub length: u64,
    /// Where its last sector would end (byte offset in the file).
    pub end: u64,
    /// How to decode it.
    pub codec: Codec,
    /// Bytes that it decodes to.
    pub decoded: u64,
}

/// What a look at all tables found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// Everything lies inside the file, if these streams decode.
    Whole(Vec<Tail>),
    /// Something does not.
    Beyond(Beyond),
    /// An entry is not valid.
    Fault(FormatError),
    /// There are more tables than were to be looked at.
    TooMany,
}
