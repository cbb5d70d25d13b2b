//! Android sparse images (`libsparse/sparse_format.h`): a header, and chunks in the order of the disk. Zeros are chunks that fill:
//! what a chunk leaves out keeps, on a device that the image is flashed to, what was there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::fields::small;
use super::{Growing, Part, Placement};
use crate::arith::{PowerOfTwo, to_u64};
use crate::qcow2::writer::LayoutError;
use crate::structure::Built;
use crate::structures::simg::{chunk, header};

/// Blocks of 4 KiB, which are what all programs write.
pub(super) const BLOCK: PowerOfTwo = PowerOfTwo::from_bits(12);
const MAGIC: u32 = 0xed26_ff3a;
pub(super) const RAW: u16 = 0xcac1;
const FILL: u16 = 0xcac2;
/// Bytes of what a chunk fills with.
const PATTERN: usize = 4;
/// Blocks of a chunk of data: its bytes are counted in 32 bits.
const MOST_OF_CHUNK: u64 = (1 << 30) >> 12;

/// A chunk of data that may still become longer.
struct Open {
    /// Block of the disk.
    start: u64,
    /// Blocks.
    length: u64,
    /// Where it begins, its head included (byte offset in the file).
    at: u64,
}

impl Open {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Where the data begins (byte offset in the file).
    fn data(&self) -> u64 {
        self.at.saturating_add(to_u64(chunk::BYTES))
    }
}

pub(super) struct Simg {
    /// Blocks of the disk.
    blocks: u64,
    open: Option<Open>,
    /// First block of the disk that no chunk has.
    next: u64,
    /// Where the next chunk begins (byte offset in the file).
    end: u64,
    chunks: u64,
}

pub(super) fn head(kind: u16, blocks: u64, stored: u64) -> Vec<u8> {
    Built::new(chunk::BYTES)
        .put(chunk::CHUNK_TYPE, kind)
        .put(chunk::CHUNK_SZ, small(blocks))
        .put(
            chunk::TOTAL_SZ,
            small(stored.saturating_add(to_u64(chunk::BYTES))),
        )
        .done()
}

/// A chunk that fills so many blocks with zeros.
pub(super) fn zeros(blocks: u64) -> Vec<u8> {
    let mut bytes = head(FILL, blocks, to_u64(PATTERN));
    bytes.extend_from_slice(&[0; PATTERN]);
    bytes
}

/// What the file begins with.
pub(super) fn opening(blocks: u64, chunks: u64) -> Vec<u8> {
    Built::new(header::BYTES)
        .put(header::MAGIC, MAGIC)
        .put(header::MAJOR_VERSION, 1)
        .put(header::FILE_HDR_SZ, 28)
        .put(header::CHUNK_HDR_SZ, 12)
        .put(header::BLK_SZ, small(BLOCK.size()))
        .put(header::TOTAL_BLKS, small(blocks))
        .put(header::TOTAL_CHUNKS, small(chunks))
        .done()
}

/// Blocks of a disk.
///
/// # Errors
/// `TooBig` where they are more than 32 bits count.
pub(super) fn blocks_of(size: u64) -> Result<u64, LayoutError> {
    let blocks = BLOCK.count_for(size);
    if blocks > u32::MAX.into() {
        let safe_size = BLOCK.times(u32::MAX.into()).unwrap_or(u64::MAX);
        return Err(LayoutError::TooBig { safe_size });
    }
    Ok(blocks)
}

impl Simg {
    /// An image for `size` bytes, which whole blocks have room for.
    ///
    /// # Errors
    /// `TooBig`.
    pub fn new(size: u64) -> Result<Self, LayoutError> {
        Ok(Self {
            blocks: blocks_of(size)?,
            open: None,
            next: 0,
            end: to_u64(header::BYTES),
            chunks: 0,
        })
    }

    /// The head of the chunk of data, which will not become longer.
    fn close(&mut self) -> Option<Part> {
        let open = self.open.take()?;
        let stored = BLOCK.times(open.length).unwrap_or(u64::MAX);
        self.end = open.data().saturating_add(stored);
        self.next = open.end();
        self.chunks = self.chunks.saturating_add(1);
        Some(Part {
            offset: open.at,
            bytes: head(RAW, open.length, stored),
        })
    }

    /// The zeros up to a block.
    fn fill(&mut self, until: u64) -> Option<Part> {
        let blocks = until.checked_sub(self.next).filter(|blocks| *blocks > 0)?;
        let bytes = zeros(blocks);
        let offset = self.end;
        self.end = offset.saturating_add(to_u64(bytes.len()));
        self.next = until;
        self.chunks = self.chunks.saturating_add(1);
        Some(Part { offset, bytes })
    }
}

impl Growing for Simg {
    fn virtual_size(&self) -> u64 {
        BLOCK.times(self.blocks).unwrap_or(u64::MAX)
    }

    fn file_length(&self) -> u64 {
        match &self.open {
            Some(open) => open
                .data()
                .saturating_add(BLOCK.times(open.length).unwrap_or(0)),
            None => self.end,
        }
    }

    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError> {
        let first = BLOCK.index_of(offset);
        let within = BLOCK.offset_within(offset);
        if first >= self.blocks {
            return Err(LayoutError::BadRange);
        }
        let mut settled = Vec::new();
        let goes_on = self.open.as_ref().is_some_and(|open| {
            let last = open.end().saturating_sub(1);
            first == last || (first == open.end() && open.length < MOST_OF_CHUNK)
        });
        if !goes_on {
            settled.extend(self.close());
            if first < self.next {
                return Err(LayoutError::BadRange);
            }
            settled.extend(self.fill(first));
        }
        let at = self.end;
        let open = self.open.get_or_insert(Open {
            start: first,
            length: 0,
            at,
        });
        let before = first.saturating_sub(open.start);
        let wanted = BLOCK.count_for(within.saturating_add(most));
        let count = wanted.min(MOST_OF_CHUNK.saturating_sub(before)).max(1);
        open.length = open.length.max(before.saturating_add(count));
        let place = open
            .data()
            .saturating_add(BLOCK.times(before).unwrap_or(u64::MAX))
            .saturating_add(within);
        let room = BLOCK.times(count).unwrap_or(u64::MAX);
        Ok(Placement {
            offset: place,
            length: most.min(room.saturating_sub(within)),
            settled,
        })
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        let last = self.close();
        let zeros = self.fill(self.blocks);
        let header = Part {
            offset: 0,
            bytes: opening(self.blocks, self.chunks),
        };
        Box::new(
            last.into_iter()
                .chain(zeros)
                .chain(core::iter::once(header)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_in_a_row_is_one_chunk_and_zeros_between_are_another() {
        let mut simg = Simg::new(10 << 12).unwrap();
        let places: Vec<_> = [(4096, 100), (4196, 9000), (7 << 12, 4096)]
            .map(|(offset, most)| simg.place(offset, most).unwrap())
            .into_iter()
            .map(|place| (place.offset, place.length, place.settled.len()))
            .collect();
        // The header, 16 bytes that fill, the head of the chunk; behind its three blocks three more that fill.
        let data = 28 + 16 + 12;
        let next = data + (3 << 12) + 16 + 12;
        assert_eq!(
            places,
            [(data, 100, 1), (data + 100, 9000, 0), (next, 4096, 2)]
        );
        let parts: Vec<Part> = simg.finish().collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(simg.chunks, 5);
        assert_eq!(simg.file_length(), next + 4096 + 16);
        assert_eq!(simg.place(1 << 12, 1), Err(LayoutError::BadRange));
    }
}
