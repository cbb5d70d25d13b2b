//! Key slots: the disk's key, split into stripes and encrypted with a key made from a passphrase.

use alloc::vec;
use alloc::vec::Vec;

use instar_ciphers::{Argon2Kind, CipherError, Zeroizing, argon2, merge, pbkdf2};

use crate::arith::{to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::keys::{KeyIndex, Unlocking};
use crate::luks::cipher_name::CipherName;
use crate::luks::header::{Header, hash_of};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

/// Sectors of key material, however large those of the disk are (bytes).
pub(super) const SECTOR: usize = 512;

/// How a passphrase becomes the key of a slot.
#[derive(Clone, Debug)]
pub(crate) enum Derivation {
    /// PBKDF2.
    Pbkdf2 {
        hash: Vec<u8>,
        iterations: u32,
        salt: Vec<u8>,
    },
    /// Argon2.
    Argon2 {
        kind: Argon2Kind,
        passes: u32,
        memory_kib: u32,
        lanes: u32,
        salt: Vec<u8>,
    },
}

/// One slot that holds a key.
#[derive(Clone, Debug)]
pub(crate) struct KeySlot {
    /// Its number.
    pub number: u32,
    /// Where it is described (byte offset in the file).
    pub at: u64,
    pub derivation: Derivation,
    /// Hash of the anti-forensic splitter.
    pub splitter_hash: Vec<u8>,
    pub stripes: u64,
    /// Where the stripes lie (byte offset in the file).
    pub offset: u64,
    /// Cipher of the stripes, and bytes of its key.
    pub cipher: CipherName,
    pub cipher_key: u64,
    /// Bytes of the key that is kept.
    pub key_bytes: u64,
    /// Where names of hashes stand.
    pub hash_place: Field<u64>,
}

/// Where a slot of a header of version 1 is, whether it holds a key or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotPlace {
    /// Its number.
    pub number: u32,
    /// Where it is described (byte offset in the file).
    pub at: u64,
    /// Whether it holds a key.
    pub active: bool,
    /// Where its stripes lie (byte offset in the file).
    pub offset: u64,
}

/// What tells whether a key is the right one.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    pub hash: Vec<u8>,
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub value: Vec<u8>,
    /// Numbers of the slots whose key it is for; `None` for all.
    pub slots: Option<Vec<u32>>,
}

impl KeySlot {
    /// Bytes of all stripes.
    pub fn material_length(&self) -> u64 {
        self.key_bytes.saturating_mul(self.stripes)
    }

    /// The key that the passphrase opens the slot to; nobody knows yet whether it is the right one.
    fn open<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        with: &Unlocking<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let mut key = Zeroizing::new(vec![0; to_usize(self.cipher_key)]);
        self.derive(with, &mut key)?;
        let cipher = self.cipher.with_key(&key, SECTOR)?;
        // Whole sectors are encrypted, of which the last may hold more than the stripes.
        let length = to_usize(self.material_length()).next_multiple_of(SECTOR);
        let mut material = Zeroizing::new(cache.read_vec(self.offset, length)?);
        cipher.decrypt(0, &mut material);
        let mut opened = Zeroizing::new(vec![0; to_usize(self.key_bytes)]);
        let hash = hash_of(&self.splitter_hash, &self.hash_place)?;
        let stripes = material
            .get(..to_usize(self.material_length()))
            .unwrap_or_default();
        merge(hash, stripes, &mut opened);
        Ok(opened)
    }

    fn derive(&self, with: &Unlocking<'_>, key: &mut [u8]) -> Result<(), FormatError> {
        match &self.derivation {
            Derivation::Pbkdf2 {
                hash,
                iterations,
                salt,
            } => {
                let hash = hash_of(hash, &self.hash_place)?;
                pbkdf2(hash, with.passphrase, salt, *iterations, key)
            }
            Derivation::Argon2 {
                kind,
                passes,
                memory_kib,
                lanes,
                salt,
            } => {
                let memory = u64::from(*memory_kib).saturating_mul(1024);
                if memory > with.memory {
                    let kind = ErrorKind::KeyMemory;
                    let device = self.hash_place.device;
                    let expected = Expected::AtMost(with.memory);
                    let field = "memory of argon2";
                    return Err(FormatError::new(
                        kind, device, field, self.at, memory, expected,
                    ));
                }
                let costs = (*memory_kib, *passes, *lanes);
                argon2(*kind, with.passphrase, salt, costs, key)
            }
        }
        .map_err(|error| self.refuse(error))
    }

    fn refuse(&self, error: CipherError) -> FormatError {
        let device = self.hash_place.device;
        let number = u64::from(self.number);
        if error == CipherError::OutOfMemory {
            return FormatError::out_of_memory(device, self.at, number);
        }
        let expected = Expected::Sentence("parameters that the key derivation takes");
        let kind = ErrorKind::BadHeader;
        FormatError::new(kind, device, "key slot", self.at, number, expected)
    }
}

impl Digest {
    fn matches(&self, slot: &KeySlot, key: &[u8]) -> Result<bool, FormatError> {
        let covers = |slots: &Vec<u32>| slots.contains(&slot.number);
        if !self.slots.as_ref().is_none_or(covers) || self.value.is_empty() {
            return Ok(false);
        }
        let hash = hash_of(&self.hash, &slot.hash_place)?;
        let mut found = vec![0; self.value.len()];
        pbkdf2(hash, key, &self.salt, self.iterations, &mut found)
            .map_err(|error| slot.refuse(error))?;
        Ok(found == self.value)
    }
}

impl Header {
    /// Tries the passphrase on every slot; `None` when it opens none of them.
    ///
    /// # Errors
    /// `UnsupportedEncryption`, `BadHeader`, `SourceFailed`, `OutOfMemory`.
    pub fn unlock<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        with: &mut Unlocking<'_>,
    ) -> Result<Option<KeyIndex>, FormatError> {
        let Some(key) = self.find_key(cache, with)? else {
            return Ok(None);
        };
        let cipher = self.cipher.with_key(&key, self.sector.in_memory())?;
        with.keys.add(cipher, cache.device()).map(Some)
    }

    /// The key, where the passphrase opens a slot to it.
    ///
    /// # Errors
    /// As for [`unlock`](Self::unlock).
    pub fn find_key<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        with: &Unlocking<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, FormatError> {
        let mut refused = None;
        for slot in &self.slots {
            match self.open_slot(slot, cache, with) {
                Ok(Some(key)) => return Ok(Some(key)),
                Ok(None) => {}
                // Another slot may be one that can be opened.
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// The key, where the passphrase opens this slot to it.
    ///
    /// # Errors
    /// As for [`unlock`](Self::unlock).
    pub fn open_slot<S: ByteSource>(
        &self,
        slot: &KeySlot,
        cache: &mut MetadataCache<S>,
        with: &Unlocking<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, FormatError> {
        let key = slot.open(cache, with)?;
        for digest in &self.digests {
            if digest.matches(slot, &key)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// A field that stands for a place only.
pub(super) fn place(
    name: &'static str,
    offset: u64,
    value: usize,
    device: crate::source::DeviceIndex,
) -> Field<u64> {
    Field {
        value: to_u64(value),
        name,
        offset,
        device,
    }
}
