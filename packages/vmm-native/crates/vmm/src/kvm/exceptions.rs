//! Descriptor tables and exception stubs, and reading an exception back (Intel SDM volume 3, chapters 3, 6 and 8).
//!
//! A gate leads to a stub that is one `hlt`: the vCPU exits with all registers as they were, and the CPU's frame lies
//! on the kernel stack.

use instar_abi::{PORT_DOORBELL, PORT_EXIT, PORT_ITEM, PORT_WAIT};

use super::layout::{DESCRIPTORS, FAULT_STACK, IDT, KERNEL_STACK, PAGE, STUBS, STUB_STRIDE, TSS_OFFSET, VECTORS};
use crate::memory::GuestMemory;
use crate::report::{Fault, Registers};

/// Selector of the kernel code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of the user data segment, RPL 3.
pub const USER_DATA: u16 = 0x18 | 3;
/// Selector of the user code segment, RPL 3.
pub const USER_CODE: u16 = 0x20 | 3;
/// Selector of the task state segment.
pub const TASK: u16 = 0x28;
/// Bytes of the GDT: null, kernel code and data, user data and code, TSS (two slots).
pub const GDT_SIZE: u16 = 7 * 8;

const TSS_FIXED_SIZE: u64 = 0x68;
const IO_BITMAP_SIZE: usize = 0xa8;
/// Limit of the task state segment: its fixed part, the I/O permission bitmap and the closing 0xff byte.
pub const TSS_LIMIT: u32 = 0x68 + 0xa8;

const DOUBLE_FAULT: u64 = 8;
const HLT: u8 = 0xf4;

/// Address of the task state segment.
pub fn tss_address() -> u64 {
    DESCRIPTORS.saturating_add(TSS_OFFSET)
}

fn system_descriptor(base: u64, limit: u32) -> [u64; 2] {
    let limit = u64::from(limit);
    let present_busy_tss = 0x8b_u64;
    let low = (limit & 0xffff)
        | (base & 0xff_ffff) << 16
        | present_busy_tss << 40
        | (limit >> 16 & 0xf) << 48
        | (base >> 24 & 0xff) << 56;
    [low, base >> 32]
}

fn gate(vector: u64) -> [u8; 16] {
    let target = STUBS.saturating_add(vector.saturating_mul(STUB_STRIDE)).to_le_bytes();
    let selector = KERNEL_CODE.to_le_bytes();
    let stack_table = u8::from(vector == DOUBLE_FAULT);
    let interrupt_gate = 0x8e;
    [
        target[0],
        target[1],
        selector[0],
        selector[1],
        stack_table,
        interrupt_gate,
        target[2],
        target[3],
        target[4],
        target[5],
        target[6],
        target[7],
        0,
        0,
        0,
        0,
    ]
}

fn io_bitmap() -> [u8; IO_BITMAP_SIZE] {
    let mut bitmap = [0xff; IO_BITMAP_SIZE];
    for port in [PORT_DOORBELL, PORT_WAIT, PORT_EXIT, PORT_ITEM] {
        for bit in port..port.saturating_add(4) {
            let index = usize::try_from(bit / 8).unwrap_or(usize::MAX);
            if let Some(byte) = bitmap.get_mut(index) {
                *byte &= !(1 << (bit % 8));
            }
        }
    }
    bitmap
}

/// Writes GDT, TSS, IDT and stubs.
pub fn build(memory: &GuestMemory) -> Result<(), String> {
    let put = |address: u64, bytes: &[u8]| {
        memory.write(address, bytes).map_err(|range| format!("descriptor table outside memory: {range:?}"))
    };
    let tss = system_descriptor(tss_address(), TSS_LIMIT);
    // Accessed bits are preset, so that the CPU never writes the table.
    let gdt: [u64; 7] =
        [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, tss[0], tss[1]];
    let gdt: Vec<u8> = gdt.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    put(DESCRIPTORS, &gdt)?;

    let mut task = vec![0_u8; 0x68];
    task[0x04..0x0c].copy_from_slice(&KERNEL_STACK.saturating_add(PAGE).to_le_bytes());
    task[0x24..0x2c].copy_from_slice(&FAULT_STACK.saturating_add(PAGE).to_le_bytes());
    let bitmap_offset = u16::try_from(TSS_FIXED_SIZE).unwrap_or(u16::MAX);
    task[0x66..0x68].copy_from_slice(&bitmap_offset.to_le_bytes());
    task.extend_from_slice(&io_bitmap());
    task.push(0xff);
    put(tss_address(), &task)?;

    let mut stubs = vec![HLT; usize::try_from(PAGE).unwrap_or(0)];
    stubs.fill(HLT);
    put(STUBS, &stubs)?;
    let idt: Vec<u8> = (0..VECTORS).flat_map(gate).collect();
    put(IDT, &idt)
}

fn has_error_code(vector: u64) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// The exception behind a `hlt` exit, or `None` when RIP is in no stub.
pub fn report(memory: &GuestMemory, registers: Registers, cr2: u64) -> Option<Fault> {
    let offset = registers.rip().checked_sub(1)?.checked_sub(STUBS)?;
    let vector = offset / STUB_STRIDE;
    if vector >= VECTORS {
        return None;
    }
    let words = if has_error_code(vector) { 6 } else { 5 };
    let mut frame = vec![0_u8; words * 8];
    memory.read(registers.rsp(), &mut frame).ok()?;
    let mut words = frame.chunks_exact(8).map(|chunk| {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let error_code = if has_error_code(vector) { words.next()? } else { 0 };
    let (rip, _cs, rflags, rsp) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut registers = registers;
    registers.values[16] = rip;
    registers.values[17] = rflags;
    registers.values[7] = rsp;
    Some(Fault { vector, error_code, cr2, signal: 0, registers })
}

impl Registers {
    /// From KVM's register struct.
    pub fn from_kvm(regs: &kvm_bindings::kvm_regs) -> Self {
        Self {
            values: [
                regs.rax,
                regs.rbx,
                regs.rcx,
                regs.rdx,
                regs.rsi,
                regs.rdi,
                regs.rbp,
                regs.rsp,
                regs.r8,
                regs.r9,
                regs.r10,
                regs.r11,
                regs.r12,
                regs.r13,
                regs.r14,
                regs.r15,
                regs.rip,
                regs.rflags,
            ],
        }
    }
}

#[cfg(test)]
mod tests;
