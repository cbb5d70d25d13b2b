//! The ends of an unpacked disk, at which formats, partition tables and file systems have their magic numbers.

use alloc::vec::Vec;

use crate::arith::{to_u64, to_usize};
use crate::error::FormatError;
use crate::packed::PackedStream;
use crate::source::{ByteSource, SourceError};

/// Bytes that are kept: a little more than what the last place takes, that of btrfs.
const LENGTH: usize = 68 << 10;
/// Bytes at the end.
pub(super) const TAIL: usize = 512;

/// The first bytes, and the last ones where they are known; what lies between reads as zeros.
pub(super) struct Head {
    bytes: Vec<u8>,
    pub tail: [u8; TAIL],
    /// Bytes of all.
    pub size: u64,
}

impl Head {
    /// Unpacks the first bytes of a stream.
    pub fn read<S: ByteSource>(stream: &mut PackedStream<S>) -> Result<Self, FormatError> {
        let mut bytes = Vec::new();
        let room = bytes.try_reserve_exact(LENGTH);
        room.map_err(|_| FormatError::out_of_memory(stream.device(), 0, to_u64(LENGTH)))?;
        bytes.resize(LENGTH, 0);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..)
            && !rest.is_empty()
        {
            match stream.read(rest)? {
                0 => break,
                length => filled = filled.saturating_add(length),
            }
        }
        bytes.truncate(filled);
        Ok(Self {
            bytes,
            tail: [0; TAIL],
            size: stream.position(),
        })
    }
}

impl ByteSource for Head {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        buffer.fill(0);
        let rest = self.bytes.get(to_usize(offset)..).unwrap_or_default();
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        if offset == self.size.saturating_sub(to_u64(TAIL))
            && buffer.len() == TAIL
            && rest.len() < TAIL
        {
            buffer.copy_from_slice(&self.tail);
        }
        Ok(())
    }
}
