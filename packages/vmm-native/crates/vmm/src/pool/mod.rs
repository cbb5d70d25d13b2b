//! Sandboxes that are kept: made ahead of the run that needs them, and restored after a run that ended cleanly. Anything
//! else poisons a sandbox, which is then destroyed. Both happen after the report was handed out.
//!
//! A sandbox lives on a thread of its own for all of its life: KVM waits for the whole system when a vCPU changes its
//! thread, and a process of the sandbox ends with the thread that started it.

mod kept;
mod template;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::Builder;

use crate::attendant::Attendant;
use crate::device::DeviceTable;
use crate::executor::lock;
use crate::report::{Outcome, Report, Statistics};
use crate::run::{Control, RunOptions, Sandbox, StartError};
use crate::session::EndsSession;
use crate::watchdog::Limits;
use kept::Kept;

/// Where the guest image of a pool comes from.
pub enum ImageSource {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A file, which is read by the thread that makes a sandbox.
    File(PathBuf),
}

impl ImageSource {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, StartError> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(path) => std::fs::read(path)
                .map(Cow::Owned)
                .map_err(|error| StartError::Sandbox(format!("the guest image cannot be read: {error}"))),
        }
    }
}

/// What all runs of a pool have in common.
pub struct PoolOptions {
    /// A guest image file.
    pub image: ImageSource,
    /// Which sandbox runs the guests.
    pub sandbox: Sandbox,
    /// The sandbox helper program; needed for [`Sandbox::Process`].
    pub helper: PathBuf,
    /// Sandboxes that are kept, and most runs of one request that go on at a time.
    pub size: usize,
    /// No sandbox serves a second run: what the pool is for is that they are made ahead.
    pub once: bool,
    /// The guest ends by itself where it is given nothing: what is made ahead does that once before its first run.
    pub rehearses: bool,
}

/// One run.
pub struct Job {
    /// See [`RunOptions`].
    pub chain_config: Vec<u8>,
    /// See [`RunOptions`]. One with a passphrase in it is served, and poisons its sandbox.
    pub operation_config: Vec<u8>,
    /// See [`RunOptions`].
    pub devices: DeviceTable,
    /// See [`RunOptions`].
    pub limits: Limits,
    /// See [`RunOptions`].
    pub io_threads: usize,
    /// More requests come through [`Control::session`]. Such a run never waits for another to end: whoever asks for both
    /// would wait for ever.
    pub session: bool,
    /// What other threads see of the run.
    pub control: Arc<Control>,
    /// Takes the report.
    pub deliver: Box<dyn FnOnce(Result<Report, StartError>) + Send>,
}

impl Job {
    fn deliver_cancelled(self) {
        let _ends = EndsSession(&self.control.session);
        (self.deliver)(Ok(Report {
            outcome: Outcome::Cancelled,
            result: Vec::new(),
            log: Vec::new(),
            log_dropped: 0,
            statistics: Statistics::default(),
            failures: Vec::new(),
            dump: None,
        }));
    }
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Sandboxes that wait for a run.
    pub idle: usize,
    /// Sandboxes that were made.
    pub made: u64,
    /// Runs after which a sandbox was restored.
    pub restored: u64,
    /// Runs after which a sandbox was destroyed.
    pub poisoned: u64,
}

#[derive(Default)]
struct State {
    /// Runs that no thread has taken yet, first come, first served.
    queue: VecDeque<Job>,
    /// Threads that wait for one.
    idle: usize,
    /// All threads.
    threads: usize,
    /// Runs that a thread has taken, until their report is there.
    running: usize,
    /// Runs of one request that go on or that a waiting thread is about to take.
    short: usize,
    closed: bool,
    statistics: PoolStatistics,
}

struct Shared {
    options: PoolOptions,
    state: Mutex<State>,
    changed: Condvar,
}

/// Kept sandboxes for runs of one guest image.
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// An empty pool: sandboxes are made when they are first needed.
    pub fn new(options: PoolOptions) -> Self {
        Self { shared: Arc::new(Shared { options, state: Mutex::default(), changed: Condvar::new() }) }
    }

    /// Runs a job as soon as it may; `deliver` is called on another thread, or on this one where none can be had.
    pub fn submit(&self, job: Job) {
        let control = Arc::clone(&job.control);
        let weak = Arc::downgrade(&self.shared);
        control.gate.call_on_cancel(Some(Box::new(move || purge(&weak))));
        let mut state = lock(&self.shared.state);
        let taken = state.idle > state.queue.len();
        let waits = !taken && !job.session && state.short >= self.shared.options.size.max(1);
        if taken || waits {
            state.queue.push_back(job);
            if taken {
                // Whoever closes the pool may wait here, too.
                self.shared.changed.notify_all();
            }
            drop(state);
            if control.gate.is_cancelled() {
                purge(&Arc::downgrade(&self.shared));
            }
            return;
        }
        state.threads = state.threads.saturating_add(1);
        state.running = state.running.saturating_add(1);
        if !job.session {
            state.short = state.short.saturating_add(1);
        }
        drop(state);
        start_worker(&self.shared, job);
    }

    /// Begins to make a sandbox for the next run, which waits for it where it comes before. What fails, the run tells.
    pub fn prepare(&self) {
        let mut state = lock(&self.shared.state);
        if state.closed || state.idle >= self.shared.options.size.max(1) {
            return;
        }
        // From now on: a run that comes before the sandbox is there is to wait for this one.
        state.threads = state.threads.saturating_add(1);
        state.idle = state.idle.saturating_add(1);
        let shared = Arc::clone(&self.shared);
        // With the lock held, so that no run relies on a thread that cannot be had.
        let started = Builder::new().name("instar-sandbox".into()).spawn(move || {
            let worker = Worker::new(&shared, false, true);
            let kept = catch_unwind(AssertUnwindSafe(|| worker.make_ahead()));
            worker.work(None, kept.unwrap_or(None));
        });
        if started.is_err() {
            state.threads = state.threads.saturating_sub(1);
            state.idle = state.idle.saturating_sub(1);
        }
    }

    /// What the pool has done.
    pub fn statistics(&self) -> PoolStatistics {
        let state = lock(&self.shared.state);
        PoolStatistics { idle: state.idle, ..state.statistics }
    }

    /// Keeps no sandbox any more, and waits until those that nobody uses are gone; runs that go on end as they would, and
    /// what still comes runs in sandboxes of its own.
    pub fn close(&self) {
        let mut state = lock(&self.shared.state);
        state.closed = true;
        self.shared.changed.notify_all();
        let unused = |state: &mut State| state.threads > state.running;
        drop(self.shared.changed.wait_while(state, unused).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
    }
}

/// Takes the runs out of the queue that were cancelled while they waited.
fn purge(shared: &Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    let mut cancelled = Vec::new();
    {
        let mut state = lock(&shared.state);
        let mut index = 0;
        while let Some(job) = state.queue.get(index) {
            if job.control.gate.is_cancelled() {
                cancelled.extend(state.queue.remove(index));
            } else {
                index = index.saturating_add(1);
            }
        }
    }
    cancelled.into_iter().for_each(Job::deliver_cancelled);
}

fn start_worker(shared: &Arc<Shared>, job: Job) {
    let place = Arc::new(Mutex::new(Some(job)));
    let (mine, theirs) = (Arc::clone(shared), Arc::clone(&place));
    let started = Builder::new().name("instar-sandbox".into()).spawn(move || {
        let first = lock(&theirs).take();
        let short = first.as_ref().is_some_and(|job| !job.session);
        Worker::new(&mine, short, false).work(first, None);
    });
    if let Err(error) = started {
        let Some(job) = lock(&place).take() else { return };
        {
            let mut state = lock(&shared.state);
            state.threads = state.threads.saturating_sub(1);
            state.running = state.running.saturating_sub(1);
            if !job.session {
                state.short = state.short.saturating_sub(1);
            }
        }
        let _ends = EndsSession(&job.control.session);
        (job.deliver)(Err(StartError::Sandbox(format!("no thread could be started: {error}"))));
    }
}

/// A run whose report is not there.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.running = state.running.saturating_sub(1);
    }
}

/// A thread with at most one sandbox.
struct Worker<'a> {
    shared: &'a Shared,
    /// It serves a run of one request.
    short: bool,
    /// It was started before there was a run for it, and counts as one that waits.
    ahead: bool,
    /// Watches one run after the other; without it each run has a thread of its own for that.
    attendant: Option<Attendant>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, short: bool, ahead: bool) -> Self {
        Self { shared, short, ahead, attendant: Attendant::start().ok() }
    }

    fn work(mut self, first: Option<Job>, mut kept: Option<Kept>) {
        let mut next = first;
        while let Some(job) = next.take().or_else(|| self.wait()) {
            job.control.gate.call_on_cancel(None);
            // A panic is told by what the closure of the job leaves undone; its sandbox is gone with it.
            let after = catch_unwind(AssertUnwindSafe(|| self.serve(kept.take(), job))).unwrap_or(None);
            kept = after;
            self.done();
        }
        drop((kept, self.attendant.take()));
        let mut state = lock(&self.shared.state);
        state.threads = state.threads.saturating_sub(1);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Serves a run in a kept sandbox, or in a new one. Returns one for the next run.
    fn serve(&self, kept: Option<Kept>, job: Job) -> Option<Kept> {
        let Job { chain_config, operation_config, devices, limits, io_threads, session, control, deliver } = job;
        let PoolOptions { sandbox, helper, once, .. } = &self.shared.options;
        let options = RunOptions {
            // The sandbox has it.
            image: &[],
            chain_config: &chain_config,
            operation_config: &operation_config,
            secrets: &[],
            key_memory: 0,
            devices: &devices,
            limits,
            sandbox: *sandbox,
            helper,
            io_threads,
            session,
            second: false,
            trace: None,
            dump: None,
        };
        let ends = EndsSession(&control.session);
        let running = Running(self.shared);
        let mut kept = match kept.map_or_else(|| self.make(), Ok) {
            Ok(kept) => kept,
            Err(error) => {
                drop((ends, running));
                deliver(Err(error));
                return None;
            }
        };
        let clean = match kept.run(&options, &control, self.attendant.as_ref()) {
            Ok((report, clean)) => {
                drop((ends, running));
                deliver(Ok(report));
                clean
            }
            Err(error) => {
                drop((ends, running));
                deliver(Err(error));
                false
            }
        };
        if *once {
            return None;
        }
        let restored = clean && kept.restore().is_ok();
        let mut state = lock(&self.shared.state);
        let counter = if restored { &mut state.statistics.restored } else { &mut state.statistics.poisoned };
        *counter = counter.saturating_add(1);
        drop(state);
        if restored {
            return Some(kept);
        }
        drop(kept);
        if lock(&self.shared.state).closed {
            return None;
        }
        // Ahead of the next run, which then finds it ready; where it cannot be made, the next run says why.
        self.make().ok()
    }

    fn make(&self) -> Result<Kept, StartError> {
        let PoolOptions { image, sandbox, helper, .. } = &self.shared.options;
        let kept = Kept::make(&image.bytes()?, *sandbox, helper)?;
        let mut state = lock(&self.shared.state);
        state.statistics.made = state.statistics.made.saturating_add(1);
        Ok(kept)
    }

    fn make_ahead(&self) -> Option<Kept> {
        let kept = self.make().ok()?;
        if self.shared.options.rehearses {
            kept.rehearsed(self.attendant.as_ref())
        } else {
            Some(kept)
        }
    }

    fn done(&mut self) {
        if std::mem::take(&mut self.short) {
            let mut state = lock(&self.shared.state);
            state.short = state.short.saturating_sub(1);
        }
    }

    /// The next run, or `None` where this thread is not needed any more.
    fn wait(&mut self) -> Option<Job> {
        let mut state = lock(&self.shared.state);
        let ahead = std::mem::take(&mut self.ahead);
        if ahead {
            state.idle = state.idle.saturating_sub(1);
        }
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.running = state.running.saturating_add(1);
                if !job.session {
                    state.short = state.short.saturating_add(1);
                    self.short = true;
                }
                return Some(job);
            }
            let PoolOptions { size, once, .. } = self.shared.options;
            if state.closed || once && !ahead || state.idle >= size {
                return None;
            }
            state.idle = state.idle.saturating_add(1);
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = state.idle.saturating_sub(1);
        }
    }
}
