//! Leaves something for the next guest of a kept sandbox, and ends as a working guest does; or looks for it.

use core::arch::asm;
use core::hint::black_box;
use core::ptr;
use core::sync::atomic::Ordering;

use instar_abi::{
    CallTable, Descriptor, FwCfgVmCoreInfo, ITEM_MAILBOX_OFFSET, ItemMailbox, REGION_CALL_TABLE,
    REGION_RESULT, REGION_RING, REGION_WINDOWS, item, item_request, opcode,
};
use instar_guest_runtime as runtime;

use crate::config::Config;
use crate::{entry, raw_ring};

/// What is left and looked for.
const MARK: u64 = u64::from_le_bytes(*b"LEFT HIM");

/// Data and bss of the guest itself.
static mut DATA: u64 = 1;
static mut BSS: u64 = 0;

fn words(config: &Config) -> impl Iterator<Item = *mut u64> {
    let (start, length) = (config.argument(0) as usize, config.argument(1) as usize);
    (start..start + length)
        .step_by(8)
        .map(ptr::with_exposed_provenance_mut)
}

/// Fills memory from argument 0 on, as many bytes as argument 1 says.
pub fn memory(config: &Config) -> u32 {
    for word in words(config) {
        // SAFETY: none: that is the attack.
        unsafe { word.write_volatile(MARK) };
    }
    0
}

/// Changes its own variables.
pub fn variables(_: &Config) -> u32 {
    // SAFETY: nothing else uses them.
    unsafe {
        (&raw mut DATA).write_volatile(MARK);
        (&raw mut BSS).write_volatile(MARK);
    }
    0
}

/// Looks: leaves the state of the processor at the entry, its variables, the item, and how many words of the memory that
/// arguments 0 and 1 name are not zero, and how many are marks.
pub fn look(config: &Config) -> u32 {
    let (mut used, mut marks) = (0, 0);
    for word in words(config) {
        // SAFETY: none: that is the attack.
        let value = unsafe { word.read_volatile() };
        used += u64::from(value != 0);
        marks += u64::from(value == MARK);
    }
    let mut note = [0; FwCfgVmCoreInfo::SIZE];
    let read = runtime::item_read(item::VMCOREINFO, &mut note);
    // SAFETY: nothing else uses them.
    let variables = unsafe {
        [
            (&raw const DATA).read_volatile(),
            (&raw const BSS).read_volatile(),
        ]
    };
    let mut at = REGION_RESULT.start as usize;
    let mut put = |word: u64| {
        // SAFETY: the region is mapped read-write and is larger than all that is put.
        unsafe { ptr::with_exposed_provenance_mut::<u64>(at).write_volatile(word) };
        at += 8;
    };
    entry::state().into_iter().for_each(&mut put);
    [used, marks]
        .into_iter()
        .chain(variables)
        .for_each(&mut put);
    put(read.map_or(u64::MAX, |status| status as u64));
    note.as_chunks::<8>()
        .0
        .iter()
        .for_each(|word| put(u64::from_le_bytes(*word)));
    0
}

fn exit_stub() -> u64 {
    let place = REGION_CALL_TABLE.start as usize + CallTable::OFFSET_EXIT;
    // SAFETY: the call table is mapped for the guest's whole life.
    unsafe { ptr::with_exposed_provenance::<u64>(place).read_volatile() }
}

macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident: $($line:literal),+ $(,)?;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(_: &Config) -> u32 {
                let mark = [MARK; 4];
                // SAFETY: none: that is the attack. The guest ends here, with status 0.
                unsafe {
                    asm!("and rsp, -64", $($line),+, "xor edi, edi", "call rcx", "ud2",
                        in("rcx") exit_stub(), in("rax") MARK, in("rsi") black_box(&raw const mark), options(noreturn));
                }
            }
        )*
    };
}

registers! {
    /// Marks in all general registers that the way out leaves alone.
    general: "mov rbx, rax", "mov rsi, rax", "mov rbp, rax", "mov r8, rax", "mov r9, rax", "mov r10, rax", "mov r11, rax",
        "mov r12, rax", "mov r13, rax", "mov r14, rax", "mov r15, rax";
    /// Marks in the SSE registers.
    sse: ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15", "movups xmm\\n, [rsi]", ".endr";
    /// Marks in the AVX registers.
    avx: ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15", "vmovups ymm\\n, [rsi]", ".endr";
    /// Another rounding, all SSE exceptions unmasked, all flags of them set.
    sse_control: "push 0x603f", "ldmxcsr [rsp]", "pop rax";
    /// Another precision and rounding, exceptions unmasked.
    x87_control: "push 0xc40", "fldcw [rsp]", "pop rax";
    /// A full stack of x87 registers, and a status.
    x87_stack: "fninit", ".rept 7", "fldpi", ".endr", "fld tbyte ptr [rsi]";
    /// Marks in the MMX registers.
    mmx: ".irp n, 0, 1, 2, 3, 4, 5, 6, 7", "movq mm\\n, [rsi]", ".endr";
    /// An FS base.
    fs_base: "mov eax, 0x4c454654", "wrfsbase rax";
    /// A GS base.
    gs_base: "mov eax, 0x4c454654", "wrgsbase rax";
    /// Direction, alignment check, nested task and the identification flag.
    flags: "pushfq", "or qword ptr [rsp], 0x244c00", "popfq";
    /// Selectors that are null.
    selectors: "xor eax, eax", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax";
}

/// Leaves commands in the ring: argument 0 of them, of which the host is told with argument 1.
pub fn commands(config: &Config) -> u32 {
    let count = config.argument(0) as u32;
    for index in 0..count {
        let read = Descriptor {
            opcode: opcode::READ,
            length: 4096,
            window: REGION_WINDOWS.start,
            user_data: MARK,
            ..Descriptor::ZERO
        };
        raw_ring::put(index, &read);
    }
    if config.argument(1) == 1 {
        raw_ring::publish(count);
    } else {
        raw_ring::word(instar_abi::RingHeader::OFFSET_SUBMISSION_TAIL)
            .store(count, Ordering::SeqCst);
    }
    0
}

/// Writes argument 1 into the word at argument 0 of the ring's header.
pub fn ring_word(config: &Config) -> u32 {
    raw_ring::word(config.argument(0) as usize).store(config.argument(1) as u32, Ordering::SeqCst);
    0
}

/// Rings as often as argument 0 says, and does not wait.
pub fn rings(config: &Config) -> u32 {
    for _ in 0..config.argument(0) {
        runtime::doorbell();
    }
    0
}

/// Describes a note for dumps.
pub fn note(_: &Config) -> u32 {
    let entry = FwCfgVmCoreInfo {
        host_format: 1,
        guest_format: 1,
        size: 64,
        paddr: MARK,
    };
    runtime::item_write(item::VMCOREINFO, &entry.to_bytes());
    0
}

/// Leaves a request for an item that the host is not told of.
pub fn request(_: &Config) -> u32 {
    let mut mailbox = ItemMailbox::ZERO;
    (mailbox.request, mailbox.selector, mailbox.length) =
        (item_request::WRITE, item::VMCOREINFO, 16);
    mailbox.data.fill(0xff);
    let place = REGION_RING.start as usize + ITEM_MAILBOX_OFFSET as usize;
    let target: *mut [u8; ItemMailbox::SIZE] = ptr::with_exposed_provenance_mut(place);
    // SAFETY: the place lies in the ring region, which is mapped read-write.
    unsafe { target.write_volatile(mailbox.to_bytes()) };
    0
}
