//! The region for passphrases and keys, which is in no dump.

use core::arch::asm;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::{ptr, slice};

use instar_abi::{REGION_KEYS, SECRETS_MAGIC, SECRETS_SIZE, SecretsConfig};

/// Bytes of the stack that keys are made and used on.
const STACK_SIZE: u64 = 256 << 10;
/// Behind what the host fills: what does not fit the stack runs into that, and then into a guard.
const STACK_TOP: u64 = REGION_KEYS.start + SECRETS_SIZE as u64 + STACK_SIZE;
/// Where memory for keys begins.
pub(crate) const HEAP_START: u64 = STACK_TOP;

pub(crate) struct Switch(Cell<bool>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Switch {}

/// Whether allocations come from the region.
pub(crate) static ALLOCATES: Switch = Switch(Cell::new(false));
/// Whether the stack lies in the region.
static ON_KEY_STACK: Switch = Switch(Cell::new(false));

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
    /// What it is for: a SecretUse.
    pub purpose: u32,
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

/// Bytes of the region for keys, behind what the host fills and the stack.
pub fn key_memory() -> u64 {
    let config = config();
    let size = if config.magic == SECRETS_MAGIC {
        config.memory_size.max(REGION_KEYS.size)
    } else {
        REGION_KEYS.size
    };
    size.saturating_sub(HEAP_START.saturating_sub(REGION_KEYS.start))
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
            purpose: entry.r#use,
            bytes,
        })
    })
}

/// Runs what makes keys: all that it allocates comes from the region, and is erased when it is freed. Its stack lies there,
/// too.
pub fn with_key_memory<T>(make: impl FnOnce() -> T) -> T {
    with_key_stack(|| {
        let before = ALLOCATES.0.replace(true);
        let made = make();
        ALLOCATES.0.set(before);
        made
    })
}

/// Runs what uses keys on a stack in the region: compilers keep there what registers have no room for.
pub fn with_key_stack<T>(work: impl FnOnce() -> T) -> T {
    if ON_KEY_STACK.0.replace(true) {
        return work();
    }
    let done = on_key_stack(work);
    ON_KEY_STACK.0.set(false);
    done
}

/// A function and what it has returned.
struct Call<F, T> {
    work: Option<F>,
    done: MaybeUninit<T>,
}

extern "C" fn enter<F: FnOnce() -> T, T>(call: *mut Call<F, T>) {
    // SAFETY: `on_key_stack` passes its own value, which nothing else touches meanwhile.
    let call = unsafe { &mut *call };
    if let Some(work) = call.work.take() {
        call.done.write(work());
    }
}

fn on_key_stack<F: FnOnce() -> T, T>(work: F) -> T {
    let mut call = Call {
        work: Some(work),
        done: MaybeUninit::uninit(),
    };
    // SAFETY: the stack is mapped read-write and used by nothing else, since there is one thread and it is not on that
    // stack yet; its end is aligned. r12 keeps the old stack pointer: a function of the C ABI gives it back, and a panic
    // ends the guest.
    unsafe {
        asm!(
            "mov r12, rsp",
            "mov rsp, {top}",
            "call {enter}",
            "mov rsp, r12",
            top = in(reg) STACK_TOP,
            enter = in(reg) enter::<F, T> as extern "C" fn(*mut Call<F, T>),
            in("rdi") &raw mut call,
            out("r12") _,
            clobber_abi("C"),
        );
    }
    // SAFETY: `enter` has found the function there, and has written what it returned.
    unsafe { call.done.assume_init() }
}
