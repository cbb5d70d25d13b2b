//! Port I/O: the port is argument 0, the value argument 2 (or, for string instructions, the count is argument 1).

use core::arch::asm;

use instar_abi::REGION_WINDOWS;

use crate::config::Config;
use crate::control_flow::instructions;

instructions! {
    /// Writes a byte.
    out8: "mov eax, edx", "mov edx, edi", "out dx, al";
    /// Writes two bytes.
    out16: "mov eax, edx", "mov edx, edi", "out dx, ax";
    /// Writes four bytes.
    out32: "mov eax, edx", "mov edx, edi", "out dx, eax";
    /// Reads a byte.
    in8: "mov edx, edi", "in al, dx";
    /// Reads two bytes.
    in16: "mov edx, edi", "in ax, dx";
    /// Reads four bytes.
    in32: "mov edx, edi", "in eax, dx";
}

macro_rules! strings {
    ($($(#[$doc:meta])* $name:ident: $line:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(config: &Config) -> u32 {
                let window = REGION_WINDOWS.start;
                // SAFETY: none: that is the attack. Memory that it touches is the windows region.
                unsafe {
                    asm!($line, inout("rsi") window => _, inout("rdi") window => _,
                        inout("rcx") config.argument(1) => _, in("edx") config.argument(0) as u32);
                }
                0
            }
        )*
    };
}

strings! {
    /// Writes many bytes.
    outs8: "rep outsb";
    /// Writes many words of 32 bits.
    outs32: "rep outsd";
    /// Reads many bytes.
    ins8: "rep insb";
    /// Reads many words of 32 bits.
    ins32: "rep insd";
}
