//! Leaves the straight path: jumps, interrupts, segment loads, system and hypervisor calls.

use core::arch::{asm, global_asm};

use crate::config::Config;

macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident: $($line:literal),+ $(,)?;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(config: &$crate::config::Config) -> u32 {
                // SAFETY: none: that is the attack. Everything that the lines may change is declared.
                unsafe {
                    core::arch::asm!("push rbx", $($line),+, "pop rbx",
                        inout("rdi") config.argument(0) => _, inout("rsi") config.argument(1) => _,
                        inout("rdx") config.argument(2) => _, out("rax") _, out("rcx") _, out("r8") _,
                        out("r9") _, out("r10") _, out("r11") _);
                }
                0
            }
        )*
    };
}
pub(crate) use instructions;

global_asm!(
    ".pushsection .text.interrupts,\"ax\",@progbits",
    "interrupt_table:",
    ".set vector, 0",
    ".rept 256",
    ".byte 0xcd, vector, 0xc3",
    ".set vector, vector + 1",
    ".endr",
    ".popsection",
);

/// Raises the interrupt whose number is argument 0 (`int n; ret`).
pub fn interrupt(config: &Config) -> u32 {
    // SAFETY: none: that is the attack. The table has an entry for each of the 256 numbers.
    unsafe {
        asm!("lea rax, [rip + interrupt_table]", "lea rax, [rax + rdi * 2]", "add rax, rdi", "call rax",
            in("rdi") config.argument(0) & 0xff, clobber_abi("C"));
    }
    0
}

instructions! {
    /// Jumps to argument 0.
    jump: "jmp rdi";
    /// Returns far, to the selector in argument 0.
    far_return: "push rdi", "lea rax, [rip + 2f]", "push rax", "retfq", "2:";
    /// Returns from an interrupt that never was, to the selector in argument 0.
    interrupt_return: "mov rax, rsp", "push rsi", "push rax", "pushfq", "push rdi", "lea rax, [rip + 2f]", "push rax",
        "iretq", "2:";
    /// Loads the selector in argument 0.
    load_ds: "mov ds, edi";
    /// Loads the selector in argument 0.
    load_fs: "mov fs, edi";
    /// Loads the selector in argument 0.
    load_ss: "mov ss, edi";
    /// Sets the trap flag.
    single_step: "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop";
    /// Gives itself I/O privilege level 3, then uses it. The first half has no effect, so the second faults.
    raise_iopl: "pushfq", "or qword ptr [rsp], 0x3000", "popfq", "cli";
    /// The bare instruction, with a number that no system has.
    system_call: "mov eax, -1", "syscall";
    /// SYSENTER as 32-bit Linux programs use it: `getpid`, with a readable frame pointer.
    system_enter: "push rbp", "mov rbp, rsp", "mov eax, 20", "sysenter", "pop rbp";
    /// Goes on as 32-bit code (selector 0x23 on Linux) and calls the 32-bit kernel.
    compatibility_mode: "push 0x23", "lea rax, [rip + 2f]", "push rax", "retfq", "2:", "mov eax, 20", "int 0x80";
    /// SYSRET.
    system_return: "sysretq";
    /// SYSEXIT.
    system_exit: "sysexit";
    /// VMCALL, with a number that no hypervisor has.
    hypercall_intel: "mov eax, -1", "vmcall";
    /// VMMCALL, with a number that no hypervisor has.
    hypercall_amd: "mov eax, -1", "vmmcall";
}
