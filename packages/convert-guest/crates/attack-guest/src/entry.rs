//! The first instructions: they keep what the processor holds before anything else is done, so that an attack can look for
//! what another guest has left.

use core::arch::global_asm;
use core::ptr;

/// Words of [`ENTRY_STATE`].
pub const WORDS: usize = 128;

/// General registers (rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 … r15), flags, selectors of ds, es, fs and gs, bases of fs
/// and gs; from word 32 on an FXSAVE area; from word 96 on the upper halves of ymm0 … ymm15.
#[repr(C, align(64))]
struct State([u64; WORDS]);

static mut ENTRY_STATE: State = State([0; WORDS]);

/// What the processor held.
pub fn state() -> [u64; WORDS] {
    // SAFETY: written by the first instructions only.
    unsafe { ptr::read_volatile(&raw const ENTRY_STATE.0) }
}

global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".global _start",
    "_start:",
    "mov [rip + {state}], rax",
    "mov [rip + {state} + 8], rbx",
    "mov [rip + {state} + 16], rcx",
    "mov [rip + {state} + 24], rdx",
    "mov [rip + {state} + 32], rsi",
    "mov [rip + {state} + 40], rdi",
    "mov [rip + {state} + 48], rbp",
    "mov [rip + {state} + 56], rsp",
    "mov [rip + {state} + 64], r8",
    "mov [rip + {state} + 72], r9",
    "mov [rip + {state} + 80], r10",
    "mov [rip + {state} + 88], r11",
    "mov [rip + {state} + 96], r12",
    "mov [rip + {state} + 104], r13",
    "mov [rip + {state} + 112], r14",
    "mov [rip + {state} + 120], r15",
    "pushfq",
    "pop qword ptr [rip + {state} + 128]",
    "cld",
    "mov [rip + {state} + 136], ds",
    "mov [rip + {state} + 138], es",
    "mov [rip + {state} + 140], fs",
    "mov [rip + {state} + 142], gs",
    "fxsave64 [rip + {state} + 256]",
    // CPUID: OSXSAVE and AVX, then FSGSBASE.
    "mov eax, 1",
    "xor ecx, ecx",
    "cpuid",
    "and ecx, 0x18000000",
    "cmp ecx, 0x18000000",
    "jne 2f",
    ".irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "vextractf128 [rip + {state} + 768 + 16 * \\number], ymm\\number, 1",
    ".endr",
    "2:",
    "mov eax, 7",
    "xor ecx, ecx",
    "cpuid",
    "test ebx, 1",
    "jz 3f",
    "rdfsbase rax",
    "mov [rip + {state} + 144], rax",
    "rdgsbase rax",
    "mov [rip + {state} + 152], rax",
    "3:",
    "and rsp, -16",
    "xor ebp, ebp",
    "call {start}",
    "ud2",
    state = sym ENTRY_STATE,
    start = sym guest_start,
);

extern "C" fn guest_start() -> ! {
    instar_guest_runtime::serve_on_second_processor();
    // SAFETY: the first thing that runs.
    unsafe { instar_guest_runtime::register_note() };
    instar_guest_runtime::exit(crate::main())
}
