//! Ends a run that takes too long, and carries a cancellation to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::dump::{CpuState, DumpDesk, DumpReport};
use crate::executor::Executor;
use crate::memory::GuestMemory;
use crate::report::{LimitKind, Outcome};

/// Bounds of a run; `None` means no bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time without a completed command while none is being executed.
    pub no_progress: Option<Duration>,
    /// Longest time altogether.
    pub wall_clock: Option<Duration>,
    /// Most CPU time of the guest.
    pub cpu: Option<Duration>,
    /// Most exits that the host answers.
    pub exits: Option<u64>,
    /// Most bytes that outputs receive.
    pub output_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            no_progress: Some(Duration::from_secs(30)),
            wall_clock: None,
            cpu: None,
            exits: None,
            output_bytes: None,
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
    pub desk: &'a DumpDesk,
    /// Guest memory.
    pub memory: &'a GuestMemory,
    /// Bytes that no dump may hold.
    pub secret: Vec<u8>,
}

/// Watches one run.
pub struct Watchdog<'a> {
    /// The run.
    pub executor: &'a Executor<'a>,
    /// The guest.
    pub backend: &'a dyn Stop,
    /// Bounds.
    pub limits: &'a Limits,
    /// Set to end the run.
    pub cancelled: &'a AtomicBool,
    /// Dumps on request, where they are allowed.
    pub dumps: Option<Dumps<'a>>,
}

const TICK: Duration = Duration::from_millis(20);
const KICK: Duration = Duration::from_millis(1);

impl Watchdog<'_> {
    /// Watches until the run is over, then until the guest has left.
    pub fn watch(&self, guest_left: &AtomicBool) {
        let start = Instant::now();
        let mut progress = (0, start);
        while !self.executor.wait_ended(TICK) {
            if self.cancelled.load(Ordering::Acquire) {
                self.executor.finish(Outcome::Cancelled);
            } else if let Some((kind, text)) = exceeded(self.executor, self.backend, self.limits, start, &mut progress)
            {
                self.executor.finish(Outcome::Limit(kind, text));
            } else if self.dump_on_request() {
                // The guest could do nothing meanwhile.
                progress.1 = Instant::now();
            }
        }
        while !guest_left.load(Ordering::Acquire) {
            self.backend.stop_guest();
            std::thread::sleep(KICK);
        }
    }

    /// Takes the dump that somebody waits for. Returns whether the guest was halted for one.
    fn dump_on_request(&self) -> bool {
        let Some(dumps) = &self.dumps else { return false };
        let Some(request) = dumps.desk.take() else { return false };
        self.backend.while_paused(&mut |cpu| {
            let report = DumpReport::of(dumps.memory, &self.executor.items(), "request".into(), cpu);
            // Who asked may have gone.
            let _ = request.answer.send(report.with_memory(dumps.memory, request.fd, &dumps.secret));
        })
    }
}

fn exceeded(
    executor: &Executor<'_>,
    backend: &dyn Stop,
    limits: &Limits,
    start: Instant,
    progress: &mut (u64, Instant),
) -> Option<(LimitKind, String)> {
    let counters = executor.counters();
    let commands = counters.commands.load(Ordering::Relaxed);
    if commands != progress.0 || counters.in_flight.load(Ordering::Relaxed) > 0 {
        *progress = (commands, Instant::now());
    }
    let passed = |limit: Option<Duration>, value: Duration| limit.filter(|limit| value >= *limit);
    if let Some(limit) = passed(limits.no_progress, progress.1.elapsed()) {
        return Some((LimitKind::NoProgress, format!("no progress for {} ms", limit.as_millis())));
    }
    if let Some(limit) = passed(limits.wall_clock, start.elapsed()) {
        return Some((LimitKind::WallClock, format!("took longer than {} ms", limit.as_millis())));
    }
    if let Some(limit) = limits.cpu.filter(|limit| backend.cpu_time() >= *limit) {
        return Some((LimitKind::Cpu, format!("used more than {} ms of CPU time", limit.as_millis())));
    }
    let exits = counters.exits.load(Ordering::Relaxed);
    if let Some(limit) = limits.exits.filter(|limit| exits > *limit) {
        return Some((LimitKind::Exits, format!("left the guest more than {limit} times")));
    }
    None
}
