//! Hash functions by the names that disks call them.

use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Longest digest (bytes).
pub(crate) const MOST_DIGEST: usize = 64;

impl Hash {
    /// The hash function of a name, as LUKS writes it.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"sha1" => Self::Sha1,
            b"sha224" => Self::Sha224,
            b"sha256" => Self::Sha256,
            b"sha384" => Self::Sha384,
            b"sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Bytes of a digest.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of all parts, one after the other; the first [`length`](Self::length) bytes count.
    pub fn digest(self, parts: &[&[u8]]) -> [u8; MOST_DIGEST] {
        fn all<D: Digest>(parts: &[&[u8]]) -> [u8; MOST_DIGEST] {
            let mut state = D::new();
            for part in parts {
                state.update(part);
            }
            let mut digest = [0; MOST_DIGEST];
            for (target, source) in digest.iter_mut().zip(state.finalize().iter()) {
                *target = *source;
            }
            digest
        }
        match self {
            Self::Sha1 => all::<Sha1>(parts),
            Self::Sha224 => all::<Sha224>(parts),
            Self::Sha256 => all::<Sha256>(parts),
            Self::Sha384 => all::<Sha384>(parts),
            Self::Sha512 => all::<Sha512>(parts),
        }
    }
}
