//! What the bits of a bitmap stand for (qcow2.txt "Bitmap table", "Bitmap data").

use alloc::vec::Vec;

use super::Bitmap;
use crate::arith::{PowerOfTwo, to_usize};
use crate::error::FormatError;
use crate::source::{ByteSource, DeviceIndex};

/// Bytes of an entry of a table.
pub const ENTRY_BYTES: u64 = 8;
/// Bits 9 to 55 of an entry of a table: where its bits lie.
pub const CLUSTER: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 0 of an entry without a cluster: all bits are set.
pub const ALL_ONES: u64 = 1;

/// Where the bits of bitmaps stand for what.
pub struct BitLayout {
    pub cluster: PowerOfTwo,
    /// Bytes of the disk.
    pub size: u64,
    pub device: DeviceIndex,
}

impl BitLayout {
    /// The bits that the entry `index` of a bitmap's table stands for; `None` where none is set.
    pub fn bits<S: ByteSource>(
        &self,
        source: &mut S,
        bitmap: &Bitmap,
        index: u64,
    ) -> Result<Option<Vec<u8>>, FormatError> {
        let failed = |at| move |error| FormatError::of_source(self.device, at, error);
        let at = bitmap
            .table_offset
            .saturating_add(index.saturating_mul(ENTRY_BYTES));
        let mut entry = [0; 8];
        source.read_exact_at(at, &mut entry).map_err(failed(at))?;
        let entry = u64::from_be_bytes(entry);
        let offset = entry & CLUSTER;
        if offset == 0 && entry & ALL_ONES == 0 {
            return Ok(None);
        }
        let mut bits = crate::staged_file::zeros(self.device, 0, self.cluster.size())?;
        if offset == 0 {
            bits.fill(u8::MAX);
        } else {
            source
                .read_exact_at(offset, &mut bits)
                .map_err(failed(offset))?;
        }
        Ok(Some(bits))
    }

    /// Tells the ranges of the disk that the bits of an entry stand for.
    pub fn each_range(
        &self,
        bitmap: &Bitmap,
        index: u64,
        bits: &[u8],
        take: &mut dyn FnMut(u64, u64) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let unit = PowerOfTwo::from_bits(bitmap.granularity.trailing_zeros());
        let first = index.saturating_mul(self.cluster.size()).saturating_mul(8);
        let mut runs = Runs::of(bits);
        while let Some((start, length)) = runs.next() {
            let start = first.saturating_add(start);
            let begin = unit.times(start).unwrap_or(u64::MAX);
            let end = unit
                .times(start.saturating_add(length))
                .unwrap_or(u64::MAX)
                .min(self.size);
            if begin < end {
                take(begin, end)?;
            }
        }
        Ok(())
    }
}

/// Runs of set bits, the lowest bit of a byte first: where they begin and how many they are.
struct Runs<'a> {
    bytes: &'a [u8],
    next: u64,
}

impl<'a> Runs<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0 }
    }

    fn bit(&self, number: u64) -> Option<bool> {
        let byte = self.bytes.get(to_usize(number / 8))?;
        let shift = u32::try_from(number % 8).unwrap_or(0);
        Some(byte.wrapping_shr(shift) & 1 != 0)
    }

    fn next(&mut self) -> Option<(u64, u64)> {
        while !self.bit(self.next)? {
            // Whole bytes without a bit are passed over.
            let byte = self.bytes.get(to_usize(self.next / 8));
            let step = if self.next.is_multiple_of(8) && byte == Some(&0) {
                8
            } else {
                1
            };
            self.next = self.next.saturating_add(step);
        }
        let start = self.next;
        while self.bit(self.next) == Some(true) {
            self.next = self.next.saturating_add(1);
        }
        Some((start, self.next.saturating_sub(start)))
    }
}
