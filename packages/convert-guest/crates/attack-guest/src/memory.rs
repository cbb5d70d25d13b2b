//! Reads, writes and executes memory that it should not. Addresses come from the test, or are the guest's own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::hint::black_box;

use crate::PIERCED;
use crate::config::Config;

/// x86 `ret`: code that does nothing.
const RET: u8 = 0xc3;

fn poke(address: u64, value: u8) {
    // SAFETY: none: that is the attack. The store is opaque to the compiler.
    unsafe { asm!("mov byte ptr [{0}], {1}", in(reg) address, in(reg_byte) value) };
}

fn peek(address: u64) -> u8 {
    let value: u8;
    // SAFETY: none: that is the attack. The load is opaque to the compiler.
    unsafe { asm!("mov {1}, byte ptr [{0}]", in(reg) address, out(reg_byte) value) };
    value
}

fn call(address: u64) {
    // SAFETY: none: that is the attack. What is called is either `ret` or faults.
    unsafe { asm!("call {0}", in(reg) address, clobber_abi("C")) };
}

/// Reads a byte at argument 0.
pub fn read(config: &Config) -> u32 {
    black_box(peek(config.argument(0)));
    0
}

/// Writes a byte at argument 0.
pub fn write(config: &Config) -> u32 {
    poke(config.argument(0), RET);
    0
}

/// Calls argument 0; with argument 1 set, it first puts a `ret` there.
pub fn execute(config: &Config) -> u32 {
    let address = config.argument(0);
    if config.argument(1) != 0 {
        poke(address, RET);
    }
    call(address);
    0
}

/// Writes to a function of its own.
pub fn write_text(_: &Config) -> u32 {
    poke(write_text as *const () as u64, RET);
    PIERCED
}

static CONSTANT: [u8; 2] = [RET, RET];

/// Writes to a constant.
pub fn write_rodata(_: &Config) -> u32 {
    poke(CONSTANT.as_ptr() as u64, RET);
    PIERCED
}

/// Calls a constant that is a `ret`.
pub fn execute_rodata(_: &Config) -> u32 {
    call(CONSTANT.as_ptr() as u64);
    PIERCED
}

/// Calls a local variable that is a `ret`.
pub fn execute_stack(_: &Config) -> u32 {
    let code = black_box([RET; 16]);
    call(code.as_ptr() as u64);
    PIERCED
}

/// Calls heap memory that holds a `ret`.
pub fn execute_heap(_: &Config) -> u32 {
    let code = black_box(Box::new([RET; 16]));
    call(code.as_ptr() as u64);
    PIERCED
}

#[expect(unconditional_recursion, reason = "that is the attack")]
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1).wrapping_add(black_box(frame)[0])
}

/// Recurses until the stack ends.
pub fn overflow_stack(config: &Config) -> u32 {
    black_box(recurse(config.argument(0)));
    PIERCED
}

/// Pushes with a stack pointer of argument 0.
pub fn push_to_bad_stack(config: &Config) -> u32 {
    // SAFETY: none: that is the attack; the stack pointer is restored should the push succeed.
    unsafe {
        asm!("xchg rsp, {0}", "push rax", "pop rax", "xchg rsp, {0}",
            inout(reg) config.argument(0) => _, out("rax") _);
    }
    0
}

/// Allocates until there is nothing left.
pub fn exhaust_heap(_: &Config) -> u32 {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(Box::new([0_u8; 4096])));
    }
}
