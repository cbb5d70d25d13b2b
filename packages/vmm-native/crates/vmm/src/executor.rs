//! Executes commands on a few host threads.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use instar_abi::{Completion, RING_ENTRIES};

use crate::descriptor::{validate, Command, DeviceRange};
use crate::device::{Access, Device, DeviceTable};
use crate::files;
use crate::memory::GuestMemory;
use crate::report::{LimitKind, Outcome, Statistics};
use crate::ring::Ring;

/// Bytes of the buffer through which COPY and dense ZERO move data; fits a second-level cache.
const BUFFER_SIZE: usize = 1 << 20;
/// Bytes of one copy inside the kernel; a cancellation is looked for between two.
const KERNEL_COPY_SIZE: u64 = 4 << 20;
/// Writes of at least so many bytes are sent to the disk at once: the sync at the end then waits for little.
const WRITEBACK_SIZE: u64 = 512 << 10;
/// Looks at the ring before an idle thread sleeps.
const SPINS: u32 = 2000;
/// Log bytes that are kept; more are counted and dropped.
const LOG_LIMIT: usize = 64 * 1024;

/// Locks a mutex whose data stays meaningful even if another thread panicked while it held the lock.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counters that several threads add to.
#[derive(Default)]
pub struct Counters {
    /// See [`Statistics`].
    pub commands: AtomicU64,
    /// See [`Statistics`].
    pub bytes_read: AtomicU64,
    /// See [`Statistics`].
    pub bytes_written: AtomicU64,
    /// See [`Statistics`].
    pub bytes_copied: AtomicU64,
    /// See [`Statistics`].
    pub bytes_zeroed: AtomicU64,
    /// See [`Statistics`].
    pub exits: AtomicU64,
    /// See [`Statistics`].
    pub doorbells: AtomicU64,
    /// Commands that are being executed.
    pub in_flight: AtomicU32,
    /// What the guest last said it had done.
    pub progress_done: AtomicU64,
    /// What the guest last said it would do.
    pub progress_total: AtomicU64,
}

impl Counters {
    /// A snapshot.
    pub fn statistics(&self) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            commands: get(&self.commands),
            bytes_read: get(&self.bytes_read),
            bytes_written: get(&self.bytes_written),
            bytes_copied: get(&self.bytes_copied),
            bytes_zeroed: get(&self.bytes_zeroed),
            exits: get(&self.exits),
            doorbells: get(&self.doorbells),
        }
    }
}

/// What the executor needs of a backend.
pub trait Wake: Sync {
    /// Descriptor that becomes readable when the guest rings the doorbell.
    fn doorbell(&self) -> RawFd;
    /// Takes what made the doorbell readable.
    fn drain_doorbell(&self);
    /// Lets a waiting guest go on.
    fn wake_guest(&self);
}

#[derive(Default)]
struct Queue {
    head: u32,
    leader: bool,
}

#[derive(Default)]
struct Log {
    lines: Vec<Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

/// State that the threads of one run share.
pub struct Executor<'a> {
    memory: &'a GuestMemory,
    ring: Ring<'a>,
    devices: &'a DeviceTable,
    counters: &'a Counters,
    output_limit: Option<u64>,
    output_promised: AtomicU64,
    queue: Mutex<Queue>,
    work: Condvar,
    completion_tail: Mutex<u32>,
    stream_position: AtomicU64,
    /// Set once the kernel has refused to copy between these files.
    copies_by_hand: AtomicBool,
    log: Mutex<Log>,
    outcome: Mutex<Option<Outcome>>,
    stop: AtomicBool,
    stop_event: files::Event,
    ended: (Mutex<bool>, Condvar),
}

impl<'a> Executor<'a> {
    /// An executor over a ring that was just initialised.
    pub fn new(
        memory: &'a GuestMemory,
        devices: &'a DeviceTable,
        counters: &'a Counters,
        output_limit: Option<u64>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            memory,
            ring: Ring::initialise(memory).map_err(|_| std::io::Error::other("the ring is outside guest memory"))?,
            devices,
            counters,
            output_limit,
            output_promised: AtomicU64::new(0),
            queue: Mutex::default(),
            work: Condvar::new(),
            completion_tail: Mutex::new(0),
            stream_position: AtomicU64::new(0),
            copies_by_hand: AtomicBool::new(false),
            log: Mutex::default(),
            outcome: Mutex::new(None),
            stop: AtomicBool::new(false),
            stop_event: files::Event::new()?,
            ended: (Mutex::new(false), Condvar::new()),
        })
    }

    /// Whether the run is over.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends the run; the first outcome stays.
    pub fn finish(&self, outcome: Outcome) {
        lock(&self.outcome).get_or_insert(outcome);
        self.stop.store(true, Ordering::Release);
        self.stop_event.signal();
        // Under the lock: a thread that has looked at `stop` and not yet gone to sleep would miss the call, and sleep
        // for ever.
        drop(lock(&self.queue));
        self.work.notify_all();
        *lock(&self.ended.0) = true;
        self.ended.1.notify_all();
    }

    /// Waits until the run is over, at most `timeout`. Returns whether it is.
    pub fn wait_ended(&self, timeout: std::time::Duration) -> bool {
        let guard = lock(&self.ended.0);
        let (guard, _) =
            self.ended.1.wait_timeout_while(guard, timeout, |ended| !*ended).unwrap_or_else(PoisonError::into_inner);
        *guard
    }

    /// Counters of the run.
    pub fn counters(&self) -> &Counters {
        self.counters
    }

    /// Takes what the run left: its outcome, log lines and dropped log bytes.
    pub fn into_parts(self) -> (Option<Outcome>, Vec<Vec<u8>>, u64) {
        let outcome = self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        (outcome, log.lines, log.dropped)
    }

    /// Executes commands until the run is over. One idle thread watches the ring, the others sleep behind it.
    pub fn serve(&self, backend: &dyn Wake) {
        let mut buffer = vec![0_u8; BUFFER_SIZE];
        while !self.stopped() {
            match self.take(backend) {
                Ok(Some(command)) => self.execute(command, &mut buffer, backend),
                Ok(None) => {}
                Err(outcome) => self.finish(outcome),
            }
        }
    }

    /// The next command of the ring, or `None` after a time of waiting for one.
    fn take(&self, backend: &dyn Wake) -> Result<Option<(Command, u64)>, Outcome> {
        let mut queue = lock(&self.queue);
        let tail = self.ring.submission_tail();
        let pending = tail.wrapping_sub(queue.head);
        if pending > RING_ENTRIES {
            return Err(Outcome::BadRing(format!(
                "submission tail {tail} with head {} leaves {pending} entries, the ring has {RING_ENTRIES}",
                queue.head
            )));
        }
        if pending > 0 {
            let descriptor = self.ring.descriptor(queue.head);
            queue.head = queue.head.wrapping_add(1);
            self.ring.set_submission_head(queue.head);
            drop(queue);
            if pending > 1 {
                self.work.notify_one();
            }
            let command = validate(&descriptor, self.devices).map_err(Outcome::BadDescriptor)?;
            return Ok(Some((command, descriptor.user_data)));
        }
        if queue.leader {
            let guard = self
                .work
                .wait_while(queue, |queue| queue.leader && !self.stopped() && self.ring.submission_tail() == queue.head)
                .unwrap_or_else(PoisonError::into_inner);
            drop(guard);
            return Ok(None);
        }
        queue.leader = true;
        let head = queue.head;
        drop(queue);
        self.watch(head, backend);
        lock(&self.queue).leader = false;
        Ok(None)
    }

    fn watch(&self, head: u32, backend: &dyn Wake) {
        let idle = || self.ring.submission_tail() == head && !self.stopped();
        for _ in 0..SPINS {
            if !idle() {
                return;
            }
            std::hint::spin_loop();
        }
        self.ring.set_need_wakeup(true);
        while idle() {
            match files::wait_readable(&[backend.doorbell(), self.stop_event.fd()]) {
                Ok(ready) if ready.first() == Some(&true) => {
                    backend.drain_doorbell();
                    self.counters.doorbells.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    self.finish(Outcome::HostError(format!("waiting for the guest failed: {error}")));
                }
            }
        }
        self.ring.set_need_wakeup(false);
    }

    fn execute(&self, (command, user_data): (Command, u64), buffer: &mut [u8], backend: &dyn Wake) {
        self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        let done = self.perform(command, buffer);
        self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.counters.commands.fetch_add(1, Ordering::Relaxed);
        let status = match done {
            Ok(()) => 0,
            Err(Failure::Errno(code)) => -code,
            Err(Failure::Stop(outcome)) => {
                self.finish(outcome);
                return;
            }
        };
        let completion = Completion { user_data, status, pad: 0 };
        let mut tail = lock(&self.completion_tail);
        let wake = self.ring.complete(*tail, completion);
        *tail = tail.wrapping_add(1);
        drop(tail);
        if wake {
            backend.wake_guest();
        }
    }

    /// Counts the bytes of a command against the output limit, before the first of them is written.
    fn promise_output(&self, length: u64) -> Result<(), Failure> {
        let Some(limit) = self.output_limit else { return Ok(()) };
        let add = |promised: u64| Some(promised.saturating_add(length));
        let before = self.output_promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or(u64::MAX);
        if before.saturating_add(length) > limit {
            let text = format!("the output limit of {limit} bytes was passed");
            return Err(Failure::Stop(Outcome::Limit(LimitKind::OutputBytes, text)));
        }
        Ok(())
    }

    fn device(&self, index: u32) -> Result<&Device, Failure> {
        self.devices.get(index).ok_or(Failure::Errno(libc::EBADF))
    }

    fn perform(&self, command: Command, buffer: &mut [u8]) -> Result<(), Failure> {
        match command {
            Command::Read { source, window } => {
                let target = self.memory.range(window, source.length).map_err(|_| Failure::Errno(libc::EFAULT))?;
                // SAFETY: the window was checked to lie in guest memory, which outlives this call.
                unsafe { files::read_exact_raw(self.device(source.device)?.fd, target, source.length, source.offset) }?;
                add(&self.counters.bytes_read, source.length);
                Ok(())
            }
            Command::Write { target, window } => {
                let device = self.device(target.device)?;
                let from = self.memory.range(window, target.length).map_err(|_| Failure::Errno(libc::EFAULT))?;
                self.promise_output(target.length)?;
                self.advance_stream(device, &target)?;
                // SAFETY: the window was checked to lie in guest memory, which outlives this call.
                unsafe { put(device, from, target.length, target.offset, &|| self.stopped()) }?;
                add(&self.counters.bytes_written, target.length);
                Ok(())
            }
            Command::Copy { source, target } => self.copy(source, target, buffer),
            Command::Zero { target, hole } => {
                let device = self.device(target.device)?;
                self.promise_output(target.length)?;
                self.advance_stream(device, &target)?;
                zero(device, &target, hole, buffer, &|| self.stopped())?;
                add(&self.counters.bytes_zeroed, target.length);
                Ok(())
            }
            Command::Flush { device } => {
                let device = self.device(device)?;
                if device.access == Access::Output {
                    files::sync_data(device.fd)?;
                }
                Ok(())
            }
            Command::Log { window, length } => self.log(window, length),
            Command::Progress { done, total } => {
                self.counters.progress_total.store(total, Ordering::Relaxed);
                self.counters.progress_done.store(done, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn copy(&self, source: DeviceRange, target: DeviceRange, buffer: &mut [u8]) -> Result<(), Failure> {
        let from = self.device(source.device)?;
        let to = self.device(target.device)?;
        self.promise_output(target.length)?;
        self.advance_stream(to, &target)?;
        if to.access == Access::Output && !self.copies_by_hand.load(Ordering::Relaxed) {
            if self.copy_in_kernel(from, to, source, target)? {
                return Ok(());
            }
            self.copies_by_hand.store(true, Ordering::Relaxed);
        }
        let mut done = 0;
        while done < source.length {
            if self.stopped() {
                return Err(Failure::Errno(libc::ECANCELED));
            }
            let piece = source.length.saturating_sub(done).min(buffer.len() as u64);
            // SAFETY: the buffer belongs to this thread and is at least `piece` bytes long.
            unsafe {
                files::read_exact_raw(from.fd, buffer.as_mut_ptr(), piece, source.offset.saturating_add(done))?;
                put(to, buffer.as_ptr(), piece, target.offset.saturating_add(done), &|| self.stopped())?;
            }
            done = done.saturating_add(piece);
            add(&self.counters.bytes_copied, piece);
        }
        Ok(())
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
            if !files::copy_range(from.fd, to.fd, source.offset.saturating_add(done), offset, piece)? {
                return Ok(false);
            }
            files::allocate(to.fd, offset, piece)?;
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

enum Failure {
    Errno(i32),
    Stop(Outcome),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
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
    buffer: &mut [u8],
    stopped: &dyn Fn() -> bool,
) -> Result<(), Failure> {
    if device.access == Access::Output {
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

#[cfg(test)]
mod tests;
