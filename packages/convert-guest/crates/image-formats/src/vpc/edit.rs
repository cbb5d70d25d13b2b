//! VHD disks get more bytes: a fixed one its footer further behind, a dynamic one a longer table as well.

use alloc::vec::Vec;

use super::footer::{DiskType, Footer, checksum};
use crate::arith::{SECTOR, to_u64};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::{ErrorKind, FormatError};
use crate::growing::vpc::{MOST_BYTES, geometry};
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structure::{Structure, put};
use crate::structures::vpc::{dynamic_header, footer};

/// An entry of a block that is not there: all its bytes.
const UNUSED: u8 = 0xff;
/// Bytes of an entry.
const ENTRY: u64 = 4;

/// Edits the image in `target`.
///
/// # Errors
/// What the readers of the footer and of the dynamic header refuse, `RepairFirst`, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let footer = Footer::read(&mut MetadataCache::new(Borrowed(&mut target), device, 2))?;
    match *edit {
        Edit::Empty => return super::write::empty(target, device, &footer),
        Edit::SetBacking {
            name,
            format,
            parent,
        } => {
            let mut writer = super::open_writer(target, device)?;
            writer.set_backing(name, format, parent)?;
            return writer.finish();
        }
        _ => {}
    }
    let mut virtual_size = footer.size;
    if let Some(size) = wanted_size(device, Format::Vpc, edit, footer.size)? {
        if footer.disk_type == DiskType::Differencing {
            // What the parent may have behind the old end would show.
            return Err(unsupported(device, "a differencing disk does not grow"));
        }
        require_sound(&mut target, device, Format::Vpc)?;
        let (_, rounded) = geometry(size, footer.by_geometry);
        if rounded > MOST_BYTES {
            let what = "an image of this format has at most 2040 GiB";
            return Err(unsupported(device, what));
        }
        virtual_size = rounded;
        let file = StagedFile::new(&mut target, device);
        Growth { file, footer }.grow(size, rounded)?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size,
        ..Edited::default()
    })
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A disk that gets more bytes.
struct Growth<T> {
    file: StagedFile<T>,
    footer: Footer,
}

impl<T: EditTarget> Growth<T> {
    fn grow(&mut self, wanted: u64, size: u64) -> Result<(), FormatError> {
        let footer_length = to_u64(footer::BYTES);
        let end = self.file.size().saturating_sub(footer_length);
        let mut footer = self.file.read_vec(end, footer_length)?;
        let (geometry, _) = geometry(wanted, self.footer.by_geometry);
        put(&mut footer, footer::CURRENT_SIZE, size);
        let cylinders = u16::try_from(geometry.cylinders).unwrap_or(u16::MAX);
        put(&mut footer, footer::CYLINDERS, cylinders);
        let byte = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
        put(&mut footer, footer::HEADS, byte(geometry.heads));
        let sectors = byte(geometry.sectors);
        put(&mut footer, footer::SECTORS_PER_TRACK, sectors);
        let sum = checksum(&footer, footer::CHECKSUM);
        put(&mut footer, footer::CHECKSUM, sum);
        if self.footer.disk_type == DiskType::Fixed {
            self.file.write(size, &footer)?;
            self.file.flush()?;
            // What the footer was is content now.
            let old = self.footer.size;
            let length = self.file.size().min(end.saturating_add(footer_length));
            let zeros = alloc::vec![0; crate::arith::to_usize(length.saturating_sub(old))];
            let inside = size.saturating_sub(old).min(to_u64(zeros.len()));
            let zeros = zeros.get(..crate::arith::to_usize(inside));
            self.file.write(old, zeros.unwrap_or_default())?;
            return self.file.flush();
        }
        self.grow_table(end, size, &footer)
    }

    fn grow_table(&mut self, end: u64, size: u64, footer: &[u8]) -> Result<(), FormatError> {
        let at = self.footer.data_offset.value;
        let device = self.footer.data_offset.device;
        let mut bytes = self.file.read_vec(at, to_u64(dynamic_header::BYTES))?;
        let header = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
        let block = u64::from(header.get(dynamic_header::BLOCK_SIZE)?.value).max(1);
        let old = u64::from(header.get(dynamic_header::MAX_TABLE_ENTRIES)?.value);
        let offset = header.get(dynamic_header::TABLE_OFFSET)?.value;
        let wanted = size.div_ceil(block);
        let mut end = SECTOR.round_up(end).unwrap_or(end);
        if wanted > old {
            let mut table: Vec<u8> = self.file.read_vec(offset, old.saturating_mul(ENTRY))?;
            let length = SECTOR.round_up(wanted.saturating_mul(ENTRY));
            let length = crate::arith::to_usize(length.unwrap_or(u64::MAX));
            table.resize(length, UNUSED);
            // The old table is left: what lies behind it may be anything.
            self.file.write(end, &table)?;
            put(&mut bytes, dynamic_header::TABLE_OFFSET, end);
            let entries = small(wanted);
            put(&mut bytes, dynamic_header::MAX_TABLE_ENTRIES, entries);
            let sum = checksum(&bytes, dynamic_header::CHECKSUM);
            put(&mut bytes, dynamic_header::CHECKSUM, sum);
            end = end.saturating_add(to_u64(length));
        }
        self.file.write(end, footer)?;
        self.file.flush()?;
        self.file.write(at, &bytes)?;
        self.file.flush()?;
        // The copy counts: from here on the disk is larger.
        self.file.write(0, footer)?;
        self.file.flush()
    }
}
