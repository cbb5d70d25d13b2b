//! Clusters of the file that several compressed clusters share, and how many do.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::LayoutError;
use crate::arith::{PowerOfTwo, to_usize};

/// The refcounts that are not 1, and where the next stream may begin.
pub(super) struct SharedClusters {
    /// Entries of a refcount block.
    per_block: PowerOfTwo,
    /// Counts block by block; one without streams is empty, and what lies behind its end counts 1. 0 stands for none yet.
    blocks: VecDeque<Vec<u16>>,
    /// Number of the first of these blocks.
    first: u64,
    /// Most streams that a cluster may hold a part of.
    most: u16,
    /// Byte offset behind the last stream, where its cluster has room left.
    pub free: Option<u64>,
}

impl SharedClusters {
    pub fn new(per_block: PowerOfTwo, most: u16) -> Self {
        Self {
            per_block,
            blocks: VecDeque::new(),
            first: 0,
            most,
            free: None,
        }
    }

    fn index_of(&self, cluster: u64) -> (Option<usize>, usize) {
        let block = self.per_block.index_of(cluster).checked_sub(self.first);
        let within = to_usize(self.per_block.offset_within(cluster));
        (block.map(to_usize), within)
    }

    /// Whether a cluster that holds streams may hold a part of another one.
    pub fn takes_more(&self, cluster: u64) -> bool {
        let (block, within) = self.index_of(cluster);
        let block = block.and_then(|index| self.blocks.get(index));
        block
            .and_then(|counts| counts.get(within))
            .is_some_and(|count| *count < self.most)
    }

    /// Counts a stream more in a cluster of the file.
    pub fn count(&mut self, cluster: u64) -> Result<(), LayoutError> {
        let too_big = LayoutError::TooBig { safe_size: 0 };
        let (index, place) = self.index_of(cluster);
        let index = index.ok_or(LayoutError::BadRange)?;
        while self.blocks.len() <= index {
            self.blocks.try_reserve(1).map_err(|_| too_big)?;
            self.blocks.push_back(Vec::new());
        }
        let block = self.blocks.get_mut(index).ok_or(too_big)?;
        // Clusters that were passed have one use: a table, or data.
        let before = block.len();
        let length = place.saturating_add(1);
        if before < length {
            block
                .try_reserve(length.saturating_sub(before))
                .map_err(|_| too_big)?;
            block.resize(length, 1);
        }
        let count = block.get_mut(place).ok_or(too_big)?;
        *count = if place < before {
            count.checked_add(1).ok_or(too_big)?
        } else {
            1
        };
        Ok(())
    }

    /// The counts of the first block, where no stream will begin in it any more: all that come begin in `cluster` or behind.
    pub fn take_passed(&mut self, cluster: u64) -> Option<Vec<u16>> {
        let passed = self.per_block.index_of(cluster) > self.first;
        if !passed {
            return None;
        }
        self.first = self.first.saturating_add(1);
        Some(self.blocks.pop_front().unwrap_or_default())
    }

    /// How many blocks were taken.
    pub fn taken(&self) -> u64 {
        self.first
    }

    /// The counts of all blocks that were not taken.
    pub fn take_open(&mut self) -> Vec<Vec<u16>> {
        core::mem::take(&mut self.blocks).into()
    }
}
