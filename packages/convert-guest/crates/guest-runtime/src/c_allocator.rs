//! `malloc` and its kin for the C codecs, on the guest's heap. Each block is preceded by its size.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::ptr;

extern crate alloc;

const HEADER: usize = 16;
const ALIGN: usize = 16;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, ALIGN).ok()
}

/// # Safety
/// As C's `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut u8 {
    let Some(layout) = layout(size) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout is never empty.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        return block;
    }
    // SAFETY: the block is HEADER bytes longer than `size` and aligned for a usize.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(HEADER)
    }
}

/// # Safety
/// As C's `calloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(total) = count.checked_mul(size) else {
        return ptr::null_mut();
    };
    // SAFETY: as `malloc`.
    let block = unsafe { malloc(total) };
    if !block.is_null() {
        // SAFETY: the block has `total` bytes.
        unsafe { ptr::write_bytes(block, 0, total) };
    }
    block
}

/// # Safety
/// As C's `free`: null, or a block of `malloc` or `calloc` that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: `malloc` put the size in front of the block.
    let (start, size) = unsafe {
        let start = block.sub(HEADER);
        (start, start.cast::<usize>().read())
    };
    match layout(size) {
        // SAFETY: the same layout as at allocation.
        Some(layout) => unsafe { dealloc(start, layout) },
        None => handle_alloc_error(Layout::new::<usize>()),
    }
}

/// # Safety
/// As C's `abort`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn abort() -> ! {
    crate::exit(instar_abi::EXIT_PANIC)
}
