//! AES with a key of any of its lengths.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};

use crate::CipherError;

/// One block.
pub(crate) type Block = Array<u8, U16>;

/// An expanded key; it is erased when it is dropped.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
pub enum AesKey {
    /// 128 bits.
    Aes128(Aes128),
    /// 192 bits.
    Aes192(Aes192),
    /// 256 bits.
    Aes256(Aes256),
}

impl core::fmt::Debug for AesKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AesKey")
    }
}

impl AesKey {
    /// Expands a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// `KeyLength`.
    pub fn new(key: &[u8]) -> Result<Self, CipherError> {
        let wrong = |_| CipherError::KeyLength;
        Ok(match key.len() {
            16 => Self::Aes128(Aes128::new_from_slice(key).map_err(wrong)?),
            24 => Self::Aes192(Aes192::new_from_slice(key).map_err(wrong)?),
            _ => Self::Aes256(Aes256::new_from_slice(key).map_err(wrong)?),
        })
    }

    pub(crate) fn encrypt(&self, block: &mut Block) {
        match self {
            Self::Aes128(key) => key.encrypt_block(block),
            Self::Aes192(key) => key.encrypt_block(block),
            Self::Aes256(key) => key.encrypt_block(block),
        }
    }

    pub(crate) fn encrypt_all(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(key) => key.encrypt_blocks(blocks),
            Self::Aes192(key) => key.encrypt_blocks(blocks),
            Self::Aes256(key) => key.encrypt_blocks(blocks),
        }
    }

    pub(crate) fn decrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(key) => key.decrypt_blocks(blocks),
            Self::Aes192(key) => key.decrypt_blocks(blocks),
            Self::Aes256(key) => key.decrypt_blocks(blocks),
        }
    }
}
