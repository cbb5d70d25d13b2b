//! Starts the helper with its three descriptors (doorbell socket, memory file twice) and watches it.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use instar_abi::{
    sandbox_region_flag, sandbox_step, Protection, SandboxBoot, SandboxFault, SandboxRegion, EXIT_PANIC, MEMORY_MAP,
    REGION_HEAP, REGION_RING, REGION_STACK, REGION_STUBS, SANDBOX_BOOT_MAGIC, SANDBOX_FAULT_MAGIC,
    SANDBOX_FAULT_OFFSET, SANDBOX_FAULT_STATUS, SANDBOX_PAUSE_SIGNAL, SANDBOX_SETUP_LAST_STATUS, SANDBOX_SETUP_STATUS,
    SANDBOX_STOP_SIGNAL,
};

use super::child::GuestProcess;
use super::nursery::Nursery;
use super::seccomp;
use crate::cpu_clock;
use crate::dump::CpuState;
use crate::executor::{Executor, MoveBuffer, Wake};
use crate::files;
use crate::guest_image::{startup_entry, GuestImage};
use crate::item_stubs;
use crate::kvm::build_page_tables;
use crate::memory::GuestMemory;
use crate::report::{Fault, Outcome, Registers};
use crate::run::{left, Backend, StartError};
use crate::startup::{install_call_table, save_registers, Nap, Processor, Stubs, STUB_STRIDE};
use crate::watchdog::Stop;

/// Looks whether the process backend can be used here: the helper must exist and be executable.
pub fn probe(helper: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(helper).map_err(|error| format!("{}: {error}", helper.display()))?;
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(format!("{} is not executable; reinstall the package", helper.display()));
    }
    seccomp::filter(false).map(|_| ())
}

/// Asks for a stop before the process is killed, a millisecond apart.
const POLITE_STOPS: u32 = 50;
/// Looks for the report of a paused process, a millisecond apart.
const PAUSE_LOOKS: u32 = 1000;
/// Looks for the first ring of a second process: two seconds.
const BOOT_LOOKS: u32 = 8000;
const BOOT_LOOK: Duration = Duration::from_micros(250);
/// Which of the call table's functions ends the guest.
const EXIT_STUB: u64 = 2;
/// Where a socket stub has moved the stack pointer, and by how much.
const SOCKET_STUB_BODY: std::ops::RangeInclusive<u64> = 4..=21;
const SOCKET_STUB_FRAME: u64 = 16;
const SYS_READ: u8 = 0;
const SYS_WRITE: u8 = 1;

/// A child that was started and waits behind its filter or already runs.
pub struct ProcessBackend {
    memory: Arc<GuestMemory>,
    child: GuestProcess,
    doorbell: UnixStream,
    dumps: bool,
    stops: AtomicU32,
}

/// Code of one call-table entry; all of them end in `ret`.
/// doorbell: `sub rsp,16; xor edi,edi; mov rsi,rsp; mov edx,4; mov eax,SYS_write; syscall; add rsp,16; ret`
fn socket_stub(number: u8) -> Vec<u8> {
    vec![
        0x48, 0x83, 0xec, 0x10, 0x31, 0xff, 0x48, 0x89, 0xe6, 0xba, 4, 0, 0, 0, 0xb8, number, 0, 0, 0, 0x0f, 0x05,
        0x48, 0x83, 0xc4, 0x10, 0xc3,
    ]
}

/// `mov eax, SYS_exit_group; syscall; ud2` with the code still in edi.
fn exit_stub() -> Vec<u8> {
    vec![0xb8, 231, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b]
}

/// The same, but the code of a panic raises an exception first: its report has the registers. `cmp edi, EXIT_PANIC;
/// jne +2; ud2`.
fn reporting_exit_stub() -> Vec<u8> {
    let panic = u8::try_from(EXIT_PANIC).unwrap_or(u8::MAX);
    let mut code = vec![0x83, 0xff, panic, 0x75, 2, 0x0f, 0x0b];
    code.extend(exit_stub());
    code
}

/// How a process is to be.
#[derive(Clone, Copy, Debug)]
pub struct ProcessKind {
    /// CPU time after which the kernel ends it.
    pub cpu: Option<Duration>,
    /// It can be paused, and shares all memory with its parent.
    pub dumps: bool,
    /// There are two processes, which share the heap.
    pub paired: bool,
    /// Which of them it is.
    pub processor: Processor,
}

impl ProcessKind {
    /// The only process of a guest.
    pub fn alone(cpu: Option<Duration>, dumps: bool) -> Self {
        Self { cpu, dumps, paired: false, processor: Processor::First }
    }
}

fn regions(memory: &GuestMemory, image: &GuestImage<'_>, kind: ProcessKind) -> Vec<SandboxRegion> {
    use sandbox_region_flag::{EXECUTE, PRIVATE, READ, WRITE};
    let mut regions = Vec::new();
    for region in &MEMORY_MAP {
        let flags = match region.protection {
            Protection::Read => READ,
            // The parent can only dump what it shares, and a second process only use that.
            Protection::ReadWrite if *region == REGION_HEAP && !kind.dumps && !kind.paired => READ | WRITE | PRIVATE,
            Protection::ReadWrite if *region == REGION_STACK && !kind.dumps => READ | WRITE | PRIVATE,
            Protection::ReadWrite => READ | WRITE,
            Protection::ReadExecute => READ | EXECUTE,
            Protection::None | Protection::Supervisor | Protection::Image => continue,
        };
        regions.push(SandboxRegion { address: region.start, size: memory.region_size(region), flags, pad: 0 });
    }
    for segment in image.segments() {
        let mut flags = READ;
        if segment.write {
            flags |= WRITE;
        }
        if segment.execute {
            flags |= EXECUTE;
        }
        regions.push(SandboxRegion { address: segment.address, size: segment.size, flags, pad: 0 });
    }
    regions
}

fn boot_page(
    memory: &GuestMemory,
    image: &GuestImage<'_>,
    entry: u64,
    kind: ProcessKind,
) -> Result<SandboxBoot, String> {
    let mut boot = SandboxBoot::ZERO;
    let regions = regions(memory, image, kind);
    let filter = seccomp::filter(kind.dumps)?;
    boot.magic = SANDBOX_BOOT_MAGIC;
    boot.region_count = u32::try_from(regions.len()).map_err(|error| error.to_string())?;
    boot.filter_count = u32::try_from(filter.len()).map_err(|error| error.to_string())?;
    boot.entry = entry;
    boot.stack_top = kind.processor.initial_stack();
    boot.fault_addr = REGION_RING.start.saturating_add(u64::from(SANDBOX_FAULT_OFFSET));
    boot.cpu_seconds = cpu_seconds(kind.cpu);
    boot.regions.get_mut(..regions.len()).ok_or("too many regions for the boot page")?.copy_from_slice(&regions);
    boot.filter
        .get_mut(..filter.len())
        .ok_or("the seccomp filter does not fit the boot page")?
        .copy_from_slice(&filter);
    Ok(boot)
}

/// Writes what every guest finds but its configs. Returns the boot page.
pub(crate) fn prepare(
    memory: &GuestMemory,
    image: &GuestImage<'_>,
    entry: u64,
    kind: ProcessKind,
) -> Result<SandboxBoot, String> {
    let stubs = Stubs {
        doorbell: socket_stub(SYS_WRITE),
        wait: socket_stub(SYS_READ),
        exit: if kind.dumps { reporting_exit_stub() } else { exit_stub() },
        items: item_stubs::by_socket(),
    };
    install_call_table(memory, &stubs)?;
    let boot = boot_page(memory, image, entry, kind)?;
    let mut registers = Registers::default();
    registers.values[16] = entry;
    registers.values[7] = boot.stack_top;
    if kind.processor == Processor::First {
        save_registers(memory, &registers)?;
    }
    Ok(boot)
}

/// Writes the boot page, which no guest sees.
pub(crate) fn put_boot_page(memory: &GuestMemory, boot: &SandboxBoot) -> Result<(), String> {
    memory.write(0, &boot.to_bytes()).map_err(|range| format!("boot page outside memory: {range:?}"))
}

/// Seconds of CPU time after which the kernel ends a guest; 0 for no limit.
pub(crate) fn cpu_seconds(limit: Option<Duration>) -> u64 {
    limit.map_or(0, |limit| limit.as_secs().saturating_add(1))
}

fn doorbell_sockets() -> Result<(UnixStream, UnixStream), String> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| format!("socketpair: {error}"))?;
    ours.set_nonblocking(true).map_err(|error| format!("doorbell socket: {error}"))?;
    Ok((ours, theirs))
}

impl ProcessBackend {
    /// Writes the boot page around loaded memory and starts the helper.
    pub fn new(
        memory: &Arc<GuestMemory>,
        image: &GuestImage<'_>,
        helper: &Path,
        kind: ProcessKind,
    ) -> Result<Self, StartError> {
        let entry = startup_entry(memory, image).map_err(StartError::Image)?;
        Self::spawn(memory, image, helper, entry, kind).map_err(StartError::Sandbox)
    }

    /// A process of its own over the same memory, as a second processor; to be made before the first, whose boot page comes
    /// into the place of this one's.
    pub fn second(
        memory: &Arc<GuestMemory>,
        image: &GuestImage<'_>,
        helper: &Path,
        cpu: Option<Duration>,
    ) -> Result<Self, StartError> {
        let kind = ProcessKind { cpu, dumps: false, paired: true, processor: Processor::Second };
        let second = Self::new(memory, image, helper, kind)?;
        second.wait_for_ring().map_err(StartError::Sandbox)?;
        Ok(second)
    }

    /// Waits until the guest has come so far that it rings.
    fn wait_for_ring(&self) -> Result<(), String> {
        use std::io::Read;
        for _ in 0..BOOT_LOOKS {
            match (&self.doorbell).read(&mut [0; 4]) {
                Ok(0) => return Err("the second guest process ended before it began".into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(BOOT_LOOK),
                // It waits for an answer, which comes with the first task.
                Ok(_) => return Ok(()),
                Err(error) => return Err(format!("doorbell socket: {error}")),
            }
        }
        Err("the second guest process does not begin".into())
    }

    fn spawn(
        memory: &Arc<GuestMemory>,
        image: &GuestImage<'_>,
        helper: &Path,
        entry: u64,
        kind: ProcessKind,
    ) -> Result<Self, String> {
        if kind.dumps {
            // The processor does not use them here; readers of the dump do.
            build_page_tables(memory, image)?;
        }
        let boot = prepare(memory, image, entry, kind)?;
        put_boot_page(memory, &boot)?;
        let (ours, theirs) = doorbell_sockets()?;
        let file = memory.file().ok_or("the process backend needs a memory file")?;
        let file = file.try_clone().map_err(|error| format!("memory file: {error}"))?;
        let spare = file.try_clone().map_err(|error| format!("memory file: {error}"))?;
        let child = Command::new(helper)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(file))
            // The same once more: the helper closes it, and there may be no /dev/null to have in its place.
            .stderr(Stdio::from(spare))
            .spawn()
            .map_err(|error| format!("the sandbox helper {} cannot be started: {error}", helper.display()))?;
        let pid = libc::pid_t::try_from(child.id()).map_err(|error| error.to_string())?;
        Ok(Self::of(memory, GuestProcess::new(pid), ours, kind.dumps))
    }

    fn of(memory: &Arc<GuestMemory>, child: GuestProcess, doorbell: UnixStream, dumps: bool) -> Self {
        Self { memory: Arc::clone(memory), child, doorbell, dumps, stops: AtomicU32::new(0) }
    }

    /// A process that a nursery forks, in memory that is ready but for the configs. It waits for [`Self::release`].
    pub fn fork(nursery: &Nursery, memory: &Arc<GuestMemory>) -> Result<Self, String> {
        let (ours, theirs) = doorbell_sockets()?;
        let file = memory.file().ok_or("the process backend needs a memory file")?;
        let child = nursery.fork(theirs.as_raw_fd(), file.as_raw_fd())?;
        Ok(Self::of(memory, child, ours, false))
    }

    /// Lets a process that was forked enter the guest.
    pub fn release(&self) {
        self.wake_guest();
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        match (status.code(), status.signal()) {
            (Some(code), _) => match u32::try_from(code) {
                Ok(SANDBOX_FAULT_STATUS) => self.fault(),
                Ok(code @ SANDBOX_SETUP_STATUS..=SANDBOX_SETUP_LAST_STATUS) => Outcome::SandboxError(failed_step(code)),
                Ok(code) => Outcome::Exit(code),
                Err(_) => Outcome::Violation(format!("the guest process ended with status {code}")),
            },
            (None, Some(libc::SIGXCPU)) => Outcome::Violation("the guest process used up its CPU time".into()),
            // It cannot kill itself: its filter lets no such call through.
            (None, Some(libc::SIGKILL)) => {
                Outcome::HostError("the guest process was killed from outside, perhaps for want of memory".into())
            }
            (None, Some(signal)) => Outcome::Violation(format!("the guest process was killed by signal {signal}")),
            (None, None) => Outcome::Violation("the guest process ended in an unknown way".into()),
        }
    }

    /// What the signal handler of the child wrote. The guest could have written it too: good for messages only.
    fn report(&self) -> Option<SandboxFault> {
        let mut bytes = [0; SandboxFault::SIZE];
        self.memory.read(report_place(), &mut bytes).ok()?;
        Some(SandboxFault::from_bytes(&bytes)).filter(|fault| fault.magic == SANDBOX_FAULT_MAGIC)
    }

    fn fault(&self) -> Outcome {
        let Some(fault) = self.report() else {
            return Outcome::Violation("the guest process crashed without a report".into());
        };
        if i32::try_from(fault.signal) == Ok(libc::SIGSYS) {
            return Outcome::Violation(format!("system call {} is not allowed in the sandbox", fault.syscall));
        }
        if fault.signal == SANDBOX_STOP_SIGNAL {
            // Where it is true, the run has ended before and its outcome stands.
            return Outcome::Violation("the guest process ended as if it had been stopped".into());
        }
        let registers = Registers { values: fault.registers };
        let illegal = i32::try_from(fault.signal) == Ok(libc::SIGILL);
        if self.dumps && illegal && stub_offset(&registers).is_some_and(|offset| offset / STUB_STRIDE == EXIT_STUB) {
            return Outcome::Exit(EXIT_PANIC);
        }
        Outcome::Fault(Box::new(Fault {
            vector: fault.vector,
            error_code: fault.error_code,
            cr2: fault.cr2,
            signal: fault.signal,
            registers,
        }))
    }

    fn state(&self) -> CpuState {
        let Some(report) = self.report() else { return CpuState::of_registers(Registers::default(), 0) };
        let mut registers = Registers { values: report.registers };
        if stub_offset(&registers).is_some_and(in_socket_stub) {
            registers.values[7] = registers.values[7].wrapping_add(SOCKET_STUB_FRAME);
        }
        CpuState::of_registers(registers, report.cr2).leave_stub(&self.memory)
    }

    fn signal(&self, number: u32) -> bool {
        self.child.signal(libc::c_int::try_from(number).unwrap_or(0))
    }

    /// Executes the guest's commands here, until it ends or the run is over.
    fn serve(&self, executor: &Executor<'_>) {
        use std::io::Read;
        let mut buffer = MoveBuffer::default();
        while !executor.stopped() {
            match files::wait_readable(&[self.doorbell(), executor.stop_fd()]) {
                Ok(ready) if ready.first() == Some(&true) => {}
                Ok(_) => continue,
                Err(error) => executor.finish(Outcome::HostError(format!("waiting for the guest failed: {error}"))),
            }
            let mut rings = [0; 256];
            match (&self.doorbell).read(&mut rings) {
                // Its end is gone, and the guest with it.
                Ok(0) => return,
                Ok(count) => executor.count_doorbells((count as u64).div_ceil(4)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            if executor.answer_item() {
                self.wake_guest();
            }
            executor.serve_pending(&mut buffer, self);
        }
    }

    fn report_magic(&self) -> Option<&AtomicU32> {
        self.memory.atomic_u32(report_place()).ok()
    }
}

/// What the helper could not do, and what would help.
fn failed_step(status: u32) -> String {
    let (what, remedy) = match status.saturating_sub(SANDBOX_SETUP_STATUS) {
        sandbox_step::MEMORY => {
            ("map the guest's memory", "raise the limit of the address space (RLIMIT_AS, `ulimit -v`)")
        }
        sandbox_step::RIGHTS => {
            ("give up its rights (prctl, setrlimit)", "allow these calls in the container's policy")
        }
        sandbox_step::SIGNALS => {
            ("install its signal handlers", "allow sigaltstack and rt_sigaction in the container's policy")
        }
        sandbox_step::DESCRIPTORS => {
            ("close its descriptors (close_range, Linux 5.9)", "allow close_range in the container's policy")
        }
        sandbox_step::FILTER => {
            ("install its seccomp filter", "allow seccomp in the container's policy, in a kernel that has it")
        }
        _ => ("read its boot page", "reinstall the package"),
    };
    format!("the sandbox helper could not {what}: {remedy}, or use --sandbox=kvm")
}

/// Address of the report; its magic comes first.
fn report_place() -> u64 {
    REGION_RING.start.saturating_add(u64::from(SANDBOX_FAULT_OFFSET))
}

/// Where in the stubs page the program counter is.
fn stub_offset(registers: &Registers) -> Option<u64> {
    registers.rip().checked_sub(REGION_STUBS.start).filter(|offset| *offset < REGION_STUBS.size)
}

impl Wake for ProcessBackend {
    fn doorbell(&self) -> RawFd {
        self.doorbell.as_raw_fd()
    }

    fn drain_doorbell(&self) -> u64 {
        use std::io::Read;
        let mut bytes = [0; 256];
        match (&self.doorbell).read(&mut bytes) {
            // The child is gone, which its parent sees by waiting for it.
            Ok(0) => {
                std::thread::sleep(Duration::from_millis(1));
                0
            }
            // A ring is four bytes, or fewer from a guest that rings in its own way.
            Ok(count) => (count as u64).div_ceil(4),
            Err(_) => 0,
        }
    }

    fn wake_guest(&self) {
        use std::io::Write;
        // A full socket has wake-ups enough in it; a closed one has nobody to wake.
        let _ = (&self.doorbell).write(&[0; 4]);
    }
}

impl Stop for ProcessBackend {
    fn stop_guest(&self) {
        // With dumps it is first asked for its registers; a guest cannot block signals.
        if self.dumps && self.stops.fetch_add(1, Ordering::Relaxed) < POLITE_STOPS && self.signal(SANDBOX_STOP_SIGNAL) {
            return;
        }
        // Fails only for a child that has ended.
        let _ = self.child.signal(libc::SIGKILL);
    }

    fn while_paused(&self, action: &mut dyn FnMut(CpuState)) -> bool {
        let Some(magic) = self.report_magic() else { return false };
        magic.store(0, Ordering::Release);
        if !self.signal(SANDBOX_PAUSE_SIGNAL) {
            return false;
        }
        for _ in 0..PAUSE_LOOKS {
            if magic.load(Ordering::Acquire) == SANDBOX_FAULT_MAGIC {
                action(self.state());
                magic.store(0, Ordering::Release);
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    fn cpu_time(&self) -> Duration {
        cpu_clock::of_process(self.child.pid())
    }
}

impl Backend for ProcessBackend {
    fn run_guest(&self, executor: &Executor<'_>) -> Outcome {
        if executor.serves_in_guest_thread() {
            self.serve(executor);
        }
        match self.child.wait() {
            Ok(status) => self.outcome(status),
            Err(error) => Outcome::HostError(format!("waiting for the guest process failed: {error}")),
        }
    }

    fn run_second(&self, executor: &Executor<'_>) -> Outcome {
        use std::io::Read;
        let mut nap = Nap::default();
        self.wake_guest();
        while !executor.stopped() {
            match files::wait_readable(&[self.doorbell(), executor.stop_fd()]) {
                Ok(ready) if ready.first() == Some(&true) => {}
                Ok(_) => continue,
                Err(error) => return Outcome::HostError(format!("waiting for the guest failed: {error}")),
            }
            match (&self.doorbell).read(&mut [0; 256]) {
                Ok(0) => break,
                Ok(_) => nap.take(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(_) => break,
            }
            self.wake_guest();
        }
        if executor.stopped() {
            self.stop_guest();
        }
        match self.child.wait() {
            Ok(status) => match self.outcome(status) {
                Outcome::Exit(_) => left(),
                other => other,
            },
            Err(error) => Outcome::HostError(format!("waiting for the guest process failed: {error}")),
        }
    }

    fn final_state(&self, _: &Outcome) -> CpuState {
        self.state()
    }
}

/// Whether an offset in the stubs page is inside the system call of `doorbell` or `wait`, the first two functions.
fn in_socket_stub(offset: u64) -> bool {
    offset / STUB_STRIDE < 2 && SOCKET_STUB_BODY.contains(&(offset % STUB_STRIDE))
}
