//! Tables of offsets, read through the cache of metadata.

use alloc::vec::Vec;

use crate::arith::to_usize;
use crate::blocks::{BlockSize, Piece, Run};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

/// How a table's entries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Be32,
    Le32,
    Be64,
    Le64,
}

impl Width {
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Be32 | Self::Le32 => 4,
            Self::Be64 | Self::Le64 => 8,
        }
    }

    /// The bytes of an entry; `None` where the value does not fit.
    pub fn encode(self, value: u64) -> Option<Vec<u8>> {
        let four = || u32::try_from(value).ok();
        Some(match self {
            Self::Be32 => four()?.to_be_bytes().to_vec(),
            Self::Le32 => four()?.to_le_bytes().to_vec(),
            Self::Be64 => value.to_be_bytes().to_vec(),
            Self::Le64 => value.to_le_bytes().to_vec(),
        })
    }

    fn decode(self, bytes: &[u8]) -> u64 {
        let four = || bytes.first_chunk::<4>().copied().unwrap_or_default();
        let eight = || bytes.first_chunk::<8>().copied().unwrap_or_default();
        match self {
            Self::Be32 => u64::from(u32::from_be_bytes(four())),
            Self::Le32 => u64::from(u32::from_le_bytes(four())),
            Self::Be64 => u64::from_be_bytes(eight()),
            Self::Le64 => u64::from_le_bytes(eight()),
        }
    }
}

/// A table: one entry for each block of a part of the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Byte offset in the file.
    pub offset: u64,
    pub entries: u64,
    pub width: Width,
    /// Virtual offset of the first entry's block.
    pub start: u64,
    pub block: BlockSize,
}

/// One entry of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub value: u64,
    /// Virtual offset of its block.
    pub start: u64,
    /// Byte offset of the entry in the file.
    pub at: u64,
}

impl Table {
    /// Where the entry of the block around `position` stands (byte offset in the file).
    pub fn place_of(&self, position: u64) -> u64 {
        let index = self.block.index_of(position.saturating_sub(self.start));
        self.offset
            .saturating_add(index.saturating_mul(self.width.bytes()))
    }

    /// Virtual offset behind the last entry's block.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.block.times(self.entries))
    }

    /// Where the table ends (byte offset in the file).
    pub fn file_end(&self) -> u64 {
        self.offset
            .saturating_add(self.entries.saturating_mul(self.width.bytes()))
    }

    /// The entry of the block around `position`.
    pub fn read<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Entry, FormatError> {
        let at = self.place_of(position);
        let mut bytes = [0; 8];
        let length = to_usize(self.width.bytes());
        if let Some(part) = bytes.get_mut(..length) {
            cache.read(at, part)?;
        }
        let start = position.saturating_sub(self.block.within(position.saturating_sub(self.start)));
        Ok(Entry {
            value: self.width.decode(&bytes),
            start,
            at,
        })
    }
}

/// Reads entries from that of `position` on, as far as one cached stretch of the table goes and its blocks continue
/// each other, but not beyond `limit`. Behind the last entry nothing is allocated.
pub(crate) fn scan<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    table: &Table,
    position: u64,
    limit: u64,
    decode: impl Fn(Entry) -> Result<Piece, FormatError>,
) -> Result<Run, FormatError> {
    let rest = limit.saturating_sub(position).max(1);
    if position >= table.end() {
        let piece = Piece::Unallocated;
        return Ok(Run {
            piece,
            length: rest,
            cost: 0,
        });
    }
    let limit = limit.min(table.end());
    let first = table.read(cache, position)?;
    let within = position.saturating_sub(first.start);
    let mut run = Run {
        piece: decode(first)?.advanced(within),
        length: table.block.bytes().saturating_sub(within),
        cost: table.width.bytes(),
    };
    let width = table.width.bytes();
    let mut start = first.start.saturating_add(table.block.bytes());
    if start < limit && !matches!(run.piece, Piece::Compressed(_)) {
        let wanted = table.block.count_for(limit.saturating_sub(start));
        let mut at = first.at.saturating_add(width);
        let bytes = cache.view(at, to_usize(wanted.saturating_mul(width)))?;
        for value in bytes.chunks_exact(to_usize(width)) {
            let value = table.width.decode(value);
            // A fault is reported when the caller gets there.
            match decode(Entry { value, start, at }) {
                Ok(piece) if run.piece.continues_as(run.length, piece) => {}
                _ => break,
            }
            run.length = run.length.saturating_add(table.block.bytes());
            run.cost = run.cost.saturating_add(width);
            start = start.saturating_add(table.block.bytes());
            at = at.saturating_add(width);
        }
    }
    run.length = run.length.min(limit.saturating_sub(position)).max(1);
    Ok(run)
}
