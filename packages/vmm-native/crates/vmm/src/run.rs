//! One run of a guest image, from start to report.

use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::Builder;

use instar_abi::{
    EXIT_ERROR, EXIT_OK, LARGE_PAGE_SIZE, REGION_CHAIN_CONFIG, REGION_HEAP, REGION_KEYS, REGION_OPERATION_CONFIG,
    REGION_RESULT, SECRETS_SIZE,
};

use crate::attendant::Attendant;
use crate::device::DeviceTable;
use crate::dump::{self, CpuState, DumpOptions, DumpReport, DumpRequests};
use crate::executor::{Counters, Executor, Remains, Wake};
use crate::gate::Gate;
use crate::guest_image::{GuestImage, ImageError};
use crate::kvm::{Doorbell, KvmBackend};
use crate::memory::GuestMemory;
use crate::process::{ProcessBackend, ProcessKind};
use crate::report::{Outcome, Report};
use crate::session::{EndsSession, SessionDesk};
use crate::trace::Trace;
use crate::watchdog::{Dumps, Limits, Stop, Watchdog, KICK};

/// Most bytes of the region `keys`: below the addresses that PCs keep for devices.
pub const MOST_KEY_MEMORY: u64 = 2 << 30;

/// Which sandbox runs the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// A micro-VM.
    Kvm,
    /// A process under seccomp.
    Process,
}

/// What to run.
pub struct RunOptions<'a> {
    /// A guest image file.
    pub image: &'a [u8],
    /// Encoded ChainConfig.
    pub chain_config: &'a [u8],
    /// Encoded config of the operation.
    pub operation_config: &'a [u8],
    /// What the region `keys` begins with: an encoded SecretsConfig with its passphrases; empty for none.
    pub secrets: &'a [u8],
    /// Bytes of the region `keys` where that is more than the memory map says: what making a key may take.
    pub key_memory: u64,
    /// Host files, in the order of the chain config.
    pub devices: &'a DeviceTable,
    /// Bounds.
    pub limits: Limits,
    /// Which sandbox.
    pub sandbox: Sandbox,
    /// The sandbox helper program; needed for [`Sandbox::Process`].
    pub helper: &'a Path,
    /// Threads that execute commands. Without any, a kept sandbox executes them in the thread of its guest; others have one.
    pub io_threads: usize,
    /// A second processor takes tasks of the guest, where it can be had. There is none where dumps may be taken.
    pub second: bool,
    /// More requests come through [`Control::session`], until it is closed.
    pub session: bool,
    /// Which dumps may be taken; `None` costs nothing.
    pub dump: Option<DumpOptions>,
    /// A file that gets a line for each command; `None` costs nothing.
    pub trace: Option<&'a Path>,
}

/// What another thread may see and do while a run goes on.
#[derive(Default)]
pub struct Control {
    /// Whether to end the run, and whether it has ended.
    pub gate: Arc<Gate>,
    /// Counters, updated while commands complete.
    pub counters: Counters,
    /// Takes requests for dumps while a run with dumps goes on.
    pub dumps: DumpRequests,
    /// More requests for a run that takes them.
    pub session: SessionDesk,
}

/// Why a run could not start.
#[derive(Debug)]
pub enum StartError {
    /// The guest image was refused.
    Image(ImageError),
    /// A config does not fit its page.
    Config(String),
    /// The sandbox could not be built.
    Sandbox(String),
}

impl StartError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            StartError::Image(ImageError::ForeignAbi { .. }) => "FOREIGN_ABI",
            StartError::Image(_) => "BAD_GUEST_IMAGE",
            StartError::Config(_) => "BAD_CONFIG",
            StartError::Sandbox(_) => "SANDBOX_UNAVAILABLE",
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Image(error) => error.fmt(f),
            StartError::Config(text) | StartError::Sandbox(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

/// A way to run a guest that was loaded.
pub trait Backend: Wake + Stop {
    /// Runs the guest on the calling thread until it ends or is stopped.
    fn run_guest(&self, executor: &Executor<'_>) -> Outcome;
    /// The same for a second processor, which the host does nothing for. It ends with the run.
    fn run_second(&self, executor: &Executor<'_>) -> Outcome;
    /// State of the CPU after the end.
    fn final_state(&self, outcome: &Outcome) -> CpuState;
}

/// Threads that execute commands.
fn threads_of(options: &RunOptions<'_>) -> usize {
    if options.devices.needs_order() {
        options.io_threads.min(1)
    } else {
        options.io_threads
    }
}

/// Writes a config to the beginning of its pages, and zeros behind it.
pub(crate) fn put_config(memory: &GuestMemory, region: &instar_abi::Region, bytes: &[u8]) -> Result<(), String> {
    let size = usize::try_from(region.size).unwrap_or(usize::MAX);
    if bytes.len() > size {
        return Err(format!("{} is {} bytes, at most {} fit", region.name, bytes.len(), region.size));
    }
    let mut whole = bytes.to_vec();
    whole.resize(size, 0);
    memory.write(region.start, &whole).map_err(|_| format!("{} is outside guest memory", region.name))
}

/// Runs a guest until it ends, breaks a rule, passes a limit or is cancelled, and hands the report to `deliver`. Blocks
/// the calling thread; what the run used is given back after `deliver`, because closing a VM takes the kernel longer
/// than many runs.
pub fn run<T>(options: &RunOptions<'_>, control: &Control, deliver: impl FnOnce(Result<Report, StartError>) -> T) -> T {
    let _ends = EndsSession(&control.session);
    let memory = match load(options) {
        Ok(memory) => memory,
        Err(error) => return deliver(Err(error)),
    };
    let executor = match executor(options, control, &memory) {
        Ok(executor) => executor,
        Err(error) => return deliver(Err(error)),
    };
    let second = start_second(options, &memory);
    let backend = match start(options, &memory, second.is_some()) {
        Ok(backend) => backend,
        Err(error) => return deliver(Err(error)),
    };
    let processors = Processors { first: &*backend, second: second.as_deref(), attendant: None };
    let (report, _) = conduct(executor, processors, &memory, options, control);
    deliver(Ok(report))
}

/// What a guest runs on.
#[derive(Clone, Copy)]
pub(crate) struct Processors<'a> {
    /// The processor of the operation.
    pub first: &'a dyn Backend,
    /// One that takes tasks of the first.
    pub second: Option<&'a dyn Backend>,
    /// The thread that watches; `None`: one is started for this run.
    pub attendant: Option<&'a Attendant>,
}

/// The outcome of a second processor that ends by itself.
pub(crate) fn left() -> Outcome {
    Outcome::Violation("the second processor left the guest".into())
}

/// An executor for a run on memory in which everything is loaded.
pub(crate) fn executor<'a>(
    options: &RunOptions<'a>,
    control: &'a Control,
    memory: &'a GuestMemory,
) -> Result<Executor<'a>, StartError> {
    let executor = Executor::new(memory, options.devices, &control.counters, &options.limits)
        .map_err(|error| StartError::Sandbox(error.to_string()))?
        .with_gate(Arc::clone(&control.gate))
        .with_session(options.session.then_some(&control.session), threads_of(options) <= 1);
    executor.keep_secret(options.operation_config);
    let trace = options.trace.map(Trace::open).transpose();
    Ok(executor.with_trace(trace.map_err(|error| StartError::Sandbox(format!("the trace cannot be opened: {error}")))?))
}

/// Runs a guest that was started, to its end. Also tells whether that was clean: the guest ended by itself, with a status
/// that working guests have, and left neither commands nor anything secret.
pub(crate) fn conduct(
    executor: Executor<'_>,
    processors: Processors<'_>,
    memory: &GuestMemory,
    options: &RunOptions<'_>,
    control: &Control,
) -> (Report, bool) {
    drive(&executor, processors, memory, options, control);
    let backend = processors.first;
    control.dumps.close();
    let (items, secret, drained) = (executor.items(), executor.secret(), executor.is_drained());
    let Remains { outcome, log, log_dropped, failures } = executor.into_parts();
    let outcome = outcome.unwrap_or_else(|| Outcome::HostError("the run left no outcome".into()));
    let clean = drained && secret.is_empty() && matches!(outcome, Outcome::Exit(EXIT_OK | EXIT_ERROR));
    let dump = options.dump.and_then(|wanted| {
        let (fd, reason) = (wanted.fd?, dump::reason(&outcome, &wanted)?);
        let report = DumpReport::of(memory, &items, reason, backend.final_state(&outcome));
        Some(report.with_memory(memory, fd, &secret))
    });
    let report = Report {
        outcome,
        dump,
        result: memory.read_region(&REGION_RESULT),
        log,
        log_dropped,
        statistics: control.counters.statistics(),
        failures,
    };
    (report, clean)
}

/// Guest memory with the image and the configs in it.
fn load(options: &RunOptions<'_>) -> Result<Arc<GuestMemory>, StartError> {
    let image = GuestImage::parse(options.image).map_err(StartError::Image)?;
    let keys = options.key_memory.checked_next_multiple_of(u64::from(LARGE_PAGE_SIZE)).unwrap_or(u64::MAX);
    if keys > MOST_KEY_MEMORY {
        let text = format!("{} bytes of memory for keys are more than {MOST_KEY_MEMORY}", options.key_memory);
        return Err(StartError::Config(text));
    }
    let size = REGION_KEYS.start.saturating_add(keys.max(REGION_KEYS.size));
    let memory = match options.sandbox {
        Sandbox::Kvm => GuestMemory::anonymous_of(size),
        Sandbox::Process => GuestMemory::shared_of(size),
    }
    .map_err(|error| StartError::Sandbox(format!("guest memory: {error}")))?;
    // The allocator marks the end of the heap: for that alone no large page is to be cleared.
    let heap_end = REGION_HEAP.start.saturating_add(REGION_HEAP.size);
    memory.use_small_pages(heap_end.saturating_sub(LARGE_PAGE_SIZE.into()), LARGE_PAGE_SIZE.into());
    image.load(&memory).map_err(StartError::Image)?;
    put_config(&memory, &REGION_CHAIN_CONFIG, options.chain_config).map_err(StartError::Config)?;
    put_config(&memory, &REGION_OPERATION_CONFIG, options.operation_config).map_err(StartError::Config)?;
    if options.secrets.len() as u64 > u64::from(SECRETS_SIZE) {
        return Err(StartError::Config(format!(
            "secrets are {} bytes, at most {SECRETS_SIZE} fit",
            options.secrets.len()
        )));
    }
    // The rest of the region is zeros already, and stays untouched where there are none.
    let put = memory.write(REGION_KEYS.start, options.secrets);
    put.map_err(|_| StartError::Config("the region for keys is outside guest memory".into()))?;
    Ok(Arc::new(memory))
}

/// A second processor; `None` where none is wanted or can be had, which the guest sees.
fn start_second(options: &RunOptions<'_>, memory: &Arc<GuestMemory>) -> Option<Box<dyn Backend>> {
    if !options.second || options.dump.is_some() {
        return None;
    }
    let image = GuestImage::parse(options.image).ok()?;
    Some(match options.sandbox {
        Sandbox::Kvm => Box::new(KvmBackend::second(memory, &image).ok()?),
        Sandbox::Process => Box::new(ProcessBackend::second(memory, &image, options.helper, options.limits.cpu).ok()?),
    })
}

fn start(options: &RunOptions<'_>, memory: &Arc<GuestMemory>, paired: bool) -> Result<Box<dyn Backend>, StartError> {
    let image = GuestImage::parse(options.image).map_err(StartError::Image)?;
    Ok(match options.sandbox {
        Sandbox::Kvm => Box::new(KvmBackend::new(memory, &image, Doorbell::Event)?),
        Sandbox::Process => {
            let kind = ProcessKind::alone(options.limits.cpu, options.dump.is_some());
            Box::new(ProcessBackend::new(memory, &image, options.helper, ProcessKind { paired, ..kind })?)
        }
    })
}

/// Whoever watches or serves ends with the run, also where that panics.
struct Left<'a> {
    executor: &'a Executor<'a>,
    guest_left: &'a AtomicBool,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.guest_left.store(true, Ordering::Release);
        // The first outcome stays.
        self.executor.finish(Outcome::HostError("the run panicked".into()));
    }
}

fn drive(
    executor: &Executor<'_>,
    Processors { first: backend, second, attendant }: Processors<'_>,
    memory: &GuestMemory,
    options: &RunOptions<'_>,
    control: &Control,
) {
    let guest_left = AtomicBool::new(false);
    if options.dump.is_some() {
        control.dumps.open();
    }
    let threads = if executor.serves_in_guest_thread() { 0 } else { threads_of(options).max(1) };
    let watchdog = Watchdog {
        executor,
        backend,
        second: second.map(|second| second as &dyn Stop),
        limits: &options.limits,
        dumps: options.dump.map(|_| Dumps { desk: &control.dumps, memory }),
    };
    let watch = || {
        if catch_unwind(AssertUnwindSafe(|| watchdog.watch(&guest_left))).is_err() {
            // Nothing bounds the guest any more.
            executor.finish(Outcome::HostError("what watches the guest panicked".into()));
            while !guest_left.load(Ordering::Acquire) {
                backend.stop_guest();
                std::thread::sleep(KICK);
            }
        }
    };
    std::thread::scope(|scope| {
        // A thread that cannot be had must end the run: those that were started wait for its end.
        let start = || -> std::io::Result<()> {
            for _ in 0..threads {
                Builder::new().spawn_scoped(scope, || executor.serve(backend))?;
            }
            if attendant.is_none() {
                Builder::new().spawn_scoped(scope, watch)?;
            }
            Ok(())
        };
        let run_second = |second: &dyn Backend| {
            let outcome = second.run_second(executor);
            // The first outcome stays: where the run is over, it ends with that.
            executor.finish(outcome);
        };
        let start_second = || second.map(|second| Builder::new().spawn_scoped(scope, move || run_second(second)));
        let run = || {
            let _left = Left { executor, guest_left: &guest_left };
            let (outcome, running) = match start().and_then(|()| start_second().transpose()) {
                Ok(running) => (backend.run_guest(executor), running),
                Err(error) => (Outcome::HostError(format!("no thread could be started: {error}")), None),
            };
            guest_left.store(true, Ordering::Release);
            executor.finish(outcome);
            if let (Some(second), Some(running)) = (second, running) {
                while !running.is_finished() {
                    second.stop_guest();
                    std::thread::sleep(KICK);
                }
            }
        };
        match attendant {
            Some(attendant) => attendant.attend(&watch, executor.gate(), run),
            None => run(),
        }
    });
}
