//! Edits that move content from image to image: what stands above an image is committed into it, or an image gets another
//! backing file and keeps what it shows.

use alloc::boxed::Box;
use alloc::vec::Vec;

use instar_abi::{
    ChainConfig, Descriptor, EditConfig, EditResult, device_role, edit_action, edit_flag, opcode,
};
use instar_codecs::{Compressor, Effort};
use instar_guest_runtime::WindowPool;
use instar_image_formats::{
    Chain, Codec, DeviceIndex, DiskWriter, Edited, Extent, ExtentKind, FormatImage, Image, Shown,
    open_writer,
};

use crate::commands::{SharedCommands, descriptor};
use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit::{bad_config, edited_data, edited_device};
use crate::edited_file::EditedFile;
use crate::error::OperationError;
use crate::fetch::Fetcher;
use crate::grow_overlay::grow_overlay;
use crate::open_chain::{GuestImage, new_parent};
use crate::setup::{Setup, internal};
use crate::side_by_side::SideBySide;
use crate::zeros::is_zero;

/// Bytes that are read and written at once, where units are smaller.
const BATCH: usize = 1 << 20;
/// Bytes that are copied from file to file at once, at most.
const MOST_COPIED: u64 = 4 << 20;
/// Bytes that are compared at once, where units are not larger.
const MOST_COMPARED: u64 = 2 << 20;
/// Bytes between two PROGRESS commands.
const PROGRESS_STEP: u64 = 16 << 20;

/// Tells how far an edit is.
struct Progress<'a> {
    commands: &'a SharedCommands,
    told: u64,
    total: u64,
}

impl Progress<'_> {
    fn reach(&mut self, done: u64) -> Result<(), OperationError> {
        if done.saturating_sub(self.told) < PROGRESS_STEP {
            return Ok(());
        }
        self.told = done;
        self.commands.borrow_mut().submit(Descriptor {
            offset: done,
            length: self.total,
            ..descriptor(opcode::PROGRESS)
        })
    }
}

/// Opens the edited image for writing. Images that refer to it are opened before: some know it by what changes then.
pub type OpenWriter<'a> =
    Box<dyn FnOnce() -> Result<Box<dyn DiskWriter + 'a>, OperationError> + 'a>;

/// Carries out COMMIT, FILL, REBASE, or RESIZE of an overlay.
pub fn edit(
    config: &EditConfig,
    chain: &ChainConfig,
    commands: &SharedCommands,
    windows: &mut WindowPool,
    result: &mut EditResult,
) -> Result<(), OperationError> {
    let (index, device) = edited_device(chain)?;
    let setup = Setup::new(chain, commands, windows)?;
    let fetcher = Fetcher::new(commands, windows, setup.keys())?;
    let mut image = setup.open_one(device_role::IMAGE)?;
    let (format, cipher) = (image.format(), setup.cipher(&mut image)?);
    drop(image);
    let mut open = |index: u32, size: u64| {
        let window = windows
            .take(BATCH)
            .ok_or_else(|| internal("no window for what is written"))?;
        let file = EditedFile::new(commands, setup.metadata_window(), index, size);
        Ok::<_, OperationError>(file.gathering(window))
    };
    let file = open(index, device.file_size)?;
    let data = match edited_data(chain, index) {
        Some((index, device)) => Some((open(index, device.file_size)?, DeviceIndex(index))),
        None => None,
    };
    let target = DeviceIndex(index);
    let shown = match config.action {
        edit_action::COMMIT | edit_action::FILL => Shown::Changes {
            when: config
                .time
                .wrapping_mul(1_000_000_000)
                .wrapping_add(config.time_nsec.into()),
        },
        _ => Shown::Stays,
    };
    let writer: OpenWriter<'_> =
        Box::new(move || Ok(open_writer(format, file, target, data, shown, cipher)?));
    let mut reader = DiskReader { setup, fetcher };
    let progress = Progress {
        commands,
        told: 0,
        total: 0,
    };
    let edited = match config.action {
        edit_action::COMMIT => commit(config, writer, &mut reader, progress)?,
        edit_action::FILL => fill(config, writer, &mut reader, progress)?,
        edit_action::RESIZE => grow_overlay(config.size, writer, &mut reader)?,
        _ => rebase(config, chain, writer, &mut reader, progress)?,
    };
    result.file_length = edited.file_length;
    result.virtual_size = edited.virtual_size;
    Ok(())
}

/// Copies into the edited image what the layers above it hold: those of the chain COMPARED down to the depth `number`.
fn commit(
    config: &EditConfig,
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
    mut progress: Progress<'_>,
) -> Result<Edited, OperationError> {
    let depth = usize::try_from(config.number).unwrap_or(usize::MAX);
    let mut above = reader.setup.open(device_role::COMPARED)?;
    let below = above.layers().get(depth).map(GuestImage::device);
    let below = below.ok_or_else(|| bad_config("the chain is not as deep as the base"))?;
    let mut base = reader.setup.open_from(below.0)?;
    let size = above.virtual_size();
    let mut writer = writer()?;
    if size > writer.virtual_size() {
        writer.grow(size)?;
    }
    if config.flags & edit_flag::REPLACE != 0 {
        writer.replace();
    }
    let (unit, end) = (writer.unit(), writer.virtual_size());
    let mut buffer = buffer_of(batch_of(unit))?;
    progress.total = size;
    let mut offset = 0_u64;
    while offset < size {
        let located = above.locate(offset, size.saturating_sub(offset))?;
        let behind = offset.saturating_add(located.extent.length);
        // Where an image ends that lies between, what is below it is hidden: there the disk is zeros.
        let hidden = !located.present && located.depth.saturating_add(1) < depth;
        if !hidden && (!located.present || located.depth >= depth) {
            offset = behind;
            continue;
        }
        let start = offset.saturating_sub(offset.checked_rem(unit).unwrap_or(0));
        let copied = copy_data(reader, &mut *writer, &located.extent)?;
        if copied > 0 {
            offset = offset.saturating_add(copied);
            progress.reach(offset)?;
            continue;
        }
        let span = span_of(unit, start, behind.min(size));
        let length = span.min(end.saturating_sub(start));
        let held = usize::try_from(length.min(size.saturating_sub(start))).unwrap_or(0);
        let length = usize::try_from(length).unwrap_or(0);
        let piece = buffer
            .get_mut(..length)
            .ok_or_else(|| internal("a unit is longer than its buffer"))?;
        let (top, rest) = piece.split_at_mut(held);
        reader.read(&mut above, start, top)?;
        if !rest.is_empty() {
            // Behind the end of what is above, the base stays as it is.
            reader.read(&mut base, start.saturating_add(held as u64), rest)?;
        }
        for (place, bytes) in units_of(unit, start, piece) {
            if is_zero(bytes) {
                writer.zero(place, bytes.len() as u64)?;
            } else {
                writer.write(place, bytes)?;
            }
        }
        offset = start.saturating_add(span);
        progress.reach(offset)?;
    }
    Ok(writer.finish()?)
}

/// Copies the whole units at the beginning of an extent that lie as they are in a file; returns how many bytes these are.
fn copy_data(
    reader: &mut DiskReader<'_>,
    writer: &mut dyn DiskWriter,
    extent: &Extent,
) -> Result<u64, OperationError> {
    let extent = reader.setup.holes.see(*extent)?;
    let unit = writer.unit();
    let whole = extent.length.min(MOST_COPIED);
    let whole = whole.saturating_sub(whole.checked_rem(unit).unwrap_or(0));
    match extent.kind {
        ExtentKind::Data { device, offset }
            if extent.start.checked_rem(unit) == Some(0) && whole > 0 =>
        {
            Ok(writer.copy(extent.start, whole, (device, offset))?)
        }
        _ => Ok(0),
    }
}

/// Bytes of whole units that are read at once, at most.
fn batch_of(unit: u64) -> u64 {
    let units = (BATCH as u64).checked_div(unit).unwrap_or(0).max(1);
    unit.saturating_mul(units)
}

/// Bytes from `start` on that are dealt with at once: the whole units before `end` as far as a batch goes, one at least.
fn span_of(unit: u64, start: u64, end: u64) -> u64 {
    let left = end.saturating_sub(start).min(batch_of(unit));
    let whole = left.saturating_sub(left.checked_rem(unit).unwrap_or(0));
    whole.max(unit)
}

/// The units of a range of the disk that begins at `start`, with their places.
fn units_of(unit: u64, start: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let length = usize::try_from(unit).unwrap_or(usize::MAX).max(1);
    let places = (0_u64..).map(move |index| start.saturating_add(index.saturating_mul(unit)));
    places.zip(bytes.chunks(length))
}

/// Copies the disk of the chain COMPARED into the edited image, zeros too unless its disk reads as such.
fn fill(
    config: &EditConfig,
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
    mut progress: Progress<'_>,
) -> Result<Edited, OperationError> {
    let mut source = reader.setup.open(device_role::COMPARED)?;
    let size = source.virtual_size();
    let mut writer = writer()?;
    if size > writer.virtual_size() {
        writer.grow(size)?;
    }
    let reads_as_zero = config.flags & edit_flag::READS_AS_ZERO != 0;
    let (unit, end) = (writer.unit(), writer.virtual_size());
    let mut buffer = buffer_of(batch_of(unit))?;
    progress.total = size;
    let mut offset = 0_u64;
    while offset < size {
        let span = span_of(unit, offset, size);
        let length = usize::try_from(span.min(end.saturating_sub(offset))).unwrap_or(0);
        let held = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let piece = buffer
            .get_mut(..length)
            .ok_or_else(|| internal("a unit is longer than its buffer"))?;
        let (from, rest) = piece.split_at_mut(held.min(length));
        reader.read(&mut source, offset, from)?;
        if !rest.is_empty() {
            // Behind the end of the source, the image keeps what it has.
            let mut own = reader.setup.open(device_role::IMAGE)?;
            reader.read(&mut own, size, rest)?;
        }
        for (place, bytes) in units_of(unit, offset, piece) {
            if !is_zero(bytes) {
                writer.write(place, bytes)?;
            } else if !reads_as_zero {
                writer.zero(place, bytes.len() as u64)?;
            }
        }
        offset = offset.saturating_add(span);
        progress.reach(offset)?;
    }
    Ok(writer.finish()?)
}

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
fn rebase(
    config: &EditConfig,
    chain: &ChainConfig,
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
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
    while offset < size {
        let end = end_of_unheld(&mut old, offset, size, unit)?;
        if end == offset {
            offset = size.min(offset.saturating_add(unit));
            continue;
        }
        if let Some(both) = reader.read_side_by_side([&mut old, &mut new], (offset, end), unit)? {
            keep_differing(&mut old, &both, &blank, &mut *writer, packer.as_mut())?;
            offset = offset.saturating_add(both.length);
            progress.reach(offset)?;
            continue;
        }
        // Some unit lies in several pieces.
        let end = end.min(offset.saturating_add(batch));
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (Some(before), Some(after)) = (before.get_mut(..length), after.get_mut(..length))
        else {
            return Err(internal("units are longer than their buffer"));
        };
        reader.read(&mut old, offset, before)?;
        reader.read(&mut new, offset, after)?;
        if before != after {
            let others = units_of(unit, offset, after);
            for ((place, before), (_, after)) in units_of(unit, offset, before).zip(others) {
                if !differs(&mut old, place, before, after)? {
                    continue;
                }
                keep(&mut *writer, packer.as_mut(), place, before)?;
            }
        }
        offset = end;
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
        if differs(old, pair.place, pair.before, pair.after)? {
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

/// The end of the units from `start` on none of which the top image holds whole: as many as are dealt with at once, at most. `start`
/// itself where it holds the first.
fn end_of_unheld(
    chain: &mut Chain<GuestImage>,
    start: u64,
    size: u64,
    unit: u64,
) -> Result<u64, OperationError> {
    let most = size.min(start.saturating_add(MOST_COMPARED.max(unit)));
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

/// Whether two contents of a range differ where the top image of a chain does not say what is there.
fn differs(
    chain: &mut Chain<GuestImage>,
    start: u64,
    before: &[u8],
    after: &[u8],
) -> Result<bool, OperationError> {
    let end = start.saturating_add(before.len() as u64);
    let mut offset = start;
    while offset < end {
        let located = chain.locate(offset, end.saturating_sub(offset))?;
        let next = offset.saturating_add(located.extent.length);
        if !located.present || located.depth > 0 {
            let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
            let range = place(offset)..place(next);
            if before.get(range.clone()) != after.get(range) {
                return Ok(true);
            }
        }
        offset = next;
    }
    Ok(false)
}

fn text(bytes: &[u8], length: u32) -> Result<&[u8], OperationError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes
        .get(..length)
        .ok_or_else(|| bad_config("a name is longer than its place"))
}
