//! The disk inside a packed file, from front to back.

use alloc::format;

use instar_codecs::{LARGE_WINDOW, Packing, UnpackError, Unpacker};

use super::bytes::FileBytes;
use super::head::TAIL;
use super::{refuse_content, remedy};
use crate::arith::to_u64;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::probe::claimed_by_its_end;
use crate::source::{ByteSource, DeviceIndex};

/// Unpacks a file; what it gives is right once its end was reached.
pub struct PackedStream<S: ByteSource> {
    unpacker: Unpacker<FileBytes<S>>,
    device: DeviceIndex,
    packing: Packing,
    /// Bytes that it must unpack to, where that is known.
    expected: Option<u64>,
    /// Bytes that it has given.
    position: u64,
    /// Most bytes that a dictionary may have.
    window: u64,
    /// The last of them.
    tail: [u8; TAIL],
}

impl<S: ByteSource> core::fmt::Debug for PackedStream<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("PackedStream").field(&self.packing).finish()
    }
}

impl<S: ByteSource> PackedStream<S> {
    /// Begins with the first byte of the disk. A dictionary may have `window` bytes.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(
        source: S,
        device: DeviceIndex,
        packing: Packing,
        expected: Option<u64>,
        window: u64,
    ) -> Result<Self, FormatError> {
        let bytes = FileBytes::new(source, device)?;
        let unpacker = Unpacker::new(packing, bytes, window);
        let unpacker = unpacker.map_err(|_| FormatError::out_of_memory(device, 0, 0))?;
        Ok(Self {
            unpacker,
            device,
            packing,
            expected,
            position: 0,
            window,
            tail: [0; TAIL],
        })
    }

    /// The file's number.
    pub fn device(&self) -> DeviceIndex {
        self.device
    }

    /// How many bytes of the disk were given.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How far the file was read (byte offset).
    pub(super) fn packed_position(&self) -> u64 {
        self.unpacker.bytes().position()
    }

    /// The last bytes that were given.
    pub(super) fn tail(&self) -> &[u8; TAIL] {
        &self.tail
    }

    /// Unpacks the next bytes to the beginning of `output`, and returns how many; 0 at the end, once all checksums and the
    /// size agree.
    ///
    /// # Errors
    /// `Damaged`, `UnsupportedVariant`, `PackedContent`, `SourceFailed`, `OutOfMemory`.
    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, FormatError> {
        if output.is_empty() {
            return Ok(0);
        }
        let length = self
            .unpacker
            .read(output)
            .map_err(|error| self.refuse(error))?;
        let bytes = output.get(..length).unwrap_or_default();
        self.position = self.position.saturating_add(to_u64(length));
        if self
            .expected
            .is_some_and(|expected| self.position > expected)
        {
            return Err(self.wrong_size());
        }
        if length == 0 {
            self.finish()?;
        }
        self.keep_tail(bytes);
        Ok(length)
    }

    fn finish(&self) -> Result<(), FormatError> {
        if self
            .expected
            .is_some_and(|expected| self.position != expected)
        {
            return Err(self.wrong_size());
        }
        match claimed_by_its_end(&self.tail) {
            Some(format) => Err(refuse_content(self.device, self.packing, format.name())),
            None => Ok(()),
        }
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        let kept = TAIL.saturating_sub(bytes.len());
        self.tail.rotate_left(TAIL.saturating_sub(kept));
        let new = bytes.len().saturating_sub(TAIL);
        let new = bytes.get(new..).unwrap_or_default();
        if let Some(place) = self.tail.get_mut(kept..) {
            for (to, from) in place.iter_mut().zip(new) {
                *to = *from;
            }
        }
    }

    fn wrong_size(&self) -> FormatError {
        let expected = Expected::Value(self.expected.unwrap_or(0));
        let kind = ErrorKind::Damaged;
        let at = self.packed_position();
        FormatError::new(
            kind,
            self.device,
            "size of the disk",
            at,
            self.position,
            expected,
        )
    }

    fn refuse(&self, error: UnpackError) -> FormatError {
        let at = self.packed_position();
        let field = match self.packing {
            Packing::Gzip => "gzip data of virtual offset",
            Packing::Xz => "xz data of virtual offset",
            Packing::Zstd => "zstd data of virtual offset",
            Packing::Bzip2 => "bzip2 data of virtual offset",
        };
        let fault = |kind, expected| {
            let expected = Expected::Sentence(expected);
            FormatError::new(kind, self.device, field, at, self.position, expected)
        };
        // What other programs unpack.
        let elsewhere = |kind, expected| {
            let text = format!("unpack it first ({})", remedy(self.packing));
            fault(kind, expected).with_text(text.as_bytes())
        };
        match error {
            UnpackError::Damaged(expected) => fault(ErrorKind::Damaged, expected),
            UnpackError::Unsupported(expected) => {
                elsewhere(ErrorKind::UnsupportedVariant, expected)
            }
            UnpackError::WindowTooLarge if self.window < LARGE_WINDOW => {
                elsewhere(ErrorKind::NeedsMemory, "a dictionary of at most 16 MiB")
            }
            UnpackError::WindowTooLarge => {
                let expected = "a dictionary of at most 128 MiB";
                elsewhere(ErrorKind::UnsupportedVariant, expected)
            }
            UnpackError::OutOfMemory => FormatError::out_of_memory(self.device, at, 0),
            UnpackError::ReadFailed => match self.unpacker.bytes().failed {
                Some(error) => FormatError::of_source(self.device, at, error),
                None => fault(ErrorKind::Damaged, "bytes of the file"),
            },
        }
    }
}
