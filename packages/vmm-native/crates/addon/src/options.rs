//! What JavaScript passes in and gets back. Byte offsets and sizes are bigints.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instar_vmm::device::{Access, Device, DeviceLog, DeviceTable};
use instar_vmm::pool;
use instar_vmm::remote::RemoteDevice;
use instar_vmm::report::{CommandFailure as Failed, Outcome, Report};
use instar_vmm::run::{Control, Sandbox, StartError};
use instar_vmm::session::{Answer, NextRequest};
use instar_vmm::watchdog::Limits;
use napi::bindgen_prelude::{BigInt, Buffer, Either, Uint8Array};
use napi_derive::napi;

use crate::dump::DumpReport;
use crate::remote;

/// What may be done with a device.
#[napi(string_enum = "kebab-case")]
pub enum DeviceAccess {
    /// Only read.
    Input,
    /// Written at any offset within `size`.
    Output,
    /// Written at consecutive offsets only.
    StreamOutput,
    /// Read, and written at any offset within `size`.
    Edited,
}

/// One host file of a run. The descriptor stays the caller's and must stay open until the run has ended.
#[napi(object)]
pub struct DeviceOptions {
    /// Open file descriptor; -1 of a remote device.
    pub fd: i32,
    /// What may be done with it.
    pub access: DeviceAccess,
    /// Bytes: the length of an input, the limit of an output and of an edited file.
    pub size: BigInt,
    /// The output reads as zeros wherever it was not written (default false).
    pub fresh: Option<bool>,
    /// Open undo log of an edited file, which `beginUndoLog` began (default: none is written).
    pub log: Option<i32>,
    /// The file is the second one of that log, as `joinUndoLog` has it (default false).
    pub is_second: Option<bool>,
    /// Number of the `RemoteDevice` that answers in the place of a file: the reads of an input, or the writes of a stream.
    pub remote: Option<u32>,
}

/// Bounds of a run; 0 or absent means the default.
#[napi(object)]
pub struct LimitOptions {
    /// Longest time in which nothing useful is done (ms, default 30000).
    pub no_progress_ms: Option<u32>,
    /// Longest time altogether (ms, default none).
    pub wall_clock_ms: Option<u32>,
    /// Most CPU time of the guest and of the threads that work for it (ms, default none).
    pub cpu_ms: Option<u32>,
    /// Most exits from the guest and rings of its doorbell (default none).
    pub max_exits: Option<BigInt>,
    /// Most bytes that outputs receive (default none).
    pub output_bytes: Option<BigInt>,
    /// Most bytes of inputs that are read to some use (default: what follows from their sizes).
    pub read_bytes: Option<BigInt>,
    /// Most bytes that outputs receive in a second (default none).
    pub write_rate: Option<BigInt>,
    /// Read and write what is copied, in place of copies inside the kernel, which may share blocks (default false).
    pub copies_by_hand: Option<bool>,
}

/// Which sandbox runs the guest.
#[napi(string_enum = "lowercase")]
pub enum SandboxKind {
    /// A KVM micro-VM.
    Kvm,
    /// A process under seccomp.
    Process,
}

/// What to run.
#[napi(object)]
pub struct RunOptions {
    /// A guest image file.
    pub image: Uint8Array,
    /// Encoded ChainConfig.
    pub chain_config: Uint8Array,
    /// Encoded config of the operation.
    pub operation_config: Uint8Array,
    /// Encoded SecretsConfig with its passphrases; absent for none. It is in no dump.
    pub secrets: Option<Uint8Array>,
    /// Bytes of memory that making a key may take (default 2 MiB, at most 2 GiB).
    pub key_memory: Option<BigInt>,
    /// Host files, in the order of the chain config.
    pub devices: Vec<DeviceOptions>,
    /// Which sandbox.
    pub sandbox: SandboxKind,
    /// Path of the sandbox helper program.
    pub helper: String,
    /// Bounds.
    pub limits: Option<LimitOptions>,
    /// Threads that execute commands (default 2).
    pub io_threads: Option<u32>,
    /// A second processor takes tasks of the guest, where it can be had (default false). There is none where dumps may be taken.
    pub second_processor: Option<bool>,
    /// More requests come through `RunControl.request` until it is closed (default false).
    pub session: Option<bool>,
    /// Which dumps may be taken; absent for none.
    pub dump: Option<DumpRunOptions>,
    /// Path of a file to which a line is appended for each command that was carried out; absent for none.
    pub trace: Option<String>,
}

/// What all runs of a pool have in common.
#[napi(object)]
pub struct PoolOptions {
    /// A guest image file: its bytes, or its path.
    pub image: Either<Uint8Array, String>,
    /// Which sandbox.
    pub sandbox: SandboxKind,
    /// Path of the sandbox helper program.
    pub helper: String,
    /// Sandboxes that are kept, and most runs of one request that go on at a time.
    pub size: u32,
    /// No sandbox serves a second run (default false).
    pub once: Option<bool>,
    /// The guest ends by itself where it is given nothing. One that is made ahead then does so once before its first run, for
    /// what is slow with memory that nothing has touched (default false).
    pub rehearses: Option<bool>,
}

/// What to run in a kept sandbox; see `RunOptions`.
#[napi(object)]
pub struct PoolRunOptions {
    /// Encoded ChainConfig.
    pub chain_config: Uint8Array,
    /// Encoded config of the operation, without a passphrase.
    pub operation_config: Uint8Array,
    /// Host files, in the order of the chain config.
    pub devices: Vec<DeviceOptions>,
    /// Bounds.
    pub limits: Option<LimitOptions>,
    /// Threads that execute commands (default 2).
    pub io_threads: Option<u32>,
    /// More requests come through `RunControl.request` until it is closed (default false).
    pub session: Option<bool>,
}

/// What a pool has done so far.
#[napi(object)]
pub struct PoolStatistics {
    /// Sandboxes that wait for a run.
    pub idle: u32,
    /// Sandboxes that were made.
    pub made: BigInt,
    /// Runs after which a sandbox was restored.
    pub restored: BigInt,
    /// Runs after which a sandbox was destroyed.
    pub poisoned: BigInt,
}

/// Another request for a run that takes more than one.
#[napi(object)]
pub struct RequestOptions {
    /// Encoded ChainConfig: the devices so far, and those that come with this request behind them.
    pub chain_config: Uint8Array,
    /// Encoded config of the operation.
    pub operation_config: Uint8Array,
    /// Host files that come with this request.
    pub devices: Vec<DeviceOptions>,
    /// Most bytes that outputs receive from now on (default none).
    pub output_bytes: Option<BigInt>,
    /// No other request follows: the answer to this one is in the report of the run.
    pub last: bool,
}

/// What a guest has left for one request.
#[napi(object)]
pub struct RunAnswer {
    /// The result region as the guest left it.
    pub result: Buffer,
    /// Commands that failed since the last answer.
    pub failures: Vec<CommandFailure>,
}

/// Which dumps a run may make. They hold what the guest holds of images, but no passphrase.
#[napi(object)]
pub struct DumpRunOptions {
    /// Open file that receives guest memory when the run ends badly: offset is guest physical address, holes are zeros.
    pub fd: Option<i32>,
    /// A cancelled run is dumped as well.
    pub on_cancel: Option<bool>,
}

/// A CPU exception of the guest.
#[napi(object)]
pub struct FaultReport {
    /// Exception vector.
    pub vector: u32,
    /// Error code, 0 where the exception has none.
    pub error_code: BigInt,
    /// Address of the faulting instruction.
    pub rip: BigInt,
    /// Faulting address of a page fault.
    pub cr2: BigInt,
    /// Stack pointer.
    pub rsp: BigInt,
    /// Registers in the order of the ABI's RegistersX86_64.
    pub registers: Vec<BigInt>,
}

/// Counters of a run.
#[napi(object)]
pub struct RunStatistics {
    /// Commands that completed.
    pub commands: BigInt,
    /// Bytes read from inputs into the guest.
    pub bytes_read: BigInt,
    /// Bytes written from the guest to outputs.
    pub bytes_written: BigInt,
    /// Bytes copied from inputs to outputs past the guest.
    pub bytes_copied: BigInt,
    /// Bytes zeroed in outputs.
    pub bytes_zeroed: BigInt,
    /// Exits from the guest that the host answered.
    pub exits: BigInt,
    /// Times that the guest rang for a sleeping host.
    pub doorbells: BigInt,
}

/// A command that the host could not carry out.
#[napi(object)]
pub struct CommandFailure {
    /// Index of the device that failed.
    pub device: u32,
    /// Byte offset of the command in that device.
    pub offset: BigInt,
    /// Error number of the system.
    pub errno: i32,
    /// It was the device's writing that failed.
    pub write: bool,
}

/// How a run ended.
#[napi(object)]
pub struct RunReport {
    /// One of exit, fault, violation, bad-descriptor, bad-ring, limit, cancelled, host-error, sandbox-error.
    pub outcome: String,
    /// Which bound a `limit` is: noProgressMs, wallClockMs, cpuMs, exits or outputBytes.
    pub limit: Option<String>,
    /// Exit code of an `exit`.
    pub exit_code: Option<u32>,
    /// One sentence for people.
    pub message: String,
    /// The exception of a `fault`.
    pub fault: Option<FaultReport>,
    /// The result region as the guest left it.
    pub result: Buffer,
    /// Log lines of the guest, as it sent them: not to be shown unescaped.
    pub log: Vec<Buffer>,
    /// Log bytes that were dropped.
    pub log_dropped: BigInt,
    /// Counters.
    pub statistics: RunStatistics,
    /// Commands that failed: the first of each device, direction and error number, whatever the guest says.
    pub failures: Vec<CommandFailure>,
    /// The dump, where one was taken.
    pub dump: Option<DumpReport>,
}

/// An owned form of [`RunOptions`] that can go to another thread.
pub struct OwnedOptions {
    pub image: Vec<u8>,
    pub chain_config: Vec<u8>,
    pub operation_config: Vec<u8>,
    pub secrets: Vec<u8>,
    pub key_memory: u64,
    pub devices: Vec<Device>,
    pub sandbox: Sandbox,
    pub helper: PathBuf,
    pub limits: Limits,
    pub io_threads: usize,
    pub second_processor: bool,
    pub session: bool,
    pub trace: Option<PathBuf>,
    pub dump: Option<instar_vmm::dump::DumpOptions>,
}

const DEFAULT_IO_THREADS: u32 = 2;

/// A bigint as an unsigned 64-bit number.
pub fn to_u64(value: &BigInt, name: &str) -> Result<u64, String> {
    match value.get_u64() {
        (false, number, true) => Ok(number),
        _ => Err(format!("{name} must be a bigint from 0 to 2^64-1")),
    }
}

fn milliseconds(value: Option<u32>) -> Option<Duration> {
    value.filter(|ms| *ms > 0).map(|ms| Duration::from_millis(u64::from(ms)))
}

fn to_limits(options: Option<&LimitOptions>) -> Result<Limits, String> {
    let mut limits = Limits::default();
    if let Some(options) = options {
        limits.no_progress = milliseconds(options.no_progress_ms).or(limits.no_progress);
        limits.wall_clock = milliseconds(options.wall_clock_ms);
        limits.cpu = milliseconds(options.cpu_ms);
        limits.exits = options.max_exits.as_ref().map(|value| to_u64(value, "maxExits")).transpose()?;
        limits.output_bytes = options.output_bytes.as_ref().map(|value| to_u64(value, "outputBytes")).transpose()?;
        limits.read_bytes = options.read_bytes.as_ref().map(|value| to_u64(value, "readBytes")).transpose()?;
        limits.write_rate = options.write_rate.as_ref().map(|value| to_u64(value, "writeRate")).transpose()?;
        limits.copies_by_hand = options.copies_by_hand.unwrap_or(false);
    }
    Ok(limits)
}

fn to_io_threads(value: Option<u32>) -> Result<usize, String> {
    usize::try_from(value.unwrap_or(DEFAULT_IO_THREADS)).map_err(|error| error.to_string())
}

impl From<&SandboxKind> for Sandbox {
    fn from(kind: &SandboxKind) -> Self {
        match kind {
            SandboxKind::Kvm => Sandbox::Kvm,
            SandboxKind::Process => Sandbox::Process,
        }
    }
}

impl PoolOptions {
    /// Copies and checks what JavaScript passed.
    pub fn to_options(&self) -> Result<pool::PoolOptions, String> {
        Ok(pool::PoolOptions {
            image: match &self.image {
                Either::A(bytes) => pool::ImageSource::Bytes(bytes.to_vec()),
                Either::B(path) => pool::ImageSource::File(PathBuf::from(path)),
            },
            sandbox: Sandbox::from(&self.sandbox),
            helper: PathBuf::from(&self.helper),
            size: usize::try_from(self.size).map_err(|error| error.to_string())?,
            once: self.once.unwrap_or(false),
            rehearses: self.rehearses.unwrap_or(false),
        })
    }
}

impl PoolRunOptions {
    /// Copies and checks what JavaScript passed.
    pub fn to_job(
        &self,
        control: Arc<Control>,
        deliver: Box<dyn FnOnce(Result<Report, StartError>) + Send>,
    ) -> Result<pool::Job, String> {
        Ok(pool::Job {
            chain_config: self.chain_config.to_vec(),
            operation_config: self.operation_config.to_vec(),
            devices: DeviceTable::new(to_devices(&self.devices)?),
            limits: to_limits(self.limits.as_ref())?,
            io_threads: to_io_threads(self.io_threads)?,
            session: self.session.unwrap_or(false),
            control,
            deliver,
        })
    }
}

impl From<pool::PoolStatistics> for PoolStatistics {
    fn from(found: pool::PoolStatistics) -> Self {
        Self {
            idle: u32::try_from(found.idle).unwrap_or(u32::MAX),
            made: found.made.into(),
            restored: found.restored.into(),
            poisoned: found.poisoned.into(),
        }
    }
}

fn to_remote(number: u32, access: &DeviceAccess) -> Result<Arc<RemoteDevice>, String> {
    match access {
        DeviceAccess::Input | DeviceAccess::StreamOutput => remote::find(number),
        DeviceAccess::Output | DeviceAccess::Edited => {
            Err("a remote device is an input or a stream: nothing else is answered in order".into())
        }
    }
}

fn to_devices(devices: &[DeviceOptions]) -> Result<Vec<Device>, String> {
    devices
        .iter()
        .map(|device| {
            Ok(Device {
                fd: device.fd,
                access: match device.access {
                    DeviceAccess::Input => Access::Input,
                    DeviceAccess::Output => Access::Output,
                    DeviceAccess::StreamOutput => Access::StreamOutput,
                    DeviceAccess::Edited => Access::Edited,
                },
                size: to_u64(&device.size, "device size")?,
                fresh: device.fresh.unwrap_or(false),
                log: device.log.map(|fd| DeviceLog { fd, file: u32::from(device.is_second.unwrap_or(false)) }),
                remote: device.remote.map(|number| to_remote(number, &device.access)).transpose()?,
            })
        })
        .collect()
}

impl RequestOptions {
    /// Copies and checks what JavaScript passed.
    pub fn to_request(&self) -> Result<NextRequest, String> {
        Ok(NextRequest {
            chain_config: self.chain_config.to_vec(),
            operation_config: self.operation_config.to_vec(),
            devices: to_devices(&self.devices)?,
            last: self.last,
            output_bytes: self.output_bytes.as_ref().map(|value| to_u64(value, "outputBytes")).transpose()?,
        })
    }
}

fn to_failures(failures: Vec<Failed>) -> Vec<CommandFailure> {
    failures
        .into_iter()
        .map(|Failed { device, offset, errno, write }| CommandFailure { device, offset: offset.into(), errno, write })
        .collect()
}

impl From<Answer> for RunAnswer {
    fn from(answer: Answer) -> Self {
        Self { result: answer.result.into(), failures: to_failures(answer.failures) }
    }
}

impl OwnedOptions {
    /// Copies and checks what JavaScript passed.
    pub fn from_js(options: &RunOptions) -> Result<Self, String> {
        let devices = to_devices(&options.devices)?;
        Ok(Self {
            image: options.image.to_vec(),
            chain_config: options.chain_config.to_vec(),
            operation_config: options.operation_config.to_vec(),
            secrets: options.secrets.as_ref().map(|bytes| bytes.to_vec()).unwrap_or_default(),
            key_memory: options.key_memory.as_ref().map_or(Ok(0), |value| to_u64(value, "keyMemory"))?,
            devices,
            sandbox: Sandbox::from(&options.sandbox),
            helper: PathBuf::from(&options.helper),
            limits: to_limits(options.limits.as_ref())?,
            io_threads: to_io_threads(options.io_threads)?,
            second_processor: options.second_processor.unwrap_or(false),
            session: options.session.unwrap_or(false),
            trace: options.trace.as_ref().map(PathBuf::from),
            dump: options
                .dump
                .as_ref()
                .map(|dump| instar_vmm::dump::DumpOptions { fd: dump.fd, on_cancel: dump.on_cancel.unwrap_or(false) }),
        })
    }
}

impl From<Report> for RunReport {
    fn from(report: Report) -> Self {
        let statistics = report.statistics;
        let message = report.outcome.to_string();
        let (mut exit_code, mut fault, mut limit) = (None, None, None);
        match &report.outcome {
            Outcome::Exit(code) => exit_code = Some(*code),
            Outcome::Limit(kind, _) => limit = Some(kind.name().into()),
            Outcome::Fault(found) => {
                fault = Some(FaultReport {
                    vector: u32::try_from(found.vector).unwrap_or(u32::MAX),
                    error_code: BigInt::from(found.error_code),
                    rip: BigInt::from(found.registers.rip()),
                    cr2: BigInt::from(found.cr2),
                    rsp: BigInt::from(found.registers.rsp()),
                    registers: found.registers.values.iter().map(|value| BigInt::from(*value)).collect(),
                });
            }
            _ => {}
        }
        Self {
            outcome: report.outcome.kind().into(),
            limit,
            exit_code,
            message,
            fault,
            result: report.result.into(),
            log: report.log.into_iter().map(Buffer::from).collect(),
            log_dropped: report.log_dropped.into(),
            dump: report.dump.map(DumpReport::from),
            failures: to_failures(report.failures),
            statistics: RunStatistics {
                commands: statistics.commands.into(),
                bytes_read: statistics.bytes_read.into(),
                bytes_written: statistics.bytes_written.into(),
                bytes_copied: statistics.bytes_copied.into(),
                bytes_zeroed: statistics.bytes_zeroed.into(),
                exits: statistics.exits.into(),
                doorbells: statistics.doorbells.into(),
            },
        }
    }
}
