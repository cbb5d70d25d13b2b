//! Ciphers as LUKS names them: `aes` with `xts-plain64`, `cbc-essiv:sha256` and the like.

use alloc::vec::Vec;

use instar_ciphers::{Hash, IvGenerator, Mode, SectorCipher};

use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;

/// A cipher by its names.
#[derive(Clone, Debug)]
pub(crate) struct CipherName {
    /// Block cipher.
    pub cipher: Vec<u8>,
    /// How blocks are chained.
    pub mode: Vec<u8>,
    /// Generator of initialization vectors, perhaps with a hash behind a colon.
    pub iv: Vec<u8>,
    /// Where the names stand.
    pub place: Field<u64>,
}

impl CipherName {
    /// Takes `mode` apart at its first hyphen.
    pub fn new(cipher: &[u8], mode: &[u8], place: Field<u64>) -> Self {
        let split = mode.iter().position(|byte| *byte == b'-');
        let (mode, iv) = mode
            .split_at_checked(split.unwrap_or(mode.len()))
            .unwrap_or((mode, &[]));
        Self {
            cipher: cipher.to_vec(),
            mode: mode.to_vec(),
            iv: iv.get(1..).unwrap_or_default().to_vec(),
            place,
        }
    }

    /// The cipher with a key.
    ///
    /// # Errors
    /// `UnsupportedEncryption` with the cipher's name.
    pub fn with_key(&self, key: &[u8], sector_size: usize) -> Result<SectorCipher, FormatError> {
        self.find(key, sector_size).ok_or_else(|| {
            let name = [&self.cipher[..], b"-", &self.mode, b"-", &self.iv].concat();
            let expected = Expected::Sentence(
                "aes in xts or cbc with plain, plain64 or essiv:sha256, and a key that it takes",
            );
            self.place
                .refuse(ErrorKind::UnsupportedEncryption, expected)
                .with_text(&name)
        })
    }

    fn find(&self, key: &[u8], sector_size: usize) -> Option<SectorCipher> {
        if self.cipher != b"aes" {
            return None;
        }
        let mode = match &self.mode[..] {
            b"xts" => Mode::Xts,
            b"cbc" => Mode::Cbc,
            _ => return None,
        };
        let iv = match &self.iv[..] {
            b"plain" => IvGenerator::Plain,
            b"plain64" => IvGenerator::Plain64,
            other => IvGenerator::Essiv(Hash::from_name(other.strip_prefix(b"essiv:")?)?),
        };
        SectorCipher::new(mode, iv, key, sector_size).ok()
    }

    /// The cipher with the length of the key that it works with (bits), as qemu-img tells it.
    pub fn with_bits(&self, key_bytes: u64) -> Vec<u8> {
        let own = if self.mode == b"xts" {
            key_bytes / 2
        } else {
            key_bytes
        };
        let cipher = self.cipher.escape_ascii();
        alloc::format!("{cipher}-{}", own.saturating_mul(8)).into_bytes()
    }
}
