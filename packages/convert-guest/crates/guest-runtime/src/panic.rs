//! A panic ends the guest with a code; the host makes the message.

use core::panic::PanicInfo;

use instar_abi::EXIT_PANIC;

#[panic_handler]
fn on_panic(_: &PanicInfo<'_>) -> ! {
    crate::exit(EXIT_PANIC)
}

/// Named by the prebuilt `core`, never called: guests abort on panic.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by landing pads of the prebuilt `alloc`; never reached, for the same reason.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    crate::exit(EXIT_PANIC)
}
