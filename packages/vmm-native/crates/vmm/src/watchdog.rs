//! Ends a run that takes too long, and carries a cancellation to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::executor::Executor;
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
}

const TICK: Duration = Duration::from_millis(20);
const KICK: Duration = Duration::from_millis(1);

/// Watches until the run is over, then until the guest has left.
pub fn watch(
    executor: &Executor<'_>,
    backend: &dyn Stop,
    limits: &Limits,
    cancelled: &AtomicBool,
    guest_left: &AtomicBool,
) {
    let start = Instant::now();
    let mut progress = (0, start);
    while !executor.wait_ended(TICK) {
        if cancelled.load(Ordering::Acquire) {
            executor.finish(Outcome::Cancelled);
        } else if let Some((kind, text)) = exceeded(executor, backend, limits, start, &mut progress) {
            executor.finish(Outcome::Limit(kind, text));
        }
    }
    while !guest_left.load(Ordering::Acquire) {
        backend.stop_guest();
        std::thread::sleep(KICK);
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
