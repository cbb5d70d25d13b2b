//! New images that grow with their data: a block gets a place when its first byte is written, and what no block has reads as
//! zeros. Each format says where its tables lie and what stands in them; the rest is here.

mod blocks;
mod fields;
mod linear;
mod luks;
mod options;
mod parallels;
mod places;
mod qcow;
mod qed;
mod simg;
mod simg_stream;
mod stream_optimized;
mod vdi;
mod vhdx;
mod vmdk;
pub(crate) mod vpc;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use options::{Options, Subformat};

use blocks::Blocks;
use linear::Linear;
use stream_optimized::StreamOptimized;

use crate::arith::SECTOR;
use crate::extent::Codec;
use crate::probe::Format;
use crate::qcow2::writer::{LayoutError, References, SparseLayout};

/// Bytes of metadata, and where in the file they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Byte offset in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Where bytes of the disk go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes for which that holds.
    pub length: u64,
    /// Metadata that will not change any more.
    pub settled: Vec<Part>,
}

impl Placement {
    /// A place that settles nothing else.
    fn plain(offset: u64, length: u64) -> Self {
        Self {
            offset,
            length,
            settled: Vec::new(),
        }
    }
}

/// Bytes of the disk that read as zeros, and take no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Bytes for which that holds.
    pub length: u64,
    /// Metadata that will not change any more.
    pub settled: Vec<Part>,
}

/// How the compressed blocks of a format stand in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bytes of the disk that are compressed at once.
    pub block: u64,
    /// What they are encoded with.
    pub codec: Codec,
    /// Whether a block that does not become smaller is written as it is.
    pub plain: bool,
}

/// A new image that grows with its data.
pub trait Growing {
    /// Bytes of the disk.
    fn virtual_size(&self) -> u64;

    /// Bytes of the file so far.
    fn file_length(&self) -> u64;

    /// Where the byte at `offset` of the disk goes, and for how many of `most` bytes that holds. Offsets come in ascending
    /// order of their blocks' tables.
    ///
    /// # Errors
    /// `BadRange` beyond the disk, `TooBig` without memory for a table.
    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError>;

    /// Where `length` bytes go to which the cluster at `offset` was compressed.
    ///
    /// # Errors
    /// As [`place`](Self::place); `BadRange` for a format without compressed clusters.
    fn place_compressed(&mut self, _offset: u64, _length: u64) -> Result<Placement, LayoutError> {
        Err(LayoutError::BadRange)
    }

    /// How compressed blocks stand in the file; `None` for a format without them.
    fn packing(&self) -> Option<Packing> {
        None
    }

    /// Bytes of the disk that are written at once where the whole file is written in order, and nothing a second time: `None` for
    /// a format that has no such form. Whole blocks of data then get their places by
    /// [`place_compressed`](Self::place_compressed), as they are.
    fn block_in_order(&self) -> Option<u64> {
        None
    }

    /// What stands in front of a stream of `length` bytes that is the block at `offset`; it counts into the length of the stream's
    /// place.
    fn prefix(&self, _offset: u64, _length: u64) -> Vec<u8> {
        Vec::new()
    }

    /// Makes the block at `offset` of the disk, or its beginning, read as zeros whatever lies below the image. `None` where
    /// the format cannot say so of `most` bytes, which are then written.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    fn mark_zeros(&mut self, _offset: u64, _most: u64) -> Result<Option<Marked>, LayoutError> {
        Ok(None)
    }

    /// All that is still to be written. The length of the file is right after that.
    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_>;
}

/// What an image needs that it cannot find out itself.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Random bytes, for identifiers.
    pub random: &'a [u8; 64],
    /// Seconds since 1970.
    pub now: u64,
    /// Name of the file without its directory, UTF-8.
    pub name: &'a [u8],
}

impl Given<'_> {
    /// A random UUID (RFC 9562, version 4) from the 16 bytes at a place.
    fn uuid(&self, number: usize) -> [u8; 16] {
        let mut id = [0; 16];
        let start = number.saturating_mul(id.len());
        for (target, source) in id.iter_mut().zip(self.random.iter().skip(start)) {
            *target = *source;
        }
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        id
    }
}

/// Lays out an image of a format for `size` bytes, which are whole sectors.
///
/// # Errors
/// `NotWholeSectors`, `TooBig`, `Empty`, and what is wrong with the options; `None` for a format that has no such layout.
pub fn layout(
    format: Format,
    size: u64,
    given: Given<'_>,
    options: &Options<'_>,
) -> Result<Option<Box<dyn Growing>>, LayoutError> {
    if !SECTOR.is_aligned(size) {
        return Err(LayoutError::NotWholeSectors);
    }
    // QEMU opens none of them; a vhdx only with the table of 64 MiB that its arithmetic makes of no blocks.
    let fixed_vhd = format == Format::Vpc && options.subformat == Subformat::Fixed;
    if size == 0 && (fixed_vhd || matches!(format, Format::Vhdx | Format::Vmdk)) {
        return Err(LayoutError::Empty);
    }
    Ok(Some(match (format, options.subformat) {
        (Format::Qcow2, Subformat::Default) => {
            let references = References {
                backing: options.backing,
                data_file: options.data_file,
            };
            Box::new(SparseLayout::new(size, options.qcow2, references)?)
        }
        (Format::Luks, Subformat::Default) => {
            let header = options.header_length;
            Box::new(Linear::new(size, luks::Luks { header })?)
        }
        (Format::Parallels, Subformat::Default) => Box::new(Blocks::new(
            size,
            parallels::Parallels::new(size, options.block_size)?,
        )?),
        (Format::Qcow, Subformat::Default) => Box::new(qcow::layout(size, options.backing)?),
        (Format::Qed, Subformat::Default) => Box::new(qed::layout(size, options)?),
        (Format::Simg, Subformat::Default) if options.in_order => {
            Box::new(simg_stream::SimgStream::new(size)?)
        }
        (Format::Simg, Subformat::Default) => Box::new(simg::Simg::new(size)?),
        (Format::Vdi, Subformat::Default) => {
            Box::new(Blocks::new(size, vdi::Vdi::new(size, given, false))?)
        }
        (Format::Vdi, Subformat::Fixed) => {
            Box::new(Linear::new(size, vdi::Vdi::new(size, given, true))?)
        }
        (Format::Vhdx, Subformat::Default) => {
            Box::new(Blocks::new(size, vhdx::Vhdx::new(size, given, options)?)?)
        }
        (Format::Vhdx, Subformat::Fixed) => {
            Box::new(Linear::new(size, vhdx::Vhdx::new(size, given, options)?)?)
        }
        (Format::Vmdk, Subformat::Default | Subformat::Extent) => {
            Box::new(Blocks::new(size, vmdk::Vmdk::new(size, given, options))?)
        }
        (Format::Vmdk, Subformat::StreamOptimized) => {
            Box::new(StreamOptimized::new(size, given, options)?)
        }
        (Format::Vpc, Subformat::Default) => {
            Box::new(Blocks::new(size, vpc::Vpc::new(size, given, options)?)?)
        }
        (Format::Vpc, Subformat::Fixed) => {
            Box::new(Linear::new(size, vpc::Fixed::new(size, given, options)?)?)
        }
        _ => return Ok(None),
    }))
}
