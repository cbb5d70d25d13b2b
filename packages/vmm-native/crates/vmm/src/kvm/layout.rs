//! Where the descriptor tables, stubs and page tables stand inside the system region. Supervisor-only or unmapped:
//! nothing here is visible at CPL 3, so it is no part of the ABI. Each address follows from its neighbour.

use instar_abi::{PAGE_SIZE, REGION_SYSTEM};

/// Page size in the type of guest addresses.
pub const PAGE: u64 = PAGE_SIZE as u64;

/// GDT and task state segment.
pub const DESCRIPTORS: u64 = REGION_SYSTEM.start;
/// Byte offset of the task state segment in the descriptor page.
pub const TSS_OFFSET: u64 = 0x800;
/// Interrupt descriptor table.
pub const IDT: u64 = DESCRIPTORS + PAGE;
/// One `hlt` for each vector.
pub const STUBS: u64 = IDT + PAGE;
/// Stack on which the CPU pushes exception frames; grows down from the end of its page.
pub const KERNEL_STACK: u64 = STUBS + PAGE;
/// Stack of double faults.
pub const FAULT_STACK: u64 = KERNEL_STACK + PAGE;
/// Top page table; the tables below it follow.
pub const PAGE_TABLES: u64 = FAULT_STACK + PAGE;
/// End of the room for page tables.
pub const SYSTEM_END: u64 = REGION_SYSTEM.start + REGION_SYSTEM.size;

/// Bytes between two stubs.
pub const STUB_STRIDE: u64 = 8;
/// Vectors that have a gate; `int n` beyond them is a general protection fault.
pub const VECTORS: u64 = 32;
