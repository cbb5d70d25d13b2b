//! Where a wish to end a run comes in and its end is told, at once: nobody who waits here sleeps through either.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::executor::lock;

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    ended: bool,
    /// Called once when the run is cancelled.
    on_cancel: Option<Callback>,
    /// A cancellation was told to whoever waits.
    told: bool,
}

/// The end of one run, wished for or come.
#[derive(Default)]
pub struct Gate {
    cancelled: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// Wishes for the end of the run.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        // Under the lock: whoever has looked and not yet gone to sleep would miss the call.
        let callback = lock(&self.state).on_cancel.take();
        self.changed.notify_all();
        // Not under the lock: it may look whether the run was cancelled.
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Whether the end was wished for.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// The same, for whoever looks at it again and again.
    pub fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }

    /// Has `callback` called by a cancellation from now on; `None`: nobody is to be called any more.
    pub(crate) fn call_on_cancel(&self, callback: Option<Callback>) {
        lock(&self.state).on_cancel = callback;
    }

    /// The run has ended.
    pub(crate) fn end(&self) {
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }

    /// Waits until the run has ended, at most `timeout`, and not longer than until a cancellation comes. Returns whether
    /// it has ended.
    pub(crate) fn wait_ended(&self, timeout: Duration) -> bool {
        let state = lock(&self.state);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |state| !state.ended && (!self.is_cancelled() || state.told))
            .unwrap_or_else(PoisonError::into_inner);
        state.told = self.is_cancelled();
        state.ended
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_cancellation_wakes_whoever_waits_for_the_end() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let start = Instant::now();
                (gate.wait_ended(Duration::from_secs(60)), start.elapsed())
            });
            gate.cancel();
            let (ended, took) = waits.join().unwrap_or_default();
            assert!(!ended && gate.is_cancelled());
            assert!(took < Duration::from_secs(30), "{took:?}");
        });
        // It is told once: whoever waits on does so for the end.
        assert!(!gate.wait_ended(Duration::from_millis(1)));
        gate.end();
        assert!(gate.wait_ended(Duration::from_secs(60)));
    }

    #[test]
    fn a_cancellation_calls_back_once_and_not_when_that_was_taken_back() {
        let calls = Arc::new(AtomicU32::new(0));
        let gate = Gate::default();
        let count = |calls: &Arc<AtomicU32>| -> Option<Callback> {
            let calls = Arc::clone(calls);
            Some(Box::new(move || {
                calls.fetch_add(1, Ordering::Relaxed);
            }))
        };
        gate.call_on_cancel(count(&calls));
        gate.cancel();
        gate.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        gate.call_on_cancel(count(&calls));
        gate.call_on_cancel(None);
        gate.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
