//! The metadata items ([MS-VHDX] 2.6): sizes of the disk, its sectors and its blocks.

use crate::arith::to_u64;
use crate::cursor::Cursor;
use crate::edit::EditTarget;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::staged_file::StagedFile;
use crate::structure::{Structure, put};
use crate::structures::vhdx::{metadata_entry, metadata_table};

use super::guid;
use super::regions::Region;

const TABLE_BYTES: usize = 64 << 10;
const MOST_ITEMS: u16 = 2047;
const IS_REQUIRED: u32 = 4;
const LEAVE_ALLOCATED: u32 = 1;
const HAS_PARENT: u32 = 2;
const LEAST_BLOCK: u32 = 1 << 20;
const MOST_BLOCK: u32 = 256 << 20;
/// 64 TiB.
pub(super) const MOST_SIZE: u64 = 64 << 40;

#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    /// Bytes.
    pub block_size: u32,
    /// Bytes of the disk.
    pub size: u64,
    /// Where that stands.
    pub size_field: u64,
    /// Blocks have their places also where nothing was written.
    pub fixed: bool,
    /// Bytes.
    pub logical_sector: u32,
    /// Where a differencing disk says what its parent is.
    pub parent_locator: Option<Region>,
}

#[derive(Default)]
struct Found {
    block_size: Option<Field<u32>>,
    flags: Option<Field<u32>>,
    size: Option<Field<u64>>,
    logical_sector: Option<Field<u32>>,
    parent_locator: Option<Region>,
}

impl Metadata {
    /// Reads the table and the items.
    ///
    /// # Errors
    /// `BadTable`, `UnknownFeature`, `BadClusterSize`, `BadHeader`,
    /// `ImageTooBig`.
    pub fn read<S: ByteSource>(
        cache: &mut MetadataCache<S>,
        region: Region,
    ) -> Result<Self, FormatError> {
        let device = cache.device();
        let at = region.offset;
        let bytes = cache.read_vec(at, TABLE_BYTES)?;
        let head = Structure::new(&bytes, at, device, ErrorKind::BadTable);
        if head.bytes(metadata_table::SIGNATURE)? != b"metadata" {
            let expected = Expected::Sentence("\"metadata\"");
            let kind = ErrorKind::BadTable;
            return Err(FormatError::new(
                kind,
                device,
                "metadata signature",
                at,
                0,
                expected,
            ));
        }
        let count = head.get(metadata_table::ENTRY_COUNT)?;
        if count.value > MOST_ITEMS {
            let expected = Expected::AtMost(MOST_ITEMS.into());
            return Err(count.refuse(ErrorKind::BadTable, expected));
        }
        let mut found = Found::default();
        for number in 0..count.value {
            let entry = head.entry(
                metadata_table::BYTES,
                metadata_entry::BYTES,
                usize::from(number),
            );
            let id = entry.bytes(metadata_entry::ITEM_ID)?;
            let offset = entry.get(metadata_entry::OFFSET)?;
            let length = entry.get(metadata_entry::LENGTH)?;
            let flags = entry.get(metadata_entry::FLAGS)?;
            let end = u64::from(offset.value).saturating_add(length.value.into());
            if end > region.length || u64::from(offset.value) < to_u64(TABLE_BYTES) {
                let expected = Expected::Between(to_u64(TABLE_BYTES), region.length);
                return Err(offset.refuse(ErrorKind::BadTable, expected));
            }
            let place = at.saturating_add(offset.value.into());
            let item = cache.read_vec(place, 8)?;
            let mut item = Cursor::new(&item, place, device, ErrorKind::BadTable);
            if id == guid::FILE_PARAMETERS {
                found.block_size = Some(item.le32("BlockSize")?);
                found.flags = Some(item.le32("file parameters")?);
            } else if id == guid::VIRTUAL_DISK_SIZE {
                found.size = Some(item.le64("VirtualDiskSize")?);
            } else if id == guid::LOGICAL_SECTOR_SIZE {
                found.logical_sector = Some(item.le32("LogicalSectorSize")?);
            } else if id == guid::PARENT_LOCATOR {
                found.parent_locator = Some(Region {
                    offset: place,
                    length: length.value.into(),
                    field: offset.offset,
                });
            } else if ![guid::PHYSICAL_SECTOR_SIZE, guid::VIRTUAL_DISK_ID]
                .iter()
                .any(|known| id == known)
                && flags.value & IS_REQUIRED != 0
            {
                let expected = Expected::Sentence("known items, or such as may be passed over");
                return Err(flags.refuse(ErrorKind::UnknownFeature, expected));
            }
        }
        let missing = |name| {
            let expected = Expected::Sentence("a metadata item that every image has");
            FormatError::new(ErrorKind::BadTable, device, name, at, 0, expected)
        };
        let block_size = found.block_size.ok_or_else(|| missing("BlockSize"))?;
        let flags = found.flags.ok_or_else(|| missing("file parameters"))?;
        let size = found.size.ok_or_else(|| missing("VirtualDiskSize"))?;
        let logical = found
            .logical_sector
            .ok_or_else(|| missing("LogicalSectorSize"))?;
        let parent_locator = if flags.value & HAS_PARENT == 0 {
            None
        } else {
            Some(
                found
                    .parent_locator
                    .ok_or_else(|| missing("parent locator"))?,
            )
        };
        let possible = LEAST_BLOCK..=MOST_BLOCK;
        if !block_size.value.is_power_of_two() || !possible.contains(&block_size.value) {
            let expected = Expected::Sentence("a power of two from 1 to 256 MiB");
            return Err(block_size.refuse(ErrorKind::BadClusterSize, expected));
        }
        if logical.value != 512 && logical.value != 4096 {
            let expected = Expected::Sentence("512 or 4096");
            return Err(logical.refuse(ErrorKind::BadHeader, expected));
        }
        if size.value > MOST_SIZE {
            return Err(size.refuse(ErrorKind::ImageTooBig, Expected::AtMost(MOST_SIZE)));
        }
        let rest = size.value.checked_rem(logical.value.into());
        if rest != Some(0) {
            let expected = Expected::MultipleOf(logical.value.into());
            return Err(size.refuse(ErrorKind::BadHeader, expected));
        }
        Ok(Self {
            block_size: block_size.value,
            size: size.value,
            size_field: size.offset,
            fixed: flags.value & LEAVE_ALLOCATED != 0,
            logical_sector: logical.value,
            parent_locator,
        })
    }
}

/// Writes another parent locator: in the place of the old one, or behind all other items of the region where it is longer.
///
/// # Errors
/// `BadTable` without an old one, or without room.
pub(super) fn put_parent_locator<T: EditTarget>(
    file: &mut StagedFile<T>,
    region: Region,
    locator: &[u8],
) -> Result<(), FormatError> {
    let device = file.device();
    let mut table = file.read_vec(region.offset, to_u64(TABLE_BYTES))?;
    let head = Structure::new(&table, region.offset, device, ErrorKind::BadTable);
    let count = head.get(metadata_table::ENTRY_COUNT)?.value.min(MOST_ITEMS);
    let (mut old, mut behind) = (None, to_u64(TABLE_BYTES));
    for number in 0..usize::from(count) {
        let entry = head.entry(metadata_table::BYTES, metadata_entry::BYTES, number);
        let offset = u64::from(entry.get(metadata_entry::OFFSET)?.value);
        let length = u64::from(entry.get(metadata_entry::LENGTH)?.value);
        behind = behind.max(offset.saturating_add(length));
        if entry.bytes(metadata_entry::ITEM_ID)? == guid::PARENT_LOCATOR {
            old = Some((number, offset, length));
        }
    }
    let length = to_u64(locator.len());
    let refuse = |value| {
        let expected = Expected::Sentence("a metadata region with room for the parent locator");
        let kind = ErrorKind::BadTable;
        FormatError::new(
            kind,
            device,
            "parent locator",
            region.offset,
            value,
            expected,
        )
    };
    let (number, offset, room) = old.ok_or_else(|| refuse(0))?;
    let place = if length <= room { offset } else { behind };
    if place.saturating_add(length) > region.length {
        return Err(refuse(length));
    }
    let at = number
        .saturating_mul(metadata_entry::BYTES)
        .saturating_add(metadata_table::BYTES);
    let short = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    if let Some(entry) = table.get_mut(at..at.saturating_add(metadata_entry::BYTES)) {
        put(entry, metadata_entry::OFFSET, short(place));
        put(entry, metadata_entry::LENGTH, short(length));
    }
    file.write(region.offset.saturating_add(place), locator)?;
    file.write(region.offset, &table)
}
