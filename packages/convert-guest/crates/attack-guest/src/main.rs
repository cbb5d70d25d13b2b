#![no_std]
#![no_main]
instar_guest_runtime::entry!(main);
fn main() -> u32 {
    0
}
