//! The heap: one fixed region. When it is full the guest ends with a code of its own.

use core::ptr;

use instar_abi::REGION_HEAP;
use talc::locking::AssumeUnlockable;
use talc::{ClaimOnOom, Span, Talc, Talck};

const START: *mut u8 = ptr::without_provenance_mut(REGION_HEAP.start as usize);

// SAFETY: the region is mapped read-write for the guest's whole life and nothing else uses it; a guest has one thread.
#[global_allocator]
static HEAP: Talck<AssumeUnlockable, ClaimOnOom> =
    Talc::new(unsafe { ClaimOnOom::new(Span::from_base_size(START, REGION_HEAP.size as usize)) })
        .lock();
