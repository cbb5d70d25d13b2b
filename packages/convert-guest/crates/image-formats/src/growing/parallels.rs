//! Parallels disks (QEMU, docs/interop/parallels): header, block allocation table, clusters of 1 MiB.

use alloc::boxed::Box;

use super::Part;
use super::blocks::{Allocated, Table, pieces};
use super::fields::{Fields, small};
use crate::arith::{SECTOR, to_usize};

const CLUSTER: u64 = 1 << 20;
const HEADER: u64 = 64;
const MOST_BLOCKS: u64 = 0x1fff_ffff;
const HEADS: u32 = 16;
/// Of 32 sectors a track.
const SECTORS_OF_CYLINDER: u64 = 16 * 32;

pub(super) struct Parallels {
    size: u64,
    blocks: u64,
    data: u64,
}

impl Parallels {
    pub fn new(size: u64) -> Self {
        let blocks = size.div_ceil(CLUSTER);
        let table = HEADER.saturating_add(blocks.saturating_mul(4));
        Self {
            size,
            blocks,
            data: table.div_ceil(CLUSTER).saturating_mul(CLUSTER),
        }
    }
}

impl Table for Parallels {
    fn block(&self) -> u64 {
        CLUSTER
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        self.data
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let sectors = SECTOR.index_of(self.size);
        let cylinders = sectors / SECTORS_OF_CYLINDER;
        let header = Fields::default()
            .bytes(b"WithouFreSpacExt")
            .le32(2)
            .le32(HEADS)
            .le32(small(cylinders))
            .le32(small(SECTOR.index_of(CLUSTER)))
            .le32(small(self.blocks))
            .le64(sectors)
            // Not in use.
            .le32(0)
            .le32(small(SECTOR.index_of(self.data)))
            .up_to(to_usize(HEADER));
        // Entries count clusters; 0 is none.
        let table = pieces(HEADER, blocks, |offset| {
            offset.map_or(0, |offset| small(offset / CLUSTER))
        });
        Box::new(table.chain(core::iter::once(Part {
            offset: 0,
            bytes: header.done(),
        })))
    }
}
