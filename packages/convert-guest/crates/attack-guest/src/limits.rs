//! Never ends, or ends strangely.

use core::hint::spin_loop;

use instar_guest_runtime as runtime;

use crate::config::Config;

/// Computes for ever.
pub fn spin(_: &Config) -> u32 {
    loop {
        spin_loop();
    }
}

/// Waits for a completion that nobody owes it.
pub fn wait_forever(_: &Config) -> u32 {
    loop {
        runtime::wait();
    }
}

/// Leaves the guest for the host as often as it can, by reading the port in argument 0.
pub fn wait_storm(config: &Config) -> u32 {
    loop {
        crate::ports::in8(config);
    }
}

/// Rings for ever, with nothing to say.
pub fn doorbell_storm(_: &Config) -> u32 {
    loop {
        runtime::doorbell();
    }
}

/// Ends with the code in argument 0.
pub fn exit(config: &Config) -> u32 {
    config.argument(0) as u32
}
