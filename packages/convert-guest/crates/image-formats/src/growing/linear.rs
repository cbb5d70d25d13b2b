//! Images in which every block has its place from the start, one behind the other.

use alloc::boxed::Box;

use super::blocks::{Allocated, Table};
use super::{Growing, Part, Placement};
use crate::qcow2::writer::LayoutError;

/// A disk whose bytes lie in the file as they lie in the disk.
pub(super) struct Linear<T> {
    size: u64,
    table: T,
    finished: bool,
}

impl<T: Table> Linear<T> {
    pub fn new(size: u64, table: T) -> Result<Self, LayoutError> {
        let size = table.size(size);
        let safe_size = table.most_blocks().saturating_mul(table.block());
        if size > safe_size {
            return Err(LayoutError::TooBig { safe_size });
        }
        Ok(Self {
            size,
            table,
            finished: false,
        })
    }
}

impl<T: Table> Allocated for Linear<T> {
    fn count(&self) -> u64 {
        self.size.div_ceil(self.table.block())
    }

    fn offset(&self, block: u64) -> Option<u64> {
        let before = block.checked_mul(self.table.block())?;
        self.table.data().checked_add(before)
    }

    fn end(&self) -> u64 {
        let blocks = self.count().saturating_mul(self.table.block());
        self.table.data().saturating_add(blocks)
    }
}

impl<T: Table> Growing for Linear<T> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn file_length(&self) -> u64 {
        let footer = if self.finished {
            self.table.footer()
        } else {
            0
        };
        self.end().saturating_add(footer)
    }

    fn place(&mut self, offset: u64, most: u64) -> Result<Placement, LayoutError> {
        let left = self.size.saturating_sub(offset);
        if left == 0 {
            return Err(LayoutError::BadRange);
        }
        Ok(Placement::plain(
            self.table.data().saturating_add(offset),
            most.min(left),
        ))
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        self.finished = true;
        let parts = self.table.parts(self);
        Box::new(parts.filter(|part| part.bytes.iter().any(|byte| *byte != 0)))
    }
}
