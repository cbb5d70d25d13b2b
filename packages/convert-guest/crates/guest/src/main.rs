//! The guest program: runs the operations whose configs the host writes, and ends.
#![no_std]
#![no_main]

use instar_guest_runtime::Ring;

instar_guest_runtime::entry!(main);

fn main() -> u32 {
    // SAFETY: the one ring of this guest.
    let ring = unsafe { Ring::open() };
    let code = instar_operations::run(ring);
    // No tail call: the backtrace of a dump begins with this frame.
    core::hint::black_box(code)
}
