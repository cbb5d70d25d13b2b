//! VMDKs of one file with grains are written to: a new grain gets its place behind all else, and both tables name it.

use alloc::boxed::Box;
use alloc::format;

use super::descriptor::Descriptor;
use super::grains::{Entries, Grains};
use super::hosted;
use crate::arith::{SECTOR, to_u64};
use crate::blocks::{Table, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget, unsupported};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::source::{ByteSource, DeviceIndex};
use crate::staged_file::StagedFile;

/// The entry of a grain of zeros.
const ZEROS: u64 = 1;
/// From here on numbers of contents say something else: that there is no parent, or that nothing is known.
const LEAST_RESERVED: u32 = u32::MAX - 1;

impl Writable for Grains {
    fn place(&self, end: u64) -> Option<u64> {
        SECTOR.round_up(end)
    }

    fn name(&self, place: u64) -> Option<u64> {
        let sector = SECTOR.index_of(place);
        u32::try_from(sector).ok().map(u64::from)
    }

    fn zeros(&self) -> Option<u64> {
        let knows = matches!(
            self.entries,
            Entries::Sectors {
                zero_grains: true,
                ..
            }
        );
        knows.then_some(ZEROS)
    }

    fn second<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Option<u64>, FormatError> {
        let Some(upper) = self.redundant_directory() else {
            return Ok(None);
        };
        let entry = upper.read(cache, position)?;
        if entry.value == 0 {
            return Ok(None);
        }
        let table = Table {
            offset: self.table_offset(entry)?,
            entries: self.table_entries,
            width: self.width(),
            start: entry.start,
            block: self.grain,
        };
        Ok(Some(table.place_of(position)))
    }
}

/// Opens the image in `target` for writing its disk. Its content gets another number, by which images above it know it.
///
/// # Errors
/// What the readers of the header and of the descriptor refuse, `RepairFirst`, `UnsupportedEdit`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    let other = || {
        let what = "of vmdk images, monolithicSparse ones are written to";
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
    let plain = matches!(
        grains.entries,
        Entries::Sectors {
            compressed: None,
            ..
        }
    );
    let sparse = descriptor.variant.eq_ignore_ascii_case(b"monolithicSparse");
    if !plain || !sparse || descriptor.extents.len() != 1 {
        return Err(other());
    }
    require_sound(&mut target, device, Format::Vmdk)?;
    let is_above = descriptor.parent_content_id.is_some();
    let end = target.size();
    let mut file = StagedFile::new(target, device);
    renumber(&mut file, place, descriptor.content_id)?;
    let shape = (grains.size, grains.grain.bytes());
    Ok(open_blocks(file, grains, shape, is_above, end))
}

/// Gives the content another number, of as many digits as the old one.
fn renumber<T: EditTarget>(
    file: &mut StagedFile<T>,
    (offset, length): (u64, u64),
    old: u32,
) -> Result<(), FormatError> {
    let text = file.read_vec(offset, length)?;
    let end = text
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(text.len());
    let mut at = 0_usize;
    for line in text
        .get(..end)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
    {
        if let Some(value) = line.strip_prefix(b"CID=") {
            let digits = value.trim_ascii_end().len();
            let next = Some(old.wrapping_add(1)).filter(|next| *next < LEAST_RESERVED);
            let new = format!("{:0digits$x}", next.unwrap_or(1));
            // A number that has become longer loses its first digit: it only has to be another one.
            let new = new
                .get(new.len().saturating_sub(digits)..)
                .unwrap_or_default();
            let place = offset.saturating_add(to_u64(at)).saturating_add(4);
            return file.write(place, new.as_bytes());
        }
        at = at.saturating_add(line.len()).saturating_add(1);
    }
    Ok(())
}
