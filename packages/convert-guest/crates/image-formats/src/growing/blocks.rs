//! Formats with one table, or one of two levels, whose entries name blocks of one size.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::fields::Fields;
use super::places::{CHUNK, Places};
use super::{Growing, Part, Placement};
use crate::arith::{to_u64, to_usize};
use crate::qcow2::writer::LayoutError;

/// A format with one table, whose entries name blocks of one size.
pub(super) trait Table {
    /// Bytes of the disk, where so many are wanted.
    fn size(&self, wanted: u64) -> u64 {
        wanted
    }

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

    /// Blocks that a table of the second level describes, and how many blocks long it is; none without a second level.
    fn group(&self) -> Option<Group> {
        None
    }

    /// Everything but the blocks. What is zero need not be there: a new file reads as zeros.
    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a>;

    /// Bytes behind the last block.
    fn footer(&self) -> u64 {
        0
    }
}

/// Tables of a second level, each in front of the first block that it describes.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Blocks of the disk that one describes.
    pub describes: u64,
    /// Blocks of the file that one takes.
    pub length: u32,
}

/// The blocks of a disk.
pub(super) trait Allocated {
    /// How many blocks the disk has.
    fn count(&self) -> u64;

    /// Where a block is, with what stands in front of it (byte offset); `None` for one that has no place.
    fn offset(&self, block: u64) -> Option<u64>;

    /// End of the last block that has a place (byte offset).
    fn end(&self) -> u64;

    /// Where a table of the second level is (byte offset); `None` for one that describes nothing.
    fn group(&self, _number: u64) -> Option<u64> {
        None
    }
}

/// Blocks, in the order in which they were written.
pub(super) struct Blocks<T> {
    size: u64,
    table: T,
    blocks: u64,
    /// Of each block of the disk, how many had a place before it got one, plus 1; 0 without a place.
    places: Vec<Places>,
    /// Of each table of the second level, the same.
    groups: Vec<u32>,
    count: u32,
    finished: bool,
}

impl<T: Table> Blocks<T> {
    pub fn new(size: u64, table: T) -> Result<Self, LayoutError> {
        let size = table.size(size);
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
        let count = table
            .group()
            .map_or(0, |group| blocks.div_ceil(group.describes));
        let mut groups = Vec::new();
        groups
            .try_reserve_exact(to_usize(count))
            .map_err(|_| too_big)?;
        groups.resize(to_usize(count), 0);
        Ok(Self {
            size,
            table,
            blocks,
            places,
            groups,
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
        let mut next = self.count.saturating_add(1);
        if let Some(group) = self.table.group() {
            let number = block.checked_div(group.describes).unwrap_or(u64::MAX);
            let slot = self
                .groups
                .get_mut(to_usize(number))
                .ok_or(LayoutError::BadRange)?;
            if *slot == 0 {
                *slot = next;
                next = next.saturating_add(group.length);
            }
        }
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

    fn group(&self, number: u64) -> Option<u64> {
        self.offset_of(*self.groups.get(to_usize(number))?)
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
            settled: is_new
                .then(|| self.table.settled(start))
                .flatten()
                .into_iter()
                .collect(),
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
pub(super) fn entries<'a>(blocks: &'a dyn Allocated) -> impl Iterator<Item = Option<u64>> + 'a {
    (0..blocks.count()).map(|block| blocks.offset(block))
}

/// Entries of a table that are put together at once.
const PIECE: usize = 16 << 10;

/// A table of 4-byte entries, one for each block, that begins at `start`. It comes in pieces: the table of the largest disk
/// is larger than the memory of whoever writes it.
pub(super) fn pieces<'a>(
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
