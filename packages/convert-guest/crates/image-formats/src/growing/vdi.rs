//! VirtualBox disk images, dynamic and fixed (`VDICore.h`, version 1.1): header, block map, blocks of 1 MiB.

use alloc::boxed::Box;

use super::blocks::{Allocated, Table, pieces};
use super::fields::small;
use super::{Given, Part};
use crate::arith::SECTOR;
use crate::structure::Built;
use crate::structures::vdi::header;

const BLOCK: u64 = 1 << 20;
const MAP: u64 = 512;
/// So many blocks that the bytes of their map still fit 32 bits.
const MOST_BLOCKS: u64 = 0x1fff_ffff;
const UNALLOCATED: u32 = u32::MAX;
const DYNAMIC: u32 = 1;
const FIXED: u32 = 2;
const TEXT: &[u8] = b"<<< instar VM Virtual Disk Image >>>\n";

pub(super) struct Vdi {
    size: u64,
    blocks: u64,
    data: u64,
    id: [u8; 16],
    snapshot: [u8; 16],
    kind: u32,
}

impl Vdi {
    pub fn new(size: u64, given: Given<'_>, fixed: bool) -> Self {
        let blocks = size.div_ceil(BLOCK);
        let map = SECTOR
            .round_up(blocks.saturating_mul(4))
            .unwrap_or(u64::MAX);
        Self {
            size,
            blocks,
            data: MAP.saturating_add(map),
            id: given.uuid(0),
            snapshot: given.uuid(1),
            kind: if fixed { FIXED } else { DYNAMIC },
        }
    }
}

impl Table for Vdi {
    fn block(&self) -> u64 {
        BLOCK
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        self.data
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let number = |offset: u64| offset.saturating_sub(self.data) / BLOCK;
        let map = pieces(MAP, blocks, move |offset| {
            offset.map_or(UNALLOCATED, |offset| small(number(offset)))
        });
        // The geometry is for whoever attaches it to find.
        let header = Built::new(header::BYTES)
            .put_bytes(header::TEXT, TEXT)
            .put(header::SIGNATURE, 0xbeda_107f)
            .put(header::VERSION, 0x0001_0001)
            .put(header::HEADER_SIZE, 0x180)
            .put(header::IMAGE_TYPE, self.kind)
            .put(header::OFFSET_BMAP, small(MAP))
            .put(header::OFFSET_DATA, small(self.data))
            .put(header::SECTOR_SIZE, 512)
            .put(header::DISK_SIZE, self.size)
            .put(header::BLOCK_SIZE, small(BLOCK))
            .put(header::BLOCKS_IN_IMAGE, small(self.blocks))
            .put(header::BLOCKS_ALLOCATED, small(number(blocks.end())))
            .put_bytes(header::UUID_IMAGE, &self.id)
            .put_bytes(header::UUID_LAST_SNAP, &self.snapshot);
        Box::new(map.chain(core::iter::once(Part {
            offset: 0,
            bytes: header.done(),
        })))
    }
}
