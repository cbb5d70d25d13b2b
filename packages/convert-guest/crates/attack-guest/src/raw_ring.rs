//! The ring without the manners of the runtime's client.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use instar_abi::{
    Completion, Descriptor, REGION_RING, RING_COMPLETIONS_OFFSET, RING_ENTRIES,
    RING_SUBMISSIONS_OFFSET, RingHeader,
};
use instar_guest_runtime as runtime;

/// A word of the ring's header.
pub fn word(field: usize) -> &'static AtomicU32 {
    let place: *mut u32 = ptr::with_exposed_provenance_mut(REGION_RING.start as usize + field);
    // SAFETY: the ring region is mapped read-write for the guest's whole life, and the fields are aligned words.
    unsafe { AtomicU32::from_ptr(place) }
}

fn place(offset: u32, size: usize, index: u32) -> usize {
    let slot = (index % RING_ENTRIES) as usize;
    REGION_RING.start as usize + offset as usize + slot * size
}

/// Overwrites a submission slot, whoever may be reading it.
pub fn put(index: u32, descriptor: &Descriptor) {
    let target: *mut [u8; Descriptor::SIZE] =
        ptr::with_exposed_provenance_mut(place(RING_SUBMISSIONS_OFFSET, Descriptor::SIZE, index));
    // SAFETY: the slot lies in the ring region, which is mapped read-write.
    unsafe { target.write_volatile(descriptor.to_bytes()) };
}

/// Moves the submission tail, and rings where the host sleeps.
pub fn publish(tail: u32) {
    word(RingHeader::OFFSET_SUBMISSION_TAIL).store(tail, Ordering::Release);
    fence(Ordering::SeqCst);
    if word(RingHeader::OFFSET_NEED_WAKEUP).load(Ordering::SeqCst) == 1 {
        runtime::doorbell();
    }
}

/// How many completions the host has published.
pub fn completed() -> u32 {
    word(RingHeader::OFFSET_COMPLETION_TAIL).load(Ordering::Acquire)
}

/// A completion that the host has published.
pub fn completion(index: u32) -> Completion {
    let source: *const [u8; Completion::SIZE] =
        ptr::with_exposed_provenance(place(RING_COMPLETIONS_OFFSET, Completion::SIZE, index));
    // SAFETY: the slot lies in the ring region, which is mapped read-write.
    Completion::from_bytes(&unsafe { source.read_volatile() })
}

/// Spins until the host has published `count` completions; never leaves the guest.
pub fn spin_until_completed(count: u32) {
    while completed().wrapping_sub(count) > u32::MAX / 2 {
        core::hint::spin_loop();
    }
}
