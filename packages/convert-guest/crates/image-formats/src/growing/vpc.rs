//! Dynamic VHD disks (Virtual Hard Disk Image Format Specification 1.0): a copy of the footer, the dynamic header, the block
//! allocation table, blocks of 2 MiB behind bitmaps of their sectors, the footer. All numbers are big-endian.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::{Allocated, Fields, Given, Part, Table, entries, small, to_usize};
use crate::arith::SECTOR;

const BLOCK: u64 = 2 << 20;
const DYNAMIC_HEADER: u64 = 512;
const TABLE: u64 = 1536;
const FOOTER: u64 = 512;
/// A bitmap of the 4,096 sectors of a block.
const BITMAP: u64 = 512;
const UNUSED: u32 = u32::MAX;
/// 2040 GiB.
const MOST_BLOCKS: u64 = (2040 << 30) / BLOCK;
/// 2000-01-01 in seconds since 1970.
const EPOCH: u64 = 946_684_800;

pub(super) struct Vpc {
    size: u64,
    blocks: u64,
    data: u64,
    id: [u8; 16],
    now: u64,
}

impl Vpc {
    pub fn new(size: u64, given: Given<'_>) -> Self {
        let blocks = size.div_ceil(BLOCK);
        let table = SECTOR
            .round_up(blocks.saturating_mul(4))
            .unwrap_or(u64::MAX);
        Self {
            size,
            blocks,
            data: TABLE.saturating_add(table),
            id: given.uuid(0),
            now: given.now,
        }
    }

    /// The geometry that the specification computes (appendix "CHS Calculation").
    fn geometry(&self) -> (u16, u8, u8) {
        let total = SECTOR.index_of(self.size).min(65535 * 16 * 255);
        if total >= 65535 * 16 * 63 {
            return (
                u16::try_from(total / (16 * 255)).unwrap_or(u16::MAX),
                16,
                255,
            );
        }
        let of = |heads: u64, sectors: u64| {
            let cylinder = heads.saturating_mul(sectors);
            (total.checked_div(cylinder).unwrap_or(0), heads, sectors)
        };
        let by_seventeen = total / 17;
        let heads = by_seventeen.div_ceil(1024).max(4);
        let mut found = of(heads, 17);
        if by_seventeen >= heads.saturating_mul(1024) || heads > 16 {
            found = of(16, 31);
            if total / 31 >= 16 * 1024 {
                found = of(16, 63);
            }
        }
        let (cylinders, heads, sectors) = found;
        (
            u16::try_from(cylinders).unwrap_or(u16::MAX),
            u8::try_from(heads).unwrap_or(16),
            u8::try_from(sectors).unwrap_or(63),
        )
    }

    fn footer_bytes(&self) -> Vec<u8> {
        let (cylinders, heads, sectors) = self.geometry();
        let footer = Fields::default()
            .bytes(b"conectix")
            .be32(2)
            .be32(0x0001_0000)
            .be64(DYNAMIC_HEADER)
            .be32(small(self.now.saturating_sub(EPOCH)))
            // By this name QEMU takes the size below, and not what the geometry comes to.
            .bytes(b"qem2")
            .be32(0x0005_0003)
            .bytes(b"Wi2k")
            .be64(self.size)
            .be64(self.size)
            .be16(cylinders)
            .bytes(&[heads, sectors])
            // Dynamic.
            .be32(3)
            .be32(0)
            .bytes(&self.id)
            .up_to(to_usize(FOOTER));
        with_checksum(footer.done(), 64)
    }
}

/// Puts the ones' complement of the sum of all bytes where the checksum stands, which is zero so far.
fn with_checksum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = bytes
        .iter()
        .fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    if let Some(place) = bytes.get_mut(at..at.saturating_add(4)) {
        place.copy_from_slice(&(!sum).to_be_bytes());
    }
    bytes
}

impl Table for Vpc {
    fn block(&self) -> u64 {
        BLOCK
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        self.data
    }

    fn prefix(&self) -> u64 {
        BITMAP
    }

    fn settled(&self, offset: u64) -> Option<Part> {
        // All sectors are there: those that were not written read as zeros.
        Some(Part {
            offset,
            bytes: vec![0xff; to_usize(BITMAP)],
        })
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let table = entries(blocks).fold(Fields::default(), |table, offset| {
            table.be32(offset.map_or(UNUSED, |offset| small(SECTOR.index_of(offset))))
        });
        let mut table = table.done();
        table.resize(to_usize(self.data.saturating_sub(TABLE)), 0xff);
        let header = Fields::default()
            .bytes(b"cxsparse")
            .be64(u64::MAX)
            .be64(TABLE)
            .be32(0x0001_0000)
            .be32(small(self.blocks))
            .be32(small(BLOCK))
            .up_to(1024);
        let footer = self.footer_bytes();
        Box::new(
            vec![
                Part {
                    offset: TABLE,
                    bytes: table,
                },
                Part {
                    offset: DYNAMIC_HEADER,
                    bytes: with_checksum(header.done(), 36),
                },
                Part {
                    offset: blocks.end(),
                    bytes: footer.clone(),
                },
                Part {
                    offset: 0,
                    bytes: footer,
                },
            ]
            .into_iter(),
        )
    }

    fn footer(&self) -> u64 {
        FOOTER
    }
}
