//! Attacks that the second processor of a guest makes, while the first waits for it.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use instar_guest_runtime as runtime;

use crate::config::Config;

/// Set by the second processor before it attacks.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Has the second processor run a function that does not return, and the first do nothing until that has begun and for ever
/// after.
fn on_second(attack: fn()) -> u32 {
    // The first task that the first processor takes waits here, so that the second one gets another.
    fn task(context: &mut Option<fn()>, _: &mut u8) {
        match context {
            Some(attack) => {
                BEGUN.store(true, Ordering::Release);
                attack();
            }
            None => {
                while !BEGUN.load(Ordering::Acquire) {
                    core::hint::spin_loop();
                }
            }
        }
    }
    // It may still be on its way.
    while !runtime::has_second_processor() {
        core::hint::spin_loop();
    }
    let mut second: Box<Option<fn()>> = Box::new(Some(attack));
    runtime::share(&mut vec![0; 2], &mut None, Some(&mut second), task);
    loop {
        core::hint::spin_loop();
    }
}

/// Ends the guest as if all were done.
pub fn exit(_: &Config) -> u32 {
    on_second(|| runtime::exit(0))
}

/// Reads at address 0.
pub fn read_null(_: &Config) -> u32 {
    on_second(|| {
        // SAFETY: none: that is the attack.
        let _ = unsafe { ptr::null::<u8>().read_volatile() };
    })
}

/// Executes an instruction of the kernel.
pub fn halt(_: &Config) -> u32 {
    // SAFETY: none: that is the attack.
    on_second(|| unsafe { asm!("hlt") })
}

/// Calls the kernel of the host.
pub fn system_call(_: &Config) -> u32 {
    // SAFETY: none: that is the attack.
    on_second(|| unsafe { asm!("syscall", in("rax") 39, lateout("rcx") _, lateout("r11") _) })
}

/// Allocates, where only the first processor may.
pub fn allocate(_: &Config) -> u32 {
    on_second(|| {
        core::hint::black_box(vec![0_u8; 4096]);
    })
}

/// Works for ever.
pub fn spin(_: &Config) -> u32 {
    on_second(|| {
        loop {
            core::hint::spin_loop();
        }
    })
}

/// Rings and waits for ever.
pub fn wait_storm(_: &Config) -> u32 {
    on_second(|| {
        loop {
            runtime::doorbell();
            runtime::wait();
        }
    })
}
