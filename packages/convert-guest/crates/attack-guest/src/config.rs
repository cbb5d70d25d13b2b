//! The config page of an attack: the word "ATTK", the attack's number in the table, then arguments of 64 bits.

use instar_guest_runtime::{OPERATION_CONFIG_SIZE, operation_config};

const MAGIC: u32 = u32::from_be_bytes(*b"ATTK");
const HEAD: usize = 8;

/// What the test asks for.
pub struct Config {
    page: [u8; OPERATION_CONFIG_SIZE],
}

impl Config {
    /// The config page, if it is one of an attack.
    pub fn read() -> Option<Self> {
        let config = Self {
            page: operation_config(),
        };
        (config.word32(0) == MAGIC).then_some(config)
    }

    fn word32(&self, offset: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.page[offset..offset + 4]);
        u32::from_le_bytes(word)
    }

    /// The attack's index in the table.
    pub fn number(&self) -> u32 {
        self.word32(4)
    }

    /// An argument; those that the test left out are 0.
    pub fn argument(&self, index: usize) -> u64 {
        let start = HEAD + index * 8;
        let mut word = [0; 8];
        word.copy_from_slice(&self.page[start..start + 8]);
        u64::from_le_bytes(word)
    }
}
