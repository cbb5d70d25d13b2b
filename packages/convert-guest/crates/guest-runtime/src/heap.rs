//! The heap: one fixed region, and another for keys. When one is full the guest ends with a code of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use instar_abi::{EXIT_PANIC, REGION_HEAP};
use talc::locking::AssumeUnlockable;
use talc::{ClaimOnOom, OomHandler, Span, Talc, Talck};

use crate::call_table::exit;
use crate::keys::{ALLOCATES, HEAP_START, key_memory};
use crate::worker::is_worker;

const START: *mut u8 = ptr::without_provenance_mut(REGION_HEAP.start as usize);

/// Larger blocks, which are dictionaries, lie in the region for keys where the heap has no room: the host makes that larger for
/// them.
const MOST_OF_HEAP: usize = 16 << 20;

/// Claims the region for keys when the first of it is wanted: the host says only at the start how large it is.
struct ClaimKeys {
    claimed: bool,
}

impl OomHandler for ClaimKeys {
    fn handle_oom(talc: &mut Talc<Self>, _: Layout) -> Result<(), ()> {
        if talc.oom_handler.claimed {
            return Err(());
        }
        talc.oom_handler.claimed = true;
        let start = ptr::without_provenance_mut(HEAP_START as usize);
        let size = usize::try_from(key_memory()).map_err(|_| ())?;
        // SAFETY: the region is mapped read-write for the guest's whole life, and nothing else uses this part of it.
        unsafe { talc.claim(Span::from_base_size(start, size)) }.map(drop)
    }
}

struct Heaps {
    heap: Talck<AssumeUnlockable, ClaimOnOom>,
    keys: Talck<AssumeUnlockable, ClaimKeys>,
}

#[global_allocator]
static HEAPS: Heaps = Heaps {
    // SAFETY: the region is mapped read-write for the guest's whole life and nothing else uses it; one processor allocates.
    heap: Talc::new(unsafe {
        ClaimOnOom::new(Span::from_base_size(START, REGION_HEAP.size as usize))
    })
    .lock(),
    keys: Talc::new(ClaimKeys { claimed: false }).lock(),
};

/// Ends the guest where the second processor comes here: there is no lock.
fn first_processor_only() {
    if is_worker() {
        exit(EXIT_PANIC);
    }
}

// SAFETY: each block comes from one of two allocators and goes back to it: their ranges of addresses are apart.
unsafe impl GlobalAlloc for Heaps {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        first_processor_only();
        if ALLOCATES.is_on() {
            // SAFETY: the caller's promise.
            unsafe { self.keys.alloc(layout) }
        } else {
            // SAFETY: the caller's promise.
            let block = unsafe { self.heap.alloc(layout) };
            if block.is_null() && layout.size() > MOST_OF_HEAP {
                // SAFETY: the caller's promise.
                return unsafe { self.keys.alloc(layout) };
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        first_processor_only();
        if block.addr() as u64 >= HEAP_START {
            // SAFETY: the block is still the caller's.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
            compiler_fence(Ordering::SeqCst);
            // SAFETY: the block came from here.
            unsafe { self.keys.dealloc(block, layout) };
        } else {
            // SAFETY: the block came from here.
            unsafe { self.heap.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        first_processor_only();
        if !ALLOCATES.is_on() && (block.addr() as u64) < HEAP_START {
            // In its place where there is room behind it: the largest block of all, a dictionary, grows step by step.
            // SAFETY: the caller's promise; the block came from here.
            let grown = unsafe { self.heap.realloc(block, layout, size) };
            if !grown.is_null() || size <= MOST_OF_HEAP {
                return grown;
            }
        } else if !ALLOCATES.is_on() && layout.size() > MOST_OF_HEAP {
            // What makes a key may be as large, but does not grow once it is made: this is a dictionary, and need not be cleared.
            // SAFETY: the caller's promise; the block came from here.
            return unsafe { self.keys.realloc(block, layout, size) };
        }
        // Keys are not left behind where they were: the old block is cleared.
        // SAFETY: the caller's promise: a size that is not 0 and does not overflow with the alignment.
        let to = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as above; the blocks are apart, and both are as long as what is copied.
        unsafe {
            let new = self.alloc(to);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
