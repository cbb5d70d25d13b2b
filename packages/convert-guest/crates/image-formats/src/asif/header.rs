//! The header: 512 bytes, big-endian; and which of the two directories counts.

use crate::blocks::{BlockSize, Table, Width, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::asif::header;

pub(super) const MAGIC: &[u8; 4] = b"shdw";

const LENGTH: usize = 512;
const VERSION: u32 = 1;
const LEAST_CHUNK: u32 = 64 << 10;
const MOST_CHUNK: u32 = 256 << 20;
const LEAST_SECTOR: u16 = 512;
const MOST_SECTOR: u16 = 4096;
/// Bytes of a disk: what images of macOS may grow to is just below 4 PiB.
const MOST_BYTES: u64 = 1 << 62;
/// A directory begins with its sequence number.
const SEQUENCE_BYTES: u64 = 8;
const ENTRY_BYTES: u64 = 8;

/// Where everything is, and in which units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub device: DeviceIndex,
    /// Bytes of the disk.
    pub size: u64,
    /// Unit in which the file is handed out.
    pub chunk: BlockSize,
    pub sector: BlockSize,
    /// Data chunks of a chunk group.
    pub group_chunks: u64,
    /// The directory that counts: one entry a table.
    pub directory: Table,
    /// Where the header names it (byte offset in the file).
    pub directory_field: u64,
}

impl Header {
    /// Reads and checks the header, and chooses the directory.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVersion`, `BadClusterSize`, `BadTable`, `ImageTooBig`, or what the source reports.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, LENGTH)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let magic = head.get(header::MAGIC)?;
        if magic.value.to_be_bytes() != *MAGIC {
            let expected = Expected::Sentence("\"shdw\"");
            return Err(magic.refuse(ErrorKind::NotThisFormat, expected));
        }
        let version = head.get(header::VERSION)?;
        if version.value != VERSION {
            let expected = Expected::Sentence("1");
            return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
        }
        let directories = [
            head.get(header::FIRST_DIRECTORY)?,
            head.get(header::SECOND_DIRECTORY)?,
        ];
        let sectors = head.get(header::SECTOR_COUNT)?;
        let most_sectors = head.get(header::MAXIMUM_SECTOR_COUNT)?;
        let chunk = head.get(header::CHUNK_SIZE)?;
        let sector = head.get(header::SECTOR_SIZE)?;
        let (chunk, sector) = (chunk_size(chunk)?, sector_size(sector)?);

        let most = sector.index_of(MOST_BYTES);
        if most_sectors.value > most {
            return Err(most_sectors.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)));
        }
        if sectors.value > most_sectors.value {
            let expected = Expected::AtMost(most_sectors.value);
            return Err(sectors.refuse(ErrorKind::ImageTooBig, expected));
        }
        // One chunk holds the states of a group's sectors: two bits each.
        let group_chunks = sector.times(4);
        let group_bytes = group_chunks.saturating_add(1).saturating_mul(ENTRY_BYTES);
        let table_groups = chunk.bytes().checked_div(group_bytes).unwrap_or(0);
        let span = chunk.times(group_chunks.saturating_mul(table_groups));
        let Some(block) = BlockSize::new(span) else {
            let expected = Expected::Sentence("room for a chunk group in a chunk");
            let (offset, value) = (header::CHUNK_SIZE.place(0), chunk.bytes());
            let kind = ErrorKind::BadClusterSize;
            return Err(FormatError::new(
                kind,
                device,
                "chunk size",
                offset,
                value,
                expected,
            ));
        };
        let entries = block.count_for(sector.times(sectors.value));
        let chosen = newest(cache, directories, entries)?;
        Ok(Self {
            device,
            size: sector.times(sectors.value),
            chunk,
            sector,
            group_chunks,
            directory: Table {
                offset: chosen.value.saturating_add(SEQUENCE_BYTES),
                entries,
                width: Width::Be64,
                start: 0,
                block,
            },
            directory_field: chosen.offset,
        })
    }
}

fn chunk_size(field: Field<u32>) -> Result<BlockSize, FormatError> {
    let possible = LEAST_CHUNK..=MOST_CHUNK;
    BlockSize::new(field.value.into())
        .filter(|_| possible.contains(&field.value) && field.value.is_power_of_two())
        .ok_or_else(|| {
            let expected = Expected::Sentence("a power of two from 65536 to 268435456");
            field.refuse(ErrorKind::BadClusterSize, expected)
        })
}

fn sector_size(field: Field<u16>) -> Result<BlockSize, FormatError> {
    let possible = LEAST_SECTOR..=MOST_SECTOR;
    BlockSize::new(field.value.into())
        .filter(|_| possible.contains(&field.value) && field.value.is_power_of_two())
        .ok_or_else(|| {
            let expected = Expected::Sentence("a power of two from 512 to 4096");
            field.refuse(ErrorKind::BadClusterSize, expected)
        })
}

/// Of the directories, the one with the higher sequence number. What is written first is the other one, so that it may
/// be incomplete; but it does not lie outside of the file.
fn newest<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    directories: [Field<u64>; 2],
    entries: u64,
) -> Result<Field<u64>, FormatError> {
    let length = SEQUENCE_BYTES.saturating_add(entries.saturating_mul(ENTRY_BYTES));
    let last = cache.file_size().saturating_sub(length);
    let mut chosen: Option<(u64, Field<u64>)> = None;
    for directory in directories {
        if directory.value > last || !directory.value.is_multiple_of(ENTRY_BYTES) {
            let expected = Expected::Sentence("a directory inside the file");
            return Err(directory.refuse(ErrorKind::BadTable, expected));
        }
        let sequence = cache.be64(directory.value)?;
        if chosen.is_none_or(|(best, _)| sequence > best) {
            chosen = Some((sequence, directory));
        }
    }
    let [first, _] = directories;
    Ok(chosen.map_or(first, |(_, directory)| directory))
}
