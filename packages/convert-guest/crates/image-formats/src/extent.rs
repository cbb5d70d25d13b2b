//! The one answer that every format gives: what a virtual range is made of.

use instar_codecs::Packing;

use crate::error::FormatError;
use crate::keys::KeyIndex;
use crate::source::DeviceIndex;

pub use instar_codecs::Codec;

/// What a virtual range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// The bytes lie in a host file, in order; the range lies wholly inside that file.
    Data {
        /// The host file.
        device: DeviceIndex,
        /// Byte offset in that file at which the extent's first byte lies.
        offset: u64,
    },
    /// The bytes are zero.
    Zero,
    /// This image says nothing about the range: its backing image does.
    Unallocated,
    /// The range lies inside one compressed cluster, which decodes only as a whole.
    Compressed {
        /// The host file.
        device: DeviceIndex,
        /// How to decode.
        codec: Codec,
        /// Byte offset of the compressed bytes in that file.
        offset: u64,
        /// Bytes that may be read there, at most: already cut at the file's end. The stream itself
        /// may end earlier.
        max_length: u64,
        /// Virtual offset of the cluster's first byte; at most the extent's `start`.
        cluster_start: u64,
        /// Bytes that the cluster decodes to; it may reach beyond the virtual size.
        cluster_size: u64,
    },
    /// The bytes lie in a host file, in order, and are encrypted sector by sector.
    Encrypted {
        /// The host file.
        device: DeviceIndex,
        /// The key.
        key: KeyIndex,
        /// Byte offset in that file of the sector that holds the extent's first byte; the file has all sectors of the
        /// extent.
        offset: u64,
        /// The position of that sector that its initialization vector is made of (bytes).
        position: u64,
        /// Bytes of that sector before the extent's first byte.
        skip: u64,
    },
    /// The range lies inside a packed file, which is unpacked from front to back; the extent's `start` is the place there, too.
    Packed {
        /// The host file.
        device: DeviceIndex,
        /// How it is packed.
        packing: Packing,
        /// Bytes of the host file.
        file_size: u64,
        /// Bytes that it unpacks to.
        unpacked: u64,
    },
}

/// A virtual range of which every byte is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Virtual offset of the first byte.
    pub start: u64,
    /// Bytes; never 0.
    pub length: u64,
    /// What they are.
    pub kind: ExtentKind,
}

impl Extent {
    /// The same extent, at most `length` bytes of it.
    pub(crate) fn cut_to(mut self, length: u64) -> Self {
        self.length = self.length.min(length);
        self
    }

    /// The virtual offset after the last byte.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// A virtual disk.
pub trait Image {
    /// Bytes of the virtual disk; a multiple of 512.
    fn virtual_size(&self) -> u64;

    /// What the range at `offset` is made of, as far as one kind reaches, at most `max_length` bytes.
    ///
    /// Neighbouring clusters that continue each other in the host file come as one extent, as far as
    /// a bounded amount of metadata shows it, so two extents in a row may still be neighbours.
    ///
    /// # Errors
    /// `OutOfRange` when `offset` is not inside the virtual disk or `max_length` is 0, and whatever
    /// is wrong with the metadata that describes the range.
    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError>;
}

impl<I: Image + ?Sized> Image for &mut I {
    fn virtual_size(&self) -> u64 {
        (**self).virtual_size()
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        (**self).map(offset, max_length)
    }
}

/// The part of the asked range that lies inside a disk of `virtual_size` bytes: its length.
///
/// # Errors
/// `OutOfRange`, as [`Image::map`] promises.
pub(crate) fn clamp_request(
    virtual_size: u64,
    offset: u64,
    max_length: u64,
) -> Result<u64, FormatError> {
    let left = virtual_size.saturating_sub(offset);
    if left == 0 || max_length == 0 {
        return Err(FormatError::out_of_range(offset, virtual_size));
    }
    Ok(left.min(max_length))
}
