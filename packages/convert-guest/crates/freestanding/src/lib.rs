//! What every program without a C library needs. A program that links this defines `__abort`, which ends it.
#![no_std]

mod mem;

unsafe extern "Rust" {
    /// Ends the program after something that must not happen.
    safe fn __abort() -> !;
}

/// Named by the prebuilt `core`, never called: these programs abort on panic.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by landing pads of the prebuilt `alloc`; never reached, for the same reason.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    __abort()
}

/// What C code calls when something that it takes for granted is not so.
#[unsafe(no_mangle)]
pub extern "C" fn __assert_fail() -> ! {
    __abort()
}

/// Defines `_start`: aligns the stack and calls `$start`, which never returns.
#[macro_export]
macro_rules! start {
    ($start:path) => {
        core::arch::global_asm!(
            ".section .text._start,\"ax\",@progbits",
            ".global _start",
            "_start:",
            "and rsp, -16",
            "xor ebp, ebp",
            "call {start}",
            "ud2",
            start = sym $start,
        );
    };
}
