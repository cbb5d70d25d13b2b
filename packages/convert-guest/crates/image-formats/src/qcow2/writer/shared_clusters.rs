//! Clusters of the file that several compressed clusters share, and how many do.

use alloc::vec::Vec;

use super::LayoutError;
use crate::arith::{PowerOfTwo, to_usize};

/// The refcounts that are not 1, and where the next stream may begin.
pub(super) struct SharedClusters {
    /// Entries of a refcount block.
    per_block: PowerOfTwo,
    /// Counts block by block; one without streams is empty, and what lies behind its end counts 1. 0 stands for none yet.
    blocks: Vec<Vec<u16>>,
    /// Byte offset behind the last stream, where its cluster has room left.
    pub free: Option<u64>,
}

impl SharedClusters {
    pub fn new(per_block: PowerOfTwo) -> Self {
        Self {
            per_block,
            blocks: Vec::new(),
            free: None,
        }
    }

    /// Counts a stream more in a cluster of the file.
    pub fn count(&mut self, cluster: u64) -> Result<(), LayoutError> {
        let too_big = LayoutError::TooBig { safe_size: 0 };
        let index = to_usize(self.per_block.index_of(cluster));
        let place = to_usize(self.per_block.offset_within(cluster));
        grow(&mut self.blocks, index, Vec::new()).ok_or(too_big)?;
        let block = self.blocks.get_mut(index).ok_or(too_big)?;
        // Clusters that were passed have one use: a table, or data.
        let before = block.len();
        grow(block, place, 1).ok_or(too_big)?;
        let count = block.get_mut(place).ok_or(too_big)?;
        *count = if place < before {
            count.checked_add(1).ok_or(too_big)?
        } else {
            1
        };
        Ok(())
    }

    /// The counts of a refcount block, which are not needed any more.
    pub fn take(&mut self, block: u64) -> Vec<u16> {
        self.blocks
            .get_mut(to_usize(block))
            .map(core::mem::take)
            .unwrap_or_default()
    }
}

/// Makes a list long enough for an index. `None` without memory.
fn grow<T: Clone>(list: &mut Vec<T>, index: usize, fill: T) -> Option<()> {
    let length = index.checked_add(1)?;
    if list.len() < length {
        list.try_reserve(length.saturating_sub(list.len())).ok()?;
        list.resize(length, fill);
    }
    Some(())
}
