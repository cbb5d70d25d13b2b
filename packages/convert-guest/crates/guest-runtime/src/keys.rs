//! The region for passphrases and keys, which is in no dump.

use core::cell::Cell;
use core::{ptr, slice};

use instar_abi::{REGION_KEYS, SECRETS_MAGIC, SECRETS_SIZE, SecretsConfig};

/// Bytes of stack that making a key may have left something in.
const SCRUBBED: usize = 96 << 10;

/// Whether allocations come from the region.
pub(crate) struct Switch(Cell<bool>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Switch {}

pub(crate) static SWITCH: Switch = Switch(Cell::new(false));

impl Switch {
    pub fn is_on(&self) -> bool {
        self.0.get()
    }
}

/// One passphrase of the run.
#[derive(Clone, Copy)]
pub struct Secret {
    /// Role of the image whose chain it is for, 0 for any.
    pub role: u32,
    /// The passphrase.
    pub bytes: &'static [u8],
}

fn config() -> SecretsConfig {
    let mut bytes = [0; SecretsConfig::SIZE];
    let source: *const u8 = ptr::with_exposed_provenance(REGION_KEYS.start as usize);
    // SAFETY: the region is mapped readable for the guest's whole life and is larger than the struct.
    unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), SecretsConfig::SIZE) };
    SecretsConfig::from_bytes(&bytes)
}

/// Bytes of the region behind what the host fills.
pub fn key_memory() -> u64 {
    let config = config();
    let size = if config.magic == SECRETS_MAGIC {
        config.memory_size.max(REGION_KEYS.size)
    } else {
        REGION_KEYS.size
    };
    size.saturating_sub(SECRETS_SIZE.into())
}

/// The passphrases of the run, in the order in which they were given.
pub fn secrets() -> impl Iterator<Item = Secret> {
    let config = config();
    let count = if config.magic == SECRETS_MAGIC {
        config.count as usize
    } else {
        0
    };
    config.entries.into_iter().take(count).filter_map(|entry| {
        let end = entry.offset.checked_add(entry.length)?;
        if end > SECRETS_SIZE {
            return None;
        }
        let start = REGION_KEYS.start.checked_add(entry.offset.into())?;
        let start: *const u8 = ptr::with_exposed_provenance(start as usize);
        // SAFETY: the range lies in the part of the region that the host has filled before the start; nothing writes
        // it afterwards.
        let bytes = unsafe { slice::from_raw_parts(start, entry.length as usize) };
        Some(Secret {
            role: entry.role,
            bytes,
        })
    })
}

/// Runs what makes keys: all that it allocates comes from the region, is erased when it is freed, and what it leaves on
/// the stack is erased afterwards.
pub fn with_key_memory<T>(make: impl FnOnce() -> T) -> T {
    let before = SWITCH.0.replace(true);
    let made = make();
    SWITCH.0.set(before);
    scrub_stack();
    made
}

/// Overwrites the stack below the caller's frame.
#[inline(never)]
fn scrub_stack() {
    let mut below = [0_u8; SCRUBBED];
    for byte in &mut below {
        // SAFETY: a byte of a local array; volatile, so that the writes stay.
        unsafe { ptr::write_volatile(byte, 0) };
    }
}
