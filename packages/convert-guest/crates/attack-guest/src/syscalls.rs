//! System calls: argument 0 is the number, 1 to 6 are its arguments. Strings lie behind them in the config page.
//! Under KVM there is no kernel to hear them.

use core::arch::asm;

use crate::config::Config;

/// By the `syscall` instruction.
pub fn native(config: &Config) -> u32 {
    let result: u64;
    // SAFETY: none: that is the attack.
    unsafe {
        asm!("syscall", inlateout("rax") config.argument(0) => result, in("rdi") config.argument(1),
            in("rsi") config.argument(2), in("rdx") config.argument(3), in("r10") config.argument(4),
            in("r8") config.argument(5), in("r9") config.argument(6), lateout("rcx") _, lateout("r11") _);
    }
    result as u32
}

/// By the interrupt of 32-bit programs, whose numbers are other ones.
pub fn legacy(config: &Config) -> u32 {
    let result: u64;
    // SAFETY: none: that is the attack.
    unsafe {
        asm!("push rbx", "mov rbx, rdi", "int 0x80", "pop rbx", inlateout("rax") config.argument(0) => result,
            in("rdi") config.argument(1), in("rcx") config.argument(2), in("rdx") config.argument(3),
            in("rsi") config.argument(4), lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
    result as u32
}

/// By a call to the fixed page in which Linux emulates `gettimeofday`.
pub fn virtual_call(_: &Config) -> u32 {
    // SAFETY: none: that is the attack.
    unsafe {
        asm!("call rax", in("rax") 0xffff_ffff_ff60_0000_u64, in("rdi") 0, in("rsi") 0, clobber_abi("C"));
    }
    0
}
