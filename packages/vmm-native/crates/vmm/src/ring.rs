//! The host's side of the command ring in guest memory.

use std::sync::atomic::{fence, Ordering};

use instar_abi::{
    Completion, Descriptor, RingHeader, REGION_RING, RING_COMPLETIONS_OFFSET, RING_ENTRIES, RING_MAGIC,
    RING_SUBMISSIONS_OFFSET,
};

use crate::memory::{GuestMemory, OutOfMemoryRange};

/// Accessor of the ring. Indexes that the host owns are kept by the caller; what stands in guest memory is never
/// read back.
pub struct Ring<'a> {
    memory: &'a GuestMemory,
}

fn header(field: usize) -> u64 {
    REGION_RING.start.saturating_add(field as u64)
}

fn entry(offset: u32, size: usize, index: u32) -> u64 {
    let slot = u64::from(index % RING_ENTRIES).saturating_mul(size as u64);
    REGION_RING.start.saturating_add(u64::from(offset)).saturating_add(slot)
}

impl<'a> Ring<'a> {
    /// Writes the constant part of the header to fresh memory.
    pub fn initialise(memory: &'a GuestMemory) -> Result<Self, OutOfMemoryRange> {
        memory.write(header(RingHeader::OFFSET_MAGIC), &RING_MAGIC.to_le_bytes())?;
        memory.write(header(RingHeader::OFFSET_ENTRIES), &RING_ENTRIES.to_le_bytes())?;
        Ok(Self { memory })
    }

    fn load(&self, field: usize, order: Ordering) -> u32 {
        self.memory.atomic_u32(header(field)).map_or(0, |word| word.load(order))
    }

    fn store(&self, field: usize, value: u32, order: Ordering) {
        if let Ok(word) = self.memory.atomic_u32(header(field)) {
            word.store(value, order);
        }
    }

    /// How many descriptors the guest has submitted since the start, modulo 2^32.
    pub fn submission_tail(&self) -> u32 {
        self.load(RingHeader::OFFSET_SUBMISSION_TAIL, Ordering::Acquire)
    }

    /// Tells the guest how many descriptors were taken.
    pub fn set_submission_head(&self, head: u32) {
        self.store(RingHeader::OFFSET_SUBMISSION_HEAD, head, Ordering::Release);
    }

    /// A private copy of a descriptor; the guest may overwrite the original at any time.
    pub fn descriptor(&self, index: u32) -> Descriptor {
        let mut bytes = [0; Descriptor::SIZE];
        match self.memory.read(entry(RING_SUBMISSIONS_OFFSET, Descriptor::SIZE, index), &mut bytes) {
            Ok(()) => Descriptor::from_bytes(&bytes),
            Err(_) => Descriptor::ZERO,
        }
    }

    /// Publishes a completion at `tail` and moves the tail behind it. Returns whether the guest waits and must be woken.
    pub fn complete(&self, tail: u32, completion: Completion) -> bool {
        let place = entry(RING_COMPLETIONS_OFFSET, Completion::SIZE, tail);
        if self.memory.write(place, &completion.to_bytes()).is_err() {
            return false;
        }
        self.store(RingHeader::OFFSET_COMPLETION_TAIL, tail.wrapping_add(1), Ordering::Release);
        fence(Ordering::SeqCst);
        self.memory
            .atomic_u32(header(RingHeader::OFFSET_GUEST_WAITING))
            .is_ok_and(|word| word.swap(0, Ordering::SeqCst) == 1)
    }

    /// Says whether the host sleeps and wants the doorbell rung.
    pub fn set_need_wakeup(&self, needed: bool) {
        self.store(RingHeader::OFFSET_NEED_WAKEUP, u32::from(needed), Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}
