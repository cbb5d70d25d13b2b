//! VHDs are written to: a new block gets its place where the footer was, which moves behind it.

use alloc::boxed::Box;
use alloc::vec;

use super::dynamic::{self, DynamicDisk};
use super::footer::{COOKIE, DiskType, Footer};
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::{Part, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::raw::open_plain;
use crate::resizing::require_sound;
use crate::sector_bits::put_bits;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::vpc::footer;

/// The entry of a block that is not there.
const UNUSED: u64 = 0xffff_ffff;

impl Writable for DynamicDisk {
    fn front(&self) -> u64 {
        self.bitmap
    }

    fn place(&self, end: u64) -> Option<u64> {
        SECTOR.round_up(end)
    }

    fn name(&self, place: u64) -> Option<u64> {
        let sector = SECTOR.index_of(place);
        (sector < UNUSED).then_some(sector)
    }

    fn has_bitmaps(&self) -> bool {
        self.differencing
    }

    fn mark<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        part: Part,
        _: &mut u64,
    ) -> Result<(), FormatError> {
        let at = part.data.saturating_sub(self.bitmap);
        if !self.differencing {
            // All of it is read, whatever the bitmap says; other programs want it said.
            return match part.fresh {
                true => file.write(at, &vec![0xff; to_usize(self.bitmap)]),
                false => Ok(()),
            };
        }
        let mut bitmap = match part.fresh {
            // The footer was there.
            true => vec![0; to_usize(self.bitmap)],
            false => file.read_vec(at, self.bitmap)?,
        };
        let first = SECTOR.index_of(part.within);
        put_bits(
            &mut bitmap,
            first,
            SECTOR.count_for(part.length),
            false,
            true,
        );
        file.write(at, &bitmap)
    }

    fn finish<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        added: u64,
        end: u64,
    ) -> Result<(), FormatError> {
        if added == 0 {
            return Ok(());
        }
        file.write(SECTOR.round_up(end).unwrap_or(end), &self.footer)
    }
}

/// Opens the image in `target` for writing its disk.
///
/// # Errors
/// What the readers of the footer and of the dynamic header refuse, `RepairFirst`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    require_sound(&mut target, device, Format::Vpc)?;
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let footer = Footer::read(&mut cache)?;
    if footer.disk_type == DiskType::Fixed {
        drop(cache);
        return Ok(open_plain(target, device, footer.size));
    }
    let mut disk = dynamic::read(&mut cache, &footer)?;
    drop(cache);
    let length = to_u64(footer::BYTES);
    let mut file = StagedFile::new(target, device);
    let last = file.size().saturating_sub(length);
    let at_end = file.read_vec(last, length)?;
    let is_footer = at_end.starts_with(COOKIE);
    let end = if is_footer { last } else { file.size() };
    disk.footer = file.read_vec(0, length)?;
    if !disk.footer.starts_with(COOKIE) {
        disk.footer = at_end;
    }
    let (is_above, shape) = (disk.differencing, (footer.size, disk.table.block.bytes()));
    Ok(open_blocks(file, disk, shape, is_above, end))
}
