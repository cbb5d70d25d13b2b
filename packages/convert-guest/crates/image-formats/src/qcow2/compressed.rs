//! Compressed cluster descriptors (qcow2.txt "Compressed Clusters Descriptor").

use crate::arith::{PowerOfTwo, SECTOR};

/// The bit of an L2 entry that says so.
pub(super) const COMPRESSED: u64 = 1 << 62;

/// Where a compressed cluster's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompressedAt {
    /// Byte offset in the image file; not aligned to anything.
    pub offset: u64,
    /// Bytes up to the end of the last sector that holds a part of the stream.
    pub max_length: u64,
}

/// Takes the low 62 bits of an L2 entry apart. The boundary between offset and sector count moves
/// with the cluster size: x = 62 - (cluster_bits - 8).
pub(super) fn decode(entry: u64, cluster: PowerOfTwo) -> CompressedAt {
    let count_bits = cluster.bits().saturating_sub(8);
    let offset_bits = PowerOfTwo::from_bits(62_u32.saturating_sub(count_bits));
    let offset = offset_bits.offset_within(entry);
    let additional = PowerOfTwo::from_bits(count_bits).offset_within(offset_bits.index_of(entry));
    let sectors = additional.saturating_add(1);
    let length = SECTOR.times(sectors).unwrap_or(0);
    CompressedAt {
        offset,
        max_length: length.saturating_sub(SECTOR.offset_within(offset)),
    }
}

/// The L2 entry of `length` bytes of a stream at `offset`; `None` where they do not fit it.
pub(super) fn encode(offset: u64, length: u64, cluster: PowerOfTwo) -> Option<u64> {
    let count_bits = cluster.bits().saturating_sub(8);
    let offset_bits = PowerOfTwo::from_bits(62_u32.saturating_sub(count_bits));
    let last = SECTOR.index_of(offset.checked_add(length.checked_sub(1)?)?);
    let additional = last.checked_sub(SECTOR.index_of(offset))?;
    if PowerOfTwo::from_bits(count_bits).index_of(additional) != 0
        || offset_bits.index_of(offset) != 0
    {
        return None;
    }
    Some(COMPRESSED | offset_bits.times(additional)? | offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_whole_sectors() {
        for (offset, length, expected) in [
            (0x1_0210, 1, 496),
            (0x1_0210, 496, 496),
            (0x1_0210, 497, 1008),
        ] {
            let entry = encode(offset, length, PowerOfTwo::from_bits(16)).unwrap();
            let at = decode(entry & !COMPRESSED, PowerOfTwo::from_bits(16));
            assert_eq!(
                at,
                CompressedAt {
                    offset,
                    max_length: expected
                }
            );
        }
        assert_eq!(encode(0, 1 << 20, PowerOfTwo::from_bits(16)), None);
        assert_eq!(encode(1 << 54, 1, PowerOfTwo::from_bits(16)), None);
    }

    #[test]
    fn the_sector_count_includes_the_first_sector() {
        // 64 KiB clusters: 8 bits of additional sectors above 54 bits of offset.
        let entry = (1 << 62) | (3_u64 << 54) | 0x1_0210;
        let at = decode(entry, PowerOfTwo::from_bits(16));
        assert_eq!(
            at,
            CompressedAt {
                offset: 0x1_0210,
                max_length: 4 * 512 - 0x10
            }
        );
    }

    #[test]
    fn the_smallest_and_largest_clusters_split_the_bits_differently() {
        let small = decode((1 << 61) | 5, PowerOfTwo::from_bits(9));
        assert_eq!(
            small,
            CompressedAt {
                offset: 5,
                max_length: 1024 - 5
            }
        );
        let large = decode((0x1fff << 49) | 512, PowerOfTwo::from_bits(21));
        assert_eq!(
            large,
            CompressedAt {
                offset: 512,
                max_length: 0x2000 * 512
            }
        );
    }
}
