//! VHDX images are repaired (the changes of a log that was left are made in the file, and of the structures that are kept
//! twice the damaged one becomes a copy of the other), and grow.

use alloc::vec::Vec;

use crate::arith::PowerOfTwo;
use crate::edit::{Borrowed, Edit, EditTarget, Edited, Shown, not_of_format};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::{require_sound, wanted_size};
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;
use crate::structures;

use super::header::{self, Header, read_part};
use super::log::replay;
use super::metadata::Metadata;
use super::regions::{self, Regions};

const MEGABYTE: PowerOfTwo = PowerOfTwo::from_bits(20);

/// Edits the image in `target`.
///
/// # Errors
/// What the readers of the headers, the log, the regions and the metadata refuse, `RepairFirst`, `UnsupportedEdit`, and
/// `SourceFailed`.
pub fn edit<T: EditTarget>(
    mut target: T,
    device: DeviceIndex,
    edit: &Edit<'_>,
) -> Result<Edited, FormatError> {
    let is_repair = matches!(edit, Edit::Repair { .. });
    match *edit {
        Edit::Empty => return super::write::empty(target, device),
        Edit::SetBacking {
            name,
            format,
            parent,
        } => {
            let mut writer = super::open_writer(target, device, Shown::Stays)?;
            writer.set_backing(name, format, parent)?;
            return writer.finish();
        }
        _ => {}
    }
    // Whoever writes an image carries out its log first.
    let fixed = if is_repair || matches!(edit, Edit::Resize { .. }) {
        make_whole(&mut target, device)?
    } else {
        return Err(not_of_format(device, Format::Vhdx));
    };
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 4);
    let regions = Regions::read(&mut cache)?;
    let metadata = Metadata::read(&mut cache, regions.metadata)?;
    drop(cache);
    let mut edited = Edited {
        file_length: u64::MAX,
        virtual_size: metadata.size,
        ..Edited::default()
    };
    if is_repair {
        edited.corruptions_fixed = fixed;
    } else if let Some(size) = wanted_size(device, Format::Vhdx, edit, metadata.size)? {
        require_sound(&mut target, device, Format::Vhdx)?;
        super::growth::grow(&mut target, device, (&metadata, regions), size)?;
        edited.virtual_size = size;
    }
    Ok(edited)
}

/// Carries out the log, and makes both headers and both region tables valid. Returns how much of that was to be done.
pub(super) fn make_whole<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
) -> Result<u64, FormatError> {
    let header = Header::read(&mut Borrowed(&mut *target), device)?;
    let mut fixed = carry_out_log(target, device, &header)?;
    let mut file = StagedFile::new(&mut *target, device);
    let headers = Headers::read(&mut file)?;
    fixed = fixed.saturating_add(headers.faults);
    if fixed > 0 {
        headers.rewrite(&mut file, Shown::Stays)?;
    }
    drop(file);
    fixed = fixed.saturating_add(mend_region_tables(target, device)?);
    Ok(fixed)
}

/// Both headers.
pub(super) struct Headers {
    /// Where the one that counts lies, and its bytes.
    good: (u64, Vec<u8>),
    newest: u64,
    /// What is wrong with them.
    faults: u64,
}

impl Headers {
    /// # Errors
    /// `BadHeader` without a valid header.
    pub fn read<T: EditTarget>(file: &mut StagedFile<T>) -> Result<Self, FormatError> {
        let device = file.device();
        let mut valid: Vec<(u64, u64, Vec<u8>)> = Vec::new();
        for at in header::PLACES {
            let bytes = file.read_vec(at, crate::arith::to_u64(structures::vhdx::header::BYTES))?;
            if let Ok(header) = Header::parse(&bytes, at, device) {
                valid.push((header.sequence, at, bytes));
            }
        }
        let mut faults = 2_u64.saturating_sub(crate::arith::to_u64(valid.len()));
        if let [(one, _, bytes), (other, _, others)] = &valid[..]
            && one == other
            && bytes != others
        {
            faults = 1;
        }
        // Of two with one number the first counts.
        let good = valid
            .into_iter()
            .rev()
            .max_by_key(|(sequence, ..)| *sequence);
        let (newest, at, bytes) = good.ok_or_else(|| {
            let expected = Expected::Sentence("one valid header of two");
            let [at, _] = header::PLACES;
            FormatError::new(ErrorKind::BadHeader, device, "header", at, 0, expected)
        })?;
        Ok(Self {
            good: (at, bytes),
            newest,
            faults,
        })
    }

    /// Writes both anew, of the same content but without a log. First the one that does not count: one of the two is whole at
    /// any time.
    pub fn rewrite<T: EditTarget>(
        self,
        file: &mut StagedFile<T>,
        shown: Shown,
    ) -> Result<(), FormatError> {
        let (at, bytes) = self.good;
        let mut sequence = self.newest;
        let others = header::PLACES.into_iter().filter(|place| *place != at);
        for place in others.chain([at]) {
            sequence = sequence.saturating_add(1);
            let next = Header::rewritten(&bytes, sequence, shown);
            file.write(place, &next)?;
            file.flush()?;
        }
        Ok(())
    }
}

/// Makes the changes of the log in the file. Returns 1 where there were some.
fn carry_out_log<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
    header: &Header,
) -> Result<u64, FormatError> {
    let replayed = replay(Borrowed(&mut *target), device, header)?;
    let (patches, length) = (replayed.patches().to_vec(), replayed.length());
    drop(replayed);
    if patches.is_empty() {
        return Ok(u64::from(header.log_guid != [0; 16]));
    }
    let size = target.size();
    let failed = |at: u64| move |error| FormatError::of_source(device, at, error);
    let log_end = header.log_offset.saturating_add(header.log_length);
    for patch in &patches {
        let (start, end) = (patch.start, patch.end());
        let over_log = start < log_end && end > header.log_offset;
        if over_log || start < first_region_table() {
            let expected =
                Expected::Sentence("changes of other places than the headers and the log");
            let kind = ErrorKind::BadLog;
            return Err(FormatError::new(
                kind,
                device,
                "FileOffset",
                start,
                start,
                expected,
            ));
        }
        let kept = end.min(size).saturating_sub(start);
        target.preserve(start, kept).map_err(failed(start))?;
    }
    for patch in &patches {
        let start = patch.start;
        match patch
            .sector(&mut Borrowed(&mut *target))
            .map_err(failed(start))?
        {
            Some(sector) => target.write_at(start, &sector).map_err(failed(start))?,
            None => {
                // What lies behind the end reads as zeros once the file is long enough.
                let inside = patch.end().min(target.size()).saturating_sub(start);
                target.zero_at(start, inside).map_err(failed(start))?;
            }
        }
    }
    // As QEMU does: whole MiB.
    let length = MEGABYTE.round_up(length).unwrap_or(length);
    if length > target.size() {
        let last = length.saturating_sub(1);
        target.write_at(last, &[0]).map_err(failed(last))?;
    }
    target.flush().map_err(failed(0))?;
    Ok(1)
}

fn first_region_table() -> u64 {
    let [first, _] = regions::PLACES;
    first
}

/// Makes both region tables the one that counts. Returns 1 where they were not.
fn mend_region_tables<T: EditTarget>(
    target: &mut T,
    device: DeviceIndex,
) -> Result<u64, FormatError> {
    let [first, second] = regions::PLACES;
    let mut source = Borrowed(&mut *target);
    let one = read_part(&mut source, device, first, regions::TABLE_BYTES)?;
    let other = read_part(&mut source, device, second, regions::TABLE_BYTES)?;
    if one == other {
        return Ok(0);
    }
    let is_valid = super::crc32c::of_structure(&one).to_le_bytes();
    let first_counts = one.starts_with(b"regi") && one.get(4..8) == Some(&is_valid[..]);
    let mut file = StagedFile::new(&mut *target, device);
    if first_counts {
        file.write(second, &one)?;
    } else {
        file.write(first, &other)?;
    }
    file.flush()?;
    Ok(1)
}
