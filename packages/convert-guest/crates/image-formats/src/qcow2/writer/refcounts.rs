//! Refcounts: how many clusters they take, and how they stand in their blocks (qcow2.txt "Refcount table", "Refcount block
//! entry").

use super::options::Shape;
use crate::arith::{to_u64, to_usize};

/// Clusters of the refcount table, and of refcount blocks besides the `placed` ones, for a file of `others` clusters besides
/// them, which they count as well: each round can only need more, and a block pays for thousands of clusters, so that it
/// settles after a few.
pub(super) fn refcount_clusters(shape: Shape, others: u64, placed: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let total = others.saturating_add(table).saturating_add(blocks);
        let needed = shape.refcounts().count_for(total);
        let needed_table = shape.entries().count_for(needed);
        let needed_blocks = needed.saturating_sub(placed);
        if needed_blocks <= blocks && needed_table <= table {
            return (table, blocks);
        }
        (table, blocks) = (needed_table.max(table), needed_blocks.max(blocks));
    }
}

/// Fills a refcount block with these counts. A width below 8 bits begins with the lowest bits of each byte.
pub(super) fn fill_block(buffer: &mut [u8], order: u32, counts: impl Iterator<Item = u16>) {
    buffer.fill(0);
    match order.checked_sub(3) {
        Some(bytes) => {
            let width = to_usize(1_u64.wrapping_shl(bytes));
            for (place, count) in buffer.chunks_exact_mut(width).zip(counts) {
                let from_end = place.iter_mut().rev();
                for (byte, value) in from_end.zip(count.to_le_bytes()) {
                    *byte = value;
                }
            }
        }
        None => {
            let bits = 1_u32.wrapping_shl(order);
            let per_byte = 8_u32.wrapping_shr(order);
            let mask = 1_u16.wrapping_shl(bits).wrapping_sub(1);
            let mut counts = counts;
            for byte in buffer.iter_mut() {
                for place in 0..per_byte {
                    let Some(count) = counts.next() else { return };
                    let [low, _] = (count & mask).to_le_bytes();
                    *byte |= low.wrapping_shl(place.wrapping_mul(bits));
                }
            }
        }
    }
}

/// The counts of a block whose first are these, and the others 1, up to the number that is used.
pub(super) fn with_ones(counted: &[u16], used: u64) -> impl Iterator<Item = u16> + '_ {
    let rest = used.saturating_sub(to_u64(counted.len()));
    let ones = core::iter::repeat_n(1, to_usize(rest));
    counted.iter().copied().take(to_usize(used)).chain(ones)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::LayoutOptions;
    use super::*;

    #[test]
    fn refcounts_cover_the_file_at_the_edges_of_their_blocks() {
        for (cluster_bits, refcount_order) in [(9, 4), (12, 0), (16, 6), (21, 4), (9, 6)] {
            let options = LayoutOptions {
                cluster_bits,
                refcount_order,
                ..Default::default()
            };
            let shape = Shape::new(options).unwrap();
            let per_block = shape.refcounts().size();
            for others in (per_block - 4..per_block + 4).chain([per_block * per_block, 1]) {
                for placed in [0, 1, 7] {
                    let (table, blocks) = refcount_clusters(shape, others, placed);
                    assert!((blocks + placed) * per_block >= others + table + blocks);
                    let needed = shape.refcounts().count_for(others + table + blocks);
                    assert!(table * shape.entries().size() >= needed);
                }
            }
        }
    }

    #[test]
    fn counts_of_every_width_stand_where_the_specification_says() {
        let filled = |order, counts: &[u16]| {
            let mut buffer = vec![0xaa; 8];
            fill_block(&mut buffer, order, counts.iter().copied());
            buffer
        };
        assert_eq!(filled(0, &[1, 0, 1, 1]), [0b1101, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            filled(1, &[1, 3, 0, 2, 1]),
            [0b1000_1101, 1, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(filled(2, &[1, 15, 7]), [0xf1, 7, 0, 0, 0, 0, 0, 0]);
        assert_eq!(filled(3, &[1, 255]), [1, 255, 0, 0, 0, 0, 0, 0]);
        assert_eq!(filled(4, &[0x1234, 1]), [0x12, 0x34, 0, 1, 0, 0, 0, 0]);
        assert_eq!(filled(5, &[0x1234, 1]), [0, 0, 0x12, 0x34, 0, 0, 0, 1]);
        assert_eq!(filled(6, &[0x1234]), [0, 0, 0, 0, 0, 0, 0x12, 0x34]);
    }
}
