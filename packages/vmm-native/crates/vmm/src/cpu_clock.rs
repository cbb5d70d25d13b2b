//! CPU time of threads and processes, from outside.

use std::sync::Mutex;
use std::time::Duration;

use crate::executor::lock;

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid out-pointer; a clock whose thread has ended is an error code.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return Duration::ZERO;
    }
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds.saturating_add(Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)))
}

/// CPU time of a child process; zero once it was reaped.
pub fn of_process(pid: libc::pid_t) -> Duration {
    let mut clock = 0;
    // SAFETY: a valid out-pointer; an unknown pid is an error code.
    if unsafe { libc::clock_getcpuclockid(pid, &mut clock) } != 0 {
        return Duration::ZERO;
    }
    read(clock)
}

/// The threads that work for one run.
#[derive(Default)]
pub struct ThreadClocks {
    /// Each with what it had used when it began to count.
    clocks: Mutex<Vec<(libc::clockid_t, Duration)>>,
}

impl ThreadClocks {
    /// Counts what the calling thread uses from now on: it may have worked for another run before.
    pub fn enter(&self) {
        let mut clock = 0;
        // SAFETY: the calling thread's own id, and a valid out-pointer.
        if unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) } == 0 {
            lock(&self.clocks).push((clock, read(clock)));
        }
    }

    /// Forgets all threads.
    pub fn clear(&self) {
        lock(&self.clocks).clear();
    }

    /// CPU time of all of them that still run.
    pub fn total(&self) -> Duration {
        let used = |(clock, before): &(libc::clockid_t, Duration)| read(*clock).saturating_sub(*before);
        lock(&self.clocks).iter().map(used).fold(Duration::ZERO, Duration::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_work_of_threads_and_not_their_sleep() {
        let clocks = ThreadClocks::default();
        clocks.enter();
        let before = clocks.total();
        std::thread::sleep(Duration::from_millis(30));
        let slept = clocks.total().saturating_sub(before);
        let start = std::time::Instant::now();
        while clocks.total().saturating_sub(before) < Duration::from_millis(20) {
            assert!(start.elapsed() < Duration::from_secs(20), "work was not counted");
        }
        assert!(slept < Duration::from_millis(20), "{slept:?} of a sleep were counted");
    }
}
