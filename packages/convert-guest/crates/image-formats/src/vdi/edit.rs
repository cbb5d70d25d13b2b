//! VDI images are repaired (entries that name no block of the file, blocks that two entries name, and their count), and get
//! more blocks.

use super::LEAST_UNALLOCATED;
use super::header::Header;
use crate::blocks::{Mender, mend};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::vdi::header as fields;
use crate::used_units::UsedUnits;

/// An entry whose block was never written.
const NEVER_WRITTEN: u64 = 0xffff_ffff;
/// Bytes of an entry.
const ENTRY: u64 = 4;
/// So many blocks that the bytes of their map still fit 32 bits, as QEMU has it.
const MOST_BLOCKS: u64 = 0x1fff_ffff;

/// The blocks of the file that no entry names.
struct Free {
    header: Header,
    used: UsedUnits,
}

impl Free {
    fn find<T: EditTarget>(
        cache: &mut MetadataCache<Borrowed<'_, T>>,
        header: Header,
    ) -> Result<Self, FormatError> {
        let mut used = UsedUnits::new(cache.device(), 1, header.blocks)?;
        for index in 0..header.blocks {
            let entry = header.block_map().read(cache, header.block.times(index))?;
            if entry.value < header.blocks {
                used.mark(entry.value, 1);
            }
        }
        Ok(Self { header, used })
    }
}

impl Mender for Free {
    const WIDTH: usize = 4;
    const NOTHING: u64 = NEVER_WRITTEN;

    fn block(&self) -> u64 {
        self.header.block.bytes()
    }

    fn place(&mut self, _: u64) -> Option<(u64, u64)> {
        let number = self.used.find(0, self.header.blocks, false)?;
        self.used.mark(number, 1);
        Some((self.header.offset_of(number), number))
    }
}

/// Edits the image in `target`.
///
/// # Errors
/// What [`Header::read`] refuses, `RepairFirst`, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let header = Header::read(&mut cache)?;
    let mut edited = Edited {
        file_length: u64::MAX,
        virtual_size: header.size,
        ..Edited::default()
    };
    if let Edit::Repair { leaks_only } = *edit {
        let mut free = Free::find(&mut cache, header)?;
        drop(cache);
        let mended = mend(&mut target, device, (Format::Vdi, &mut free), leaks_only)?;
        edited.corruptions_fixed = mended.corruptions;
        edited.leaks_fixed = mended.leaks;
        return Ok(edited);
    }
    drop(cache);
    if let Some(size) = wanted_size(device, Format::Vdi, edit, header.size)? {
        require_sound(&mut target, device, Format::Vdi)?;
        let file = StagedFile::new(&mut target, device);
        Growth { file, header }.grow(size)?;
        edited.virtual_size = size;
    }
    Ok(edited)
}

/// An image that gets more blocks.
struct Growth<T> {
    file: StagedFile<T>,
    header: Header,
}

impl<T: EditTarget> Growth<T> {
    fn grow(&mut self, size: u64) -> Result<(), FormatError> {
        let Header {
            block,
            blocks,
            data_offset,
            block_map_offset,
            ..
        } = self.header;
        let wanted = block.count_for(size).max(blocks);
        if wanted > MOST_BLOCKS {
            let what = "an image of this format cannot have so many bytes";
            return Err(unsupported(self.file.device(), what));
        }
        // The first blocks of the file make room for the map.
        let map_end = block_map_offset.saturating_add(wanted.saturating_mul(ENTRY));
        let moved = block.count_for(map_end.saturating_sub(data_offset));
        let length = self.file.size().saturating_sub(data_offset);
        let in_file = block.count_for(length).max(moved);
        if moved > 0 {
            self.move_blocks(moved, in_file)?;
        }
        let data_offset = data_offset.saturating_add(block.times(moved));
        let mut allocated = u64::from(self.header.allocated.value);
        let in_file = self.file.size().saturating_sub(data_offset);
        let mut next = block.count_for(in_file).max(allocated);
        for index in blocks..wanted {
            let entry = if self.header.fixed {
                next = next.saturating_add(1);
                next.saturating_sub(1)
            } else {
                NEVER_WRITTEN
            };
            self.put_entry(index, entry)?;
        }
        if self.header.fixed {
            allocated = allocated.saturating_add(wanted.saturating_sub(blocks));
            let end = data_offset.saturating_add(block.times(next));
            if end > self.file.size() {
                self.file.write(end.saturating_sub(1), &[0])?;
            }
        }
        self.file.flush()?;
        self.file.put(0, fields::OFFSET_DATA, small(data_offset))?;
        self.file.put(0, fields::DISK_SIZE, size)?;
        self.file.put(0, fields::BLOCKS_IN_IMAGE, small(wanted))?;
        self.file
            .put(0, fields::BLOCKS_ALLOCATED, small(allocated))?;
        self.file.flush()
    }

    /// Copies the first blocks of the file behind its last, and has all entries count from the block behind them.
    fn move_blocks(&mut self, moved: u64, in_file: u64) -> Result<(), FormatError> {
        let header = self.header;
        let mut end = in_file;
        for index in 0..header.blocks {
            let entry = self.entry(index)?;
            if entry >= LEAST_UNALLOCATED {
                continue;
            }
            let mut number = entry;
            if number < moved {
                let from = header.offset_of(number);
                let bytes = self.file.read_vec(from, header.block.bytes())?;
                self.file.write_through(header.offset_of(end), &bytes)?;
                number = end;
                end = end.saturating_add(1);
            }
            self.put_entry(index, number.saturating_sub(moved))?;
        }
        Ok(())
    }

    fn entry(&mut self, index: u64) -> Result<u64, FormatError> {
        let mut bytes = [0; 4];
        let at = index.saturating_mul(ENTRY);
        let at = self.header.block_map_offset.saturating_add(at);
        self.file.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes).into())
    }

    fn put_entry(&mut self, index: u64, value: u64) -> Result<(), FormatError> {
        let at = index.saturating_mul(ENTRY);
        let at = self.header.block_map_offset.saturating_add(at);
        self.file.write(at, &small(value).to_le_bytes())
    }
}

/// A number that the format keeps in 32 bits; a size is refused before it could be larger.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
