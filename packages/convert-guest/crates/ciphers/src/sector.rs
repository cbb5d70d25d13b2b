//! Encryption and decryption of sectors: XTS (IEEE 1619) and CBC, with the initialization vectors of dm-crypt.

use alloc::boxed::Box;

use aes::cipher::Array;

use crate::CipherError;
use crate::aes_block::{AesKey, Block};
use crate::hash::Hash;

/// Unit in which initialization vectors count (bytes), however large the sectors are.
const IV_UNIT: u64 = 512;
const BLOCK: usize = 16;
/// Blocks that are worked on together: those of the smallest sector.
const GROUP: usize = 32;
/// x^128 + x^7 + x^2 + x + 1, without its highest power.
const POLYNOMIAL: u128 = 0x87;

/// How blocks of a sector are chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Two keys of one length, one after the other; the second is the tweak's.
    Xts,
    /// One key.
    Cbc,
}

/// What the initialization vector of a sector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvGenerator {
    /// The lower 32 bits of its number.
    Plain,
    /// Its number.
    Plain64,
    /// Its number, encrypted with the hash of the key.
    Essiv(Hash),
}

/// A key with all that encrypting and decrypting sectors needs; it is erased when it is dropped.
#[derive(Clone, Debug)]
pub struct SectorCipher {
    data: AesKey,
    tweak: Option<AesKey>,
    iv: Iv,
    sector_size: usize,
}

#[derive(Clone, Debug)]
enum Iv {
    Plain,
    Plain64,
    Essiv(Box<AesKey>),
}

impl SectorCipher {
    /// Expands `key` for sectors of `sector_size` bytes.
    ///
    /// # Errors
    /// `KeyLength` when the mode does not take a key of this length, `BadParameters` for a sector size that is not a
    /// power of two from 512 to 65536.
    pub fn new(
        mode: Mode,
        iv: IvGenerator,
        key: &[u8],
        sector_size: usize,
    ) -> Result<Self, CipherError> {
        if !sector_size.is_power_of_two() || !(512..=65536).contains(&sector_size) {
            return Err(CipherError::BadParameters);
        }
        let (data, tweak) = match mode {
            Mode::Cbc => (key, None),
            Mode::Xts => {
                let half = key.len() / 2;
                let (data, tweak) = key.split_at_checked(half).ok_or(CipherError::KeyLength)?;
                (data, Some(AesKey::new(tweak)?))
            }
        };
        let iv = match iv {
            IvGenerator::Plain => Iv::Plain,
            IvGenerator::Plain64 => Iv::Plain64,
            IvGenerator::Essiv(hash) => {
                let digest = zeroize::Zeroizing::new(hash.digest(&[key]));
                let digest = digest.get(..hash.length()).unwrap_or_default();
                Iv::Essiv(Box::new(AesKey::new(digest)?))
            }
        };
        Ok(Self {
            data: AesKey::new(data)?,
            tweak,
            iv,
            sector_size,
        })
    }

    /// Bytes of a sector.
    pub fn sector_size(&self) -> usize {
        self.sector_size
    }

    /// Decrypts whole sectors in place; `position` is where the first of them lies (bytes, counted as its
    /// initialization vector counts them). A part of a sector at the end is left as it is.
    pub fn decrypt(&self, position: u64, bytes: &mut [u8]) {
        self.each_sector(position, bytes, |iv, blocks| match &self.tweak {
            Some(key) => with_tweaks(key, iv, blocks, |group| self.data.decrypt(group)),
            None => decrypt_cbc(&self.data, iv, blocks),
        });
    }

    /// Encrypts whole sectors in place, as [`decrypt`](Self::decrypt) decrypts them.
    pub fn encrypt(&self, position: u64, bytes: &mut [u8]) {
        self.each_sector(position, bytes, |iv, blocks| match &self.tweak {
            Some(key) => with_tweaks(key, iv, blocks, |group| self.data.encrypt_all(group)),
            None => encrypt_cbc(&self.data, iv, blocks),
        });
    }

    fn each_sector(&self, position: u64, bytes: &mut [u8], work: impl Fn(Block, &mut [Block])) {
        let units = (self.sector_size as u64).wrapping_div(IV_UNIT);
        let mut number = position.wrapping_div(IV_UNIT);
        for sector in bytes.chunks_exact_mut(self.sector_size) {
            let iv = self.iv(number);
            let (blocks, _) = Block::slice_as_chunks_mut(sector);
            work(iv, blocks);
            number = number.wrapping_add(units);
        }
    }

    fn iv(&self, number: u64) -> Block {
        let number = match self.iv {
            Iv::Plain => number & u64::from(u32::MAX),
            _ => number,
        };
        let mut iv = Array(u128::from(number).to_le_bytes());
        if let Iv::Essiv(key) = &self.iv {
            key.encrypt(&mut iv);
        }
        iv
    }
}

/// XTS is the same in both directions, but for what is done to the blocks between their tweaks.
fn with_tweaks(
    tweak_key: &AesKey,
    mut iv: Block,
    blocks: &mut [Block],
    work: impl Fn(&mut [Block]),
) {
    tweak_key.encrypt(&mut iv);
    let mut tweak = u128::from_le_bytes(iv.0);
    let mut tweaks = [0_u128; GROUP];
    for group in blocks.chunks_mut(GROUP) {
        for (kept, block) in tweaks.iter_mut().zip(group.iter_mut()) {
            *kept = tweak;
            xor(block, tweak.to_le_bytes());
            let carry = tweak >> 127;
            tweak = (tweak << 1) ^ (carry * POLYNOMIAL);
        }
        work(group);
        for (kept, block) in tweaks.iter().zip(group.iter_mut()) {
            xor(block, kept.to_le_bytes());
        }
    }
}

fn decrypt_cbc(data: &AesKey, mut iv: Block, blocks: &mut [Block]) {
    let mut before = [Block::default(); GROUP];
    for group in blocks.chunks_mut(GROUP) {
        for (kept, block) in before.iter_mut().zip(group.iter()) {
            *kept = *block;
        }
        data.decrypt(group);
        for (kept, block) in before.iter().zip(group.iter_mut()) {
            xor(block, iv.0);
            iv = *kept;
        }
    }
}

fn encrypt_cbc(data: &AesKey, mut iv: Block, blocks: &mut [Block]) {
    for block in blocks {
        xor(block, iv.0);
        data.encrypt(block);
        iv = *block;
    }
}

fn xor(block: &mut Block, other: [u8; BLOCK]) {
    let mixed = u128::from_ne_bytes(block.0) ^ u128::from_ne_bytes(other);
    block.0 = mixed.to_ne_bytes();
}
