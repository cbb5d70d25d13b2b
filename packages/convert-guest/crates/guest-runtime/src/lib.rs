//! What a guest needs to run at CPL 3 in a micro-VM, or in a sandboxed process, from one image.
//!
//! A guest owns its segments, stack, heap and windows, sees its configs read-only and reaches the host through the
//! call table and the command ring; there is nothing else.
#![no_std]

extern crate alloc;

mod c_allocator;
mod call_table;
mod config;
mod heap;
mod keys;
mod panic;
mod ring;
mod vmcoreinfo;
mod window;
mod worker;

pub use instar_freestanding as freestanding;

pub use call_table::{doorbell, exit, item_read, item_write, wait};
pub use config::{OPERATION_CONFIG_SIZE, chain_config, operation_config, put_result};
pub use keys::{Secret, key_memory, secrets, with_key_memory, with_key_stack};
pub use ring::Ring;
pub use vmcoreinfo::register as register_note;
pub use window::{Window, WindowPool};
pub use worker::{has_second_processor, serve_on_second_processor, share};

/// Defines the entry point of a guest: `main` gets the ring and returns the exit code.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::freestanding::start!(__guest_start);

        extern "C" fn __guest_start() -> ! {
            $crate::serve_on_second_processor();
            // SAFETY: the first thing that runs.
            unsafe { $crate::register_note() };
            $crate::exit($main())
        }
    };
}
