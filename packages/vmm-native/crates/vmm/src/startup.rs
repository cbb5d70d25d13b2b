//! What both backends prepare before the guest's first instruction.

use std::time::{Duration, Instant};

use instar_abi::{
    fault_code, CallTable, ProcessRecord, RegistersX86_64, ABI_VERSION_MAJOR, ABI_VERSION_MINOR,
    CALL_TABLE_ENTRIES_1_1, CALL_TABLE_MAGIC, REGION_CALL_TABLE, REGION_PROCESS_RECORD, REGION_STACK, REGION_STUBS,
    REGION_WORKER_STACK,
};

use crate::kvm::PAGE_TABLES;
use crate::memory::GuestMemory;
use crate::report::Registers;

/// Bytes between two call-table functions in the stubs page.
pub const STUB_STRIDE: u64 = 256;

/// Machine code of the call table's functions.
pub struct Stubs {
    /// Wakes the host.
    pub doorbell: Vec<u8>,
    /// Waits for a completion.
    pub wait: Vec<u8>,
    /// Ends the guest.
    pub exit: Vec<u8>,
    /// Reads and writes items.
    pub items: (Vec<u8>, Vec<u8>),
}

/// Writes the functions into the stubs page and their addresses into the call table.
pub fn install_call_table(memory: &GuestMemory, stubs: &Stubs) -> Result<(), String> {
    let outside = |range| format!("call table outside memory: {range:?}");
    let place = |index: u64| REGION_STUBS.start.saturating_add(index.saturating_mul(STUB_STRIDE));
    let codes = [&stubs.doorbell, &stubs.wait, &stubs.exit, &stubs.items.0, &stubs.items.1];
    for (index, code) in (0..).zip(codes) {
        memory.write(place(index), code).map_err(outside)?;
    }
    let table = CallTable {
        magic: CALL_TABLE_MAGIC,
        abi_major: ABI_VERSION_MAJOR,
        abi_minor: ABI_VERSION_MINOR,
        entry_count: CALL_TABLE_ENTRIES_1_1,
        doorbell: place(0),
        wait: place(1),
        exit: place(2),
        item_read: place(3),
        item_write: place(4),
        page_tables: PAGE_TABLES,
    };
    memory.write(REGION_CALL_TABLE.start, &table.to_bytes()).map_err(outside)
}

/// Which processor of a guest. They share all memory but for their stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The one that runs the operation.
    First,
    /// One that waits for tasks of the first.
    Second,
}

impl Processor {
    /// Initial stack pointer: the end of its stack region.
    pub fn initial_stack(self) -> u64 {
        let region = match self {
            Self::First => REGION_STACK,
            Self::Second => REGION_WORKER_STACK,
        };
        region.start.saturating_add(region.size)
    }
}

/// How long a second processor sleeps that has found no task; longer each time that it does nothing in between.
#[derive(Debug)]
pub struct Nap {
    length: Duration,
    woken: Option<Instant>,
}

impl Default for Nap {
    fn default() -> Self {
        Self { length: Self::SHORTEST, woken: None }
    }
}

impl Nap {
    const SHORTEST: Duration = Duration::from_micros(250);
    const LONGEST: Duration = Duration::from_millis(4);
    /// What looking for a task takes.
    const LOOK: Duration = Duration::from_millis(1);

    /// Sleeps.
    pub fn take(&mut self) {
        let idle = self.woken.is_some_and(|woken| woken.elapsed() < Self::LOOK);
        self.length = if idle { self.length.saturating_mul(2).min(Self::LONGEST) } else { Self::SHORTEST };
        std::thread::sleep(self.length);
        self.woken = Some(Instant::now());
    }
}

/// Answers the startup fault: puts the registers behind the head of the process record and marks it as running.
pub fn save_registers(memory: &GuestMemory, registers: &Registers) -> Result<(), String> {
    let outside = |range| format!("process record outside memory: {range:?}");
    let record = ProcessRecord { fault_code: fault_code::NONE, pad: 0, fault_info: 0 };
    memory.write(REGION_PROCESS_RECORD.start, &record.to_bytes()).map_err(outside)?;
    let tail: Vec<u8> = registers.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    debug_assert_eq!(tail.len(), RegistersX86_64::SIZE);
    memory.write(REGION_PROCESS_RECORD.start.saturating_add(ProcessRecord::SIZE as u64), &tail).map_err(outside)
}
