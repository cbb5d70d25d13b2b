//! The functions that the backend gives.

use core::mem::transmute;
use core::ptr;

use instar_abi::{CallTable, REGION_CALL_TABLE};

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
