//! Ciphers and key derivation of encrypted disks, for a freestanding guest.
//!
//! Data is decrypted sector by sector; keys are erased when they are dropped. AES runs on the processor's own
//! instructions where it has them, and in constant time elsewhere.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
#![warn(missing_docs)]

extern crate alloc;

mod aes_block;
mod anti_forensic;
mod derive;
mod hash;
mod sector;

use core::fmt;

pub use aes_block::AesKey;
pub use anti_forensic::{merge, split};
pub use derive::{Argon2Kind, argon2, pbkdf2};
pub use hash::Hash;
pub use sector::{IvGenerator, Mode, SectorCipher};
pub use zeroize::Zeroizing;

/// Why a key could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherError {
    /// The key has a length that the cipher does not take.
    KeyLength,
    /// Parameters of a key derivation are out of their bounds.
    BadParameters,
    /// Memory for a key derivation could not be had.
    OutOfMemory,
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyLength => "the key has a length that the cipher does not take",
            Self::BadParameters => "the parameters of the key derivation are out of bounds",
            Self::OutOfMemory => "no memory is left for the key derivation",
        })
    }
}

impl core::error::Error for CipherError {}
