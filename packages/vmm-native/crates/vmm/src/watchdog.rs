//! Ends a run that takes too long, and carries a cancellation to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::dump::{CpuState, DumpReport, DumpRequests};
use crate::executor::Executor;
use crate::memory::GuestMemory;
use crate::report::{LimitKind, Outcome};

/// Bounds of a run; `None` means no bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time in which nothing useful is done, and what a guest that needs no commands may take altogether.
    pub no_progress: Option<Duration>,
    /// Longest time altogether.
    pub wall_clock: Option<Duration>,
    /// Most CPU time of the guest and of the threads that work for it.
    pub cpu: Option<Duration>,
    /// Most exits and doorbells that the host answers.
    pub exits: Option<u64>,
    /// Most bytes that outputs receive.
    pub output_bytes: Option<u64>,
    /// Most bytes of inputs that are read to some use; without it they follow from the sizes of the devices.
    pub read_bytes: Option<u64>,
    /// Most bytes that outputs receive in a second.
    pub write_rate: Option<u64>,
    /// Bytes are read and written, and never copied inside the kernel, where a file system may share them instead.
    pub copies_by_hand: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            no_progress: Some(Duration::from_secs(30)),
            wall_clock: None,
            cpu: None,
            exits: None,
            output_bytes: None,
            read_bytes: None,
            write_rate: None,
            copies_by_hand: false,
        }
    }
}

/// What the watchdog needs of a backend.
pub trait Stop: Sync {
    /// Makes the guest's thread or process return; may be called again.
    fn stop_guest(&self);
    /// CPU time of the guest so far.
    fn cpu_time(&self) -> Duration;
    /// Calls `action` while the guest stands still. False when it could not be brought to a halt.
    fn while_paused(&self, action: &mut dyn FnMut(CpuState)) -> bool;
}

/// What the watchdog needs to take a dump that somebody asked for.
pub struct Dumps<'a> {
    /// Where requests come in.
    pub desk: &'a DumpRequests,
    /// Guest memory.
    pub memory: &'a GuestMemory,
}

/// Watches one run.
pub struct Watchdog<'a> {
    /// The run.
    pub executor: &'a Executor<'a>,
    /// The guest.
    pub backend: &'a dyn Stop,
    /// A second processor of it.
    pub second: Option<&'a dyn Stop>,
    /// Bounds.
    pub limits: &'a Limits,
    /// Dumps on request, where they are allowed.
    pub dumps: Option<Dumps<'a>>,
}

const TICK: Duration = Duration::from_millis(20);
/// Time between two attempts to end a guest.
pub(crate) const KICK: Duration = Duration::from_millis(1);
/// The longest part of a tick that counts: a job that was stopped (SIGSTOP), or a laptop that slept, loses no time.
const LONGEST_TICK: Duration = Duration::from_millis(500);
/// Useful bytes that a guest must move for each second in which it lets the host wait. The slowest decoder gives a
/// hundred times as many.
const LEAST_PACE: u64 = 2 << 20;
/// What a guest may let the host wait on top of that, however short the time without progress is.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// CPU time that a guest may use between its answer and the next request: it looks at the ring for a while before it sleeps.
const MOST_RESTLESS: Duration = Duration::from_secs(2);

/// A guest between its answer and the next request.
#[derive(Default)]
struct Sleeper {
    /// Requests that it had got when it was looked at last.
    handed: u64,
    /// CPU time that it had used when it answered.
    since: Option<Duration>,
}

/// Time that has passed for a run.
#[derive(Clone, Copy, Debug, Default)]
struct Elapsed {
    /// Since its start.
    total: Duration,
    /// Since the last useful command.
    idle: Duration,
    /// All in which no useful command was being executed.
    alone: Duration,
}

impl Watchdog<'_> {
    /// Watches until the run is over, then until the guest has left.
    pub fn watch(&self, guest_left: &AtomicBool) {
        let mut elapsed = Elapsed::default();
        let mut earned = 0;
        let mut last = Instant::now();
        let mut sleeper = Sleeper::default();
        while !self.executor.gate().wait_ended(TICK) {
            let tick = last.elapsed().min(LONGEST_TICK);
            last = Instant::now();
            match self.executor.session() {
                Some(session) if session.is_waiting() => {
                    // The time of whoever asks.
                    self.while_waiting(&mut sleeper);
                    continue;
                }
                Some(session) if sleeper.handed != session.handed() => {
                    sleeper = Sleeper { handed: session.handed(), ..Sleeper::default() };
                    elapsed = Elapsed::default();
                    continue;
                }
                _ => {}
            }
            elapsed.total = elapsed.total.saturating_add(tick);
            let now_earned = self.executor.earned();
            let busy = self.executor.counters().in_flight.load(Ordering::Relaxed) > 0;
            if busy || now_earned != earned {
                elapsed.idle = Duration::ZERO;
            } else {
                elapsed.idle = elapsed.idle.saturating_add(tick);
            }
            if !busy {
                elapsed.alone = elapsed.alone.saturating_add(tick);
            }
            earned = now_earned;
            if self.executor.gate().is_cancelled() {
                self.executor.finish(Outcome::Cancelled);
            } else if let Some((kind, text)) = self.exceeded(&elapsed, earned) {
                self.executor.finish(Outcome::Limit(kind, text));
            } else if self.dump_on_request() {
                // The guest could do nothing meanwhile.
                last = Instant::now();
            }
        }
        while !guest_left.load(Ordering::Acquire) {
            self.backend.stop_guest();
            std::thread::sleep(KICK);
        }
    }

    /// A guest that has answered sleeps until it is asked again.
    fn while_waiting(&self, sleeper: &mut Sleeper) {
        let used = self.backend.cpu_time();
        let since = *sleeper.since.get_or_insert(used);
        if self.executor.gate().is_cancelled() {
            self.executor.finish(Outcome::Cancelled);
        } else if used.saturating_sub(since) > MOST_RESTLESS {
            let text = format!("works for more than {} ms after its answer", MOST_RESTLESS.as_millis());
            self.executor.finish(Outcome::Violation(text));
        } else {
            self.dump_on_request();
        }
    }

    /// Takes the dump that somebody waits for. Returns whether the guest was halted for one.
    fn dump_on_request(&self) -> bool {
        let Some(dumps) = &self.dumps else { return false };
        let Some(request) = dumps.desk.take() else { return false };
        self.backend.while_paused(&mut |cpu| {
            let report = DumpReport::of(dumps.memory, &self.executor.items(), "request".into(), cpu);
            // Who asked may have gone.
            let _ = request.answer.send(report.with_memory(dumps.memory, request.fd, &self.executor.secret()));
        })
    }

    fn exceeded(&self, elapsed: &Elapsed, earned: u64) -> Option<(LimitKind, String)> {
        let Limits { no_progress, wall_clock, cpu, exits, .. } = *self.limits;
        let passed = |limit: Option<Duration>, value: Duration| limit.filter(|limit| value >= *limit);
        if let Some(limit) = passed(no_progress, elapsed.idle) {
            return Some((LimitKind::NoProgress, format!("no progress for {} ms", limit.as_millis())));
        }
        let granted = Duration::from_secs(earned / LEAST_PACE);
        if passed(no_progress.map(|limit| limit.max(LEAST_PATIENCE).saturating_add(granted)), elapsed.alone).is_some() {
            let (seconds, mib) = (elapsed.alone.as_secs(), earned >> 20);
            let text = format!("no real progress: {seconds} s between requests that were good for {mib} MiB");
            return Some((LimitKind::NoProgress, text));
        }
        if let Some(limit) = passed(wall_clock, elapsed.total) {
            return Some((LimitKind::WallClock, format!("took longer than {} ms", limit.as_millis())));
        }
        let second = || self.second.map_or(Duration::ZERO, Stop::cpu_time);
        let guest = || self.backend.cpu_time().saturating_add(second());
        let used = || guest().saturating_add(self.executor.cpu_time());
        if let Some(limit) = cpu.filter(|limit| used() >= *limit) {
            return Some((LimitKind::Cpu, format!("used more than {} ms of CPU time", limit.as_millis())));
        }
        let counters = self.executor.counters();
        let left = counters.exits.load(Ordering::Relaxed).saturating_add(counters.doorbells.load(Ordering::Relaxed));
        if let Some(limit) = exits.filter(|limit| left > *limit) {
            return Some((LimitKind::Exits, format!("left the guest more than {limit} times")));
        }
        None
    }
}
