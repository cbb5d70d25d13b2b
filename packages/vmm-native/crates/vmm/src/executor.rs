//! Takes commands from the ring and executes them on a few host threads.

mod perform;

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use instar_abi::{item_request, opcode, Completion, ItemMailbox, RING_ENTRIES};

use crate::budget::Budget;
use crate::cpu_clock::ThreadClocks;
use crate::descriptor::{validate, Command};
use crate::device::DeviceTable;
use crate::dump;
use crate::files;
use crate::gate::Gate;
use crate::item_stubs::mailbox;
use crate::items::ItemStore;
use crate::ledger::Ledger;
use crate::memory::GuestMemory;
use crate::pace::Pace;
use crate::report::{CommandFailure, Outcome, Statistics};
use crate::ring::Ring;
use crate::session::SessionDesk;
use crate::trace::Trace;
use crate::undo::UndoLog;
use crate::watchdog::Limits;
use perform::Failure;
pub(crate) use perform::MoveBuffer;

/// Looks at the ring before an idle thread sleeps.
const SPINS: u32 = 2000;

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
    /// Useful commands that are being executed.
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
    /// Takes what made the doorbell readable, and tells how often the guest rang.
    fn drain_doorbell(&self) -> u64;
    /// Lets a waiting guest go on.
    fn wake_guest(&self);
}

#[derive(Default)]
struct Queue {
    head: u32,
    leader: bool,
    /// The guest has answered, and may send nothing before it has got another request.
    answered: bool,
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
    /// Most bytes that outputs receive; `u64::MAX` for no bound.
    output_limit: AtomicU64,
    budget: Budget,
    pace: Option<Pace>,
    ledger: Ledger,
    threads: ThreadClocks,
    output_promised: AtomicU64,
    queue: Mutex<Queue>,
    /// Commands that were taken and whose completion the guest cannot have seen.
    running: AtomicU32,
    work: Condvar,
    completion_tail: Mutex<u32>,
    stream_position: AtomicU64,
    /// Set once the kernel has refused to copy between these files.
    copies_by_hand: AtomicBool,
    log: Mutex<Log>,
    items: Mutex<ItemStore>,
    /// Logs of edited devices, by their descriptors; opened with the first write. Two devices may share one.
    undo: Mutex<BTreeMap<RawFd, UndoLog>>,
    /// Where more requests come from, in a run that takes more than one.
    session: Option<&'a SessionDesk>,
    /// One thread executes all commands, in the order of the ring.
    in_order: bool,
    /// That of the guest.
    in_guest_thread: bool,
    /// Bytes that no dump may hold.
    secret: Mutex<Vec<u8>>,
    outcome: Mutex<Option<Outcome>>,
    stop: AtomicBool,
    stop_event: files::Event,
    gate: Arc<Gate>,
    trace: Option<Trace>,
}

/// What a run left.
pub struct Remains {
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Log lines of the guest.
    pub log: Vec<Vec<u8>>,
    /// Log bytes that were dropped.
    pub log_dropped: u64,
    /// Commands that failed.
    pub failures: Vec<CommandFailure>,
}

impl<'a> Executor<'a> {
    /// An executor over a ring that was just initialised.
    pub fn new(
        memory: &'a GuestMemory,
        devices: &'a DeviceTable,
        counters: &'a Counters,
        limits: &Limits,
    ) -> std::io::Result<Self> {
        Ok(Self {
            budget: Budget::new(devices, limits.output_bytes, limits.read_bytes),
            pace: limits.write_rate.map(Pace::new),
            ledger: Ledger::default(),
            threads: ThreadClocks::default(),
            memory,
            ring: Ring::initialise(memory).map_err(|_| std::io::Error::other("the ring is outside guest memory"))?,
            devices,
            counters,
            output_limit: AtomicU64::new(limits.output_bytes.unwrap_or(u64::MAX)),
            output_promised: AtomicU64::new(0),
            queue: Mutex::default(),
            running: AtomicU32::new(0),
            work: Condvar::new(),
            completion_tail: Mutex::new(0),
            stream_position: AtomicU64::new(0),
            copies_by_hand: AtomicBool::new(limits.copies_by_hand),
            log: Mutex::default(),
            items: Mutex::default(),
            undo: Mutex::default(),
            session: None,
            in_order: false,
            in_guest_thread: false,
            secret: Mutex::default(),
            outcome: Mutex::new(None),
            stop: AtomicBool::new(false),
            stop_event: files::Event::new()?,
            gate: Arc::default(),
            trace: None,
        })
    }

    /// Takes more requests than the first from here.
    pub fn with_session(mut self, session: Option<&'a SessionDesk>, in_order: bool) -> Self {
        (self.session, self.in_order) = (session, in_order);
        self
    }

    /// Notes each command here.
    pub fn with_trace(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }

    /// Takes cancellations from here, and tells of the end there.
    pub fn with_gate(mut self, gate: Arc<Gate>) -> Self {
        self.gate = gate;
        self
    }

    /// Remembers what an operation's config holds that no dump may hold.
    pub fn keep_secret(&self, operation_config: &[u8]) {
        let secret = dump::secret(operation_config);
        if !secret.is_empty() {
            *lock(&self.secret) = secret;
        }
    }

    /// Bytes that no dump may hold.
    pub fn secret(&self) -> Vec<u8> {
        lock(&self.secret).clone()
    }

    /// The requests of this run, where it takes more than one.
    pub fn session(&self) -> Option<&SessionDesk> {
        self.session
    }

    /// Becomes readable when the run is over.
    pub(crate) fn stop_fd(&self) -> RawFd {
        self.stop_event.fd()
    }

    /// Counts rings of the doorbell.
    pub(crate) fn count_doorbells(&self, rings: u64) {
        self.counters.doorbells.fetch_add(rings, Ordering::Relaxed);
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
        if let Some(session) = self.session {
            session.end();
        }
        self.gate.end();
    }

    /// Where the end of the run is told, and a wish for it.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Counters of the run.
    pub fn counters(&self) -> &Counters {
        self.counters
    }

    /// Bytes that counted as getting on so far.
    pub fn earned(&self) -> u64 {
        self.budget.earned()
    }

    /// CPU time that the threads of the executor have used.
    pub fn cpu_time(&self) -> std::time::Duration {
        self.threads.total()
    }

    /// Whether no command is left: none is being executed, and none is in the ring. To be asked when the guest has ended.
    pub fn is_drained(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0 && self.ring.submission_tail() == lock(&self.queue).head
    }

    /// Takes what the run left.
    pub fn into_parts(self) -> Remains {
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        Remains {
            outcome: self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner),
            log: log.lines,
            log_dropped: log.dropped,
            failures: self.ledger.into_failures(),
        }
    }

    /// What the guest has left in items.
    pub fn items(&self) -> ItemStore {
        lock(&self.items).clone()
    }

    /// Answers the request in the item mailbox, where there is one. Returns whether there was.
    pub fn answer_item(&self) -> bool {
        let mut items = lock(&self.items);
        let Ok(request) = self.memory.atomic_u32(mailbox()) else { return false };
        if request.load(Ordering::Acquire) == item_request::NONE {
            return false;
        }
        let mut bytes = [0; ItemMailbox::SIZE];
        if self.memory.read(mailbox(), &mut bytes).is_ok() {
            let mut copy = ItemMailbox::from_bytes(&bytes);
            items.answer(&mut copy);
            let rest = copy.to_bytes();
            let place = mailbox().saturating_add(ItemMailbox::OFFSET_SELECTOR as u64);
            if let Some(rest) = rest.get(ItemMailbox::OFFSET_SELECTOR..) {
                // Cannot fail: the range was read just now.
                let _ = self.memory.write(place, rest);
            }
        }
        request.store(item_request::NONE, Ordering::Release);
        true
    }

    /// Executes commands until the run is over. One idle thread watches the ring, the others sleep behind it.
    pub fn serve(&self, backend: &dyn Wake) {
        self.threads.enter();
        let mut buffer = MoveBuffer::default();
        while !self.stopped() {
            match self.take(backend) {
                Ok(Some(command)) => self.execute(command, &mut buffer, backend),
                Ok(None) => {}
                Err(outcome) => self.finish(outcome),
            }
        }
    }

    /// From now on commands are executed by whoever runs the guest, with [`Self::serve_pending`]: it leaves the guest for
    /// every ring of its doorbell, which costs less than another thread where commands are few and small.
    pub fn in_guest_thread(mut self) -> Self {
        self.in_guest_thread = true;
        self.ring.set_need_wakeup(true);
        self
    }

    /// Whether that is so.
    pub fn serves_in_guest_thread(&self) -> bool {
        self.in_guest_thread
    }

    /// Executes what stands in the ring, where nobody else does. Returns whether that is so.
    pub(crate) fn serve_pending(&self, buffer: &mut MoveBuffer, backend: &dyn Wake) -> bool {
        if !self.in_guest_thread {
            return false;
        }
        while !self.stopped() {
            // Before the look: what is submitted after it rings. A guest takes the wish back when it rings.
            self.ring.set_need_wakeup(true);
            let mut queue = lock(&self.queue);
            let taken = self.take_pending(&mut queue);
            drop(queue);
            match taken {
                Ok(Some(command)) => self.execute(command, buffer, backend),
                Ok(None) => break,
                Err(outcome) => self.finish(outcome),
            }
        }
        true
    }

    /// The next command that stands in the ring.
    fn take_pending(&self, queue: &mut Queue) -> Result<Option<(Command, u64)>, Outcome> {
        let tail = self.ring.submission_tail();
        let pending = tail.wrapping_sub(queue.head);
        if pending > 0 && queue.answered {
            return Err(sent_after_answer());
        }
        if pending > RING_ENTRIES {
            return Err(Outcome::BadRing(format!(
                "submission tail {tail} with head {} leaves {pending} entries, the ring has {RING_ENTRIES}",
                queue.head
            )));
        }
        if pending > 0 {
            let descriptor = self.ring.descriptor(queue.head);
            queue.head = queue.head.wrapping_add(1);
            queue.answered = descriptor.opcode == opcode::NEXT && self.session.is_some();
            if self.running.fetch_add(1, Ordering::AcqRel) > 0 && queue.answered {
                return Err(Outcome::BadDescriptor(
                    "NEXT was sent before other commands were done, expected none in flight".into(),
                ));
            }
            self.ring.set_submission_head(queue.head);
            let command = validate(&descriptor, self.devices).map_err(Outcome::BadDescriptor)?;
            return Ok(Some((command, descriptor.user_data)));
        }
        Ok(None)
    }

    /// The next command of the ring, or `None` after a time of waiting for one.
    fn take(&self, backend: &dyn Wake) -> Result<Option<(Command, u64)>, Outcome> {
        let mut queue = lock(&self.queue);
        if let Some(taken) = self.take_pending(&mut queue)? {
            // Whoever takes a command leaves the watch: another thread takes it over.
            drop(queue);
            self.work.notify_one();
            return Ok(Some(taken));
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

    /// Lets the guest send commands again, which has sent none since its answer.
    fn ask_again(&self) -> Result<(), Outcome> {
        let mut queue = lock(&self.queue);
        queue.answered = false;
        // Where one thread executes everything, nobody has looked meanwhile.
        if self.ring.submission_tail() == queue.head {
            Ok(())
        } else {
            Err(sent_after_answer())
        }
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
                    self.counters.doorbells.fetch_add(backend.drain_doorbell(), Ordering::Relaxed);
                    if self.answer_item() {
                        backend.wake_guest();
                    }
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

    fn execute(&self, (command, user_data): (Command, u64), buffer: &mut MoveBuffer, backend: &dyn Wake) {
        let useful = self.budget.charge(&command);
        if useful {
            self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        let began = self.trace.as_ref().map(|_| Instant::now());
        let done = self.perform(command, buffer);
        if let (Some(trace), Some(began)) = (&self.trace, began) {
            let errno = match &done {
                Ok(()) => 0,
                Err(Failure::Errno(code) | Failure::Source(code)) => *code,
                Err(Failure::Stop(_)) => libc::ECANCELED,
            };
            trace.note(&command, began, errno);
        }
        // While the command still counts as one that goes on: whoever is held back is not idle.
        if let (Some(pace), Command::Write { target, .. } | Command::Copy { target, .. }) = (&self.pace, &command) {
            pace.wait(target.length, self.stop_event.fd());
        }
        self.counters.commands.fetch_add(1, Ordering::Relaxed);
        if useful {
            self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        let (errno, source_failed) = match done {
            Ok(()) => (0, false),
            Err(Failure::Errno(code)) => (code, false),
            Err(Failure::Source(code)) => (code, true),
            Err(Failure::Stop(outcome)) => {
                self.finish(outcome);
                return;
            }
        };
        if errno != 0 {
            if let Some((device, offset, write)) = place_of_failure(&command, source_failed) {
                self.ledger.enter(CommandFailure { device, offset, errno, write });
            }
        }
        let (status, source_failed) = (errno.saturating_neg(), u32::from(source_failed));
        let completion = Completion { user_data, status, source_failed };
        self.running.fetch_sub(1, Ordering::AcqRel);
        let mut tail = lock(&self.completion_tail);
        let wake = self.ring.complete(*tail, completion);
        *tail = tail.wrapping_add(1);
        drop(tail);
        if wake {
            backend.wake_guest();
        }
    }
}

/// A guest that has answered sleeps: what it did meanwhile would be at nobody's request, and in no answer.
fn sent_after_answer() -> Outcome {
    Outcome::BadDescriptor("a command was sent after NEXT, expected none before the next request".into())
}

/// Device, offset and direction of what failed in a command; None for commands that work on no device.
fn place_of_failure(command: &Command, source_failed: bool) -> Option<(u32, u64, bool)> {
    match command {
        Command::Read { source, .. } | Command::Extent { source, .. } => Some((source.device, source.offset, false)),
        Command::Compare { other, .. } if !source_failed => Some((other.device, other.offset, false)),
        Command::Compare { source, .. } => Some((source.device, source.offset, false)),
        Command::Copy { source, .. } if source_failed => Some((source.device, source.offset, false)),
        Command::Copy { target, .. }
        | Command::Write { target, .. }
        | Command::Zero { target, .. }
        | Command::Preserve { target }
        | Command::Release { target } => Some((target.device, target.offset, true)),
        Command::Flush { device } => Some((*device, 0, true)),
        Command::Log { .. } | Command::Progress { .. } | Command::Next => None,
    }
}

#[cfg(test)]
mod tests;
