//! VHDX images are written to: a new block gets its place behind all else, and of a differencing disk a bitmap says which of its
//! sectors are there.

use alloc::boxed::Box;

use super::bat::{AllocationTable, OFFSET, PARTLY, PRESENT, SECTORS_OF_CHUNK, STATE};
use super::edit::{Headers, make_whole};
use super::header::Header;
use super::locator::locator;
use super::metadata::{self, Metadata};
use super::regions::{Region, Regions};
use crate::arith::PowerOfTwo;
use crate::blocks::{BlockSize, Layout, Part, Place, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget, Edited, Shown, unsupported};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::sector_bits::put_bits;
use crate::source::DeviceIndex;
use crate::staged_file::{StagedFile, zeros};

/// What blocks and the file are multiples of.
const MEGABYTE: PowerOfTwo = PowerOfTwo::from_bits(20);
/// Bytes of a block of sector bitmaps.
const BITMAPS: u64 = SECTORS_OF_CHUNK / 8;

impl AllocationTable {
    /// Where the bitmap of a chunk lies (byte offset in the file); where there is none it is made, without a bit that is set.
    fn bitmap_for<T: EditTarget>(
        &self,
        file: &mut StagedFile<T>,
        chunk: u64,
        end: &mut u64,
    ) -> Result<u64, FormatError> {
        let at = self.place_of_bitmap(chunk);
        let mut bytes = [0; 8];
        file.read(at, &mut bytes)?;
        let value = u64::from_le_bytes(bytes);
        if value & STATE == PRESENT {
            return Ok(value & OFFSET);
        }
        let place = MEGABYTE.round_up(*end).unwrap_or(*end);
        *end = place.saturating_add(BITMAPS);
        file.reach(*end);
        file.write(at, &(place | PRESENT).to_le_bytes())?;
        Ok(place)
    }

    /// The state of the block around `position`.
    fn state<T: EditTarget>(
        &self,
        file: &mut StagedFile<T>,
        position: u64,
    ) -> Result<u64, FormatError> {
        let device = file.device();
        let nothing: &[u8] = &[];
        let mut none = MetadataCache::new(nothing, device, 2);
        let Place::Table(table) = self.find(&mut none, position)? else {
            return Ok(0);
        };
        let mut bytes = [0; 8];
        file.read(table.place_of(position), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes) & STATE)
    }
}

impl Writable for AllocationTable {
    fn place(&self, end: u64) -> Option<u64> {
        MEGABYTE.round_up(end)
    }

    fn name(&self, place: u64) -> Option<u64> {
        Some(place | if self.differencing { PARTLY } else { PRESENT })
    }

    fn has_bitmaps(&self) -> bool {
        self.differencing
    }

    fn mark<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        part: Part,
        end: &mut u64,
    ) -> Result<(), FormatError> {
        if !self.differencing || (!part.fresh && self.state(file, part.block)? == PRESENT) {
            return Ok(());
        }
        let index = self.block().index_of(part.block);
        let chunk = index.checked_div(self.chunk).unwrap_or(0);
        let sectors = self.sector.index_of(self.block().bytes());
        let before = index.saturating_sub(chunk.saturating_mul(self.chunk));
        // A block has whole bytes of bits: it has 2048 sectors at least, or 256 of 4 KiB.
        let at = self
            .bitmap_for(file, chunk, end)?
            .saturating_add(before.saturating_mul(sectors) / 8);
        let mut bits = file.read_vec(at, sectors / 8)?;
        if part.fresh {
            put_bits(&mut bits, 0, sectors, true, false);
        }
        let first = self.sector.index_of(part.within);
        put_bits(
            &mut bits,
            first,
            self.sector.count_for(part.length),
            true,
            true,
        );
        file.write(at, &bits)
    }

    fn set_parent<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        (name, identity): (&[u8], Option<Identity>),
        _: &mut u64,
    ) -> Result<(), FormatError> {
        let refused = |what| Err(unsupported(file.device(), what));
        if !self.differencing {
            return refused("of vhdx images, differencing ones have a parent");
        }
        let Some(identity) = identity else {
            return refused(
                "a differencing disk needs a parent, which must be there: convert it instead",
            );
        };
        let Some(locator) = locator(&identity, name) else {
            return refused(
                "it names a parent from its own directory on, without colons and backslashes",
            );
        };
        let [_, _, region, _] = self.structures;
        metadata::put_parent_locator(file, region, &locator)
    }

    fn finish<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        _: u64,
        end: u64,
    ) -> Result<(), FormatError> {
        file.reach(MEGABYTE.round_up(end).unwrap_or(end));
        Ok(())
    }
}

/// An image whose log was carried out, and which a check finds nothing wrong with.
struct Opened {
    table: AllocationTable,
    size: u64,
    /// Where all but the blocks ends (byte offset in the file).
    structures_end: u64,
}

fn open_sound<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    shown: Shown,
) -> Result<Opened, FormatError> {
    make_whole(target, device)?;
    require_sound(target, device, Format::Vhdx)?;
    let mut file = StagedFile::new(&mut *target, device);
    Headers::read(&mut file)?.rewrite(&mut file, shown)?;
    drop(file);
    let header = Header::read(&mut Borrowed(&mut *target), device)?;
    let mut cache = MetadataCache::new(Borrowed(&mut *target), device, 4);
    let regions = Regions::read(&mut cache)?;
    let metadata = Metadata::read(&mut cache, regions.metadata)?;
    drop(cache);
    let block = BlockSize::new(metadata.block_size.into()).ok_or_else(|| {
        let kind = ErrorKind::BadClusterSize;
        FormatError::new(kind, device, "BlockSize", 0, 0, Expected::AtLeast(1))
    })?;
    let log = Region {
        offset: header.log_offset,
        length: header.log_length,
        field: 0,
    };
    let table = AllocationTable::new(device, block, &metadata, regions, log, &[])?;
    let structures = [regions.bat, regions.metadata, log];
    let used = structures.iter().map(Region::end).max().unwrap_or(0);
    Ok(Opened {
        table,
        size: metadata.size,
        structures_end: used.max(MEGABYTE.size()),
    })
}

/// Opens the image in `target` for writing its disk. A log that was left is carried out, and with the content its identity
/// changes, by which differencing disks know it.
///
/// # Errors
/// What the readers of the headers, the log, the regions and the metadata refuse, `RepairFirst`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
    shown: Shown,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    let Opened {
        table,
        size,
        structures_end,
    } = open_sound(&mut target, device, shown)?;
    let end = target.size().max(structures_end);
    let (is_above, block) = (table.differencing, table.block().bytes());
    let file = StagedFile::new(target, device);
    Ok(open_blocks(file, table, (size, block), is_above, end))
}

/// Gives all that a differencing disk holds back to its parent: no block is there any more, and the file ends behind the
/// structures.
///
/// # Errors
/// As for [`open_writer`]; `UnsupportedEdit` for disks without a parent.
pub(super) fn empty<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Edited, FormatError> {
    let Opened {
        table,
        size,
        structures_end,
    } = open_sound(&mut target, device, Shown::Stays)?;
    if !table.differencing {
        let what = "of vhdx images, differencing ones have a parent";
        return Err(unsupported(device, what));
    }
    let mut file = StagedFile::new(target, device);
    let bytes = zeros(device, table.bat.offset, table.bat.length)?;
    file.write(table.bat.offset, &bytes)?;
    file.flush()?;
    Ok(Edited {
        file_length: MEGABYTE.round_up(structures_end).unwrap_or(structures_end),
        virtual_size: size,
        ..Edited::default()
    })
}
