//! Brings the vCPU's thread to a halt outside the guest, and lets it go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::executor::lock;

/// Kicks before a halt is given up: a second.
const KICKS: u32 = 1000;
const KICK: Duration = Duration::from_millis(1);

/// A request to halt, and whether the thread has.
#[derive(Default)]
pub struct Pause {
    wanted: AtomicBool,
    halted: Mutex<bool>,
    changed: Condvar,
}

impl Pause {
    /// Whether the vCPU's thread shall halt.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Asks for a halt and calls `kick` until it has come. Returns whether it has; [`Self::end`] must follow either way.
    pub fn begin(&self, kick: impl Fn()) -> bool {
        self.wanted.store(true, Ordering::Release);
        let mut halted = lock(&self.halted);
        for _ in 0..KICKS {
            if *halted {
                return true;
            }
            kick();
            halted = self.changed.wait_timeout(halted, KICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *halted
    }

    /// Lets the thread go on.
    pub fn end(&self) {
        self.wanted.store(false, Ordering::Release);
        // Under the lock: the thread must not fall asleep between its look and the call.
        drop(lock(&self.halted));
        self.changed.notify_all();
    }

    /// Of the vCPU's thread: halts until [`Self::end`].
    pub fn halt(&self) {
        let mut halted = lock(&self.halted);
        *halted = true;
        self.changed.notify_all();
        while self.wanted() {
            halted = self.changed.wait(halted).unwrap_or_else(PoisonError::into_inner);
        }
        *halted = false;
    }
}
