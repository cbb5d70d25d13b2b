//! The memory functions that compiled code calls. Their bodies are string instructions, so that the compiler cannot
//! turn them into calls to themselves.

use core::arch::asm;
use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

/// # Safety
/// As C's `memcpy`: both ranges are valid for `count` bytes and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the direction flag is clear in the System V ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") count => _, inout("rdi") target => _, inout("rsi") source => _,
            options(nostack, preserves_flags));
    }
    target
}

/// # Safety
/// As C's `memmove`: both ranges are valid for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    let distance = (target as usize).wrapping_sub(source as usize);
    if distance >= count {
        // SAFETY: going up never overwrites a byte before it was read.
        return unsafe { memcpy(target, source, count) };
    }
    // SAFETY: the target lies above the source, so going down never overwrites a byte before it was read; `count` is
    // not 0 here. The direction flag is restored.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") count => _,
            inout("rdi") target.add(count).wrapping_sub(1) => _,
            inout("rsi") source.add(count).wrapping_sub(1) => _,
            options(nostack));
    }
    target
}

/// # Safety
/// As C's `memset`: the range is valid for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(target: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") target => _, in("eax") value,
            options(nostack, preserves_flags));
    }
    target
}

/// # Safety
/// As C's `memcmp`: both ranges are valid for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut index = 0;
    // Sixteen at a time, with instructions that the compiler does not take for a comparison of memory.
    while count - index >= 16 {
        // SAFETY: sixteen bytes from index on are valid; the loads need no alignment, and every x86-64 has SSE2.
        let different = unsafe {
            let a = _mm_loadu_si128(left.add(index).cast());
            let b = _mm_loadu_si128(right.add(index).cast());
            !_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) & 0xffff
        };
        if different != 0 {
            index += different.trailing_zeros() as usize;
            break;
        }
        index += 16;
    }
    while index < count {
        // SAFETY: index < count.
        let (a, b) = unsafe {
            (
                left.add(index).read_volatile(),
                right.add(index).read_volatile(),
            )
        };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        index += 1;
    }
    0
}

/// # Safety
/// As `memcmp`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, count) }
}

/// # Safety
/// As C's `strlen`: the string ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller's promise.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
