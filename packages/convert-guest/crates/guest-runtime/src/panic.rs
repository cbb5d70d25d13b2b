//! A panic ends the guest with a code; the host makes the message.

use core::panic::PanicInfo;

use instar_abi::EXIT_PANIC;

#[panic_handler]
fn on_panic(_: &PanicInfo<'_>) -> ! {
    crate::exit(EXIT_PANIC)
}

/// What `instar-freestanding` ends the guest with.
#[unsafe(no_mangle)]
fn __abort() -> ! {
    crate::exit(EXIT_PANIC)
}
