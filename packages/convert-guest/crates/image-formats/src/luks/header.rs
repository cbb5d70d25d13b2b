//! What both versions of the header say, in one form.

use alloc::vec::Vec;

use instar_ciphers::Hash;

use crate::arith::PowerOfTwo;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::LuksFacts;
use crate::field::Field;
use crate::luks::cipher_name::CipherName;
use crate::luks::slots::{Digest, KeySlot, SlotPlace};
use crate::luks::{MAGIC, version1, version2};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::luks::header;

/// Longest key (bytes): two of AES-256.
pub(super) const MOST_KEY: u64 = 64;
const MAGIC_AND_VERSION: usize = 8;

/// A checked header.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// What it says for people.
    pub facts: LuksFacts,
    /// Where the encrypted disk begins (byte offset in the file).
    pub payload_offset: Field<u64>,
    /// Its length (bytes), where the header says one.
    pub payload_size: Option<Field<u64>>,
    /// Size of a sector of the disk.
    pub sector: PowerOfTwo,
    /// Sectors of 512 bytes that initialization vectors are ahead by.
    pub iv_tweak: u64,
    /// Cipher of the disk.
    pub cipher: CipherName,
    /// Slots that hold the key.
    pub slots: Vec<KeySlot>,
    /// What tells whether a key is right.
    pub digests: Vec<Digest>,
    /// All slots of a header of version 1; none of one of version 2.
    pub places: Vec<SlotPlace>,
    /// Bytes of the key of the disk, of a header of version 1.
    pub key_bytes: u64,
}

impl Header {
    /// Reads and checks the header of a container that begins at `base` in the file.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVersion`, `BadHeader`.
    pub fn read<S: ByteSource>(
        cache: &mut MetadataCache<S>,
        base: u64,
    ) -> Result<Self, FormatError> {
        let mut bytes = [0; MAGIC_AND_VERSION];
        cache.read(base, &mut bytes)?;
        let head = Structure::new(&bytes, base, cache.device(), ErrorKind::NotThisFormat);
        let magic = head.bytes(header::MAGIC)?;
        if magic != MAGIC {
            if base == 0 && version2::has_second(cache) {
                return version2::read(cache);
            }
            let expected = Expected::Sentence("LUKS and the bytes ba be");
            let found = magic
                .iter()
                .fold(0, |all: u64, byte| all.wrapping_shl(8) | u64::from(*byte));
            let kind = ErrorKind::NotThisFormat;
            let device = cache.device();
            return Err(FormatError::new(
                kind, device, "magic", base, found, expected,
            ));
        }
        let version = head.get(header::VERSION)?;
        match version.value {
            1 => version1::read(cache, base),
            2 if base == 0 => version2::read(cache),
            _ => {
                let expected = Expected::Between(1, 2);
                Err(version.refuse(ErrorKind::UnsupportedVersion, expected))
            }
        }
    }

    /// `bytes` without a part of a sector.
    pub fn whole_sectors(&self, bytes: u64) -> u64 {
        self.sector.round_down(bytes)
    }

    /// The position that the initialization vector of the sector at `offset` of the disk counts from.
    pub fn iv_position(&self, offset: u64) -> u64 {
        offset.wrapping_add(self.iv_tweak.wrapping_mul(512))
    }
}

/// Text that is padded with zeros.
pub(super) fn text(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes
        .get(..end.unwrap_or(bytes.len()))
        .unwrap_or_default()
        .to_vec()
}

/// The hash function of a name.
///
/// # Errors
/// `UnsupportedEncryption` with the name.
pub(super) fn hash_of(name: &[u8], place: &Field<u64>) -> Result<Hash, FormatError> {
    Hash::from_name(name).ok_or_else(|| {
        let expected = Expected::Sentence("sha1, sha224, sha256, sha384 or sha512");
        place
            .refuse(ErrorKind::UnsupportedEncryption, expected)
            .with_text(name)
    })
}
