//! The functions that the backend gives.

use core::mem::transmute;
use core::ptr;

use instar_abi::{CALL_TABLE_ENTRIES_1_1, CallTable, REGION_CALL_TABLE};

fn entry(field: usize) -> u64 {
    let place: *const u64 = ptr::with_exposed_provenance(REGION_CALL_TABLE.start as usize + field);
    // SAFETY: the call table page is mapped readable for the guest's whole life; the field lies in it and is aligned.
    unsafe { place.read_volatile() }
}

/// Wakes the host; needed after a submission when `need_wakeup` is 1.
pub fn doorbell() {
    // SAFETY: the ABI promises a function of this type at this address.
    let call: extern "C" fn(u32) = unsafe { transmute(entry(CallTable::OFFSET_DOORBELL)) };
    call(0);
}

/// Returns when a completion may be there.
pub fn wait() {
    // SAFETY: as above.
    let call: extern "C" fn(u32) = unsafe { transmute(entry(CallTable::OFFSET_WAIT)) };
    call(0);
}

/// Ends the guest.
pub fn exit(code: u32) -> ! {
    // SAFETY: as above.
    let call: extern "C" fn(u32) = unsafe { transmute(entry(CallTable::OFFSET_EXIT)) };
    loop {
        call(code);
    }
}

/// Whether the host has what ABI 1.1 added.
fn has_items() -> bool {
    let place: *const u32 = ptr::with_exposed_provenance(
        REGION_CALL_TABLE.start as usize + CallTable::OFFSET_ENTRY_COUNT,
    );
    // SAFETY: as in `entry`.
    unsafe { place.read_volatile() >= CALL_TABLE_ENTRIES_1_1 }
}

/// Writes a whole item. Returns the bytes that the host took, or a negated errno; `None` where the host is too old.
pub fn item_write(item: u32, bytes: &[u8]) -> Option<i32> {
    let length = u32::try_from(bytes.len()).ok()?;
    if !has_items() {
        return None;
    }
    // SAFETY: as above.
    let call: extern "C" fn(u32, u32, *const u8, u32) -> i32 =
        unsafe { transmute(entry(CallTable::OFFSET_ITEM_WRITE)) };
    Some(call(item, 0, bytes.as_ptr(), length))
}

/// Reads the start of an item. Returns as [`item_write`] does.
pub fn item_read(item: u32, bytes: &mut [u8]) -> Option<i32> {
    let length = u32::try_from(bytes.len()).ok()?;
    if !has_items() {
        return None;
    }
    // SAFETY: as above.
    let call: extern "C" fn(u32, u32, *mut u8, u32) -> i32 =
        unsafe { transmute(entry(CallTable::OFFSET_ITEM_READ)) };
    Some(call(item, 0, bytes.as_mut_ptr(), length))
}

/// Guest physical address of the top page table, where the host is new enough to say.
pub fn page_tables() -> Option<u64> {
    has_items().then(|| entry(CallTable::OFFSET_PAGE_TABLES))
}
