//! The guest program: runs the operation whose config the host wrote, and ends.
#![no_std]
#![no_main]

use instar_guest_runtime::{Ring, WindowPool};

instar_guest_runtime::entry!(main);

fn main() -> u32 {
    // SAFETY: the one ring and the one window pool of this guest.
    let (ring, windows) = unsafe { (Ring::open(), WindowPool::open()) };
    let code = instar_operations::run(ring, windows);
    // No tail call: the backtrace of a dump begins with this frame.
    core::hint::black_box(code)
}
