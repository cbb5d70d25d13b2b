//! VirtualBox disk images, dynamic and fixed (`VDICore.h`, version 1.1): header, block map, blocks of 1 MiB.

use alloc::boxed::Box;

use super::blocks::{Allocated, Table, pieces};
use super::fields::{Fields, small};
use super::{Given, Part};
use crate::arith::{SECTOR, to_usize};

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
        let header = Fields::default()
            .bytes(TEXT)
            .up_to(64)
            .le32(0xbeda_107f)
            .le32(0x0001_0001)
            // Bytes of the header from here on.
            .le32(0x180)
            .le32(self.kind)
            .le32(0)
            .up_to(340)
            .le32(small(MAP))
            .le32(small(self.data))
            // The geometry is for whoever attaches it to find.
            .bytes(&[0; 12])
            .le32(512)
            .le32(0)
            .le64(self.size)
            .le32(small(BLOCK))
            .le32(0)
            .le32(small(self.blocks))
            .le32(small(number(blocks.end())))
            .bytes(&self.id)
            .bytes(&self.snapshot)
            .up_to(to_usize(MAP));
        Box::new(map.chain(core::iter::once(Part {
            offset: 0,
            bytes: header.done(),
        })))
    }
}
