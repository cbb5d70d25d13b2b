//! A VHDX image gets more bytes: entries of its table, where that has no room a longer table behind all else, and another size.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::edit::{EditTarget, Shown, unsupported};
use crate::error::FormatError;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

use super::bat::SECTORS_OF_CHUNK;
use super::edit::Headers;
use super::metadata::{MOST_SIZE, Metadata};
use super::regions::{self, Region, Regions};

const MEGABYTE: PowerOfTwo = PowerOfTwo::from_bits(20);
/// Bytes of an entry.
const ENTRY: u64 = 8;
/// The state of a block whose bytes are all in the file.
const PRESENT: u64 = 6;

/// Gives the disk `size` bytes, which are more than it has.
///
/// # Errors
/// `UnsupportedEdit`, and what the host reports.
pub(super) fn grow<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    (metadata, regions): (&Metadata, Regions),
    size: u64,
) -> Result<(), FormatError> {
    if metadata.parent_locator.is_some() {
        // What the parent may have behind the old end would show.
        return Err(unsupported(device, "a differencing disk does not grow"));
    }
    if size > MOST_SIZE {
        let what = "an image of this format has at most 64 TiB";
        return Err(unsupported(device, what));
    }
    if size.checked_rem(metadata.logical_sector.into()) != Some(0) {
        let what = "the new size must be a multiple of its sectors";
        return Err(unsupported(device, what));
    }
    let mut file = StagedFile::new(target, device);
    // Before anything that shows: differencing disks know the content by its identity.
    Headers::read(&mut file)?.rewrite(&mut file, Shown::Changes { when: 0 })?;
    let block = u64::from(metadata.block_size).max(1);
    let chunk = SECTORS_OF_CHUNK
        .saturating_mul(metadata.logical_sector.into())
        .checked_div(block)
        .unwrap_or(1)
        .max(1);
    let mut growth = Growth {
        file,
        bat: regions.bat,
        block,
        chunk,
    };
    let (old, new) = (metadata.size.div_ceil(block), size.div_ceil(block));
    growth.make_room(new)?;
    growth.fill(old, new, metadata.fixed)?;
    let mut file = growth.file;
    file.write(metadata.size_field, &size.to_le_bytes())?;
    file.flush()
}

struct Growth<T> {
    file: StagedFile<T>,
    bat: Region,
    /// Bytes of a block.
    block: u64,
    /// Blocks of a chunk, behind which an entry of a bitmap follows.
    chunk: u64,
}

impl<T: EditTarget> Growth<T> {
    /// Number of the entry of a block.
    fn entry_of(&self, number: u64) -> u64 {
        number.saturating_add(number.checked_div(self.chunk).unwrap_or(0))
    }

    /// Entries of a disk of so many blocks.
    fn entries(&self, blocks: u64) -> u64 {
        let last = blocks.checked_sub(1);
        last.map_or(0, |last| self.entry_of(last).saturating_add(1))
    }

    /// Has the table be long enough.
    fn make_room(&mut self, blocks: u64) -> Result<(), FormatError> {
        let needed = self.entries(blocks).saturating_mul(ENTRY);
        if needed <= self.bat.length {
            return Ok(());
        }
        let whole = |bytes: u64| MEGABYTE.round_up(bytes).unwrap_or(u64::MAX);
        let offset = whole(self.file.size());
        let length = whole(needed);
        let old = self.file.read_vec(self.bat.offset, self.bat.length)?;
        self.file.write(offset, &old)?;
        let last = offset.saturating_add(length).saturating_sub(1);
        self.file.write(last, &[0])?;
        self.file.flush()?;
        let [first, second] = regions::PLACES;
        let mut table = self.file.read_vec(first, to_u64(regions::TABLE_BYTES))?;
        let at = to_usize(self.bat.field.saturating_sub(first));
        let short = u32::try_from(length).unwrap_or(u32::MAX);
        let fields: Vec<u8> = [&offset.to_le_bytes()[..], &short.to_le_bytes()].concat();
        if let Some(place) = table.get_mut(at..at.saturating_add(fields.len())) {
            place.copy_from_slice(&fields);
        }
        let sum = super::crc32c::of_structure(&table).to_le_bytes();
        if let Some(place) = table.get_mut(4..8) {
            place.copy_from_slice(&sum);
        }
        // First the copy: one of the two is whole at any time.
        for place in [second, first] {
            self.file.write(place, &table)?;
            self.file.flush()?;
        }
        self.bat.offset = offset;
        self.bat.length = length;
        Ok(())
    }

    /// Writes the entries of the blocks that are added.
    fn fill(&mut self, old: u64, new: u64, fixed: bool) -> Result<(), FormatError> {
        let mut end = MEGABYTE.round_up(self.file.size()).unwrap_or(u64::MAX);
        let mut next = self.entries(old);
        for number in old..new {
            let index = self.entry_of(number);
            // Also the entry of a bitmap that lies between.
            while next <= index {
                let is_block = next == index;
                let mut entry = 0;
                if is_block && fixed {
                    entry = end | PRESENT;
                    end = end.saturating_add(self.block);
                }
                let at = self.bat.offset.saturating_add(next.saturating_mul(ENTRY));
                self.file.write(at, &entry.to_le_bytes())?;
                next = next.saturating_add(1);
            }
        }
        if fixed && new > old {
            self.file.write(end.saturating_sub(1), &[0])?;
        }
        self.file.flush()
    }
}
