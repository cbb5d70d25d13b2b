//! The grains of one file: a directory names tables, and those name grains.

use alloc::vec;
use alloc::vec::Vec;

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, Entry, Layout, Piece, Place, Stream, Table, TakePart, Width};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::Codec;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Beyond;

/// How entries of the directory and of the tables are to be understood.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entries {
    /// Sectors of the file.
    Sectors {
        /// An entry of 1 stands for a grain of zeros.
        zero_grains: bool,
        /// Each grain is a zlib stream, behind a header of so many bytes.
        compressed: Option<u64>,
    },
    /// Numbers of tables and grains, with their type in the upper bits (ESX space-efficient).
    SpaceEfficient {
        /// Where the tables begin (byte offset in the file).
        tables: u64,
        /// Where the grains begin (byte offset in the file).
        grains: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Grains {
    pub device: DeviceIndex,
    /// Byte offset of the directory in the file.
    pub directory: u64,
    /// Where that offset stands, for messages.
    pub directory_field: u64,
    /// Bytes of the disk.
    pub size: u64,
    pub grain: BlockSize,
    /// Entries of a table.
    pub table_entries: u64,
    pub entries: Entries,
    /// Byte offset of the second directory, whose tables say the same, where there is one.
    pub redundant: Option<u64>,
    /// The description inside the file (byte offset, bytes).
    pub descriptor: Option<(u64, u64)>,
}

/// Types of entries of space-efficient disks (bits 60 to 63).
const TYPE_BITS: u32 = 60;
const TABLE_PRESENT: u64 = 0x1000_0000;

impl Grains {
    /// What an entry of the directory stands for.
    pub fn table_span(&self) -> BlockSize {
        BlockSize::new(self.grain.times(self.table_entries)).unwrap_or(self.grain)
    }

    pub fn directory(&self) -> Table {
        let block = self.table_span();
        Table {
            offset: self.directory,
            entries: block.count_for(self.size),
            width: self.width(),
            start: 0,
            block,
        }
    }

    /// The second directory.
    pub fn redundant_directory(&self) -> Option<Table> {
        let offset = self.redundant?;
        Some(Table {
            offset,
            ..self.directory()
        })
    }

    pub fn width(&self) -> Width {
        match self.entries {
            Entries::Sectors { .. } => Width::Le32,
            Entries::SpaceEfficient { .. } => Width::Le64,
        }
    }

    fn refuse(&self, field: &'static str, entry: Entry, expected: &'static str) -> FormatError {
        let expected = Expected::Sentence(expected);
        let kind = ErrorKind::BadTableEntry;
        FormatError::new(kind, self.device, field, entry.at, entry.value, expected)
    }

    /// Where the table lies that an entry of the directory names (byte offset in the file).
    pub fn table_offset(&self, entry: Entry) -> Result<u64, FormatError> {
        match self.entries {
            Entries::Sectors { .. } => Ok(SECTOR.times(entry.value).unwrap_or(u64::MAX)),
            Entries::SpaceEfficient { tables, .. } => {
                if entry.value >> 32 != TABLE_PRESENT {
                    let expected = "0 or a number of a table behind 0x10000000";
                    return Err(self.refuse("grain directory entry", entry, expected));
                }
                let number = entry.value & 0xffff_ffff;
                let bytes = self.table_entries.saturating_mul(self.width().bytes());
                Ok(tables.saturating_add(bytes.saturating_mul(number)))
            }
        }
    }

    fn decode_sectors(&self, entry: Entry, zero_grains: bool, compressed: Option<u64>) -> Piece {
        let offset = SECTOR.times(entry.value).unwrap_or(u64::MAX);
        match (entry.value, compressed) {
            (0, _) => Piece::Unallocated,
            (1, _) if zero_grains => Piece::Zero,
            (_, None) => Piece::Data(offset),
            (_, Some(header)) => {
                // The last grain may hold no more than the disk does.
                let size = self
                    .size
                    .saturating_sub(entry.start)
                    .min(self.grain.bytes());
                let grain = self.grain.bytes();
                Piece::Compressed(Stream {
                    codec: Codec::Zlib,
                    offset: offset.saturating_add(header),
                    // What zlib makes of bytes that do not compress, and a bit more.
                    max_length: grain.saturating_add(grain >> 4).saturating_add(64),
                    start: entry.start,
                    size,
                })
            }
        }
    }

    fn decode_space_efficient(&self, entry: Entry, grains: u64) -> Result<Piece, FormatError> {
        match entry.value >> TYPE_BITS {
            0 if entry.value == 0 => Ok(Piece::Unallocated),
            // Unmapped by the guest, and zeros.
            1 | 2 => Ok(Piece::Zero),
            3 => {
                let low = (entry.value >> 48) & 0xfff;
                let number = low | ((entry.value & 0xffff_ffff_ffff) << 12);
                let offset = number.checked_mul(self.grain.bytes());
                Ok(Piece::Data(
                    offset
                        .and_then(|offset| offset.checked_add(grains))
                        .unwrap_or(u64::MAX),
                ))
            }
            _ => Err(self.refuse("grain table entry", entry, "0 or a grain of type 1, 2 or 3")),
        }
    }
}

impl Layout for Grains {
    fn find<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError> {
        let upper = self.directory();
        let entry = upper.read(cache, position)?;
        if entry.value == 0 {
            return Ok(Place::Hole { upper });
        }
        let table = Table {
            offset: self.table_offset(entry)?,
            entries: self.table_entries,
            width: self.width(),
            start: entry.start,
            block: self.grain,
        };
        Ok(Place::Lower { table, upper })
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        match self.entries {
            Entries::Sectors {
                zero_grains,
                compressed,
            } => Ok(self.decode_sectors(entry, zero_grains, compressed)),
            Entries::SpaceEfficient { grains, .. } => self.decode_space_efficient(entry, grains),
        }
    }

    fn span(&self) -> Option<BlockSize> {
        Some(self.table_span())
    }

    fn names(&self) -> [&'static str; 3] {
        ["grain directory entry", "grain table", "grain table entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "grain directory",
            at: self.directory_field,
            end: self.directory().file_end(),
        }]
    }

    fn each_part<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        take: &mut TakePart<'_>,
    ) -> Result<(), FormatError> {
        take("header", 0, SECTOR.size())?;
        if let Some((offset, length)) = self.descriptor {
            take("descriptor", offset, length)?;
        }
        let first = self.directory();
        let length = first.file_end().saturating_sub(first.offset);
        take("grain directory", first.offset, length)?;
        let Some(second) = self.redundant_directory() else {
            return Ok(());
        };
        if second.file_end() > cache.file_size() {
            return Ok(());
        }
        take("redundant grain directory", second.offset, length)?;
        let bytes = self.table_entries.saturating_mul(self.width().bytes());
        for index in 0..second.entries {
            let position = second.block.times(index);
            let entry = second.read(cache, position)?;
            // Both may lead to one table, which is that of the first.
            if entry.value != 0 && entry.value != first.read(cache, position)?.value {
                take("redundant grain table", self.table_offset(entry)?, bytes)?;
            }
        }
        Ok(())
    }
}
