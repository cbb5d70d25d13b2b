//! Configs in, result out.

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use instar_abi::{
    ChainConfig, OPERATION_CONFIG_MAX_SIZE, PAGE_SIZE, REGION_CHAIN_CONFIG,
    REGION_OPERATION_CONFIG, REGION_RESULT,
};

/// Bytes of the operation's config page.
pub const OPERATION_CONFIG_SIZE: usize = OPERATION_CONFIG_MAX_SIZE as usize;

fn copy_in<const N: usize>(address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let source: *const u8 = ptr::with_exposed_provenance(address as usize);
    // SAFETY: config pages are mapped readable for the guest's whole life, and N is at most a page.
    unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), N) };
    bytes
}

/// The chain config.
pub fn chain_config() -> ChainConfig {
    ChainConfig::from_bytes(&copy_in(REGION_CHAIN_CONFIG.start))
}

/// The page with the operation's config.
pub fn operation_config() -> [u8; OPERATION_CONFIG_SIZE] {
    copy_in(REGION_OPERATION_CONFIG.start)
}

/// The result region is not zeros any more.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// Writes a result struct to the result region; bytes that do not fit are left out. The first one is not written where it
/// has pages of zeros, which the region has too: they would be touched for nothing.
pub fn put_result(bytes: &[u8]) {
    let fits = bytes.len().min(REGION_RESULT.size as usize);
    let rewrites = WRITTEN.swap(true, Ordering::Relaxed);
    let mut at = REGION_RESULT.start as usize;
    for page in bytes[..fits].chunks(PAGE_SIZE as usize) {
        if rewrites || page.iter().any(|byte| *byte != 0) {
            let target: *mut u8 = ptr::with_exposed_provenance_mut(at);
            // SAFETY: the result region is mapped read-write, and all pages of `bytes` that are left fit it.
            unsafe { ptr::copy_nonoverlapping(page.as_ptr(), target, page.len()) };
        }
        at += page.len();
    }
}
