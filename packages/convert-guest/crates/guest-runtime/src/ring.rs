//! The guest's side of the command ring.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use instar_abi::{
    Completion, Descriptor, REGION_RING, RING_COMPLETIONS_OFFSET, RING_ENTRIES,
    RING_SUBMISSIONS_OFFSET, RingHeader,
};

/// Looks at the completion queue before the guest waits in the host.
const SPINS: u32 = 2000;

/// Submission and completion queue. At most [`RING_ENTRIES`] commands may be outstanding.
pub struct Ring {
    submission_tail: u32,
    completion_head: u32,
}

fn word(field: usize) -> &'static AtomicU32 {
    let place: *mut u32 = ptr::with_exposed_provenance_mut(REGION_RING.start as usize + field);
    // SAFETY: the ring region is mapped read-write for the guest's whole life, and header words are aligned and only
    // ever accessed atomically.
    unsafe { AtomicU32::from_ptr(place) }
}

fn slot(offset: u32, size: usize, index: u32) -> usize {
    REGION_RING.start as usize + offset as usize + (index % RING_ENTRIES) as usize * size
}

impl Ring {
    /// The ring of this guest. Only one may exist.
    ///
    /// # Safety
    /// Must be called once: two rings would not know of each other's indexes.
    pub unsafe fn open() -> Self {
        Self {
            submission_tail: 0,
            completion_head: 0,
        }
    }

    /// Puts a descriptor into the queue and rings where the host sleeps.
    pub fn submit(&mut self, descriptor: &Descriptor) {
        let bytes = descriptor.to_bytes();
        let place = slot(
            RING_SUBMISSIONS_OFFSET,
            Descriptor::SIZE,
            self.submission_tail,
        );
        // SAFETY: the slot lies in the ring region and is free: the caller keeps fewer than RING_ENTRIES outstanding.
        unsafe {
            ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                ptr::with_exposed_provenance_mut(place),
                bytes.len(),
            );
        }
        self.submission_tail = self.submission_tail.wrapping_add(1);
        word(RingHeader::OFFSET_SUBMISSION_TAIL).store(self.submission_tail, Ordering::Release);
        fence(Ordering::SeqCst);
        // Taken back here: until the host's thread runs and does it itself, each further descriptor would ring again, and a
        // ring costs up to a hundred times what a descriptor does.
        let need_wakeup = word(RingHeader::OFFSET_NEED_WAKEUP);
        if need_wakeup.load(Ordering::SeqCst) == 1 && need_wakeup.swap(0, Ordering::SeqCst) == 1 {
            crate::doorbell();
        }
    }

    /// A completion, where there is one.
    pub fn poll(&mut self) -> Option<Completion> {
        let tail = word(RingHeader::OFFSET_COMPLETION_TAIL).load(Ordering::Acquire);
        if tail == self.completion_head {
            return None;
        }
        let mut bytes = [0; Completion::SIZE];
        let place = slot(
            RING_COMPLETIONS_OFFSET,
            Completion::SIZE,
            self.completion_head,
        );
        // SAFETY: the slot lies in the ring region, and the host has published it.
        unsafe {
            ptr::copy_nonoverlapping(
                ptr::with_exposed_provenance(place),
                bytes.as_mut_ptr(),
                bytes.len(),
            );
        }
        self.completion_head = self.completion_head.wrapping_add(1);
        word(RingHeader::OFFSET_COMPLETION_HEAD).store(self.completion_head, Ordering::Release);
        Some(Completion::from_bytes(&bytes))
    }

    /// The next completion: spins for a short time, then waits in the host. At least one command must be outstanding.
    pub fn next_completion(&mut self) -> Completion {
        loop {
            for _ in 0..SPINS {
                if let Some(completion) = self.poll() {
                    return completion;
                }
                core::hint::spin_loop();
            }
            word(RingHeader::OFFSET_GUEST_WAITING).store(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if let Some(completion) = self.poll() {
                word(RingHeader::OFFSET_GUEST_WAITING).store(0, Ordering::SeqCst);
                return completion;
            }
            crate::wait();
        }
    }
}
