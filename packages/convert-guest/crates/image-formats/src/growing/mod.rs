//! New images that grow with their data: a block gets a place when its first byte is written, and what no block has reads as
//! zeros. Each format says where its tables lie and what stands in them; the rest is here.

mod parallels;
mod places;
mod vdi;
mod vhdx;
mod vmdk;
mod vpc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use places::{CHUNK, Places};

use crate::arith::{SECTOR, to_u64};
use crate::probe::Format;
use crate::qcow2::writer::{LayoutError, LayoutOptions, SparseLayout};

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
    pub settled: Option<Part>,
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

/// Lays out an image of a format for `size` bytes, which are whole sectors. The options are qcow2's.
///
/// # Errors
/// `NotWholeSectors`, `TooBig`, `Empty`; `None` for a format that has no such layout.
pub fn layout(
    format: Format,
    size: u64,
    given: Given<'_>,
    options: LayoutOptions,
) -> Result<Option<Box<dyn Growing>>, LayoutError> {
    if !SECTOR.is_aligned(size) {
        return Err(LayoutError::NotWholeSectors);
    }
    // QEMU opens neither.
    if size == 0 && matches!(format, Format::Vhdx | Format::Vmdk) {
        return Err(LayoutError::Empty);
    }
    Ok(Some(match format {
        Format::Qcow2 => Box::new(SparseLayout::new(size, options)?),
        Format::Parallels => Box::new(Blocks::new(size, parallels::Parallels::new(size))?),
        Format::Vdi => Box::new(Blocks::new(size, vdi::Vdi::new(size, given))?),
        Format::Vhdx => Box::new(Blocks::new(size, vhdx::Vhdx::new(size, given))?),
        Format::Vmdk => Box::new(Blocks::new(size, vmdk::Vmdk::new(size, given))?),
        Format::Vpc => Box::new(Blocks::new(size, vpc::Vpc::new(size, given))?),
        _ => return Ok(None),
    }))
}

impl Growing for SparseLayout {
    fn virtual_size(&self) -> u64 {
        self.virtual_size()
    }

    fn file_length(&self) -> u64 {
        self.file_length()
    }

    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError> {
        let (offset, length, settled) = self.place(offset, most)?;
        let cluster = self.cluster_size();
        Ok(Placement {
            offset,
            length,
            settled: settled.map(|table| table.part(cluster)),
        })
    }

    fn place_compressed(&mut self, offset: u64, length: u64) -> Result<Placement, LayoutError> {
        let (offset, settled) = self.place_compressed(offset, length)?;
        let cluster = self.cluster_size();
        Ok(Placement {
            offset,
            length,
            settled: settled.map(|table| table.part(cluster)),
        })
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        let rest = self.finish();
        let cluster = self.cluster_size();
        Box::new(rest.into_iter().map(move |metadata| metadata.part(cluster)))
    }
}

/// A format with one table, whose entries name blocks of one size.
trait Table {
    /// Bytes of a block.
    fn block(&self) -> u64;

    /// Most blocks of a disk.
    fn most_blocks(&self) -> u64;

    /// Byte offset of the first block.
    fn data(&self) -> u64;

    /// Bytes in front of each block that belong to it.
    fn prefix(&self) -> u64 {
        0
    }

    /// What stands in front of a block.
    fn settled(&self, _offset: u64) -> Option<Part> {
        None
    }

    /// Everything but the blocks. What is zero need not be there: a new file reads as zeros.
    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a>;

    /// Bytes behind the last block.
    fn footer(&self) -> u64 {
        0
    }
}

/// The blocks of a disk.
trait Allocated {
    /// How many blocks the disk has.
    fn count(&self) -> u64;

    /// Where a block is, with what stands in front of it (byte offset); `None` for one that has no place.
    fn offset(&self, block: u64) -> Option<u64>;

    /// End of the last block that has a place (byte offset).
    fn end(&self) -> u64;
}

/// Blocks, in the order in which they were written.
struct Blocks<T> {
    size: u64,
    table: T,
    blocks: u64,
    /// Of each block of the disk, how many had a place before it got one, plus 1; 0 without a place.
    places: Vec<Places>,
    count: u32,
    finished: bool,
}

impl<T: Table> Blocks<T> {
    fn new(size: u64, table: T) -> Result<Self, LayoutError> {
        let most = table.most_blocks();
        let safe_size = most.saturating_mul(table.block());
        let too_big = LayoutError::TooBig { safe_size };
        let blocks = size.div_ceil(table.block());
        if blocks > most {
            return Err(too_big);
        }
        let chunks = to_usize(blocks).div_ceil(CHUNK);
        let mut places = Vec::new();
        places.try_reserve_exact(chunks).map_err(|_| too_big)?;
        places.resize(chunks, Places::new());
        Ok(Self {
            size,
            table,
            blocks,
            places,
            count: 0,
            finished: false,
        })
    }

    /// Bytes of a block with what belongs to it.
    fn stride(&self) -> u64 {
        self.table.block().saturating_add(self.table.prefix())
    }

    fn offset_of(&self, place: u32) -> Option<u64> {
        let before = u64::from(place.checked_sub(1)?);
        Some(
            self.table
                .data()
                .saturating_add(before.saturating_mul(self.stride())),
        )
    }

    /// The place of a block, which gets one where it has none; and whether it is new.
    fn allocate(&mut self, block: u64) -> Result<(u32, bool), LayoutError> {
        let number = to_usize(block);
        let chunk = self
            .places
            .get_mut(number / CHUNK)
            .ok_or(LayoutError::BadRange)?;
        let within = number % CHUNK;
        let place = chunk.get(within);
        if place > 0 {
            return Ok((place, false));
        }
        let next = self.count.saturating_add(1);
        chunk
            .set(within, next)
            .map_err(|_| LayoutError::TooBig { safe_size: 0 })?;
        self.count = next;
        Ok((next, true))
    }
}

impl<T: Table> Allocated for Blocks<T> {
    fn count(&self) -> u64 {
        self.blocks
    }

    fn offset(&self, block: u64) -> Option<u64> {
        let number = to_usize(block);
        self.offset_of(self.places.get(number / CHUNK)?.get(number % CHUNK))
    }

    fn end(&self) -> u64 {
        let blocks = u64::from(self.count).saturating_mul(self.stride());
        self.table.data().saturating_add(blocks)
    }
}

impl<T: Table> Growing for Blocks<T> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn file_length(&self) -> u64 {
        let footer = if self.finished {
            self.table.footer()
        } else {
            0
        };
        self.end().saturating_add(footer)
    }

    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError> {
        if offset >= self.size {
            return Err(LayoutError::BadRange);
        }
        let block = self.table.block();
        let number = offset.checked_div(block).unwrap_or(u64::MAX);
        let (place, is_new) = self.allocate(number)?;
        let start = self.offset_of(place).ok_or(LayoutError::BadRange)?;
        let within = offset.checked_rem(block).unwrap_or(0);
        Ok(Placement {
            offset: start
                .saturating_add(self.table.prefix())
                .saturating_add(within),
            length: most.min(block.saturating_sub(within)),
            settled: if is_new {
                self.table.settled(start)
            } else {
                None
            },
        })
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        self.finished = true;
        Box::new(
            self.table
                .parts(self)
                .filter(|part| part.bytes.iter().any(|byte| *byte != 0)),
        )
    }
}

/// The entries of a table, one for each block.
fn entries<'a>(blocks: &'a dyn Allocated) -> impl Iterator<Item = Option<u64>> + 'a {
    (0..blocks.count()).map(|block| blocks.offset(block))
}

/// Entries of a table that are put together at once.
const PIECE: usize = 16 << 10;

/// A table of 4-byte entries, one for each block, that begins at `start`. It comes in pieces: the table of the largest disk
/// is larger than the memory of whoever writes it.
fn pieces<'a>(
    start: u64,
    blocks: &'a dyn Allocated,
    entry: impl Fn(Option<u64>) -> u32 + 'a,
) -> impl Iterator<Item = Part> + 'a {
    (0..blocks.count()).step_by(PIECE).map(move |first| {
        let behind = first.saturating_add(to_u64(PIECE)).min(blocks.count());
        let piece = (first..behind).fold(Fields::default(), |piece, block| {
            piece.le32(entry(blocks.offset(block)))
        });
        Part {
            offset: start.saturating_add(first.saturating_mul(4)),
            bytes: piece.done(),
        }
    })
}

/// Bytes that are put together field by field.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn le16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn le32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn le64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn be16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn be32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn be64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Zeros up to a length.
    fn up_to(mut self, length: usize) -> Self {
        self.0.resize(self.0.len().max(length), 0);
        self
    }

    fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A number that a format keeps in 32 bits; a layout is refused before it could be larger.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
