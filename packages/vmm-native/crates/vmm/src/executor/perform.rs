//! Carries one checked command out.

use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};

use instar_abi::{FileExtent, REGION_CHAIN_CONFIG, REGION_OPERATION_CONFIG, REGION_RESULT};

use super::{lock, Executor};
use crate::comparison::Comparison;
use crate::descriptor::{Command, DeviceRange};
use crate::device::{Access, Device};
use crate::files;
use crate::report::{LimitKind, Outcome};
use crate::run::put_config;
use crate::session::Answer;
use crate::undo::{Logged, UndoLog};

/// Bytes of the buffer through which COPY and dense ZERO move data; fits a second-level cache.
const BUFFER_SIZE: usize = 1 << 20;
/// Bytes of each of two files that are compared at once: both fit a second-level cache.
const COMPARED_SIZE: usize = 128 << 10;
/// Bytes of one copy inside the kernel; a cancellation is looked for between two.
const KERNEL_COPY_SIZE: u64 = 4 << 20;
/// Writes of at least so many bytes are sent to the disk at once: the sync at the end then waits for little.
const WRITEBACK_SIZE: u64 = 512 << 10;
/// Log bytes that are kept; more are counted and dropped.
const LOG_LIMIT: usize = 64 * 1024;

impl Executor<'_> {
    /// Counts the bytes of a command against the output limit, before the first of them is written.
    fn promise_output(&self, length: u64) -> Result<(), Failure> {
        let limit = self.output_limit.load(Ordering::Relaxed);
        let add = |promised: u64| Some(promised.saturating_add(length));
        let before = self.output_promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or(u64::MAX);
        if before.saturating_add(length) > limit {
            let text = format!("the output limit of {limit} bytes was passed");
            return Err(Failure::Stop(Outcome::Limit(LimitKind::OutputBytes, text)));
        }
        Ok(())
    }

    fn device(&self, index: u32) -> Result<Device, Failure> {
        self.devices.get(index).ok_or(Failure::Errno(libc::EBADF))
    }

    pub(super) fn perform(&self, command: Command, buffer: &mut MoveBuffer) -> Result<(), Failure> {
        match command {
            Command::Read { source, window } => {
                let target = self.memory.range(window, source.length).map_err(|_| Failure::Errno(libc::EFAULT))?;
                let device = self.device(source.device)?;
                // SAFETY: the window was checked to lie in guest memory, which outlives this call.
                unsafe { device.read_exact(target, source.length, source.offset, &|| self.stopped()) }?;
                add(&self.counters.bytes_read, source.length);
                Ok(())
            }
            Command::Write { target, window } => {
                let device = self.device(target.device)?;
                let from = self.memory.range(window, target.length).map_err(|_| Failure::Errno(libc::EFAULT))?;
                self.promise_output(target.length)?;
                self.advance_stream(&device, &target)?;
                self.preserve(&device, &target, true)?;
                // SAFETY: the window was checked to lie in guest memory, which outlives this call.
                unsafe { put(&device, from, target.length, target.offset, &|| self.stopped()) }?;
                add(&self.counters.bytes_written, target.length);
                Ok(())
            }
            Command::Copy { source, target } => self.copy(source, target, buffer),
            Command::Zero { target, hole } => {
                let device = self.device(target.device)?;
                self.promise_output(target.length)?;
                self.advance_stream(&device, &target)?;
                self.preserve(&device, &target, true)?;
                zero(&device, &target, hole, buffer, &|| self.stopped())?;
                add(&self.counters.bytes_zeroed, target.length);
                Ok(())
            }
            Command::Flush { device: index } => {
                let device = self.device(index)?;
                let mut logs = lock(&self.undo);
                if let Some(log) = device.log.and_then(|log| logs.get_mut(&log.fd)) {
                    // Who flushes last ends the edit, and looks at the log.
                    log.finish_ahead();
                }
                drop(logs);
                if matches!(device.access, Access::Output | Access::Edited) {
                    files::sync_data(device.fd)?;
                }
                Ok(())
            }
            Command::Preserve { target } => self.preserve(&self.device(target.device)?, &target, false),
            Command::Release { target } => {
                let device = self.device(target.device)?;
                self.with_log(&device, |log, file| log.release(file, target.offset, target.length))
            }
            Command::Compare { source, other, window } => self.compare(source, other, window, buffer),
            Command::Extent { source, window } => {
                let device = self.device(source.device)?;
                let (data, length) = match device.remote {
                    Some(_) => (true, source.length),
                    None => files::extent(device.fd, source.offset, source.length),
                };
                let answer = FileExtent { data: u32::from(data), pad: 0, length };
                self.memory.write(window, &answer.to_bytes()).map_err(|_| Failure::Errno(libc::EFAULT))
            }
            Command::Log { window, length } => self.log(window, length),
            Command::Next => self.next(),
            Command::Progress { done, total } => {
                self.counters.progress_total.store(total, Ordering::Relaxed);
                self.counters.progress_done.store(done, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Puts the old content of a range of an edited device into its log. With `overwrites` it is on the disk afterwards.
    fn preserve(&self, device: &Device, range: &DeviceRange, overwrites: bool) -> Result<(), Failure> {
        self.with_log(device, |log, file| match overwrites {
            true => log.save_and_sync(file, range.offset, range.length),
            false => log.save(file, range.offset, range.length),
        })
    }

    /// Does something to the log of an edited device, where it has one.
    fn with_log(
        &self,
        device: &Device,
        work: impl FnOnce(&mut UndoLog, Logged) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let Some(log) = device.log.filter(|_| device.access == Access::Edited) else { return Ok(()) };
        // Held while it is saved: who writes to the same range has to wait for that.
        let mut logs = lock(&self.undo);
        let file = Logged { fd: device.fd, number: log.file };
        let log = match logs.entry(log.fd) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(UndoLog::open(log.fd)?),
        };
        Ok(work(log, file)?)
    }

    fn copy(&self, source: DeviceRange, target: DeviceRange, buffer: &mut MoveBuffer) -> Result<(), Failure> {
        let from = self.device(source.device)?;
        let to = self.device(target.device)?;
        self.promise_output(target.length)?;
        self.advance_stream(&to, &target)?;
        self.preserve(&to, &target, true)?;
        let both_files = from.remote.is_none() && to.remote.is_none();
        if both_files && to.access != Access::StreamOutput && !self.copies_by_hand.load(Ordering::Relaxed) {
            if self.copy_in_kernel(&from, &to, source, target)? {
                return Ok(());
            }
            self.copies_by_hand.store(true, Ordering::Relaxed);
        }
        let buffer = buffer.bytes()?;
        let mut done = 0;
        while done < source.length {
            if self.stopped() {
                return Err(Failure::Errno(libc::ECANCELED));
            }
            let piece = source.length.saturating_sub(done).min(buffer.len() as u64);
            // SAFETY: the buffer belongs to this thread and is at least `piece` bytes long.
            unsafe {
                from.read_exact(buffer.as_mut_ptr(), piece, source.offset.saturating_add(done), &|| self.stopped())
                    .map_err(|error| Failure::Source(error_number(&error)))?;
                put(&to, buffer.as_ptr(), piece, target.offset.saturating_add(done), &|| self.stopped())?;
            }
            done = done.saturating_add(piece);
            add(&self.counters.bytes_copied, piece);
        }
        Ok(())
    }

    fn compare(
        &self,
        source: DeviceRange,
        other: DeviceRange,
        window: u64,
        buffer: &mut MoveBuffer,
    ) -> Result<(), Failure> {
        let (one, two) = (self.device(source.device)?, self.device(other.device)?);
        let mut comparison = Comparison::of(source.length);
        let (first, rest) = buffer.bytes()?.split_at_mut(COMPARED_SIZE);
        let second = rest.get_mut(..COMPARED_SIZE).unwrap_or_default();
        let mut done = 0;
        while done < source.length {
            if self.stopped() {
                return Err(Failure::Errno(libc::ECANCELED));
            }
            let piece = source.length.saturating_sub(done).min(COMPARED_SIZE as u64);
            let stopped = || self.stopped();
            // SAFETY: both buffers belong to this thread and are at least `piece` bytes long.
            unsafe {
                one.read_exact(first.as_mut_ptr(), piece, source.offset.saturating_add(done), &stopped)
                    .map_err(|error| Failure::Source(error_number(&error)))?;
                two.read_exact(second.as_mut_ptr(), piece, other.offset.saturating_add(done), &stopped)?;
            }
            let length = usize::try_from(piece).unwrap_or(COMPARED_SIZE);
            let read = first.get(..length).zip(second.get(..length));
            let (first, second) = read.ok_or(Failure::Errno(libc::EFAULT))?;
            comparison.note(done, first, second);
            done = done.saturating_add(piece);
            add(&self.counters.bytes_read, piece.saturating_mul(2));
        }
        self.memory.write(window, comparison.answer()).map_err(|_| Failure::Errno(libc::EFAULT))
    }

    /// Copies without the bytes entering this process. File systems that share blocks may carry holes over, which a copy
    /// must not have: they are filled. Returns false when the kernel cannot copy between these files.
    fn copy_in_kernel(
        &self,
        from: &Device,
        to: &Device,
        source: DeviceRange,
        target: DeviceRange,
    ) -> Result<bool, Failure> {
        let mut done = 0;
        while done < source.length {
            if self.stopped() {
                return Err(Failure::Errno(libc::ECANCELED));
            }
            let piece = source.length.saturating_sub(done).min(KERNEL_COPY_SIZE);
            let offset = target.offset.saturating_add(done);
            match files::copy_range(from.fd, to.fd, source.offset.saturating_add(done), offset, piece) {
                Ok(true) => {}
                Err(error) if files::is_full(&error) => return Err(error.into()),
                // Copying by hand tells which of the two files fails, where it is not just that these two cannot be
                // copied so.
                Ok(false) | Err(_) => return Ok(false),
            }
            if files::shares_blocks(to.fd) {
                files::allocate(to.fd, offset, piece)?;
            }
            files::start_writeback(to.fd, offset, piece);
            done = done.saturating_add(piece);
            add(&self.counters.bytes_copied, piece);
        }
        Ok(true)
    }

    /// A stream takes consecutive bytes only; anything else cannot be carried out and is no working guest's wish.
    fn advance_stream(&self, device: &Device, target: &DeviceRange) -> Result<(), Failure> {
        if device.access != Access::StreamOutput {
            return Ok(());
        }
        let next = target.offset.saturating_add(target.length);
        self.stream_position
            .compare_exchange(target.offset, next, Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| ())
            .map_err(|position| {
                Failure::Stop(Outcome::BadDescriptor(format!(
                    "target_offset is {:#x}, expected {position:#x} (a stream takes consecutive bytes)",
                    target.offset
                )))
            })
    }

    /// Hands the guest's result to its caller, and the next request to the guest.
    fn next(&self) -> Result<(), Failure> {
        let Some(session) = self.session else { return Err(Failure::Errno(libc::ECANCELED)) };
        // Whoever gets the answer may close the files.
        lock(&self.undo).values_mut().for_each(UndoLog::finish_ahead);
        let answer = || Answer { result: self.memory.read_region(&REGION_RESULT), failures: self.ledger.take() };
        let next = session.hand_over(answer).map_err(|()| {
            Failure::Stop(Outcome::BadDescriptor("NEXT: another one is being answered, expected one at a time".into()))
        })?;
        self.ask_again().map_err(Failure::Stop)?;
        let Some(next) = next else { return Err(Failure::Errno(libc::ECANCELED)) };
        self.devices.append(&next.devices);
        if self.devices.needs_order() && !self.in_order {
            return Err(Failure::Stop(Outcome::HostError("a stream was given to a run with several threads".into())));
        }
        self.budget.grow(self.devices, next.output_bytes);
        self.output_promised.store(0, Ordering::Relaxed);
        self.output_limit.store(next.output_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.keep_secret(&next.operation_config);
        put_config(self.memory, &REGION_CHAIN_CONFIG, &next.chain_config)
            .and_then(|()| put_config(self.memory, &REGION_OPERATION_CONFIG, &next.operation_config))
            .map_err(|text| Failure::Stop(Outcome::HostError(text)))
    }

    fn log(&self, window: u64, length: u64) -> Result<(), Failure> {
        let length = usize::try_from(length).map_err(|_| Failure::Errno(libc::EINVAL))?;
        let mut line = vec![0; length];
        self.memory.read(window, &mut line).map_err(|_| Failure::Errno(libc::EFAULT))?;
        let mut log = lock(&self.log);
        if log.bytes.saturating_add(length) > LOG_LIMIT {
            log.dropped = log.dropped.saturating_add(length as u64);
        } else {
            log.bytes = log.bytes.saturating_add(length);
            log.lines.push(line);
        }
        Ok(())
    }
}

/// A buffer of one thread, made when it is first needed: most runs need none.
#[derive(Default)]
pub(crate) struct MoveBuffer(Vec<u8>);

impl MoveBuffer {
    fn bytes(&mut self) -> Result<&mut [u8], Failure> {
        if self.0.is_empty() {
            self.0.try_reserve_exact(BUFFER_SIZE).map_err(|_| {
                Failure::Stop(Outcome::HostError(format!("no memory for a buffer of {BUFFER_SIZE} bytes")))
            })?;
            self.0.resize(BUFFER_SIZE, 0);
        }
        Ok(&mut self.0)
    }
}

/// Why a command was not carried out.
pub(super) enum Failure {
    /// The guest gets this error number.
    Errno(i32),
    /// The same, and it was the source of a COPY that failed.
    Source(i32),
    /// The run ends.
    Stop(Outcome),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Errno(error_number(&error))
    }
}

fn error_number(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

/// Writes to a file at an offset, or to a stream, whose position the caller has checked.
///
/// # Safety
/// `source` must be valid for reads of `length` bytes.
unsafe fn put(
    device: &Device,
    source: *const u8,
    length: u64,
    offset: u64,
    stopped: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    if let Some(remote) = &device.remote {
        // SAFETY: the caller's promise.
        return unsafe { remote.write(source, length, offset, stopped) };
    }
    match device.access {
        // SAFETY: the caller's promise.
        Access::StreamOutput => return unsafe { files::write_stream_raw(device.fd, source, length, stopped) },
        // SAFETY: the caller's promise.
        _ => unsafe { files::write_all_raw(device.fd, source, length, offset) }?,
    }
    if length >= WRITEBACK_SIZE {
        files::start_writeback(device.fd, offset, length);
    }
    Ok(())
}

/// Makes a range read as zeros: by the file system where it can, else by writing them. A fresh output reads as zeros
/// wherever it was not written, so there a hole needs nothing and a dense range only allocation.
fn zero(
    device: &Device,
    target: &DeviceRange,
    hole: bool,
    buffer: &mut MoveBuffer,
    stopped: &dyn Fn() -> bool,
) -> Result<(), Failure> {
    if device.access != Access::StreamOutput {
        // What the log may put back must find its room.
        let hole = hole && device.log.is_none();
        let DeviceRange { offset, length, .. } = *target;
        let done = match (device.fresh, hole) {
            (true, true) => Ok(true),
            (true, false) => files::allocate(device.fd, offset, length),
            (false, _) => files::zero_range(device.fd, offset, length, hole),
        };
        if done? {
            return Ok(());
        }
    }
    let buffer = buffer.bytes()?;
    buffer.fill(0);
    let mut done = 0;
    while done < target.length {
        if stopped() {
            return Err(Failure::Errno(libc::ECANCELED));
        }
        let piece = target.length.saturating_sub(done).min(buffer.len() as u64);
        // SAFETY: the buffer belongs to this thread and is at least `piece` bytes long.
        unsafe {
            put(device, buffer.as_ptr(), piece, target.offset.saturating_add(done), stopped)?;
        }
        done = done.saturating_add(piece);
    }
    Ok(())
}
