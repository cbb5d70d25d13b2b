//! A process that makes guest processes: it forks one for each message that comes with a doorbell socket and a memory file,
//! and answers with its number. It never sees a byte that a guest wrote, so that each guest begins in the same state; and a
//! fork costs a fraction of what starting a program does.
//!
//! The new process is a child of this one's parent (CLONE_PARENT), which waits for it and can end it.

use instar_abi::sandbox_step;

use crate::{DOORBELL, MEMORY_FILE, become_guest, failed, map_boot_page, need, sys};

/// Descriptor of the socket on which messages come: where guests have their doorbell.
const MESSAGES: u64 = 0;

pub fn run() -> ! {
    need(sandbox_step::RIGHTS, sys::hide());
    need(
        sandbox_step::DESCRIPTORS,
        sys::close_range(1, u64::from(u32::MAX)),
    );
    loop {
        // No message: the parent has closed its end.
        let Ok(Some([doorbell, memory])) = sys::receive_descriptors(MESSAGES) else {
            sys::exit_group(0)
        };
        let made = sys::fork_as_sibling();
        if made == Ok(0) {
            need(
                sandbox_step::DESCRIPTORS,
                sys::dup2(doorbell, DOORBELL).and(sys::dup2(memory, MEMORY_FILE)),
            );
            match map_boot_page() {
                Ok(page) => become_guest(page, true),
                Err(_) => failed(sandbox_step::BOOT),
            }
        }
        let number = match made {
            Ok(number) => i64::try_from(number).unwrap_or(0),
            Err(code) => i64::try_from(code).map_or(0, i64::wrapping_neg),
        };
        // Fails where the parent is gone, which the next turn sees.
        let _ = sys::close(doorbell);
        let _ = sys::close(memory);
        let _ = sys::write(MESSAGES, &number.to_le_bytes());
    }
}
