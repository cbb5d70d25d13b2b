//! VHDs are written to: a new block gets its place where the footer was, which moves behind it.

use alloc::boxed::Box;
use alloc::vec;

use super::dynamic::{self, DynamicDisk};
use super::footer::{COOKIE, DiskType, Footer};
use super::locator::Parent;
use super::parent;
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::{Part, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::raw::open_plain;
use crate::resizing::require_sound;
use crate::sector_bits::put_bits;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures::vpc::{dynamic_header, footer};

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

    fn set_parent<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        (name, identity): (&[u8], Option<Identity>),
        end: &mut u64,
    ) -> Result<(), FormatError> {
        let refused = |what| Err(unsupported(file.device(), what));
        if !self.differencing {
            return refused("of vpc images, differencing ones have a parent");
        }
        let Some(identity) = identity else {
            return refused(
                "a differencing disk needs a parent, which must be there: convert it instead",
            );
        };
        let Some(parent) = Parent::new(identity, name) else {
            return refused(
                "it names a parent from its own directory on, without colons and backslashes",
            );
        };
        let locator = parent.locator();
        let room = parent::relative_path(file, self.header)?;
        let place = match room {
            Some((at, length)) if length >= to_u64(locator.len()) => at,
            _ => {
                let place = SECTOR.round_up(*end).unwrap_or(*end);
                *end = place.saturating_add(to_u64(locator.len()));
                self.moved = true;
                place
            }
        };
        file.write(place, &locator)?;
        let mut header = file.read_vec(self.header, to_u64(dynamic_header::BYTES))?;
        parent.put_into(&mut header, place);
        file.write(self.header, &header)
    }

    fn finish<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        added: u64,
        end: u64,
    ) -> Result<(), FormatError> {
        if added == 0 && !self.moved {
            return Ok(());
        }
        file.write(SECTOR.round_up(end).unwrap_or(end), &self.footer)
    }
}

/// A disk that grows, where its file is used up to, and whether it lies above a parent.
struct Opened<T> {
    file: StagedFile<T>,
    disk: DynamicDisk,
    end: u64,
}

fn open_dynamic<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    footer: &Footer,
) -> Result<Opened<T>, FormatError> {
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let mut disk = dynamic::read(&mut cache, footer)?;
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
    Ok(Opened { file, disk, end })
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
    let footer = Footer::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    if footer.disk_type == DiskType::Fixed {
        return Ok(open_plain(target, device, footer.size));
    }
    let Opened { file, disk, end } = open_dynamic(target, device, &footer)?;
    let (is_above, shape) = (disk.differencing, (footer.size, disk.table.block.bytes()));
    Ok(open_blocks(file, disk, shape, is_above, end))
}

/// Gives all that a differencing disk holds back to its parent: no block is there any more, and the file ends behind the tables.
///
/// # Errors
/// As for [`open_writer`]; `UnsupportedEdit` for disks without a parent.
pub(super) fn empty<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    footer: &Footer,
) -> Result<Edited, FormatError> {
    if footer.disk_type != DiskType::Differencing {
        let what = "of vpc images, differencing ones have a parent";
        return Err(unsupported(device, what));
    }
    require_sound(&mut target, device, Format::Vpc)?;
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let (size, header) = (cache.file_size(), footer.data_offset.value);
    let ends = parent::paths(&mut cache, header)?.into_iter();
    let end_of_paths = ends
        .map(|(offset, length)| offset.saturating_add(length).min(size))
        .max()
        .unwrap_or(0);
    drop(cache);
    let Opened { mut file, disk, .. } = open_dynamic(target, device, footer)?;
    let table = disk.table;
    let bytes = table.file_end().saturating_sub(table.offset);
    let header_end = disk.header.saturating_add(to_u64(dynamic_header::BYTES));
    let tables = table.file_end().max(header_end).max(to_u64(footer::BYTES));
    let used = tables.max(end_of_paths);
    file.write(table.offset, &vec![0xff; to_usize(bytes)])?;
    let end = SECTOR.round_up(used).unwrap_or(used);
    file.write(end, &disk.footer)?;
    file.flush()?;
    Ok(Edited {
        file_length: end.saturating_add(to_u64(footer::BYTES)),
        virtual_size: footer.size,
        ..Edited::default()
    })
}
