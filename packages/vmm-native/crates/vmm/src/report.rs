//! What became of a run.

use std::fmt;

use crate::dump::DumpReport;

/// General registers and the program counter at a fault, in the order of the ABI's `RegistersX86_64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 … r15, rip, rflags.
    pub values: [u64; 18],
}

impl Registers {
    /// Program counter.
    pub fn rip(&self) -> u64 {
        self.values[16]
    }

    /// Stack pointer.
    pub fn rsp(&self) -> u64 {
        self.values[7]
    }
}

/// A CPU exception of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Exception vector (Intel SDM volume 3, table 6-1).
    pub vector: u64,
    /// Error code, 0 for exceptions that have none.
    pub error_code: u64,
    /// Faulting address of a page fault.
    pub cr2: u64,
    /// Signal that the process backend saw; 0 on KVM.
    pub signal: u32,
    /// Registers when the exception was raised.
    pub registers: Registers,
}

impl Fault {
    /// Conventional mnemonic of the exception.
    pub fn name(&self) -> &'static str {
        match self.vector {
            0 => "divide error",
            1 => "debug exception",
            3 => "breakpoint",
            4 => "overflow",
            5 => "bound range exceeded",
            6 => "invalid opcode",
            7 => "device not available",
            8 => "double fault",
            10 => "invalid TSS",
            11 => "segment not present",
            12 => "stack segment fault",
            13 => "general protection fault",
            14 => "page fault",
            16 => "x87 floating-point error",
            17 => "alignment check",
            19 => "SIMD floating-point exception",
            _ => "exception",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (vector {}, error code {:#x}) at rip {:#x}",
            self.name(),
            self.vector,
            self.error_code,
            self.registers.rip()
        )?;
        if self.vector == 14 {
            write!(f, ", address {:#x}", self.cr2)?;
        }
        Ok(())
    }
}

/// Which bound the watchdog enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Nothing useful was done for too long.
    NoProgress,
    /// Wall-clock time of the whole run.
    WallClock,
    /// CPU time of the guest.
    Cpu,
    /// Exits from the guest to the host.
    Exits,
    /// Bytes written to outputs.
    OutputBytes,
}

impl LimitKind {
    /// Stable name: that of the option that sets it, where one does.
    pub fn name(self) -> &'static str {
        match self {
            LimitKind::NoProgress => "noProgressMs",
            LimitKind::WallClock => "wallClockMs",
            LimitKind::Cpu => "cpuMs",
            LimitKind::Exits => "exits",
            LimitKind::OutputBytes => "outputBytes",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest ended by itself with this code.
    Exit(u32),
    /// The guest raised a CPU exception.
    Fault(Box<Fault>),
    /// The guest did something that no working guest does (a system call, an unknown exit, a death by signal).
    Violation(String),
    /// A descriptor was refused.
    BadDescriptor(String),
    /// The indexes of the ring are impossible.
    BadRing(String),
    /// The watchdog ended the run.
    Limit(LimitKind, String),
    /// The caller cancelled.
    Cancelled,
    /// The host could not go on (out of memory, a thread could not be started).
    HostError(String),
    /// The environment does not let the sandbox work (a KVM call failed, the helper process could not set itself up).
    SandboxError(String),
}

impl Outcome {
    /// Stable name of the kind of outcome.
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Exit(_) => "exit",
            Outcome::Fault(_) => "fault",
            Outcome::Violation(_) => "violation",
            Outcome::BadDescriptor(_) => "bad-descriptor",
            Outcome::BadRing(_) => "bad-ring",
            Outcome::Limit(..) => "limit",
            Outcome::Cancelled => "cancelled",
            Outcome::HostError(_) => "host-error",
            Outcome::SandboxError(_) => "sandbox-error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exit(code) => write!(f, "the guest ended with code {code}"),
            Outcome::Fault(fault) => write!(f, "the guest crashed: {fault}"),
            Outcome::Violation(text) => write!(f, "the guest left its sandbox's rules: {text}"),
            Outcome::BadDescriptor(text) => write!(f, "the guest sent a bad command: {text}"),
            Outcome::BadRing(text) => write!(f, "the guest broke the command ring: {text}"),
            Outcome::Limit(_, text) => f.write_str(text),
            Outcome::Cancelled => f.write_str("cancelled"),
            Outcome::HostError(text) | Outcome::SandboxError(text) => f.write_str(text),
        }
    }
}

/// Counters of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Commands that completed.
    pub commands: u64,
    /// Bytes read from inputs into the guest.
    pub bytes_read: u64,
    /// Bytes written from the guest to outputs.
    pub bytes_written: u64,
    /// Bytes copied from inputs to outputs past the guest.
    pub bytes_copied: u64,
    /// Bytes zeroed in outputs.
    pub bytes_zeroed: u64,
    /// Exits from the guest that the host answered.
    pub exits: u64,
    /// Times that the guest rang for a sleeping host.
    pub doorbells: u64,
}

/// A command that the host could not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandFailure {
    /// Index of the device that failed.
    pub device: u32,
    /// Byte offset of the command in that device.
    pub offset: u64,
    /// Error number of the system.
    pub errno: i32,
    /// It was the device's writing that failed.
    pub write: bool,
}

/// The whole outcome of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the run ended.
    pub outcome: Outcome,
    /// The result region, as the guest left it.
    pub result: Vec<u8>,
    /// Log lines of the guest, as it sent them.
    pub log: Vec<Vec<u8>>,
    /// Log bytes that were dropped because the guest sent too many.
    pub log_dropped: u64,
    /// Counters.
    pub statistics: Statistics,
    /// Commands that failed: the first of each device, direction and error number. What a guest says of its end is
    /// right only if it agrees with them.
    pub failures: Vec<CommandFailure>,
    /// The dump, where one was taken.
    pub dump: Option<DumpReport>,
}
