//! Parallels disks (QEMU, docs/interop/parallels): header, block allocation table, clusters.

use alloc::boxed::Box;

use super::Part;
use super::blocks::{Allocated, Table, pieces};
use super::fields::{Fields, small};
use crate::arith::{SECTOR, to_usize};
use crate::qcow2::writer::LayoutError;

/// Bytes of a cluster where nobody chooses.
const CLUSTER: u32 = 1 << 20;
const HEADER: u64 = 64;
const MOST_BLOCKS: u64 = 0x1fff_ffff;
const HEADS: u32 = 16;
/// Of 32 sectors a track.
const SECTORS_OF_CYLINDER: u64 = 16 * 32;

pub(super) struct Parallels {
    size: u64,
    cluster: u64,
    blocks: u64,
    data: u64,
}

impl Parallels {
    /// An image with clusters of so many bytes; 0 for the usual ones.
    ///
    /// # Errors
    /// `BadClusterSize`
    pub fn new(size: u64, cluster: u32) -> Result<Self, LayoutError> {
        let cluster = if cluster == 0 { CLUSTER } else { cluster };
        let cluster = u64::from(cluster);
        if !cluster.is_power_of_two() || !SECTOR.is_aligned(cluster) {
            return Err(LayoutError::BadClusterSize);
        }
        let blocks = size.div_ceil(cluster);
        let table = HEADER.saturating_add(blocks.saturating_mul(4));
        Ok(Self {
            size,
            cluster,
            blocks,
            data: table.div_ceil(cluster).saturating_mul(cluster),
        })
    }
}

impl Table for Parallels {
    fn block(&self) -> u64 {
        self.cluster
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
            .le32(small(SECTOR.index_of(self.cluster)))
            .le32(small(self.blocks))
            .le64(sectors)
            // Not in use.
            .le32(0)
            .le32(small(SECTOR.index_of(self.data)))
            .up_to(to_usize(HEADER));
        // Entries count clusters; 0 is none.
        let table = pieces(HEADER, blocks, |offset| {
            offset.map_or(0, |offset| {
                small(offset.checked_div(self.cluster).unwrap_or(0))
            })
        });
        Box::new(table.chain(core::iter::once(Part {
            offset: 0,
            bytes: header.done(),
        })))
    }
}
