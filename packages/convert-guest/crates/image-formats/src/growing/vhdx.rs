//! Hyper-V disks, dynamic and fixed ([MS-VHDX]): file identifier, two headers, two region tables, an empty log, metadata, block
//! allocation table, payload blocks. Numbers are little-endian; no payload is shared, so no bitmaps are there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::blocks::{Allocated, Table, entries};
use super::fields::{Fields, small};
use super::{Given, Options, Part, Subformat};
use crate::arith::{to_u64, to_usize};
use crate::qcow2::writer::LayoutError;
use crate::structure::{Built, Le, Number, put};
use crate::structures::vhdx::{
    file_identifier, header, metadata_entry, metadata_table, region_entry, region_table,
};
use crate::vhdx::locator::locator;
use crate::vhdx::{crc32c, guid};

const MIB: u64 = 1 << 20;
const MOST_BLOCK: u64 = 256 * MIB;
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const LOG: u64 = MIB;
/// Bytes of the metadata region, which follows the log; the table is behind it.
const METADATA_LENGTH: u64 = MIB;
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
/// A flag of the file's parameters.
const HAS_PARENT: u32 = 2;
const OF_THE_DISK: u32 = 2;

pub(super) struct Vhdx {
    size: u64,
    block: u64,
    /// Bytes of the log.
    log: u64,
    /// Blocks keep their places.
    fixed: bool,
    /// Bytes of the table's region.
    table: u64,
    file_id: [u8; 16],
    data_id: [u8; 16],
    disk_id: [u8; 16],
    /// What a differencing disk says of its parent.
    parent: Option<Vec<u8>>,
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
    /// `BadOptions` for a block size or a log that the specification does not know.
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        let block = match u64::from(options.block_size) {
            0 => block_for(size),
            block if block.is_power_of_two() && (MIB..=MOST_BLOCK).contains(&block) => block,
            _ => return Err(LayoutError::BadOptions),
        };
        let log = match u64::from(options.log_size) {
            0 => MIB,
            log if log.checked_rem(MIB) == Some(0) => log,
            _ => return Err(LayoutError::BadOptions),
        };
        let blocks = size.div_ceil(block);
        let chunk = chunk_of(block);
        let parent = match (options.backing, options.parent) {
            (None, _) => None,
            (Some(backing), Some(identity)) => {
                Some(locator(&identity, backing.name).ok_or(LayoutError::NotBeside)?)
            }
            (Some(_), None) => return Err(LayoutError::BadOptions),
        };
        let entries = if parent.is_some() {
            // Every chunk has an entry for its bitmap.
            blocks
                .div_ceil(chunk)
                .saturating_mul(chunk.saturating_add(1))
        } else {
            blocks.saturating_add(blocks.saturating_sub(1).checked_div(chunk).unwrap_or(0))
        };
        Ok(Self {
            size,
            block,
            log,
            fixed: options.subformat == Subformat::Fixed,
            table: entries
                .saturating_mul(8)
                .div_ceil(MIB)
                .max(1)
                .saturating_mul(MIB),
            file_id: given.uuid(0),
            data_id: given.uuid(1),
            disk_id: given.uuid(2),
            parent,
        })
    }

    /// Where the metadata begin.
    fn metadata_offset(&self) -> u64 {
        LOG.saturating_add(self.log)
    }

    /// Where the table begins.
    fn bat(&self) -> u64 {
        self.metadata_offset().saturating_add(METADATA_LENGTH)
    }

    fn header(&self, sequence: u64) -> Vec<u8> {
        // No log is to be replayed.
        let header = Built::new(header::BYTES)
            .put_bytes(header::SIGNATURE, b"head")
            .put(header::SEQUENCE_NUMBER, sequence)
            .put_bytes(header::FILE_WRITE_GUID, &self.file_id)
            .put_bytes(header::DATA_WRITE_GUID, &self.data_id)
            .put(header::VERSION, 1)
            .put(header::LOG_LENGTH, small(self.log))
            .put(header::LOG_OFFSET, LOG);
        with_checksum(header.done(), header::CHECKSUM)
    }

    fn region_table(&self) -> Vec<u8> {
        let regions = [
            (guid::BAT, self.bat(), self.table),
            (guid::METADATA, self.metadata_offset(), METADATA_LENGTH),
        ];
        let mut table = Built::new(region_table::BYTES)
            .put_bytes(region_table::SIGNATURE, b"regi")
            .put(region_table::ENTRY_COUNT, 2)
            .done();
        for (id, offset, length) in regions {
            let entry = Built::new(region_entry::BYTES)
                .put_bytes(region_entry::GUID, &id)
                .put(region_entry::FILE_OFFSET, offset)
                .put(region_entry::LENGTH, small(length))
                .put(region_entry::REQUIRED, 1);
            table.extend(entry.done());
        }
        table.resize(64 << 10, 0);
        with_checksum(table, region_table::CHECKSUM)
    }

    fn metadata(&self) -> Vec<u8> {
        let has_parent = if self.parent.is_some() { HAS_PARENT } else { 0 };
        let mut items: Vec<(&guid::Guid, Vec<u8>, u32)> = alloc::vec![
            (
                &guid::FILE_PARAMETERS,
                Fields::default()
                    .le32(small(self.block))
                    // Whether blocks keep their places.
                    .le32(u32::from(self.fixed) | has_parent)
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
        if let Some(locator) = &self.parent {
            items.push((&guid::PARENT_LOCATOR, locator.clone(), REQUIRED));
        }
        let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
        let mut table = Built::new(metadata_table::BYTES)
            .put_bytes(metadata_table::SIGNATURE, b"metadata")
            .put(metadata_table::ENTRY_COUNT, count)
            .done();
        let mut values = Vec::new();
        for (id, value, flags) in &items {
            let at = ITEMS.saturating_add(small(to_u64(values.len())));
            let entry = Built::new(metadata_entry::BYTES)
                .put_bytes(metadata_entry::ITEM_ID, id.as_slice())
                .put(metadata_entry::OFFSET, at)
                .put(metadata_entry::LENGTH, small(to_u64(value.len())))
                .put(metadata_entry::FLAGS, *flags);
            table.extend(entry.done());
            values.extend_from_slice(value);
        }
        table.resize(to_usize(ITEMS.into()), 0);
        table.extend(values);
        table
    }
}

/// Payload blocks between two bitmap blocks, which have entries even where no bitmap is.
fn chunk_of(block: u64) -> u64 {
    let bytes = SECTORS_OF_CHUNK.saturating_mul(u64::from(SECTOR_BYTES));
    bytes.checked_div(block).unwrap_or(0).max(1)
}

fn with_checksum(mut bytes: Vec<u8>, field: Number<Le<u32>>) -> Vec<u8> {
    let sum = crc32c::of_structure(&bytes);
    put(&mut bytes, field, sum);
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
        self.bat().saturating_add(self.table)
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
        let creator: Vec<u8> = "instar".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let identifier = Built::new(file_identifier::BYTES)
            .put_bytes(file_identifier::SIGNATURE, b"vhdxfile")
            .put_bytes(file_identifier::CREATOR, &creator);
        let mut parts = Vec::from([
            Part {
                offset: self.bat(),
                bytes: table.up_to(to_usize(self.table)).done(),
            },
            Part {
                offset: self.metadata_offset(),
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
            bytes: identifier.done(),
        });
        Box::new(parts.into_iter())
    }
}
