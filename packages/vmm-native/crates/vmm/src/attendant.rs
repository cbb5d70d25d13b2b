//! A thread that does something beside one run after the other. A run that is over within the first tick never wakes it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::executor::lock;
use crate::gate::Gate;

/// How long a run goes on before it is attended to, at most; at once where it is cancelled.
const TICK: Duration = Duration::from_millis(20);
/// Ticks without a run after which the thread sleeps until it is woken.
const MOST_IDLE: u32 = 50;

/// What is to be done beside a run.
type Work<'a> = dyn Fn() + Sync + 'a;

#[derive(Default)]
struct State {
    /// Set for as long as its run goes on, unless the thread has taken it.
    work: Option<&'static Work<'static>>,
    /// It is being done.
    busy: bool,
    /// It is to be done before the tick is over.
    urgent: bool,
    /// The thread looks only when it is woken.
    asleep: bool,
    closed: bool,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    /// There is something for the thread to see.
    called: Condvar,
    /// It has done its work.
    done: Condvar,
}

impl Desk {
    fn hurry(&self) {
        lock(&self.state).urgent = true;
        self.called.notify_one();
    }

    /// The next work; `None` where there will be none.
    fn next(&self) -> Option<&'static Work<'static>> {
        let mut state = lock(&self.state);
        let mut idle = 0_u32;
        while !state.closed {
            // A call may have come while the last work was being done.
            if state.urgent {
                if let Some(work) = state.work.take() {
                    state.busy = true;
                    return Some(work);
                }
            }
            state.asleep = idle >= MOST_IDLE;
            let passed = if state.asleep {
                let nothing = |state: &mut State| !state.closed && state.work.is_none();
                state = self.called.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
                idle = 0;
                false
            } else {
                let waited = self.called.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
                state = waited.0;
                waited.1.timed_out()
            };
            if passed || state.urgent {
                if let Some(work) = state.work.take() {
                    state.busy = true;
                    return Some(work);
                }
                state.urgent = false;
                idle = idle.saturating_add(1);
            }
        }
        None
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            // A panic ends this work alone; who waits for its end must not wait for ever.
            let _ = catch_unwind(AssertUnwindSafe(work));
            lock(&self.state).busy = false;
            self.done.notify_all();
        }
    }
}

/// The thread; it ends with this.
pub(crate) struct Attendant {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Attendant {
    /// Starts it.
    pub(crate) fn start() -> Result<Self, String> {
        let desk = Arc::new(Desk::default());
        let its = Arc::clone(&desk);
        let thread = Builder::new().name("instar-watch".into()).spawn(move || its.work());
        let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Calls `run`, and `work` on the thread where that takes longer than a tick or is cancelled at `gate`. Returns when
    /// neither goes on: `work` must end once `run` has.
    pub(crate) fn attend<R>(&self, work: &Work<'_>, gate: &Gate, run: impl FnOnce() -> R) -> R {
        // SAFETY: only the thread uses it, and `Attended` returns, however `run` ends, when the thread has neither it nor
        // a way to it any more.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        let _attended = Attended { desk: &self.desk, gate };
        let mut state = lock(&self.desk.state);
        state.work = Some(work);
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.desk.called.notify_one();
        }
        let desk = Arc::clone(&self.desk);
        gate.call_on_cancel(Some(Box::new(move || desk.hurry())));
        if gate.is_cancelled() {
            self.desk.hurry();
        }
        run()
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        lock(&self.desk.state).closed = true;
        self.desk.called.notify_one();
        if let Some(thread) = self.thread.take() {
            // It catches the panics of what it does.
            let _ = thread.join();
        }
    }
}

/// Takes the work back at the end of a run, or waits for its end.
struct Attended<'a> {
    desk: &'a Desk,
    gate: &'a Gate,
}

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        self.gate.call_on_cancel(None);
        let mut state = lock(&self.desk.state);
        state.work = None;
        state.urgent = false;
        let busy = |state: &mut State| state.busy;
        drop(self.desk.done.wait_while(state, busy).unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Instant;

    use super::*;

    fn wait_until(what: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !what() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        what()
    }

    #[test]
    fn a_long_run_is_attended_to_and_outlived_by_nothing() -> Result<(), String> {
        let attendant = Attendant::start()?;
        for _ in 0..3 {
            let (began, over, ended) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
            let work = || {
                began.store(true, Ordering::SeqCst);
                while !over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(30));
                ended.store(true, Ordering::SeqCst);
            };
            let seen = attendant.attend(&work, &Gate::default(), || {
                let seen = wait_until(|| began.load(Ordering::SeqCst));
                over.store(true, Ordering::SeqCst);
                seen
            });
            assert!(seen && ended.load(Ordering::SeqCst));
        }
        Ok(())
    }

    #[test]
    fn short_runs_are_not_attended_to() -> Result<(), String> {
        let attendant = Attendant::start()?;
        let calls = AtomicU32::new(0);
        let work = || {
            calls.fetch_add(1, Ordering::SeqCst);
        };
        let start = Instant::now();
        for _ in 0..1000 {
            attendant.attend(&work, &Gate::default(), || ());
        }
        let ticks = start.elapsed().as_millis() / TICK.as_millis();
        // Whoever looks once a tick may meet one of them.
        assert!(u128::from(calls.load(Ordering::SeqCst)) <= ticks.saturating_add(1));
        Ok(())
    }

    #[test]
    fn a_cancelled_run_is_attended_to_at_once_and_one_after_a_sleep_at_all() -> Result<(), String> {
        let attendant = Attendant::start()?;
        let began = AtomicBool::new(false);
        let work = || began.store(true, Ordering::SeqCst);
        let gate = Gate::default();
        let mut least = Duration::MAX;
        for _ in 0..9 {
            began.store(false, Ordering::SeqCst);
            attendant.attend(&work, &Gate::default(), || ());
            let start = Instant::now();
            assert!(attendant.attend(&work, &gate, || {
                gate.cancel();
                wait_until(|| began.load(Ordering::SeqCst))
            }));
            least = least.min(start.elapsed());
        }
        assert!(least < TICK / 2, "{least:?}");
        assert!(wait_until(|| lock(&attendant.desk.state).asleep));
        began.store(false, Ordering::SeqCst);
        assert!(attendant.attend(&work, &Gate::default(), || wait_until(|| began.load(Ordering::SeqCst))));
        Ok(())
    }

    #[test]
    fn a_panic_of_either_ends_nothing_else() -> Result<(), String> {
        let attendant = Attendant::start()?;
        let began = AtomicBool::new(false);
        let panics = || {
            began.store(true, Ordering::SeqCst);
            std::panic::resume_unwind(Box::new("work"));
        };
        assert!(attendant.attend(&panics, &Gate::default(), || wait_until(|| began.load(Ordering::SeqCst))));
        let run = || attendant.attend(&|| (), &Gate::default(), || std::panic::resume_unwind(Box::new("run")));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        began.store(false, Ordering::SeqCst);
        let work = || began.store(true, Ordering::SeqCst);
        assert!(attendant.attend(&work, &Gate::default(), || wait_until(|| began.load(Ordering::SeqCst))));
        Ok(())
    }
}
