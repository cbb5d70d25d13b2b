//! Passphrases of encrypted images.

use instar_abi::{ChainConfig, secret_use};
use instar_guest_runtime::{key_memory, secrets, with_key_memory};
use instar_image_formats::{FormatImage, Unlocking};

use crate::error::OperationError;
use crate::open_chain::{GuestImage, devices};
use crate::transform::SharedKeys;

/// Memory that is left for everything but the memory of a key derivation (bytes).
pub const RESERVE: u64 = 1 << 20;

/// Tries the passphrases of the run on an image that is locked. One that none of them fits stays locked: what needs its
/// content is refused then, and what does not goes on.
pub fn unlock(
    image: &mut GuestImage,
    index: u32,
    chain: &ChainConfig,
    keys: &SharedKeys,
) -> Result<(), OperationError> {
    if !image.is_locked() {
        return Ok(());
    }
    let role = role_of_top(index, chain);
    let opens = secrets().filter(|secret| secret.purpose == secret_use::OPENS);
    for secret in opens.filter(|secret| secret.role == 0 || secret.role == role) {
        let opened = with_key_memory(|| {
            image.unlock(&mut Unlocking {
                passphrase: secret.bytes,
                keys: &mut keys.borrow_mut(),
                memory: key_memory().saturating_sub(RESERVE),
            })
        })?;
        if opened {
            break;
        }
    }
    Ok(())
}

/// The role of the image whose chain a device belongs to.
fn role_of_top(mut index: u32, chain: &ChainConfig) -> u32 {
    // A chain has no more links than devices.
    for _ in 0..chain.device_count {
        match devices(chain).find(|(found, _)| *found == index) {
            Some((_, device)) if devices(chain).any(|(found, _)| found == device.parent) => {
                index = device.parent;
            }
            Some((_, device)) => return device.role,
            None => break,
        }
    }
    0
}
