//! Structures that are put together field by field.

use alloc::vec::Vec;

/// Bytes that are put together field by field.
#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// None yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn le32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub fn le64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub fn be32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn be64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Zeros up to a length.
    pub fn up_to(mut self, length: usize) -> Self {
        self.0.resize(self.0.len().max(length), 0);
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A number that a format keeps in 32 bits; a layout is refused before it could be larger.
pub(super) fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
