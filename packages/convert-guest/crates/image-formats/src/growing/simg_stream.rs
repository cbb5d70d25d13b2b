//! Android sparse images that go into a stream. The header counts the chunks behind it, so that the disk is cut into as many
//! pieces as are said there before any of them is read: each is a chunk of data or one of zeros.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::simg::{BLOCK, RAW, blocks_of, head, opening, zeros};
use super::{Growing, Part, Placement};
use crate::arith::{to_u64, to_usize};
use crate::qcow2::writer::LayoutError;
use crate::structures::simg::header;

/// Least blocks of a chunk: 64 KiB.
const LEAST: u64 = 16;
/// Most blocks of a chunk: 4 MiB, what a writer gathers.
const MOST: u64 = 1024;
/// Chunks that a large disk is cut into, as long as none becomes longer than `MOST`: zeros cost 16 bytes for each.
const WANTED_CHUNKS: u64 = 1 << 16;
/// Bytes of a chunk of zeros.
const ZEROS: usize = 16;
/// Chunks of zeros that go out at once behind the data.
const CHUNKS_AT_ONCE: u64 = 4096;

pub(super) struct SimgStream {
    /// Blocks of the disk.
    blocks: u64,
    /// Blocks of a chunk; the last may have fewer.
    unit: u64,
    /// First block of the disk that no chunk has.
    next: u64,
    /// Where the next chunk begins (byte offset in the file).
    end: u64,
    begun: bool,
}

impl SimgStream {
    /// An image for `size` bytes.
    ///
    /// # Errors
    /// `TooBig`.
    pub fn new(size: u64) -> Result<Self, LayoutError> {
        let blocks = blocks_of(size)?;
        let unit = blocks
            .div_ceil(WANTED_CHUNKS)
            .next_power_of_two()
            .clamp(LEAST, MOST);
        Ok(Self {
            blocks,
            unit,
            next: 0,
            end: to_u64(header::BYTES),
            begun: false,
        })
    }

    /// The header, the first time.
    fn begin(&mut self) -> Option<Part> {
        if self.begun {
            return None;
        }
        self.begun = true;
        Some(Part {
            offset: 0,
            bytes: opening(self.blocks, self.blocks.div_ceil(self.unit)),
        })
    }

    /// Blocks of the chunk that begins with the next block.
    fn length(&self) -> u64 {
        self.unit.min(self.blocks.saturating_sub(self.next))
    }

    /// Zeros for the chunks in front of a block, at most so many of them.
    fn zeros_until(&mut self, block: u64, most: u64) -> Result<Option<Part>, LayoutError> {
        let offset = self.end;
        let chunks = block
            .saturating_sub(self.next)
            .div_ceil(self.unit)
            .min(most);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(to_usize(chunks).saturating_mul(ZEROS))
            .map_err(|_| LayoutError::TooBig { safe_size: 0 })?;
        for _ in 0..chunks {
            let length = self.length();
            bytes.extend_from_slice(&zeros(length));
            self.next = self.next.saturating_add(length);
        }
        self.end = offset.saturating_add(to_u64(bytes.len()));
        Ok((!bytes.is_empty()).then_some(Part { offset, bytes }))
    }
}

impl Growing for SimgStream {
    fn virtual_size(&self) -> u64 {
        BLOCK.times(self.blocks).unwrap_or(u64::MAX)
    }

    fn file_length(&self) -> u64 {
        self.end
    }

    fn block_in_order(&self) -> Option<u64> {
        BLOCK.times(self.unit)
    }

    fn place(&mut self, _offset: u64, _most: u64) -> Result<Placement, LayoutError> {
        // The head of a chunk goes out in front of its bytes.
        Err(LayoutError::BadRange)
    }

    fn place_compressed(&mut self, offset: u64, length: u64) -> Result<Placement, LayoutError> {
        let first = BLOCK.index_of(offset);
        let begins = first.checked_rem(self.unit) == Some(0) && BLOCK.offset_within(offset) == 0;
        if !begins || first < self.next || first >= self.blocks {
            return Err(LayoutError::BadRange);
        }
        let mut settled: Vec<Part> = self.begin().into_iter().collect();
        settled.extend(self.zeros_until(first, u64::MAX)?);
        if BLOCK.times(self.length()) != Some(length) {
            return Err(LayoutError::BadRange);
        }
        let at = self.end;
        let whole = length.saturating_add(to_u64(self.prefix(offset, length).len()));
        self.end = at.saturating_add(whole);
        self.next = self.next.saturating_add(self.length());
        Ok(Placement {
            offset: at,
            length: whole,
            settled,
        })
    }

    fn prefix(&self, _offset: u64, length: u64) -> Vec<u8> {
        head(RAW, BLOCK.index_of(length), length)
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        let opening = self.begin();
        let zeros = core::iter::from_fn(|| {
            let part = self.zeros_until(self.blocks, CHUNKS_AT_ONCE);
            part.unwrap_or_default()
        });
        Box::new(opening.into_iter().chain(zeros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_counted_before_the_first_is_known() {
        // 35 blocks: two chunks of 16, and one of 3.
        let mut simg = SimgStream::new(35 << 12).unwrap();
        assert_eq!(simg.block_in_order(), Some(64 << 10));
        let data = simg.place_compressed(16 << 12, 16 << 12).unwrap();
        assert_eq!(
            data.settled
                .iter()
                .map(|part| (part.offset, part.bytes.len()))
                .collect::<Vec<_>>(),
            [(0, 28), (28, 16)]
        );
        assert_eq!((data.offset, data.length), (44, 12 + (16 << 12)));
        assert_eq!(
            simg.place_compressed(16 << 12, 16 << 12),
            Err(LayoutError::BadRange)
        );
        assert_eq!(
            simg.place_compressed(32 << 12, 16 << 12),
            Err(LayoutError::BadRange)
        );
        let last: Vec<Part> = simg.finish().collect();
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].bytes[4], 3);
        assert_eq!(simg.file_length(), 44 + 12 + (16 << 12) + 16);
    }
}
