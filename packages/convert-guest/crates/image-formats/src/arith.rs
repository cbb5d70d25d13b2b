//! Arithmetic that cannot wrap on numbers that an image supplied.

/// Bytes in a sector, the unit in which virtual disks are sized.
pub const SECTOR: PowerOfTwo = PowerOfTwo::from_bits(9);

/// A size that is a power of two (a cluster, a table's span, a cache block), kept as its exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerOfTwo {
    bits: u32,
}

impl PowerOfTwo {
    /// 2 to the `bits`; exponents above 63 become 63.
    pub const fn from_bits(bits: u32) -> Self {
        Self {
            bits: if bits > 63 { 63 } else { bits },
        }
    }

    /// The exponent.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The size itself.
    pub const fn size(self) -> u64 {
        1_u64.wrapping_shl(self.bits)
    }

    /// The size in address-space terms; saturates where `usize` is narrower.
    pub fn in_memory(self) -> usize {
        to_usize(self.size())
    }

    /// How many whole units lie before `offset`.
    pub const fn index_of(self, offset: u64) -> u64 {
        offset.wrapping_shr(self.bits)
    }

    /// The distance of `offset` from the start of its unit.
    pub const fn offset_within(self, offset: u64) -> u64 {
        offset & self.size().wrapping_sub(1)
    }

    /// `offset` rounded down to the start of its unit.
    pub const fn round_down(self, offset: u64) -> u64 {
        offset & !self.size().wrapping_sub(1)
    }

    /// `offset` rounded up to a whole unit, or `None` where that is beyond 2^64.
    pub const fn round_up(self, offset: u64) -> Option<u64> {
        match offset.checked_add(self.size().wrapping_sub(1)) {
            Some(sum) => Some(self.round_down(sum)),
            None => None,
        }
    }

    /// How many units `length` bytes fill, counting a part as a whole one.
    pub const fn count_for(self, length: u64) -> u64 {
        let whole = self.index_of(length);
        if self.offset_within(length) == 0 {
            whole
        } else {
            whole.saturating_add(1)
        }
    }

    /// `count` units in bytes, or `None` where that is beyond 2^64.
    pub const fn times(self, count: u64) -> Option<u64> {
        count.checked_mul(self.size())
    }

    /// Whether `offset` is the start of a unit.
    pub const fn is_aligned(self, offset: u64) -> bool {
        self.offset_within(offset) == 0
    }
}

/// Saturating conversion; every caller compares the result with a buffer's length afterwards.
pub fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Lossless on every platform that Rust supports.
pub fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_rounds_and_counts() {
        let cluster = PowerOfTwo::from_bits(16);
        assert_eq!(cluster.size(), 65536);
        assert_eq!(cluster.index_of(65535), 0);
        assert_eq!(cluster.index_of(65536), 1);
        assert_eq!(cluster.round_up(1), Some(65536));
        assert_eq!(cluster.round_up(u64::MAX), None);
        assert_eq!(cluster.count_for(0), 0);
        assert_eq!(cluster.count_for(65537), 2);
        assert_eq!(cluster.count_for(u64::MAX), 1 << 48);
        assert_eq!(PowerOfTwo::from_bits(200).size(), 1 << 63);
    }
}
