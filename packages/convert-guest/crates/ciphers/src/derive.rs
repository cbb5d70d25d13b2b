//! Keys from passphrases: PBKDF2 (RFC 8018) and Argon2 (RFC 9106).

use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroize;

use crate::CipherError;
use crate::hash::Hash;

/// Fills `key` from a passphrase.
///
/// # Errors
/// `BadParameters` when there is not even one iteration.
pub fn pbkdf2(
    hash: Hash,
    passphrase: &[u8],
    salt: &[u8],
    iterations: u32,
    key: &mut [u8],
) -> Result<(), CipherError> {
    if iterations == 0 {
        return Err(CipherError::BadParameters);
    }
    match hash {
        Hash::Sha1 => pbkdf2::pbkdf2::<Hmac<Sha1>>(passphrase, salt, iterations, key),
        Hash::Sha224 => pbkdf2::pbkdf2::<Hmac<Sha224>>(passphrase, salt, iterations, key),
        Hash::Sha256 => pbkdf2::pbkdf2::<Hmac<Sha256>>(passphrase, salt, iterations, key),
        Hash::Sha384 => pbkdf2::pbkdf2::<Hmac<Sha384>>(passphrase, salt, iterations, key),
        Hash::Sha512 => pbkdf2::pbkdf2::<Hmac<Sha512>>(passphrase, salt, iterations, key),
    }
    .map_err(|_| CipherError::BadParameters)
}

/// Variants of Argon2 that disks use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Kind {
    /// Argon2i.
    I,
    /// Argon2id.
    Id,
}

/// Fills `key` from a passphrase with Argon2, which takes `memory_kib` KiB of memory. Lanes are computed one after the
/// other.
///
/// # Errors
/// `BadParameters` when a number is out of the bounds of RFC 9106, `OutOfMemory`.
pub fn argon2(
    kind: Argon2Kind,
    passphrase: &[u8],
    salt: &[u8],
    (memory_kib, passes, lanes): (u32, u32, u32),
    key: &mut [u8],
) -> Result<(), CipherError> {
    let bad = |_| CipherError::BadParameters;
    let params = Params::new(memory_kib, passes, lanes, Some(key.len())).map_err(bad)?;
    let count = params.block_count();
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(count)
        .map_err(|_| CipherError::OutOfMemory)?;
    memory.resize(count, Block::new());
    let algorithm = match kind {
        Argon2Kind::I => Algorithm::Argon2i,
        Argon2Kind::Id => Algorithm::Argon2id,
    };
    let done = Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, key, &mut memory)
        .map_err(bad);
    for block in &mut memory {
        block.zeroize();
    }
    done
}
