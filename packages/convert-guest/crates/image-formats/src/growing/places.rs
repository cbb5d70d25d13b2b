//! Where the blocks of a part of the disk are. A disk is mostly written from its beginning to its end, so that runs of blocks
//! have places one after the other: those take little memory however large the disk is.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::fields::small;
use crate::arith::to_u64;

/// Blocks whose places are kept together.
pub(super) const CHUNK: usize = 4096;
/// Runs that a chunk may have before each of its blocks is told; then they take half as much.
const MOST_RUNS: usize = 1024;

/// Blocks one after the other, in places one after the other.
#[derive(Clone, Copy)]
pub(super) struct Run {
    first: u16,
    count: u16,
    place: u32,
}

impl Run {
    fn end(&self) -> usize {
        usize::from(self.first).saturating_add(usize::from(self.count))
    }
}

/// The places of the blocks of a chunk; 0 is none.
#[derive(Clone)]
pub(super) enum Places {
    Runs(Vec<Run>),
    Each(Vec<u32>),
}

impl Places {
    pub fn new() -> Self {
        Self::Runs(Vec::new())
    }

    /// The place of a block of the chunk.
    pub fn get(&self, block: usize) -> u32 {
        match self {
            Self::Each(places) => places.get(block).copied().unwrap_or(0),
            Self::Runs(runs) => {
                let behind = runs.partition_point(|run| usize::from(run.first) <= block);
                let run = behind.checked_sub(1).and_then(|index| runs.get(index));
                run.filter(|run| block < run.end()).map_or(0, |run| {
                    let before = block.saturating_sub(usize::from(run.first));
                    run.place.saturating_add(small(to_u64(before)))
                })
            }
        }
    }

    /// Gives a block of the chunk, which has none, a place.
    pub fn set(&mut self, block: usize, place: u32) -> Result<(), TryReserveError> {
        if let Self::Runs(runs) = self {
            let end = runs.last().map_or(0, Run::end);
            let appends = block >= end && runs.len() < MOST_RUNS;
            match runs.last_mut() {
                Some(last)
                    if block == end
                        && place == last.place.saturating_add(u32::from(last.count)) =>
                {
                    last.count = last.count.saturating_add(1);
                    return Ok(());
                }
                _ if appends => {
                    runs.try_reserve(1)?;
                    let first = u16::try_from(block).unwrap_or(u16::MAX);
                    runs.push(Run {
                        first,
                        count: 1,
                        place,
                    });
                    return Ok(());
                }
                _ => {}
            }
            let mut each = Vec::new();
            each.try_reserve_exact(CHUNK)?;
            each.extend((0..CHUNK).map(|block| self.get(block)));
            *self = Self::Each(each);
        }
        if let Self::Each(places) = self
            && let Some(slot) = places.get_mut(block)
        {
            *slot = place;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Gives blocks places one after the other, and compares with a list.
    fn placed(blocks: impl Iterator<Item = usize>) -> Places {
        let mut places = Places::new();
        let mut expected = [0; CHUNK];
        for (block, place) in blocks.zip(1_u32..) {
            places.set(block, place).unwrap();
            expected[block] = place;
        }
        for (block, place) in expected.into_iter().enumerate() {
            assert_eq!(places.get(block), place, "block {block}");
        }
        places
    }

    #[test]
    fn keeps_a_chunk_that_is_written_in_order_in_one_run() {
        assert!(matches!(placed(0..CHUNK), Places::Runs(runs) if runs.len() == 1));
        assert!(matches!(placed((5..50).chain(60..4096)), Places::Runs(runs) if runs.len() == 2));
    }

    #[test]
    fn keeps_places_in_any_order() {
        placed((0..CHUNK).rev());
        placed((0..CHUNK).step_by(2));
        placed((0..CHUNK).step_by(3).chain((1..CHUNK).step_by(3)));
        placed((0..CHUNK).map(|block| block * 1001 % CHUNK));
        placed(core::iter::empty());
    }
}
