//! Holds a run back to so many bytes a second.

use std::os::fd::RawFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::executor::lock;
use crate::files;

/// The longest sleep between two looks at the descriptor that ends it.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// A bound on what outputs receive in a second, on average since the first byte.
pub struct Pace {
    bytes_per_second: u64,
    /// When the first byte went out, and bytes so far.
    sent: Mutex<Option<(Instant, u64)>>,
}

impl Pace {
    /// A pace of so many bytes a second, at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), sent: Mutex::default() }
    }

    /// How long whoever has just sent `bytes` must wait.
    fn debt(&self, bytes: u64, now: Instant) -> Duration {
        let mut sent = lock(&self.sent);
        let (start, before) = sent.unwrap_or((now, 0));
        let total = before.saturating_add(bytes);
        *sent = Some((start, total));
        let nanoseconds = u128::from(total).saturating_mul(1_000_000_000) / u128::from(self.bytes_per_second);
        let due = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        due.saturating_sub(now.saturating_duration_since(start))
    }

    /// Waits until `bytes` more may have been sent, or `stop` becomes readable.
    pub fn wait(&self, bytes: u64, stop: RawFd) {
        let until = Instant::now().checked_add(self.debt(bytes, Instant::now()));
        loop {
            let left = until.map_or(LONGEST_SLEEP, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            // It ends early for a signal, and then there is more to wait.
            if !files::wait_readable_for(&[stop], left.min(LONGEST_SLEEP)).is_ok_and(|ready| ready == [false]) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_owed_for_the_time_that_they_take() {
        let pace = Pace::new(1000);
        let start = Instant::now();
        assert_eq!(pace.debt(500, start), Duration::from_millis(500));
        assert_eq!(pace.debt(1500, start), Duration::from_secs(2));
        // Time that has passed is paid.
        assert_eq!(pace.debt(1000, start + Duration::from_secs(2)), Duration::from_secs(1));
        assert_eq!(pace.debt(0, start + Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let stop = files::Event::new().ok();
        assert!(stop.is_some());
        let start = Instant::now();
        if let Some(stop) = stop {
            stop.signal();
            Pace::new(1).wait(3600, stop.fd());
        }
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
