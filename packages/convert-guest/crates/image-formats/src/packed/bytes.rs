//! A packed file, read from front to back.

use alloc::vec::Vec;

use instar_codecs::{PackedBytes, ReadFailed};

use crate::arith::{to_u64, to_usize};
use crate::error::FormatError;
use crate::source::{ByteSource, DeviceIndex, SourceError};

/// Bytes that are read at once: what they unpack to, though it be some 20000 times as much, takes no more than seconds, in
/// which nobody sees progress.
const PIECE: usize = 64 << 10;

pub(super) struct FileBytes<S> {
    source: S,
    buffer: Vec<u8>,
    /// What of the buffer is left.
    at: usize,
    end: usize,
    /// Where the end of the buffer lies in the file.
    next: u64,
    /// Why a piece could not be read.
    pub failed: Option<SourceError>,
}

impl<S: ByteSource> FileBytes<S> {
    pub fn new(source: S, device: DeviceIndex) -> Result<Self, FormatError> {
        let mut buffer = Vec::new();
        let length = PIECE.min(to_usize(source.size()));
        let room = buffer.try_reserve_exact(length);
        room.map_err(|_| FormatError::out_of_memory(device, 0, to_u64(length)))?;
        buffer.resize(length, 0);
        Ok(Self {
            source,
            buffer,
            at: 0,
            end: 0,
            next: 0,
            failed: None,
        })
    }

    /// Where the first byte lies that was not used (byte offset).
    pub fn position(&self) -> u64 {
        let left = to_u64(self.end.saturating_sub(self.at));
        self.next.saturating_sub(left)
    }
}

impl<S: ByteSource> PackedBytes for FileBytes<S> {
    fn peek(&mut self) -> Result<&[u8], ReadFailed> {
        if self.at >= self.end {
            let left = to_usize(self.source.size().saturating_sub(self.next));
            let length = self.buffer.len().min(left);
            let piece = self.buffer.get_mut(..length).unwrap_or_default();
            if !piece.is_empty()
                && let Err(error) = self.source.read_exact_at(self.next, piece)
            {
                self.failed = Some(error);
                return Err(ReadFailed);
            }
            self.next = self.next.saturating_add(to_u64(length));
            (self.at, self.end) = (0, length);
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.end);
    }
}
