//! A VMDK of one file with grains gets more bytes: longer grain directories with their tables behind all else, another capacity,
//! and what its descriptor says of that.

use alloc::format;
use alloc::vec::Vec;

use super::hosted;
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::edit::{Borrowed, Edit, EditTarget, Edited, unsupported};
use crate::error::{ErrorKind, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structure::{Structure, put};
use crate::structures::vmdk::sparse_header;

use super::descriptor::Descriptor;

const REDUNDANT: u32 = 2;
/// Bytes of an entry.
const ENTRY: u64 = 4;
/// 2 TiB: the sectors of the file must fit an entry.
const MOST_BYTES: u64 = 2 << 40;

/// Edits the image in `target`.
///
/// # Errors
/// What the readers of the header and of the descriptor refuse, `RepairFirst`, `UnsupportedEdit`, and `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let other = || {
        let what =
            "of vmdk images, monolithicSparse ones grow, which are one file without a parent";
        unsupported(device, what)
    };
    let mut head = [0; 4];
    let read = target.read_exact_at(0, &mut head);
    read.map_err(|error| FormatError::of_source(device, 0, error))?;
    if head != hosted::MAGIC {
        return Err(other());
    }
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let (grains, embedded) = hosted::read(&mut cache)?;
    let place = embedded.ok_or_else(other)?;
    let descriptor = Descriptor::read(&mut cache, place.0, place.1)?;
    drop(cache);
    let sparse = descriptor.variant.eq_ignore_ascii_case(b"monolithicSparse");
    if !sparse || descriptor.parent_content_id.is_some() || descriptor.extents.len() != 1 {
        return Err(other());
    }
    let wanted = wanted_size(device, Format::Vmdk, edit, grains.size)?;
    if let Some(size) = wanted {
        if size > MOST_BYTES {
            let what = "an image of this format has at most 2 TiB";
            return Err(unsupported(device, what));
        }
        require_sound(&mut target, device, Format::Vmdk)?;
        let span = grains.grain.times(grains.table_entries).max(1);
        let mut file = StagedFile::new(&mut target, device);
        let text = new_descriptor(&mut file, place, size)?;
        let text = text.ok_or_else(|| {
            let what = "its descriptor has no room for the new size, or does not say the old one";
            unsupported(device, what)
        })?;
        let header = file.read_vec(0, to_u64(sparse_header::BYTES))?;
        let mut growth = Growth {
            file,
            header,
            old: grains.size.div_ceil(span),
            new: size.div_ceil(span),
            table: grains.table_entries.saturating_mul(ENTRY),
        };
        growth.grow(size)?;
        let mut file = growth.file;
        file.write(place.0, &text)?;
        file.flush()?;
    }
    Ok(Edited {
        file_length: u64::MAX,
        virtual_size: wanted.unwrap_or(grains.size),
        ..Edited::default()
    })
}

/// The text of the descriptor with another size; `None` where that does not fit.
fn new_descriptor<T: EditTarget>(
    file: &mut StagedFile<T>,
    (offset, length): (u64, u64),
    size: u64,
) -> Result<Option<Vec<u8>>, FormatError> {
    let old = file.read_vec(offset, length)?;
    let end = old.iter().position(|byte| *byte == 0).unwrap_or(old.len());
    let text = old.get(..end).unwrap_or_default();
    let number = |key: &[u8]| {
        let value = text
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(key))?;
        let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
        core::str::from_utf8(&digits).ok()?.parse::<u64>().ok()
    };
    let heads = number(b"ddb.geometry.heads");
    let sectors = number(b"ddb.geometry.sectors");
    let track = heads
        .zip(sectors)
        .map(|(heads, sectors)| heads.saturating_mul(sectors));
    let count = SECTOR.index_of(size);
    let mut found = false;
    let mut new: Vec<u8> = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            new.push(b'\n');
        }
        let words: Vec<&[u8]> = line.splitn(4, |byte| *byte == b' ').collect();
        let cylinders = track.and_then(|track| count.checked_div(track));
        if let [access, _, kind @ b"SPARSE", rest] = words[..]
            && (access == b"RW" || access == b"RDONLY")
        {
            new.extend_from_slice(&[access, b" "].concat());
            new.extend_from_slice(format!("{count} ").as_bytes());
            new.extend_from_slice(&[kind, b" ", rest].concat());
            found = true;
        } else if line.starts_with(b"ddb.geometry.cylinders")
            && let Some(cylinders) = cylinders
        {
            let text = format!("ddb.geometry.cylinders = \"{cylinders}\"");
            new.extend_from_slice(text.as_bytes());
            if line.ends_with(b"\r") {
                new.push(b'\r');
            }
        } else {
            new.extend_from_slice(line);
        }
    }
    if !found || to_u64(new.len()) > length {
        return Ok(None);
    }
    new.resize(to_usize(length), 0);
    Ok(Some(new))
}

/// An image that gets more grain tables.
struct Growth<T> {
    file: StagedFile<T>,
    header: Vec<u8>,
    /// Grain tables.
    old: u64,
    new: u64,
    /// Bytes of a table.
    table: u64,
}

impl<T: EditTarget> Growth<T> {
    fn grow(&mut self, size: u64) -> Result<(), FormatError> {
        if self.new > self.old {
            let head = Structure::new(&self.header, 0, self.file.device(), ErrorKind::BadHeader);
            let first = head.get(sparse_header::GD_OFFSET)?.value;
            let second = head.get(sparse_header::RGD_OFFSET)?.value;
            let has_two = head.get(sparse_header::FLAGS)?.value & REDUNDANT != 0 && second != 0;
            let place = SECTOR.index_of(self.copy_directory(first)?);
            put(&mut self.header, sparse_header::GD_OFFSET, place);
            if has_two {
                let place = SECTOR.index_of(self.copy_directory(second)?);
                put(&mut self.header, sparse_header::RGD_OFFSET, place);
            }
        }
        self.file.flush()?;
        let sectors = SECTOR.index_of(size);
        put(&mut self.header, sparse_header::CAPACITY, sectors);
        let header = self.header.clone();
        self.file.write(0, &header)?;
        self.file.flush()
    }

    /// Writes a directory with more tables behind all else. Returns where (byte offset in the file).
    fn copy_directory(&mut self, sector: u64) -> Result<u64, FormatError> {
        let whole = |bytes: u64| SECTOR.round_up(bytes).unwrap_or(u64::MAX);
        let old = SECTOR.times(sector).unwrap_or(u64::MAX);
        let mut entries = self.file.read_vec(old, self.old.saturating_mul(ENTRY))?;
        let place = whole(self.file.size());
        let table = whole(self.table);
        let mut next = place.saturating_add(whole(self.new.saturating_mul(ENTRY)));
        for _ in self.old..self.new {
            let number = u32::try_from(SECTOR.index_of(next)).unwrap_or(u32::MAX);
            entries.extend_from_slice(&number.to_le_bytes());
            next = next.saturating_add(table);
        }
        self.file.write(place, &entries)?;
        // The tables name nothing, and so they are zeros.
        self.file.write(next.saturating_sub(1), &[0])?;
        Ok(place)
    }
}
