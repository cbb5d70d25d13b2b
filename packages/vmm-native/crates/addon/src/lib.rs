//! Node-API face of the VMM: thin, no decisions of its own. A run owns a thread; the event loop is never blocked.

mod dump;
mod options;
mod pool;
mod remote;
mod teardown;
pub mod undo;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use instar_vmm::device::DeviceTable;
use instar_vmm::run::{run, Control, RunOptions as VmmOptions};
use instar_vmm::{files, kvm, process, stream};
use napi::bindgen_prelude::{BigInt, Object};
use napi::{Env, Error, JsDeferred, Status};
use napi_derive::napi;
use options::{to_u64, OwnedOptions, RequestOptions, RunAnswer, RunOptions, RunReport};
use teardown::Token;

/// An error of which JavaScript sees `code` and `message`.
type Failure = Error<String>;

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Error::new(code.to_string(), message.into())
}

/// The error number travels in the code; the JavaScript face knows the names.
fn io_failure(error: &std::io::Error) -> Failure {
    failure(&format!("ERRNO_{}", error.raw_os_error().unwrap_or(libc::EIO)), error.to_string())
}

/// Handle on a run or a stream copy that goes on: cancels it, and tells how far it is.
#[napi]
pub struct RunControl {
    control: Arc<Control>,
    stream_progress: Arc<AtomicU64>,
}

/// How far a run is.
#[napi(object)]
pub struct RunProgress {
    /// Bytes that are done, as the guest says.
    pub done: BigInt,
    /// Bytes that there are to do, as the guest says.
    pub total: BigInt,
}

#[napi]
impl RunControl {
    /// A control for one run.
    #[napi(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { control: Arc::default(), stream_progress: Arc::default() }
    }

    /// Ends the run as soon as possible; its outcome is then `cancelled`.
    #[napi]
    pub fn cancel(&self) {
        self.control.gate.cancel();
    }

    /// Dumps guest memory into an open file while the guest stands still; it goes on afterwards. Rejects with
    /// `NOT_RUNNING` when no run that was started with `dump` goes on, or ends before.
    #[napi(ts_return_type = "Promise<DumpReport>")]
    pub fn request_dump<'env>(&self, env: &'env Env, fd: i32) -> napi::Result<Object<'env>> {
        let control = Arc::clone(&self.control);
        on_thread(env, "instar-dump", Arc::clone(&control), move |pending| {
            let report = control.dumps.request(fd).and_then(|report| report.recv().ok());
            settle(
                pending,
                report
                    .map(dump::DumpReport::from)
                    .ok_or_else(|| failure("NOT_RUNNING", "no guest that could be dumped is running")),
            );
        })
    }

    /// The next answer of a run that was started with `session`. Rejects with `NOT_RUNNING` when the run ends without one:
    /// its report then says why, or holds the answer to the last request.
    #[napi(ts_return_type = "Promise<RunAnswer>")]
    pub fn answer<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let control = Arc::clone(&self.control);
        on_thread(env, "instar-answer", Arc::clone(&control), move |pending| {
            let answer = control.session.answer().map(RunAnswer::from);
            settle(pending, answer.ok_or_else(|| failure("NOT_RUNNING", "the run ends without an answer")));
        })
    }

    /// Asks for more, once the last answer is there.
    #[napi]
    pub fn request(&self, options: RequestOptions) -> napi::Result<()> {
        let next = options.to_request().map_err(|text| Error::new(Status::InvalidArg, text))?;
        self.control.session.request(next);
        Ok(())
    }

    /// No further request comes: the run ends after what was asked so far.
    #[napi]
    pub fn close(&self) {
        self.control.session.close();
    }

    /// How far the run is.
    #[napi]
    pub fn progress(&self) -> RunProgress {
        let counters = &self.control.counters;
        let streamed = self.stream_progress.load(Ordering::Relaxed);
        RunProgress {
            done: BigInt::from(counters.progress_done.load(Ordering::Relaxed).max(streamed)),
            total: BigInt::from(counters.progress_total.load(Ordering::Relaxed)),
        }
    }
}

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// A promise, and the number of its hook (see [`teardown`]).
type Watched<T> = (JsDeferred<T, Resolver<T>>, u64);

/// A promise that has not been settled.
struct Pending<T: napi::bindgen_prelude::ToNapiValue + 'static> {
    deferred: Mutex<Option<Watched<T>>>,
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Pending<T> {
    fn take(&self) -> Option<Watched<T>> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn settle<T>(pending: &Pending<T>, done: Result<T, Failure>)
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    let Some((deferred, hook)) = pending.take() else { return };
    deferred.resolve(Box::new(move |env| {
        teardown::unwatch(&env, hook)?;
        // The status of a napi error is fixed, so the code travels in front of the message; the JavaScript face takes
        // it apart.
        done.map_err(|error| Error::new(Status::GenericFailure, format!("{}\n{}", error.status, error.reason)))
    }));
}

/// A promise that other threads settle. When the environment is torn down before, `control` is cancelled and the end of the
/// work awaited, which is when the token is dropped.
fn promise<'env, T>(env: &'env Env, control: Arc<Control>) -> napi::Result<(Arc<Pending<T>>, Token, Object<'env>)>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    let (deferred, promise): (JsDeferred<T, Resolver<T>>, Object) = env.create_deferred()?;
    let pending: Arc<Pending<T>> = Arc::new(Pending { deferred: Mutex::default() });
    let watched = Arc::clone(&pending);
    let (token, hook) = teardown::watch(env, move || {
        // Nobody is left to be told, and to drop it would need the environment.
        std::mem::forget(watched.take());
        control.gate.cancel();
        control.session.end();
    })?;
    *pending.deferred.lock().unwrap_or_else(PoisonError::into_inner) = Some((deferred, hook));
    Ok((pending, token, promise))
}

/// Moves `work` to a thread of its own. It settles the promise that is returned, and may clean up after that.
fn on_thread<'env, T, F>(env: &'env Env, name: &str, control: Arc<Control>, work: F) -> napi::Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: FnOnce(&Pending<T>) + Send + 'static,
{
    let (pending, token, promise) = promise(env, control)?;
    let mine = Arc::clone(&pending);
    let started = std::thread::Builder::new().name(name.to_string()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| work(&pending))).is_err() {
            settle(&pending, Err(failure("INTERNAL", "a worker thread panicked; this is a bug")));
        }
        drop(token);
    });
    if let Err(error) = started {
        if let Some((_, hook)) = mine.take() {
            teardown::unwatch(env, hook)?;
        }
        return Err(error.into());
    }
    Ok(promise)
}

/// Runs a guest image on a thread of its own. Rejects when it cannot start; resolves with a report otherwise, whatever
/// the guest did.
#[napi(catch_unwind, ts_return_type = "Promise<RunReport>")]
pub fn run_guest<'env>(env: &'env Env, options: RunOptions, control: &RunControl) -> napi::Result<Object<'env>> {
    let owned = OwnedOptions::from_js(&options).map_err(|text| Error::new(Status::InvalidArg, text))?;
    let control = Arc::clone(&control.control);
    on_thread(env, "instar-run", Arc::clone(&control), move |pending| {
        let devices = DeviceTable::new(owned.devices);
        let options = VmmOptions {
            image: &owned.image,
            chain_config: &owned.chain_config,
            operation_config: &owned.operation_config,
            secrets: &owned.secrets,
            key_memory: owned.key_memory,
            devices: &devices,
            limits: owned.limits,
            sandbox: owned.sandbox,
            helper: &owned.helper,
            io_threads: owned.io_threads,
            second: owned.second_processor,
            session: owned.session,
            dump: owned.dump,
            trace: owned.trace.as_deref(),
        };
        run(&options, &control, |done| {
            settle(pending, done.map(RunReport::from).map_err(|error| failure(error.code(), error.to_string())));
        });
    })
}

/// A copy between streams.
#[napi(object)]
pub struct StreamOptions {
    /// Descriptor that is read from its position.
    pub source: i32,
    /// Descriptor that is written.
    pub target: i32,
    /// Where to write (bytes); absent for the current position of a pipe.
    pub target_offset: Option<BigInt>,
    /// Bytes of the source to drop first.
    pub skip: BigInt,
    /// Most bytes to copy after them.
    pub limit: BigInt,
}

/// What a stream copy did.
#[napi(object)]
pub struct StreamReport {
    /// Bytes that were dropped.
    pub skipped: BigInt,
    /// Bytes that were copied.
    pub copied: BigInt,
}

/// Copies raw bytes from a stream on a thread of its own.
#[napi(catch_unwind, ts_return_type = "Promise<StreamReport>")]
pub fn copy_stream<'env>(env: &'env Env, options: StreamOptions, control: &RunControl) -> napi::Result<Object<'env>> {
    let invalid = |text| Error::new(Status::InvalidArg, text);
    let request = stream::StreamCopy {
        source: options.source,
        target: options.target,
        target_offset: options
            .target_offset
            .as_ref()
            .map(|value| to_u64(value, "targetOffset"))
            .transpose()
            .map_err(invalid)?,
        skip: to_u64(&options.skip, "skip").map_err(invalid)?,
        limit: to_u64(&options.limit, "limit").map_err(invalid)?,
    };
    let control_state = Arc::clone(&control.control);
    let progress = Arc::clone(&control.stream_progress);
    on_thread(env, "instar-stream", Arc::clone(&control_state), move |pending| {
        settle(
            pending,
            stream::copy(&request, control_state.gate.cancelled(), &progress)
                .map(|done| StreamReport { skipped: done.skipped.into(), copied: done.copied.into() })
                .map_err(|failed| {
                    let Failure { status, reason, .. } = io_failure(&failed.error);
                    failure(&if failed.source { format!("SOURCE_{status}") } else { status }, reason)
                }),
        );
    })
}

/// Why KVM cannot be used here, or null when it can.
#[napi(catch_unwind)]
pub fn probe_kvm() -> Option<String> {
    kvm::probe().err()
}

/// Why the process sandbox cannot be used here, or null when it can.
#[napi(catch_unwind)]
pub fn probe_process(helper: String) -> Option<String> {
    process::probe(Path::new(&helper)).err()
}

/// Opens `name` read-only below the directory `dir`; no component may lead out of it. The caller closes the descriptor.
#[napi(catch_unwind)]
pub fn open_beneath(dir: String, name: String) -> Result<i32, Failure> {
    use std::os::fd::IntoRawFd;
    files::open_beneath(&dir, &name).map(IntoRawFd::into_raw_fd).map_err(|error| io_failure(&error))
}

/// Bytes of a file or block device.
#[napi(catch_unwind)]
pub fn device_size(fd: i32) -> Result<BigInt, Failure> {
    files::size(fd).map(BigInt::from).map_err(|error| io_failure(&error))
}

/// Whether a file has at least one byte, whatever length it states.
#[napi(catch_unwind)]
pub fn has_bytes(fd: i32) -> Result<bool, Failure> {
    files::has_bytes(fd).map_err(|error| io_failure(&error))
}

/// The first byte from `offset` on that is not in a hole; null when only a hole follows.
#[napi(catch_unwind)]
pub fn next_data(fd: i32, offset: BigInt) -> Result<Option<BigInt>, Failure> {
    let from = to_u64(&offset, "offset").map_err(|text| failure(&format!("ERRNO_{}", libc::EINVAL), text))?;
    files::next_data(fd, from).map(|found| found.map(BigInt::from)).map_err(|error| io_failure(&error))
}

/// Allocates what a range of a file has of holes. False where the file system cannot.
#[napi(catch_unwind)]
pub fn allocate_file_range(fd: i32, offset: BigInt, length: BigInt) -> Result<bool, Failure> {
    let number =
        |value: &BigInt, name| to_u64(value, name).map_err(|text| failure(&format!("ERRNO_{}", libc::EINVAL), text));
    files::allocate(fd, number(&offset, "offset")?, number(&length, "length")?).map_err(|error| io_failure(&error))
}

/// Takes an exclusive lock on a whole file; it ends with the descriptor. False when someone else has one.
#[napi(catch_unwind)]
pub fn lock_exclusive(fd: i32) -> Result<bool, Failure> {
    files::lock_exclusive(fd).map_err(|error| io_failure(&error))
}

/// Takes the locks of a reader on an image. False means that another process writes it.
#[napi(catch_unwind)]
pub fn lock_for_reading(fd: i32) -> Result<bool, Failure> {
    files::lock_for_reading(fd).map_err(|error| io_failure(&error))
}

/// Takes the locks of a writer on an image. False means that another process uses it.
#[napi(catch_unwind)]
pub fn lock_for_writing(fd: i32) -> Result<bool, Failure> {
    files::lock_for_writing(fd).map_err(|error| io_failure(&error))
}
