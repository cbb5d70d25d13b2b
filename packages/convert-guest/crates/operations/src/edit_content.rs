//! Edits that move content from image to image: what stands above an image is committed into it, or another disk is copied into it.

use alloc::boxed::Box;

use instar_abi::{
    ChainConfig, Descriptor, EditConfig, EditResult, device_role, edit_action, edit_flag, opcode,
};
use instar_guest_runtime::WindowPool;
use instar_image_formats::{
    DeviceIndex, DiskWriter, Edited, Extent, ExtentKind, Image, Shown, open_writer,
};

use crate::commands::{SharedCommands, descriptor};
use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit::{bad_config, edited_data, edited_device};
use crate::edited_file::EditedFile;
use crate::error::OperationError;
use crate::fetch::Fetcher;
use crate::file_comparison::FileComparer;
use crate::grow_overlay::{grow_overlay, pad};
use crate::open_chain::GuestImage;
use crate::rebase::rebase;
use crate::setup::{Setup, internal};
use crate::zeros::is_zero;

/// Bytes that are read and written at once, where units are smaller.
const BATCH: usize = 1 << 20;
/// Bytes that are copied from file to file at once, at most.
const MOST_COPIED: u64 = 4 << 20;
/// Bytes between two PROGRESS commands.
const PROGRESS_STEP: u64 = 16 << 20;

/// Tells how far an edit is.
pub struct Progress<'a> {
    commands: &'a SharedCommands,
    told: u64,
    pub total: u64,
}

impl Progress<'_> {
    /// Says that `done` bytes of the disk are dealt with.
    pub fn reach(&mut self, done: u64) -> Result<(), OperationError> {
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
        edit_action::RESIZE => {
            let preallocate = config.flags & edit_flag::PREALLOCATE != 0;
            grow_overlay(config.size, preallocate, writer, &mut reader)?
        }
        _ => {
            let comparer = FileComparer::new(commands, windows)?;
            rebase((config, chain), writer, &mut reader, comparer, progress)?
        }
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
        if base.layers().len() > 1 {
            pad(&mut *writer, reader, &mut base)?;
        }
        writer.grow(size, false)?;
    }
    if config.flags & edit_flag::REPLACE != 0 {
        writer.replace();
    }
    let (unit, end) = (writer.unit(), writer.content_end().max(size));
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
pub fn batch_of(unit: u64) -> u64 {
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
pub fn units_of(unit: u64, start: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
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
        writer.grow(size, false)?;
    }
    let reads_as_zero = config.flags & edit_flag::READS_AS_ZERO != 0;
    let (unit, end) = (writer.unit(), writer.content_end().max(size));
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

/// The text in a place of a config.
pub fn text(bytes: &[u8], length: u32) -> Result<&[u8], OperationError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes
        .get(..length)
        .ok_or_else(|| bad_config("a name is longer than its place"))
}
