//! The guest program: runs the operation whose config the host wrote, and ends.
#![no_std]
#![no_main]

use instar_guest_runtime::{Ring, WindowPool};

instar_guest_runtime::entry!(main);

fn main() -> u32 {
    // SAFETY: the one ring and the one window pool of this guest.
    let (ring, windows) = unsafe { (Ring::open(), WindowPool::open()) };
    instar_operations::run(ring, windows)
}
