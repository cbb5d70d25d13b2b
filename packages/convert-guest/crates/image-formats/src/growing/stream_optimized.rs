//! VMware disks, streamOptimized (Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"): header, descriptor,
//! compressed grains behind markers, each grain table behind the last grain that it describes, then the grain directory, a
//! second header and the end of the stream.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::fields::{Fields, small};
use super::vmdk::{Descriptor, ENTRIES_OF_TABLE, GRAIN, Kind, ZERO_GRAINS, with_line_ends};
use super::{Given, Growing, Options, Packing, Part, Placement};
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::extent::Codec;
use crate::qcow2::writer::LayoutError;
use crate::structure::Built;
use crate::structures::vmdk::{grain_marker, marker, sparse_header};

const SECTOR_BYTES: usize = 512;
/// Sectors.
const DESCRIPTOR: u64 = 1;
const DESCRIPTOR_LENGTH: u64 = 20;
const GRAINS: u64 = 128;
/// Where the grain directory would be said to lie: behind the grains.
const AT_END: u64 = u64::MAX;
const END_OF_STREAM: u32 = 0;
const GRAIN_TABLE: u32 = 1;
const GRAIN_DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;
/// The line ends are to be looked at; grains are compressed; markers are there.
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
const DEFLATE: u16 = 1;

/// A grain table that is being filled.
struct Table {
    /// Entry of the grain directory.
    index: u64,
    /// Sectors of the grains' markers.
    entries: Vec<u32>,
}

pub(super) struct StreamOptimized {
    size: u64,
    /// Those of the header.
    flags: u32,
    /// What the file begins with, until it is handed out.
    opening: Option<Vec<u8>>,
    /// Sectors of the grain tables; 0 for one without grains.
    directory: Vec<u32>,
    table: Option<Table>,
    /// Byte offset behind what has a place.
    end: u64,
}

impl StreamOptimized {
    /// An image for `size` bytes.
    ///
    /// # Errors
    /// `TooBig`.
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        let flags = FLAGS
            | if options.zeroed_grains {
                ZERO_GRAINS
            } else {
                0
            };
        let descriptor = Descriptor::new(size, given, options, Kind::StreamOptimized);
        let too_big = LayoutError::TooBig {
            safe_size: u64::from(u32::MAX).saturating_mul(SECTOR.size()) / 2,
        };
        let tables = to_usize(size.div_ceil(GRAIN).div_ceil(ENTRIES_OF_TABLE));
        let mut directory = Vec::new();
        directory.try_reserve_exact(tables).map_err(|_| too_big)?;
        directory.resize(tables, 0);
        let opening = Fields::default()
            .bytes(&header(size, AT_END, flags))
            .bytes(&descriptor.bytes(DESCRIPTOR_LENGTH))
            .up_to(to_usize(SECTOR.times(GRAINS).unwrap_or(0)))
            .done();
        Ok(Self {
            size,
            flags,
            opening: Some(opening),
            directory,
            table: None,
            end: SECTOR.times(GRAINS).unwrap_or(u64::MAX),
        })
    }

    /// Bytes that get the next place.
    fn append(&mut self, bytes: Vec<u8>) -> Part {
        let offset = self.end;
        self.end = offset.saturating_add(to_u64(bytes.len()));
        Part { offset, bytes }
    }

    fn sector(&self) -> Result<u32, LayoutError> {
        u32::try_from(SECTOR.index_of(self.end)).map_err(|_| LayoutError::TooBig { safe_size: 0 })
    }

    /// The table, which is complete, behind its marker.
    fn settle_table(&mut self) -> Result<Option<Part>, LayoutError> {
        let Some(table) = self.table.take() else {
            return Ok(None);
        };
        let sector = self.sector()?.checked_add(1);
        let slot = self.directory.get_mut(to_usize(table.index));
        let (Some(slot), Some(sector)) = (slot, sector) else {
            return Err(LayoutError::BadRange);
        };
        *slot = sector;
        let entries = table
            .entries
            .into_iter()
            .fold(Fields::default(), Fields::le32);
        let bytes = entries.up_to(to_usize(ENTRIES_OF_TABLE * 4)).done();
        Ok(Some(self.append(marked(GRAIN_TABLE, &bytes))))
    }

    /// The header and the descriptor, the first time: a stream takes them before all else.
    fn take_opening(&mut self) -> Option<Part> {
        let bytes = self.opening.take()?;
        Some(Part { offset: 0, bytes })
    }
}

fn header(size: u64, directory: u64, flags: u32) -> Vec<u8> {
    // No second copy of the tables is there.
    with_line_ends(Built::new(sparse_header::BYTES))
        .put(sparse_header::VERSION, 3)
        .put(sparse_header::FLAGS, flags)
        .put(sparse_header::CAPACITY, SECTOR.index_of(size))
        .put(sparse_header::GRAIN_SIZE, SECTOR.index_of(GRAIN))
        .put(sparse_header::DESCRIPTOR_OFFSET, DESCRIPTOR)
        .put(sparse_header::DESCRIPTOR_SIZE, DESCRIPTOR_LENGTH)
        .put(sparse_header::NUM_GTES_PER_GT, small(ENTRIES_OF_TABLE))
        .put(sparse_header::GD_OFFSET, directory)
        .put(sparse_header::OVER_HEAD, GRAINS)
        .put(sparse_header::COMPRESS_ALGORITHM, DEFLATE)
        .done()
}

/// Whole sectors behind a marker of their kind.
fn marked(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let sectors = bytes.len().div_ceil(SECTOR_BYTES);
    let length = sectors.saturating_add(1).saturating_mul(SECTOR_BYTES);
    let mut marked = Built::new(marker::BYTES)
        .put(marker::VAL, to_u64(sectors))
        .put(marker::TYPE, kind)
        .done();
    marked.extend_from_slice(bytes);
    marked.resize(length, 0);
    marked
}

impl Growing for StreamOptimized {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn file_length(&self) -> u64 {
        self.end
    }

    fn place(&mut self, _offset: u64, _most: u64) -> Result<Placement, LayoutError> {
        // Every grain is compressed.
        Err(LayoutError::BadRange)
    }

    fn packing(&self) -> Option<Packing> {
        Some(Packing {
            block: GRAIN,
            codec: Codec::Zlib,
            plain: false,
        })
    }

    fn prefix(&self, offset: u64, length: u64) -> Vec<u8> {
        Built::new(grain_marker::BYTES)
            .put(grain_marker::LBA, SECTOR.index_of(offset))
            .put(grain_marker::SIZE, small(length))
            .done()
    }

    fn place_compressed(&mut self, offset: u64, length: u64) -> Result<Placement, LayoutError> {
        if offset >= self.size {
            return Err(LayoutError::BadRange);
        }
        let grain = offset / GRAIN;
        let index = grain / ENTRIES_OF_TABLE;
        let mut settled: Vec<Part> = self.take_opening().into_iter().collect();
        match &self.table {
            Some(table) if table.index == index => {}
            Some(table) if table.index > index => return Err(LayoutError::BadRange),
            _ => {
                settled.extend(self.settle_table()?);
                self.table = Some(Table {
                    index,
                    entries: alloc::vec![0; to_usize(ENTRIES_OF_TABLE)],
                });
            }
        }
        let sector = self.sector()?;
        let entry = self.table.as_mut().and_then(|table| {
            let within = grain.checked_rem(ENTRIES_OF_TABLE)?;
            table.entries.get_mut(to_usize(within))
        });
        match entry {
            Some(entry @ 0) => *entry = sector,
            _ => return Err(LayoutError::BadRange),
        }
        let host = self.end;
        let whole = length.saturating_add(to_u64(grain_marker::BYTES));
        self.end = SECTOR
            .round_up(host.saturating_add(whole))
            .ok_or(LayoutError::BadRange)?;
        Ok(Placement {
            offset: host,
            length: self.end.saturating_sub(host),
            settled,
        })
    }

    fn finish(&mut self) -> Box<dyn Iterator<Item = Part> + '_> {
        // A sector beyond 32 bits was refused when its grain was placed; the tables behind it need few more.
        let opening = self.take_opening();
        let table = self.settle_table().unwrap_or_default();
        let directory = core::mem::take(&mut self.directory);
        let first = SECTOR.index_of(self.end).saturating_add(1);
        let bytes = directory
            .into_iter()
            .fold(Fields::default(), Fields::le32)
            .done();
        let directory = self.append(marked(GRAIN_DIRECTORY, &bytes));
        let footer = header(self.size, first, self.flags);
        let footer = self.append(marked(FOOTER, &footer));
        let end = self.append(marked(END_OF_STREAM, &[]));
        let parts = [directory, footer, end];
        Box::new(opening.into_iter().chain(table).chain(parts))
    }
}
