//! Lies in what the guest leaves behind.

use core::ptr;

use instar_abi::{
    REGION_RESULT, REGION_RING, SANDBOX_FAULT_MAGIC, SANDBOX_FAULT_OFFSET, SANDBOX_FAULT_STATUS,
    SandboxFault,
};

use crate::config::Config;

/// Fills the result region with the byte in argument 0.
pub fn fill(config: &Config) -> u32 {
    let target: *mut u8 = ptr::with_exposed_provenance_mut(REGION_RESULT.start as usize);
    // SAFETY: the result region is mapped read-write for the guest's whole life.
    unsafe {
        ptr::write_bytes(
            target,
            config.argument(0) as u8,
            REGION_RESULT.size as usize,
        )
    };
    0
}

/// Writes the report that the signal handler of the process backend would write, and ends with its status.
pub fn forge_fault(config: &Config) -> u32 {
    let mut fault = SandboxFault::ZERO;
    fault.magic = SANDBOX_FAULT_MAGIC;
    fault.signal = config.argument(1) as u32;
    fault.vector = config.argument(0);
    fault.error_code = u64::MAX;
    fault.cr2 = u64::MAX;
    fault.registers = [u64::MAX; 18];
    let target: *mut [u8; SandboxFault::SIZE] = ptr::with_exposed_provenance_mut(
        REGION_RING.start as usize + SANDBOX_FAULT_OFFSET as usize,
    );
    // SAFETY: the place lies in the ring region, which is mapped read-write.
    unsafe { target.write_volatile(fault.to_bytes()) };
    SANDBOX_FAULT_STATUS
}
