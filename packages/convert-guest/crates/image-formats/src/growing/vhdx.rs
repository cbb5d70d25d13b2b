//! Hyper-V disks, dynamic and fixed ([MS-VHDX]): file identifier, two headers, two region tables, an empty log, metadata, block
//! allocation table, payload blocks. Numbers are little-endian; no payload is shared, so no bitmaps are there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::blocks::{Allocated, Table, entries};
use super::fields::{Fields, small};
use super::{Given, Options, Part, Subformat};
use crate::arith::to_usize;
use crate::qcow2::writer::LayoutError;
use crate::vhdx::{crc32c, guid};

const MIB: u64 = 1 << 20;
const MOST_BLOCK: u64 = 256 * MIB;
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const BAT: u64 = 3 * MIB;
/// Where the items of the metadata region begin.
const ITEMS: u32 = 64 << 10;
const SECTOR_BYTES: u32 = 512;
/// Sectors whose bits one bitmap block would hold.
const SECTORS_OF_CHUNK: u64 = 1 << 23;
/// 64 TiB.
const MOST_BYTES: u64 = 64 << 40;
/// State of a block that is fully present.
const PRESENT: u64 = 6;
const REQUIRED: u32 = 4;
const OF_THE_DISK: u32 = 2;

pub(super) struct Vhdx {
    size: u64,
    block: u64,
    /// Blocks keep their places.
    fixed: bool,
    /// Bytes of the table's region.
    table: u64,
    file_id: [u8; 16],
    data_id: [u8; 16],
    disk_id: [u8; 16],
}

/// The larger the disk, the larger the blocks, as QEMU chooses them.
fn block_for(size: u64) -> u64 {
    match size {
        _ if size > 32 << 40 => 64 * MIB,
        _ if size > 100 << 30 => 32 * MIB,
        _ if size > 1 << 30 => 16 * MIB,
        _ => 8 * MIB,
    }
}

impl Vhdx {
    /// # Errors
    /// `BadOptions` for a block size that the specification does not know.
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        let block = match u64::from(options.block_size) {
            0 => block_for(size),
            block if block.is_power_of_two() && (MIB..=MOST_BLOCK).contains(&block) => block,
            _ => return Err(LayoutError::BadOptions),
        };
        let blocks = size.div_ceil(block);
        let chunk = chunk_of(block);
        let entries =
            blocks.saturating_add(blocks.saturating_sub(1).checked_div(chunk).unwrap_or(0));
        Ok(Self {
            size,
            block,
            fixed: options.subformat == Subformat::Fixed,
            table: entries
                .saturating_mul(8)
                .div_ceil(MIB)
                .max(1)
                .saturating_mul(MIB),
            file_id: given.uuid(0),
            data_id: given.uuid(1),
            disk_id: given.uuid(2),
        })
    }

    fn header(&self, sequence: u64) -> Vec<u8> {
        let header = Fields::default()
            .bytes(b"head")
            .le32(0)
            .le64(sequence)
            .bytes(&self.file_id)
            .bytes(&self.data_id)
            // No log to be replayed.
            .bytes(&[0; 16])
            .le16(0)
            .le16(1)
            .le32(small(MIB))
            .le64(LOG)
            .up_to(4096);
        with_checksum(header.done())
    }

    fn region_table(&self) -> Vec<u8> {
        let table = Fields::default()
            .bytes(b"regi")
            .le32(0)
            .le32(2)
            .le32(0)
            .bytes(&guid::BAT)
            .le64(BAT)
            .le32(small(self.table))
            .le32(1)
            .bytes(&guid::METADATA)
            .le64(METADATA)
            .le32(small(MIB))
            .le32(1)
            .up_to(64 << 10);
        with_checksum(table.done())
    }

    fn metadata(&self) -> Vec<u8> {
        let items: [(&guid::Guid, Vec<u8>, u32); 5] = [
            (
                &guid::FILE_PARAMETERS,
                Fields::default()
                    .le32(small(self.block))
                    // Whether blocks keep their places.
                    .le32(u32::from(self.fixed))
                    .done(),
                REQUIRED,
            ),
            (
                &guid::VIRTUAL_DISK_SIZE,
                Fields::default().le64(self.size).done(),
                REQUIRED | OF_THE_DISK,
            ),
            (
                &guid::VIRTUAL_DISK_ID,
                self.disk_id.to_vec(),
                REQUIRED | OF_THE_DISK,
            ),
            (
                &guid::LOGICAL_SECTOR_SIZE,
                Fields::default().le32(SECTOR_BYTES).done(),
                REQUIRED | OF_THE_DISK,
            ),
            (
                &guid::PHYSICAL_SECTOR_SIZE,
                Fields::default().le32(SECTOR_BYTES).done(),
                REQUIRED | OF_THE_DISK,
            ),
        ];
        let mut table = Fields::default()
            .bytes(b"metadata")
            .le16(0)
            .le16(5)
            .up_to(32);
        let mut values = Fields::default();
        for (id, value, flags) in &items {
            let at = ITEMS.saturating_add(small(crate::arith::to_u64(values.len())));
            table = table
                .bytes(id.as_slice())
                .le32(at)
                .le32(small(crate::arith::to_u64(value.len())))
                .le32(*flags)
                .le32(0);
            values = values.bytes(value);
        }
        table.up_to(64 << 10).bytes(&values.done()).done()
    }
}

/// Payload blocks between two bitmap blocks, which have entries even where no bitmap is.
fn chunk_of(block: u64) -> u64 {
    let bytes = SECTORS_OF_CHUNK.saturating_mul(u64::from(SECTOR_BYTES));
    bytes.checked_div(block).unwrap_or(0).max(1)
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::of_structure(&bytes);
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

impl Table for Vhdx {
    fn block(&self) -> u64 {
        self.block
    }

    fn most_blocks(&self) -> u64 {
        MOST_BYTES.checked_div(self.block).unwrap_or(0)
    }

    fn data(&self) -> u64 {
        BAT.saturating_add(self.table)
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let chunk = chunk_of(self.block);
        // At its length from the start: growing, it would be in memory twice.
        let mut table = Fields::with_capacity(to_usize(self.table));
        for (number, offset) in (0_u64..).zip(entries(blocks)) {
            if number > 0 && number.checked_rem(chunk) == Some(0) {
                table = table.le64(0);
            }
            table = table.le64(offset.map_or(0, |offset| offset | PRESENT));
        }
        let text = "instar"
            .encode_utf16()
            .fold(Fields::default().bytes(b"vhdxfile"), |fields, unit| {
                fields.le16(unit)
            });
        let mut parts = Vec::from([
            Part {
                offset: BAT,
                bytes: table.up_to(to_usize(self.table)).done(),
            },
            Part {
                offset: METADATA,
                bytes: self.metadata(),
            },
        ]);
        for place in REGION_TABLES {
            parts.push(Part {
                offset: place,
                bytes: self.region_table(),
            });
        }
        for (place, sequence) in HEADERS.into_iter().zip(1..) {
            parts.push(Part {
                offset: place,
                bytes: self.header(sequence),
            });
        }
        parts.push(Part {
            offset: 0,
            bytes: text.up_to(520).done(),
        });
        Box::new(parts.into_iter())
    }
}
