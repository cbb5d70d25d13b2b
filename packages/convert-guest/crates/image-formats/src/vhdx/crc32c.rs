//! CRC-32C (Castagnoli), with which everything but the payload is protected.

/// The polynomial, its lowest power first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (POLYNOMIAL * (value & 1));
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// A checksum that is built piece by piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    pub fn new() -> Self {
        Self(u32::MAX)
    }

    pub fn add(self, bytes: &[u8]) -> Self {
        let step = |sum: u32, byte: &u8| {
            let [low, ..] = sum.to_le_bytes();
            let entry = TABLE.get(usize::from(low ^ byte)).copied();
            entry.unwrap_or_default() ^ (sum >> 8)
        };
        Self(bytes.iter().fold(self.0, step))
    }

    pub fn value(self) -> u32 {
        !self.0
    }
}

/// The checksum of a structure that holds its own checksum at offset 4, which counts as zero.
pub(crate) fn of_structure(bytes: &[u8]) -> u32 {
    let (signature, rest) = bytes.split_at_checked(4).unwrap_or((bytes, &[]));
    let sum = Crc32c::new().add(signature).add(&[0; 4]);
    sum.add(rest.get(4..).unwrap_or(&[])).value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn sums_are_those_of_the_standard() {
        assert_eq!(Crc32c::new().add(&[0; 32]).value(), 0x8a91_36aa);
        assert_eq!(Crc32c::new().add(&[0xff; 32]).value(), 0x62a8_ab43);
        let ascending: [u8; 32] = core::array::from_fn(|index| index as u8);
        let pieces = Crc32c::new().add(&ascending[..7]).add(&ascending[7..]);
        assert_eq!(pieces.value(), 0x46dd_794e);
    }
}
