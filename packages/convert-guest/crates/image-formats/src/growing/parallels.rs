//! Parallels disks (QEMU, docs/interop/parallels): header, block allocation table, clusters.

use alloc::boxed::Box;

use super::Part;
use super::blocks::{Allocated, Table, pieces};
use super::fields::small;
use crate::arith::{SECTOR, to_u64};
use crate::qcow2::writer::LayoutError;
use crate::structure::Built;
use crate::structures::parallels::header;

/// Bytes of a cluster where nobody chooses.
const CLUSTER: u32 = 1 << 20;
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
        let table = to_u64(header::BYTES).saturating_add(blocks.saturating_mul(4));
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
        let header = Built::new(header::BYTES)
            .put_bytes(header::MAGIC, b"WithouFreSpacExt")
            .put(header::VERSION, 2)
            .put(header::HEADS, HEADS)
            .put(header::CYLINDERS, small(cylinders))
            .put(header::TRACKS, small(SECTOR.index_of(self.cluster)))
            .put(header::BAT_ENTRIES, small(self.blocks))
            .put(header::NB_SECTORS, sectors)
            .put(header::DATA_OFF, small(SECTOR.index_of(self.data)));
        // Entries count clusters; 0 is none.
        let table = pieces(to_u64(header::BYTES), blocks, |offset| {
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
