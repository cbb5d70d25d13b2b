//! Dumps of guest memory and of the virtual CPU's state, when a run ends badly or someone asks.

use std::io;
use std::os::fd::RawFd;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

use instar_abi::{
    ConvertConfig, CONVERT_CONFIG_MAGIC, EXIT_PANIC, MEMORY_SIZE, PAGE_SIZE, REGION_OPERATION_CONFIG, REGION_STUBS,
};

use crate::executor::lock;
use crate::files;
use crate::items::{ItemStore, VmCoreInfo};
use crate::memory::GuestMemory;
use crate::report::{Outcome, Registers};

/// Bytes that are looked at together.
const PIECE: usize = 1 << 20;
/// Control registers of the guest's mode (4-level paging, SSE), for backends that have none of their own.
const CR0: u64 = 0x8005_0033;
const CR4: u64 = 0x620;

/// Which dumps a run may make.
#[derive(Clone, Copy, Debug, Default)]
pub struct DumpOptions {
    /// Open file that receives guest memory when the run ends badly.
    pub fd: Option<RawFd>,
    /// A cancelled run is dumped as well.
    pub on_cancel: bool,
}

/// State of the virtual CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// General registers.
    pub registers: Registers,
    /// Selectors of cs, ss, ds, es, fs and gs.
    pub selectors: [u16; 6],
    /// Base of fs.
    pub fs_base: u64,
    /// Base of gs.
    pub gs_base: u64,
    /// Control register 0.
    pub cr0: u64,
    /// Address of the last page fault.
    pub cr2: u64,
    /// Guest physical address of the top page table.
    pub cr3: u64,
    /// Control register 4.
    pub cr4: u64,
}

impl CpuState {
    /// A state of which only the general registers, `cr2` and the page tables are known.
    pub fn of_registers(registers: Registers, cr2: u64) -> Self {
        let (code, data) = (0x33, 0x2b);
        let selectors = [code, data, 0, 0, 0, 0];
        let cr3 = crate::kvm::PAGE_TABLES;
        Self { registers, selectors, cr0: CR0, cr2, cr3, cr4: CR4, ..Self::default() }
    }

    /// Out of a call-table function and back to its caller: debuggers know nothing of those functions. Only right where
    /// the function has pushed nothing.
    pub fn leave_stub(mut self, memory: &GuestMemory) -> Self {
        let inside = self.registers.rip().checked_sub(REGION_STUBS.start).is_some_and(|by| by < REGION_STUBS.size);
        let mut caller = [0; 8];
        if inside && memory.read(self.registers.rsp(), &mut caller).is_ok() {
            self.registers.values[16] = u64::from_le_bytes(caller);
            self.registers.values[7] = self.registers.values[7].wrapping_add(8);
        }
        self
    }
}

/// What a dump holds beside memory.
#[derive(Clone, Debug)]
pub struct DumpReport {
    /// Why it was taken: the kind of outcome, `panic`, or `request`.
    pub reason: String,
    /// The CPU.
    pub cpu: CpuState,
    /// The note that the guest registered.
    pub vmcoreinfo: VmCoreInfo,
    /// Bytes of pages that are not zero.
    pub bytes: u64,
    /// Why memory could not be written, where it could not.
    pub error: Option<String>,
}

impl DumpReport {
    /// A report of everything but memory.
    pub fn of(memory: &GuestMemory, items: &ItemStore, reason: String, cpu: CpuState) -> Self {
        Self { reason, cpu, vmcoreinfo: items.vmcoreinfo(memory), bytes: 0, error: None }
    }

    /// The report after memory was written as well.
    pub fn with_memory(mut self, memory: &GuestMemory, fd: RawFd, secret: &[u8]) -> Self {
        match write_memory(memory, fd, secret) {
            Ok(bytes) => self.bytes = bytes,
            Err(error) => self.error = Some(error.to_string()),
        }
        self
    }
}

/// Why an outcome is dumped, or `None` where it is not.
pub fn reason(outcome: &Outcome, options: &DumpOptions) -> Option<String> {
    match outcome {
        Outcome::Exit(EXIT_PANIC) => Some("panic".into()),
        Outcome::Exit(_) | Outcome::HostError(_) | Outcome::SandboxError(_) => None,
        Outcome::Cancelled if !options.on_cancel => None,
        other => Some(other.kind().into()),
    }
}

/// Bytes that no dump may hold: the passphrase in an operation's config, wherever the guest has copied it to.
pub fn secret(operation_config: &[u8]) -> Vec<u8> {
    let Some(config) = operation_config.first_chunk::<{ ConvertConfig::SIZE }>().map(ConvertConfig::from_bytes) else {
        return Vec::new();
    };
    let length = usize::try_from(config.passphrase_len).unwrap_or(usize::MAX).min(config.passphrase.len());
    match config.passphrase.get(..length) {
        Some(passphrase) if config.magic == CONVERT_CONFIG_MAGIC => passphrase.to_vec(),
        _ => Vec::new(),
    }
}

/// Writes guest memory into a file: offset is guest physical address, pages of zeros are holes. Returns the bytes
/// written.
pub fn write_memory(memory: &GuestMemory, fd: RawFd, secret: &[u8]) -> io::Result<u64> {
    // What lies behind are keys.
    let end = memory.size().min(u64::from(MEMORY_SIZE));
    files::set_size(fd, 0)?;
    files::set_size(fd, end)?;
    let margin = secret.len();
    let mut written = 0_u64;
    let mut buffer = vec![0_u8; PIECE.saturating_add(margin).saturating_add(margin)];
    let mut start = 0_u64;
    while start < end {
        // Reading what was never touched would allocate it.
        let Some(touched) = memory.next_touched(start) else { break };
        start = touched.max(start) / u64::from(PAGE_SIZE) * u64::from(PAGE_SIZE);
        let length = end.saturating_sub(start).min(PIECE as u64);
        if length == 0 {
            break;
        }
        // A secret may lie across a border: look a little to both sides.
        let before = start.min(margin as u64);
        let from = start.saturating_sub(before);
        let until = start.saturating_add(length).saturating_add(margin as u64).min(end);
        let window = usize::try_from(until.saturating_sub(from)).map_err(io::Error::other)?;
        let bytes = buffer.get_mut(..window).ok_or_else(|| io::Error::other("dump buffer"))?;
        memory.read(from, bytes).map_err(|range| io::Error::other(format!("{range:?} is outside guest memory")))?;
        erase(bytes, secret);
        erase_config(bytes, from);
        let head = usize::try_from(before).map_err(io::Error::other)?;
        let piece = bytes.get(head..).unwrap_or_default();
        let piece = piece.get(..usize::try_from(length).map_err(io::Error::other)?).unwrap_or(piece);
        written = written.saturating_add(write_pages(fd, start, piece)?);
        start = start.saturating_add(length);
    }
    Ok(written)
}

fn erase(bytes: &mut [u8], secret: &[u8]) {
    let Some(first) = secret.first() else { return };
    let mut at = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| byte == first)) {
        at = at.saturating_add(found);
        if let Some(place) = bytes.get_mut(at..at.saturating_add(secret.len())).filter(|place| *place == secret) {
            place.fill(0);
        }
        at = at.saturating_add(1);
    }
}

/// The passphrase field itself, whatever its length says.
fn erase_config(bytes: &mut [u8], start: u64) {
    let field = REGION_OPERATION_CONFIG.start.saturating_add(ConvertConfig::OFFSET_PASSPHRASE as u64);
    let Some(at) = field.checked_sub(start).and_then(|at| usize::try_from(at).ok()) else { return };
    let config = at.checked_sub(ConvertConfig::OFFSET_PASSPHRASE).and_then(|at| bytes.get(at..)?.first_chunk::<4>());
    if config.is_none_or(|magic| u32::from_le_bytes(*magic) != CONVERT_CONFIG_MAGIC) {
        return;
    }
    let length = ConvertConfig::ZERO.passphrase.len();
    if let Some(field) = bytes.get_mut(at..at.saturating_add(length)) {
        field.fill(0);
    }
}

/// Writes runs of pages that are not zero.
fn write_pages(fd: RawFd, start: u64, piece: &[u8]) -> io::Result<u64> {
    let page = usize::try_from(PAGE_SIZE).map_err(io::Error::other)?;
    let mut written = 0_u64;
    let mut run = 0_usize..0_usize;
    let flush = |run: &std::ops::Range<usize>| -> io::Result<u64> {
        let Some(bytes) = piece.get(run.clone()).filter(|bytes| !bytes.is_empty()) else { return Ok(0) };
        let length = bytes.len() as u64;
        // SAFETY: `length` bytes of a slice.
        unsafe { files::write_all_raw(fd, bytes.as_ptr(), length, start.saturating_add(run.start as u64)) }?;
        Ok(length)
    };
    let mut at = 0_usize;
    for bytes in piece.chunks(page) {
        let next = at.saturating_add(bytes.len());
        if bytes.iter().fold(0, |seen, byte| seen | byte) == 0 {
            written = written.saturating_add(flush(&run)?);
            run = next..next;
        } else {
            run.end = next;
        }
        at = next;
    }
    Ok(written.saturating_add(flush(&run)?))
}

/// A dump that somebody waits for.
pub struct DumpRequest {
    /// Receives guest memory.
    pub fd: RawFd,
    /// Takes the report.
    pub answer: Sender<DumpReport>,
}

/// Where a running guest is asked for a dump.
#[derive(Default)]
pub struct DumpRequests {
    state: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    open: bool,
    waiting: Option<DumpRequest>,
}

impl DumpRequests {
    /// From now on requests are taken.
    pub fn open(&self) {
        lock(&self.state).open = true;
    }

    /// From now on they are not; who waits is told so by the end of the channel.
    pub fn close(&self) {
        *lock(&self.state) = Desk::default();
    }

    /// Asks for a dump. `None` when no run with dumps goes on, or one was asked for already.
    pub fn request(&self, fd: RawFd) -> Option<Receiver<DumpReport>> {
        let mut desk = lock(&self.state);
        if !desk.open || desk.waiting.is_some() {
            return None;
        }
        let (answer, report) = channel();
        desk.waiting = Some(DumpRequest { fd, answer });
        Some(report)
    }

    /// The request that waits.
    pub fn take(&self) -> Option<DumpRequest> {
        lock(&self.state).waiting.take()
    }
}

#[cfg(test)]
mod tests;
