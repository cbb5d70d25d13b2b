//! LUKS containers: a header that somebody else writes, and the disk behind it.

use alloc::boxed::Box;

use super::Part;
use super::blocks::{Allocated, Table};
use crate::arith::SECTOR;

/// What no file is larger than (sectors).
const MOST_SECTORS: u64 = 1 << 54;

pub(super) struct Luks {
    /// Bytes of the header.
    pub header: u64,
}

impl Table for Luks {
    fn block(&self) -> u64 {
        SECTOR.size()
    }

    fn most_blocks(&self) -> u64 {
        MOST_SECTORS
    }

    fn data(&self) -> u64 {
        self.header
    }

    fn parts<'a>(&'a self, _: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        Box::new(core::iter::empty())
    }
}
