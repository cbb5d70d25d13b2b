//! The rebase: an image gets another backing file and keeps what it shows.

use alloc::vec::Vec;

use instar_abi::{ChainConfig, EditConfig, device_role};
use instar_codecs::{Compressor, Effort};
use instar_image_formats::{Chain, Codec, DiskWriter, Edited, FormatImage};

use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit_content::{OpenWriter, Progress, batch_of, text, units_of};
use crate::error::OperationError;
use crate::file_comparison::{Differences, FileComparer};
use crate::open_chain::{GuestImage, new_parent};
use crate::setup::internal;
use crate::side_by_side::{InFiles, SideBySide};
use crate::zeros::is_zero;

/// `number` of a REBASE that compresses what it copies.
const COMPRESSED: u32 = 1;

/// Compresses units.
struct Packer {
    compressor: Compressor,
    /// A unit, with zeros behind the end of the disk.
    whole: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn new(codec: Codec, unit: u64) -> Result<Self, OperationError> {
        let compressor = Compressor::new(codec, Effort::Default)
            .map_err(|_| internal("no memory for a compressor"))?;
        Ok(Self {
            compressor,
            whole: buffer_of(unit)?,
            packed: buffer_of(unit)?,
        })
    }

    /// Writes a unit compressed; false where that does not make it shorter.
    fn put(
        &mut self,
        writer: &mut dyn DiskWriter,
        offset: u64,
        bytes: &[u8],
    ) -> Result<bool, OperationError> {
        self.whole.fill(0);
        if let Some(head) = self.whole.get_mut(..bytes.len()) {
            head.copy_from_slice(bytes);
        }
        let room = self.packed.len().saturating_sub(1);
        let length = self
            .packed
            .get_mut(..room)
            .and_then(|room| self.compressor.compress(&self.whole, room));
        match length.and_then(|length| self.packed.get(..length)) {
            Some(stream) => Ok(writer.write_packed(offset, stream)?),
            None => Ok(false),
        }
    }
}

/// Copies into the edited image what it does not hold and what reads differently through the new backing file, and names that.
pub fn rebase(
    (config, chain): (&EditConfig, &ChainConfig),
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
    mut comparer: FileComparer,
    mut progress: Progress<'_>,
) -> Result<Edited, OperationError> {
    let mut old = reader.setup.open(device_role::COMPARED)?;
    let below = new_parent(chain).map(|(index, _)| index);
    let identity = match below {
        Some(index) => reader.setup.open_itself(index)?.identity(),
        None => None,
    };
    let new = below
        .map(|index| reader.setup.open_from(index))
        .transpose()?;
    let mut new = match new {
        Some(new) => new,
        None => Chain::new(1),
    };
    let mut writer = writer()?;
    let (unit, size) = (writer.unit(), writer.virtual_size());
    let mut packer = match writer.codec() {
        Some(codec) if config.number == COMPRESSED => Some(Packer::new(codec, unit)?),
        _ => None,
    };
    let batch = batch_of(unit);
    let (mut before, mut after) = (buffer_of(batch)?, buffer_of(batch)?);
    let blank = buffer_of(unit)?;
    progress.total = size;
    let mut offset = 0_u64;
    // Up to here, the image itself holds none of the units from `offset` on whole.
    let mut end = 0_u64;
    while offset < size {
        let most = size.min(offset.saturating_add(FileComparer::MOST.max(unit)));
        end = end_of_unheld(&mut old, end.max(offset), most, unit)?;
        if end == offset {
            offset = size.min(offset.saturating_add(unit));
            continue;
        }
        let in_files = match packer {
            None => reader.in_files([&mut old, &mut new], (offset, end), unit)?,
            Some(_) => None,
        };
        if let Some(files) = in_files {
            let [one, two] = files.places;
            let differences = comparer.compare(one, two, files.length)?;
            keep_in_files(&mut old, &files, &differences, reader, &mut *writer)?;
            offset = offset.saturating_add(files.length);
            progress.reach(offset)?;
            continue;
        }
        if let Some(both) = reader.read_side_by_side([&mut old, &mut new], (offset, end), unit)? {
            keep_differing(&mut old, &both, &blank, &mut *writer, packer.as_mut())?;
            offset = offset.saturating_add(both.length);
            progress.reach(offset)?;
            continue;
        }
        // Some unit lies in several pieces.
        let behind = end.min(offset.saturating_add(batch));
        let length = usize::try_from(behind.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (Some(before), Some(after)) = (before.get_mut(..length), after.get_mut(..length))
        else {
            return Err(internal("units are longer than their buffer"));
        };
        reader.read(&mut old, offset, before)?;
        reader.read(&mut new, offset, after)?;
        if before != after {
            let others = units_of(unit, offset, after);
            for ((place, before), (_, after)) in units_of(unit, offset, before).zip(others) {
                if !contents_differ(&mut old, place, before, after)? {
                    continue;
                }
                keep(&mut *writer, packer.as_mut(), place, before)?;
            }
        }
        offset = behind;
        progress.reach(offset)?;
    }
    let name = text(&config.name, config.name_len)?;
    let format = text(&config.other, config.other_len)?;
    writer.set_backing(name, format, identity)?;
    Ok(writer.finish()?)
}

/// Writes the content of a unit into the edited image.
fn keep(
    writer: &mut dyn DiskWriter,
    packer: Option<&mut Packer>,
    place: u64,
    content: &[u8],
) -> Result<(), OperationError> {
    if is_zero(content) {
        return Ok(writer.zero(place, content.len() as u64)?);
    }
    let is_packed = match packer {
        Some(packer) => packer.put(writer, place, content)?,
        None => false,
    };
    if !is_packed {
        writer.write(place, content)?;
    }
    Ok(())
}

/// Copies into the edited image the units that differ: by the host where a file holds them as they are.
fn keep_differing(
    old: &mut Chain<GuestImage>,
    both: &SideBySide<'_>,
    blank: &[u8],
    writer: &mut dyn DiskWriter,
    mut packer: Option<&mut Packer>,
) -> Result<(), OperationError> {
    let mut differing = Vec::new();
    for pair in both.differing(blank)? {
        if contents_differ(old, pair.place, pair.before, pair.after)? {
            differing.push(pair);
        }
    }
    let unit = writer.unit();
    let mut rest = &differing[..];
    while let Some((pair, others)) = rest.split_first() {
        let source = both.source_of(pair).filter(|_| packer.is_none());
        // As many as follow each other.
        let ends = (1_u64..).map(|index| pair.place.saturating_add(index.saturating_mul(unit)));
        let run = others
            .iter()
            .zip(ends)
            .take_while(|(next, place)| next.place == *place && both.source_of(next).is_some());
        let length = unit.saturating_mul(run.count().saturating_add(1) as u64);
        let copied = match source {
            Some(source) => writer.copy(pair.place, length, source)?,
            None => 0,
        };
        if copied == 0 {
            keep(writer, packer.as_deref_mut(), pair.place, pair.before)?;
            rest = others;
        } else {
            let behind = pair.place.saturating_add(copied);
            let done = rest.iter().take_while(|pair| pair.place < behind).count();
            rest = rest.get(done..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Has the host copy into the edited image the units that differ in two files.
fn keep_in_files(
    old: &mut Chain<GuestImage>,
    files: &InFiles,
    differences: &Differences,
    reader: &mut DiskReader<'_>,
    writer: &mut dyn DiskWriter,
) -> Result<(), OperationError> {
    let unit = writer.unit();
    let within = |at: u64| at.saturating_sub(files.start);
    let is_kept = |old: &mut Chain<GuestImage>, at: u64| {
        let end = at.saturating_add(unit);
        let differ = |from, to| differences.any(within(from), within(to));
        Ok::<_, OperationError>(differ(at, end) && differs(old, (at, end), differ)?)
    };
    let is_blank = |at: u64| differences.are_zeros(within(at), within(at.saturating_add(unit)));
    let behind = files.start.saturating_add(files.length);
    let mut offset = files.start;
    while offset < behind {
        if !is_kept(old, offset)? {
            offset = offset.saturating_add(unit);
            continue;
        }
        if is_blank(offset) {
            writer.zero(offset, unit)?;
            offset = offset.saturating_add(unit);
            continue;
        }
        // As many as follow each other.
        let mut end = offset.saturating_add(unit);
        while end < behind && !is_blank(end) && is_kept(old, end)? {
            end = end.saturating_add(unit);
        }
        while offset < end {
            let [(device, from), _] = files.places;
            let source = (device, from.saturating_add(within(offset)));
            let copied = writer.copy(offset, end.saturating_sub(offset), source)?;
            if copied == 0 {
                let mut content = buffer_of(unit)?;
                reader.read(old, offset, &mut content)?;
                keep(writer, None, offset, &content)?;
            }
            offset = offset.saturating_add(copied.max(unit));
        }
    }
    Ok(())
}

/// The end of the units from `start` on none of which the top image holds whole, up to `most`; `start` itself where it holds the first.
fn end_of_unheld(
    chain: &mut Chain<GuestImage>,
    start: u64,
    most: u64,
    unit: u64,
) -> Result<u64, OperationError> {
    let mut end = start;
    while end < most {
        let next = most.min(end.saturating_add(unit));
        if is_held(chain, end, next)? {
            break;
        }
        end = next;
    }
    Ok(end)
}

/// Whether the top image of a chain holds all of a range.
fn is_held(chain: &mut Chain<GuestImage>, start: u64, end: u64) -> Result<bool, OperationError> {
    let mut offset = start;
    while offset < end {
        let located = chain.locate(offset, end.saturating_sub(offset))?;
        if !located.present || located.depth > 0 {
            return Ok(false);
        }
        offset = offset.saturating_add(located.extent.length);
    }
    Ok(true)
}

/// Whether anything differs in a range where the top image of a chain does not say what is there. `differ` says whether something does
/// between two offsets of the disk.
fn differs(
    chain: &mut Chain<GuestImage>,
    (start, end): (u64, u64),
    differ: impl Fn(u64, u64) -> bool,
) -> Result<bool, OperationError> {
    let mut offset = start;
    while offset < end {
        let located = chain.locate(offset, end.saturating_sub(offset))?;
        let next = offset.saturating_add(located.extent.length);
        if (!located.present || located.depth > 0) && differ(offset, next) {
            return Ok(true);
        }
        offset = next;
    }
    Ok(false)
}

/// The same of two contents of a range from `start` on.
fn contents_differ(
    chain: &mut Chain<GuestImage>,
    start: u64,
    before: &[u8],
    after: &[u8],
) -> Result<bool, OperationError> {
    let end = start.saturating_add(before.len() as u64);
    let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
    differs(chain, (start, end), |from, to| {
        let range = place(from)..place(to);
        before.get(range.clone()) != after.get(range)
    })
}
