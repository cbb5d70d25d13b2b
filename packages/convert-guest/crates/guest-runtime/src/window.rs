//! I/O windows: the memory that READ fills and WRITE takes from.

use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use instar_abi::REGION_WINDOWS;

/// A piece of the windows region that belongs to its holder.
pub struct Window {
    address: u64,
    length: usize,
}

impl Window {
    /// Guest address, for descriptors.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes. No READ into the window may be outstanding.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the range is mapped read-write, belongs to this value alone, and the host writes it only while a
        // READ that the holder submitted is outstanding.
        unsafe {
            slice::from_raw_parts(
                ptr::with_exposed_provenance(self.address as usize),
                self.length,
            )
        }
    }

    /// The bytes. No command on the window may be outstanding.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe {
            slice::from_raw_parts_mut(
                ptr::with_exposed_provenance_mut(self.address as usize),
                self.length,
            )
        }
    }
}

/// Pools and windows that somebody holds.
static HELD: AtomicU32 = AtomicU32::new(0);

impl Drop for Window {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands the windows region out, piece by piece.
pub struct WindowPool {
    next: u64,
}

impl Drop for WindowPool {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WindowPool {
    /// The pool of this guest with the whole region; `None` while anybody holds it, or a window of an earlier one: two would
    /// hand out the same bytes.
    pub fn open() -> Option<Self> {
        HELD.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        Some(Self {
            next: REGION_WINDOWS.start,
        })
    }

    /// The next `length` bytes, or `None` when the region has no more.
    pub fn take(&mut self, length: usize) -> Option<Window> {
        let end = self.next.checked_add(length as u64)?;
        if end > REGION_WINDOWS.start + REGION_WINDOWS.size {
            return None;
        }
        HELD.fetch_add(1, Ordering::Relaxed);
        let window = Window {
            address: self.next,
            length,
        };
        self.next = end;
        Some(window)
    }
}
