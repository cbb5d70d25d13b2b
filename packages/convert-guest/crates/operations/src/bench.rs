//! The bench operation: requests of one length to a disk, as a measure of how fast it is read or written.

use alloc::vec::Vec;

use instar_abi::{BenchConfig, BenchResult, Descriptor, bench_flag, device_role, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{Chain, DeviceIndex, DiskWriter, ExtentKind, Image, Shown, open_writer};

use crate::commands::{SharedCommands, Ticket, descriptor};
use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit::{bad_config, edited_data, edited_device};
use crate::edited_file::EditedFile;
use crate::error::OperationError;
use crate::fetch::Fetcher;
use crate::open_chain::GuestImage;
use crate::operation::Request;
use crate::setup::{Setup, config_bytes, internal};

/// Most bytes that one READ brings.
const PIECE: u64 = 1 << 20;
/// Bytes of all windows that READs fill, at most.
const ALL_PIECES: u64 = 16 << 20;
/// Most READs that are under way: fewer than the ring holds, in which others must find a place.
const MOST_AT_ONCE: u64 = 48;
/// Requests between two PROGRESS commands.
const PROGRESS_STEP: u64 = 1 << 12;

/// Carries out the requests, and leaves a BenchResult.
pub fn bench(request: Request<'_>, result: &mut BenchResult) -> Result<(), OperationError> {
    let Request {
        config,
        chain,
        commands,
        mut windows,
    } = request;
    let config = BenchConfig::from_bytes(config_bytes(config)?);
    let setup = Setup::new(chain, commands, &mut windows)?;
    let fetcher = Fetcher::new(commands, &mut windows, setup.keys())?;
    if config.flags & bench_flag::WRITE != 0 {
        let (index, device) = edited_device(chain)?;
        let mut image = setup.open_one(device_role::IMAGE)?;
        let (format, cipher) = (image.format(), setup.cipher(&mut image)?);
        let before = setup.open(device_role::COMPARED)?;
        let file = EditedFile::new(commands, setup.metadata_window(), index, device.file_size);
        let data = edited_data(chain, index).map(|(index, device)| {
            let window = setup.metadata_window();
            let file = EditedFile::new(commands, window, index, device.file_size);
            (file, DeviceIndex(index))
        });
        let mut writer = Writer {
            disk: open_writer(
                format,
                file,
                DeviceIndex(index),
                data,
                Shown::Changes { when: 0 },
                cipher,
            )?,
            reader: DiskReader { setup, fetcher },
            before,
            bytes: Vec::new(),
            unit: Vec::new(),
            pattern: u8::try_from(config.pattern).map_err(|_| bad_config("no byte"))?,
        };
        each_request(
            &config,
            commands,
            writer.disk.virtual_size(),
            result,
            |request| writer.write(request),
        )?;
        writer.disk.finish()?;
        return Ok(());
    }
    let chain = setup.open(device_role::IMAGE)?;
    let size = chain.virtual_size();
    let mut reader = Reader {
        commands,
        fetcher,
        chain,
        slots: slots(&config, &mut windows)?,
        next: 0,
    };
    each_request(&config, commands, size, result, |request| match request {
        Access::At { offset, length } => reader.read(offset, length),
        Access::Flush => Ok(()),
    })?;
    reader.settle()
}

/// What is asked of a disk.
enum Access {
    /// A part of it (bytes).
    At { offset: u64, length: u64 },
    /// That what was written reaches the disk.
    Flush,
}

/// Makes the requests, one after the other, until one would end behind the disk.
fn each_request(
    config: &BenchConfig,
    commands: &SharedCommands,
    size: u64,
    result: &mut BenchResult,
    mut request: impl FnMut(Access) -> Result<(), OperationError>,
) -> Result<(), OperationError> {
    let length = config.request_length;
    result.virtual_size = size;
    result.offset = config.offset;
    while result.requests < config.count {
        let offset = result.offset;
        let end = offset.checked_add(length).filter(|end| *end <= size);
        if end.is_none() {
            return Ok(());
        }
        request(Access::At { offset, length })?;
        result.requests = result.requests.saturating_add(1);
        let next = offset.saturating_add(config.step);
        result.offset = next.checked_rem(size).unwrap_or(0);
        let turn = |every: u64| result.requests.checked_rem(every) == Some(0);
        if turn(u64::from(config.flush_interval)) {
            request(Access::Flush)?;
        }
        if turn(PROGRESS_STEP) {
            commands.borrow_mut().submit(Descriptor {
                offset: result.requests,
                length: config.count,
                ..descriptor(opcode::PROGRESS)
            })?;
        }
    }
    Ok(())
}

/// A window, and the READ that fills it.
struct Slot {
    window: Window,
    ticket: Option<Ticket>,
}

/// As many windows as requests may be under way, as far as there is room.
fn slots(config: &BenchConfig, windows: &mut WindowPool) -> Result<Vec<Slot>, OperationError> {
    let length = config.request_length.clamp(1, PIECE);
    let window = length.div_ceil(4096).saturating_mul(4096);
    let pieces = config.request_length.div_ceil(PIECE).max(1);
    let room = ALL_PIECES.checked_div(window).unwrap_or(1);
    let wanted = u64::from(config.depth).saturating_mul(pieces);
    let mut slots = Vec::new();
    for _ in 0..wanted.min(room).clamp(1, MOST_AT_ONCE) {
        let taken = windows.take(usize::try_from(window).unwrap_or(usize::MAX));
        let window = taken.ok_or_else(|| internal("the windows region is too small"))?;
        let ticket = None;
        slots.push(Slot { window, ticket });
    }
    Ok(slots)
}

/// Reads that go on while others are under way.
struct Reader<'a> {
    commands: &'a SharedCommands,
    fetcher: Fetcher<'a>,
    chain: Chain<GuestImage>,
    slots: Vec<Slot>,
    next: usize,
}

impl Reader<'_> {
    fn read(&mut self, offset: u64, length: u64) -> Result<(), OperationError> {
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let mut extent = self.chain.map(at, end.saturating_sub(at))?;
            let length = match extent.kind {
                ExtentKind::Data { device, offset } => self.start(device, offset, extent.length)?,
                ExtentKind::Zero | ExtentKind::Unallocated => extent.length,
                _ => {
                    extent.length = self.fetcher.length(&extent).min(extent.length);
                    self.fetcher.fetch(&[extent])?;
                    extent.length
                }
            };
            at = at.saturating_add(length);
        }
        Ok(())
    }

    /// Starts to read the beginning of what lies in one piece. Returns how many bytes those are.
    fn start(
        &mut self,
        device: DeviceIndex,
        offset: u64,
        length: u64,
    ) -> Result<u64, OperationError> {
        let count = self.slots.len();
        let slot = self.slots.get_mut(self.next);
        let slot = slot.ok_or_else(|| internal("a bench has no windows"))?;
        self.next = self.next.saturating_add(1).checked_rem(count).unwrap_or(0);
        let mut commands = self.commands.borrow_mut();
        if let Some(ticket) = slot.ticket.take() {
            commands.wait(ticket)?;
        }
        let length = length.min(slot.window.len() as u64);
        slot.ticket = Some(commands.start(Descriptor {
            device: device.0,
            offset,
            length,
            window: slot.window.address(),
            ..descriptor(opcode::READ)
        }));
        Ok(length)
    }

    /// Waits for all that is under way.
    fn settle(&mut self) -> Result<(), OperationError> {
        let mut outcome = Ok(());
        for ticket in self.slots.iter_mut().filter_map(|slot| slot.ticket.take()) {
            let ended = self.commands.borrow_mut().wait(ticket);
            outcome = outcome.and(ended);
        }
        outcome
    }
}

/// Writes of parts of units.
struct Writer<'a> {
    disk: alloc::boxed::Box<dyn DiskWriter + 'a>,
    reader: DiskReader<'a>,
    /// The disk as it was: a unit that was written since is the disk's own, and is not read from here.
    before: Chain<GuestImage>,
    bytes: Vec<u8>,
    unit: Vec<u8>,
    pattern: u8,
}

impl Writer<'_> {
    fn write(&mut self, request: Access) -> Result<(), OperationError> {
        let Access::At { offset, length } = request else {
            return Ok(self.disk.flush()?);
        };
        let unit = self.disk.unit();
        if self.unit.is_empty() {
            self.unit = buffer_of(unit)?;
            self.bytes = buffer_of(unit)?;
            self.bytes.fill(self.pattern);
        }
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let within = at.checked_rem(unit).unwrap_or(0);
            let part = end.saturating_sub(at).min(unit.saturating_sub(within));
            self.put(at, at.saturating_sub(within), part)?;
            at = at.saturating_add(part);
        }
        Ok(())
    }

    /// Writes `length` bytes at `at`, which lie within the unit that begins at `start`.
    fn put(&mut self, at: u64, start: u64, length: u64) -> Result<(), OperationError> {
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(..small(length));
        let bytes = bytes.ok_or_else(|| internal("a unit is longer than its buffer"))?;
        let held = self
            .disk
            .virtual_size()
            .saturating_sub(start)
            .min(self.disk.unit());
        if length == held {
            return Ok(self.disk.write(start, bytes)?);
        }
        if self.disk.patch(at, bytes)? {
            return Ok(());
        }
        let unit = self.unit.get_mut(..small(held));
        let unit = unit.ok_or_else(|| internal("a unit is longer than its buffer"))?;
        self.reader.read(&mut self.before, start, unit)?;
        let within = small(at.saturating_sub(start));
        let place = unit.get_mut(within..within.saturating_add(bytes.len()));
        place
            .ok_or_else(|| internal("a request is longer than its unit"))?
            .copy_from_slice(bytes);
        Ok(self.disk.write(start, unit)?)
    }
}
