//! Bitmaps that say for each sector of a block whether this image holds it, or its parent.

use crate::arith::{to_u64, to_usize};
use crate::blocks::{BlockSize, Piece, Run};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

/// Where the bits of a block lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectorBits {
    /// Byte offset of the bitmap in the file.
    pub offset: u64,
    /// The bit of the block's first sector.
    pub first: u64,
    /// The lowest bit of a byte stands for the first of its sectors.
    pub lowest_first: bool,
    /// Bytes of a sector.
    pub sector: BlockSize,
}

impl SectorBits {
    fn is_set(&self, byte: u8, bit: u64) -> bool {
        let bit = u32::try_from(bit % 8).unwrap_or(0);
        if self.lowest_first {
            byte.wrapping_shr(bit) & 1 != 0
        } else {
            byte.wrapping_shl(bit) & 0x80 != 0
        }
    }

    /// The part of a run of data inside one block whose sectors are all here, or all in the parent.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn refine<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        within: u64,
        left: u64,
        run: Run,
    ) -> Result<Run, FormatError> {
        let sector = self.sector;
        let mut bit = self.first.saturating_add(sector.index_of(within));
        let end = bit.saturating_add(sector.count_for(sector.within(within).saturating_add(left)));
        let at = self.offset.saturating_add(bit / 8);
        let wanted = end.div_ceil(8).saturating_sub(bit / 8);
        let bytes = cache.view(at, to_usize(wanted))?;
        let first_byte = bit / 8;
        let byte_of = |bit: u64| bytes.get(to_usize((bit / 8).saturating_sub(first_byte)));
        let kind = byte_of(bit).is_some_and(|byte| self.is_set(*byte, bit));
        let uniform = if kind { 0xff } else { 0 };
        let mut sectors = 0_u64;
        while bit < end {
            let Some(byte) = byte_of(bit) else {
                break;
            };
            if bit.is_multiple_of(8) && *byte == uniform && end.saturating_sub(bit) >= 8 {
                bit = bit.saturating_add(8);
                sectors = sectors.saturating_add(8);
            } else if self.is_set(*byte, bit) == kind {
                bit = bit.saturating_add(1);
                sectors = sectors.saturating_add(1);
            } else {
                break;
            }
        }
        let length = sector.times(sectors).saturating_sub(sector.within(within));
        Ok(Run {
            piece: if kind { run.piece } else { Piece::Unallocated },
            length: length.clamp(1, left.max(1)),
            cost: to_u64(bytes.len()).min(sectors / 8).saturating_add(1),
        })
    }
}

/// Sets the bits of `count` sectors from the one of a number on in a bitmap, or clears them.
pub(crate) fn put_bits(bitmap: &mut [u8], first: u64, count: u64, lowest_first: bool, set: bool) {
    for sector in first..first.saturating_add(count) {
        let bit = u32::try_from(sector % 8).unwrap_or(0);
        let mask = if lowest_first {
            1_u8.wrapping_shl(bit)
        } else {
            0x80_u8.wrapping_shr(bit)
        };
        if let Some(byte) = bitmap.get_mut(to_usize(sector / 8)) {
            *byte = if set { *byte | mask } else { *byte & !mask };
        }
    }
}
