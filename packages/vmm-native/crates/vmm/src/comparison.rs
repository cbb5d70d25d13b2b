//! What COMPARE answers: which sectors of two ranges differ, and in which of them the first range has zeros.

use instar_abi::COMPARED_SECTOR;

const SECTOR: usize = COMPARED_SECTOR as usize;

/// Bytes of the answer for ranges of so many bytes: two bits for each sector, all of the first kind before those of the second.
pub fn bytes_of_answer(length: u64) -> u64 {
    bytes_of_bits(length).saturating_mul(2)
}

fn bytes_of_bits(length: u64) -> u64 {
    length.div_ceil(u64::from(COMPARED_SECTOR)).div_ceil(8)
}

/// An answer, while ranges are compared piece by piece.
pub struct Comparison {
    bits: Vec<u8>,
    /// Where the bits of zeros begin (bytes).
    zeros: usize,
}

impl Comparison {
    /// Of two ranges of so many bytes, in which nothing differs so far.
    pub fn of(length: u64) -> Self {
        let zeros = usize::try_from(bytes_of_bits(length)).unwrap_or(0);
        Self { bits: vec![0; zeros.saturating_mul(2)], zeros }
    }

    /// Takes what both ranges hold from `offset` on, which is at a sector.
    pub fn note(&mut self, offset: u64, one: &[u8], two: &[u8]) {
        let differ = one != two;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).checked_div(SECTOR).unwrap_or(0);
        for (index, (one, two)) in one.chunks(SECTOR).zip(two.chunks(SECTOR)).enumerate() {
            let sector = from.saturating_add(index);
            if differ && one != two {
                self.set(0, sector);
            }
            if is_zero(one) {
                self.set(self.zeros, sector);
            }
        }
    }

    fn set(&mut self, start: usize, bit: usize) {
        if let Some(byte) = self.bits.get_mut(start.saturating_add(bit / 8)) {
            *byte |= 1 << (bit % 8);
        }
    }

    /// The answer as it lies in the window.
    pub fn answer(&self) -> &[u8] {
        &self.bits
    }
}

fn is_zero(sector: &[u8]) -> bool {
    // Most sectors with data say so at once.
    sector.first() == Some(&0) && Some(sector) == [0; SECTOR].get(..sector.len())
}
