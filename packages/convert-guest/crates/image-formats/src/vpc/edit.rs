//! VHD disks get more bytes: a fixed one its footer further behind, a dynamic one a longer table as well.

use alloc::vec::Vec;

use super::dynamic::{self, HEADER_BYTES};
use super::footer::{BYTES, CHECKSUM_AT, DiskType, Footer, checksum};
use crate::arith::{SECTOR, to_u64};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::FormatError;
use crate::growing::vpc::{MOST_BYTES, geometry};
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

// Places in the footer.
const SIZE_FIELD: usize = 48;
const GEOMETRY_FIELD: usize = 56;
// Places in the dynamic header.
const TABLE_FIELD: usize = 16;
const ENTRIES_FIELD: usize = 28;
const BLOCK_FIELD: usize = 32;
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

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(value.len())) {
        place.copy_from_slice(value);
    }
}

fn be32(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map_or(0, |field| u32::from_be_bytes(*field).into())
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
        let footer_length = to_u64(BYTES);
        let end = self.file.size().saturating_sub(footer_length);
        let mut footer = self.file.read_vec(end, footer_length)?;
        let (geometry, _) = geometry(wanted, self.footer.by_geometry);
        put(&mut footer, SIZE_FIELD, &size.to_be_bytes());
        let cylinders = u16::try_from(geometry.cylinders).unwrap_or(u16::MAX);
        let [high, low] = cylinders.to_be_bytes();
        let byte = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
        let [heads, sectors] = [byte(geometry.heads), byte(geometry.sectors)];
        put(&mut footer, GEOMETRY_FIELD, &[high, low, heads, sectors]);
        let sum = checksum(&footer, CHECKSUM_AT).to_be_bytes();
        put(&mut footer, CHECKSUM_AT, &sum);
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
        let mut header = self.file.read_vec(at, to_u64(HEADER_BYTES))?;
        let block = be32(&header, BLOCK_FIELD).max(1);
        let (old, wanted) = (be32(&header, ENTRIES_FIELD), size.div_ceil(block));
        let mut end = SECTOR.round_up(end).unwrap_or(end);
        if wanted > old {
            let offset = header
                .get(TABLE_FIELD..)
                .and_then(|rest| rest.first_chunk());
            let offset = u64::from_be_bytes(offset.copied().unwrap_or_default());
            let mut table: Vec<u8> = self.file.read_vec(offset, old.saturating_mul(ENTRY))?;
            let length = SECTOR.round_up(wanted.saturating_mul(ENTRY));
            let length = crate::arith::to_usize(length.unwrap_or(u64::MAX));
            table.resize(length, UNUSED);
            // The old table is left: what lies behind it may be anything.
            self.file.write(end, &table)?;
            put(&mut header, TABLE_FIELD, &end.to_be_bytes());
            put(&mut header, ENTRIES_FIELD, &small(wanted).to_be_bytes());
            let sum = checksum(&header, dynamic::CHECKSUM_AT).to_be_bytes();
            put(&mut header, dynamic::CHECKSUM_AT, &sum);
            end = end.saturating_add(to_u64(length));
        }
        self.file.write(end, footer)?;
        self.file.flush()?;
        self.file.write(at, &header)?;
        self.file.flush()?;
        // The copy counts: from here on the disk is larger.
        self.file.write(0, footer)?;
        self.file.flush()
    }
}
