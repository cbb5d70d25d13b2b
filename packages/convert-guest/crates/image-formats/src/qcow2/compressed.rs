//! Compressed cluster descriptors (qcow2.txt "Compressed Clusters Descriptor").

use crate::arith::{PowerOfTwo, SECTOR};

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

#[cfg(test)]
mod tests {
    use super::*;

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
