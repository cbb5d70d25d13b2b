//! Keys of encrypted disks: images make them from passphrases, and whoever reads extents decrypts with them.

use alloc::vec::Vec;

use instar_ciphers::SectorCipher;

use crate::error::FormatError;
use crate::source::DeviceIndex;

/// The number of a key in a [`KeyRing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyIndex(u32);

/// All keys of an operation.
#[derive(Debug, Default)]
pub struct KeyRing {
    ciphers: Vec<SectorCipher>,
}

impl KeyRing {
    /// A ring without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a key; `device` is only for the error.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn add(
        &mut self,
        cipher: SectorCipher,
        device: DeviceIndex,
    ) -> Result<KeyIndex, FormatError> {
        let number = crate::arith::to_u64(self.ciphers.len());
        let index = u32::try_from(number).ok();
        let room = self.ciphers.try_reserve(1).ok();
        let (Some(index), Some(())) = (index, room) else {
            return Err(FormatError::out_of_memory(device, 0, number));
        };
        self.ciphers.push(cipher);
        Ok(KeyIndex(index))
    }

    /// The key of a number; `None` for the number of another ring.
    pub fn get(&self, index: KeyIndex) -> Option<&SectorCipher> {
        let index = usize::try_from(index.0).ok()?;
        self.ciphers.get(index)
    }
}

/// What an image is unlocked with.
#[derive(Debug)]
pub struct Unlocking<'a> {
    /// The passphrase; any bytes.
    pub passphrase: &'a [u8],
    /// Takes the key.
    pub keys: &'a mut KeyRing,
    /// Memory that making the key may take (bytes).
    pub memory: u64,
}
