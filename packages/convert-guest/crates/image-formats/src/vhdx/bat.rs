//! The block allocation table ([MS-VHDX] 2.5): entries of payload blocks, and after each chunk of them one of a block of
//! sector bitmaps, which only differencing disks use.

use alloc::vec;
use alloc::vec::Vec;

use crate::blocks::{BlockSize, Entry, Layout, Piece, Place, Run, Table, TakePart, Width};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::sector_bits::SectorBits;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Beyond;

use super::log::Patch;
use super::metadata::Metadata;
use super::regions::{Region, Regions};

/// Sectors whose bits one block of sector bitmaps holds.
pub(super) const SECTORS_OF_CHUNK: u64 = 1 << 23;
/// Bits 0 to 2 of an entry are the block's state, bits 20 to 63 its offset in MiB.
pub(super) const STATE: u64 = 7;
/// The state of a block whose bytes are all in the file.
pub(super) const PRESENT: u64 = 6;
/// The state of a block of which the parent holds some sectors.
pub(super) const PARTLY: u64 = 7;
pub(super) const OFFSET: u64 = !0xf_ffff;
/// The part of the file that holds signatures, headers and region tables.
const FIRST_MEGABYTE: Region = Region {
    offset: 0,
    length: 1 << 20,
    field: 0,
};

pub(super) struct AllocationTable {
    device: DeviceIndex,
    block: BlockSize,
    pub bat: Region,
    /// Payload blocks of a chunk.
    pub chunk: u64,
    /// Entries that the disk needs.
    entries: u64,
    /// Sector bitmaps say what the disk holds and what its parent.
    pub differencing: bool,
    /// Bytes of a sector.
    pub sector: BlockSize,
    /// Parts of the file that no payload may overlap.
    pub structures: [Region; 4],
    /// What the log changes outside of structures: the payload there is not what the file holds.
    changed: Vec<(u64, u64)>,
    /// The log changes something.
    replayed: bool,
}

impl AllocationTable {
    /// The bits of the block around `position`.
    fn bitmap_of<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<SectorBits, FormatError> {
        let index = self.block.index_of(position);
        let number = index.checked_div(self.chunk).unwrap_or(0);
        let at = self.place_of_bitmap(number);
        let mut bytes = [0; 8];
        cache.read(at, &mut bytes)?;
        let value = u64::from_le_bytes(bytes);
        let offset = value & OFFSET;
        let bitmaps = SECTORS_OF_CHUNK / 8;
        let overlaps = self
            .structures
            .iter()
            .any(|part| part.overlaps(offset, bitmaps));
        let beyond = offset.saturating_add(bitmaps) > cache.file_size();
        if value & STATE != 6 || overlaps || beyond {
            let expected =
                Expected::Sentence("a block of sector bitmaps inside the file (state 6)");
            let kind = ErrorKind::BadTableEntry;
            let field = "BAT entry of sector bitmaps";
            return Err(FormatError::new(
                kind,
                self.device,
                field,
                at,
                value,
                expected,
            ));
        }
        let in_chunk = index.saturating_sub(self.chunk.saturating_mul(number));
        Ok(SectorBits {
            offset,
            first: in_chunk.saturating_mul(self.sector.index_of(self.block.bytes())),
            lowest_first: true,
            sector: self.sector,
        })
    }

    /// # Errors
    /// `BadTable` when the region is too small for the disk.
    pub fn new(
        device: DeviceIndex,
        block: BlockSize,
        metadata: &Metadata,
        regions: Regions,
        log: Region,
        patches: &[Patch],
    ) -> Result<Self, FormatError> {
        let bits = SECTORS_OF_CHUNK.saturating_mul(metadata.logical_sector.into());
        // Both are powers of two, and the quotient is 16 at least.
        let chunk = block.index_of(bits).max(1);
        let blocks = block.count_for(metadata.size);
        let differencing = metadata.parent_locator.is_some();
        let entries = if differencing {
            let chunks = blocks.div_ceil(chunk);
            chunks.saturating_mul(chunk.saturating_add(1))
        } else {
            // The last chunk needs no entry for its bitmap.
            let bitmaps = blocks.saturating_sub(1).checked_div(chunk).unwrap_or(0);
            blocks.saturating_add(bitmaps)
        };
        if entries.saturating_mul(8) > regions.bat.length {
            let kind = ErrorKind::BadTable;
            let expected = Expected::AtLeast(entries.saturating_mul(8));
            let Region { length, field, .. } = regions.bat;
            return Err(FormatError::new(
                kind,
                device,
                "BAT region",
                field,
                length,
                expected,
            ));
        }
        let structures = [FIRST_MEGABYTE, regions.bat, regions.metadata, log];
        let inside = |patch: &Patch| {
            structures
                .iter()
                .any(|part| part.offset <= patch.start && patch.end() <= part.end())
        };
        Ok(Self {
            device,
            block,
            bat: regions.bat,
            chunk,
            entries,
            differencing,
            sector: BlockSize::new(metadata.logical_sector.into()).unwrap_or(BlockSize::SECTOR),
            structures,
            changed: patches
                .iter()
                .filter(|patch| !inside(patch))
                .map(|patch| (patch.start, patch.end()))
                .collect(),
            replayed: !patches.is_empty(),
        })
    }

    /// Where the entry of the bitmap of a chunk stands, behind those of its blocks (byte offset in the file).
    pub fn place_of_bitmap(&self, chunk: u64) -> u64 {
        let before = self.chunk.saturating_add(1).saturating_mul(chunk);
        let entry = before.saturating_add(self.chunk);
        self.bat.offset.saturating_add(entry.saturating_mul(8))
    }

    pub fn block(&self) -> BlockSize {
        self.block
    }

    /// Where the log lies.
    pub fn log(&self) -> Region {
        let [.., log] = self.structures;
        log
    }

    /// Whether the log holds changes that the file does not have.
    pub fn has_replayed(&self) -> bool {
        self.replayed
    }

    fn refuse(&self, entry: Entry, value: u64, expected: &'static str) -> FormatError {
        let expected = Expected::Sentence(expected);
        let kind = ErrorKind::BadTableEntry;
        FormatError::new(kind, self.device, "BAT entry", entry.at, value, expected)
    }
}

impl Layout for AllocationTable {
    fn find<S: ByteSource>(
        &self,
        _: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError> {
        let number = self
            .block
            .index_of(position)
            .checked_div(self.chunk)
            .unwrap_or(0);
        let entries_before = self.chunk.saturating_add(1).saturating_mul(number);
        Ok(Place::Table(Table {
            offset: self
                .bat
                .offset
                .saturating_add(entries_before.saturating_mul(8)),
            entries: self.chunk,
            width: Width::Le64,
            start: self.block.times(self.chunk).saturating_mul(number),
            block: self.block,
        }))
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        let offset = entry.value & OFFSET;
        match entry.value & STATE {
            0 if self.differencing => Ok(Piece::Unallocated),
            // Not present, undefined, zero, unmapped (and unmapped as early versions wrote it).
            0 | 1 | 2 | 3 | 5 => Ok(Piece::Zero),
            state if state == 6 || (state == PARTLY && self.differencing) => {
                let bytes = self.block.bytes();
                if self
                    .structures
                    .iter()
                    .any(|part| part.overlaps(offset, bytes))
                {
                    let expected = "a payload block that overlaps no structure of the file";
                    return Err(self.refuse(entry, offset, expected));
                }
                let end = offset.saturating_add(bytes);
                if self
                    .changed
                    .iter()
                    .any(|(from, to)| *from < end && offset < *to)
                {
                    let expected = "a payload block that the log does not change";
                    return Err(self.refuse(entry, offset, expected));
                }
                Ok(Piece::Data(offset))
            }
            state => Err(self.refuse(
                entry,
                state,
                "a state from 0 to 3, 6, or 7 in a differencing disk",
            )),
        }
    }

    fn refine<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
        run: Run,
    ) -> Result<Run, FormatError> {
        if !self.differencing {
            return Ok(run);
        }
        let end = position.saturating_add(run.length);
        let mut at = position;
        while at < end {
            let Place::Table(chunk) = self.find(cache, at)? else {
                break;
            };
            if chunk.read(cache, at)?.value & STATE == PARTLY {
                break;
            }
            at = at
                .saturating_sub(self.block.within(at))
                .saturating_add(self.block.bytes());
        }
        if at > position {
            // Whole blocks up to there.
            let length = at.min(end).saturating_sub(position);
            return Ok(Run { length, ..run });
        }
        let bits = self.bitmap_of(cache, position)?;
        let within = self.block.within(position);
        let left = run.length.min(self.block.bytes().saturating_sub(within));
        bits.refine(cache, within, left, run)
    }

    fn names(&self) -> [&'static str; 3] {
        ["", "", "BAT entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        let bytes = self.entries.saturating_mul(8);
        vec![Beyond {
            field: "BAT",
            at: self.bat.field,
            end: self.bat.offset.saturating_add(bytes),
        }]
    }

    fn refuses_beyond(&self) -> bool {
        true
    }

    fn each_part<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        take: &mut TakePart<'_>,
    ) -> Result<(), FormatError> {
        for part in &self.structures {
            take("structure of the file", part.offset, part.length)?;
        }
        if !self.differencing {
            return Ok(());
        }
        let chunks = self.entries.div_ceil(self.chunk.saturating_add(1).max(1));
        for chunk in 0..chunks {
            let mut bytes = [0; 8];
            cache.read(self.place_of_bitmap(chunk), &mut bytes)?;
            let value = u64::from_le_bytes(bytes);
            if value & STATE == PRESENT {
                take(
                    "block of sector bitmaps",
                    value & OFFSET,
                    SECTORS_OF_CHUNK / 8,
                )?;
            }
        }
        Ok(())
    }
}
