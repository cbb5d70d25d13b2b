//! gzip (RFC 1952): members one after the other, each with a checksum and a length.

use alloc::boxed::Box;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::{PackedBytes, TRUNCATED, UnpackError, next_byte};
use crate::libdeflate::crc32;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
/// Flags of a member, 2.3.1.
const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

enum Place {
    /// Before the first member, or between two.
    Between,
    Body,
    Ended,
}

pub(super) struct Gunzip<B> {
    pub bytes: B,
    inflater: Box<InflateState>,
    place: Place,
    /// No member has begun.
    first: bool,
    /// Of what the member has given so far.
    crc: u32,
    length: u32,
}

impl<B: PackedBytes> Gunzip<B> {
    pub fn new(bytes: B) -> Self {
        Self {
            bytes,
            inflater: InflateState::new_boxed(DataFormat::Raw),
            place: Place::Between,
            first: true,
            crc: 0,
            length: 0,
        }
    }

    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        loop {
            match self.place {
                Place::Ended => return Ok(0),
                Place::Between => {
                    self.place = if self.header()? {
                        Place::Body
                    } else {
                        Place::Ended
                    };
                }
                Place::Body => {
                    let written = self.body(output)?;
                    if written > 0 {
                        return Ok(written);
                    }
                }
            }
        }
    }

    fn body(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        let input = self.bytes.peek()?;
        let at_end = input.is_empty();
        let step = inflate(&mut self.inflater, input, output, MZFlush::None);
        self.bytes.advance(step.bytes_consumed);
        let written = step.bytes_written;
        let bytes = output
            .get(..written)
            .ok_or(UnpackError::Damaged("deflate data"))?;
        self.crc = crc32(self.crc, bytes);
        // The format counts modulo 2³².
        let low = u32::try_from(written).unwrap_or(u32::MAX);
        self.length = self.length.wrapping_add(low);
        match step.status {
            Ok(MZStatus::StreamEnd) => self.trailer()?,
            Ok(_) | Err(MZError::Buf) if written > 0 || step.bytes_consumed > 0 => {}
            Ok(_) | Err(MZError::Buf) if at_end => return Err(TRUNCATED),
            _ => return Err(UnpackError::Damaged("deflate data")),
        }
        Ok(written)
    }

    fn byte(&mut self) -> Result<u8, UnpackError> {
        next_byte(&mut self.bytes)?.ok_or(TRUNCATED)
    }

    fn word(&mut self) -> Result<u32, UnpackError> {
        let bytes = [self.byte()?, self.byte()?, self.byte()?, self.byte()?];
        Ok(u32::from_le_bytes(bytes))
    }

    fn trailer(&mut self) -> Result<(), UnpackError> {
        if self.word()? != self.crc {
            return Err(UnpackError::Damaged(
                "a checksum (CRC-32) that agrees with the data",
            ));
        }
        if self.word()? != self.length {
            return Err(UnpackError::Damaged("a length that agrees with the data"));
        }
        self.place = Place::Between;
        Ok(())
    }

    /// Reads the header of a member; returns false behind the last one.
    fn header(&mut self) -> Result<bool, UnpackError> {
        let Some(begin) = next_byte(&mut self.bytes)? else {
            return if self.first {
                Err(TRUNCATED)
            } else {
                Ok(false)
            };
        };
        if begin == 0 && !self.first {
            return self.padding();
        }
        let mut crc = 0;
        let mut note = |byte: u8| {
            crc = crc32(crc, &[byte]);
            byte
        };
        if note(begin) != MAGIC[0] || note(self.byte()?) != MAGIC[1] {
            return Err(UnpackError::Damaged(
                "nothing behind the last member, or another one",
            ));
        }
        if note(self.byte()?) != DEFLATE {
            return Err(UnpackError::Unsupported("the method deflate"));
        }
        let flags = note(self.byte()?);
        if flags & RESERVED != 0 {
            return Err(UnpackError::Unsupported("no reserved flags"));
        }
        // Time, extra flags, system.
        for _ in 0..6 {
            note(self.byte()?);
        }
        if flags & HAS_EXTRA != 0 {
            let length = u16::from_le_bytes([note(self.byte()?), note(self.byte()?)]);
            for _ in 0..length {
                note(self.byte()?);
            }
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            while flags & text != 0 && note(self.byte()?) != 0 {}
        }
        if flags & HAS_HEADER_CRC != 0 {
            let [low, high, ..] = crc.to_le_bytes();
            if [self.byte()?, self.byte()?] != [low, high] {
                return Err(UnpackError::Damaged("a checksum of the header that agrees"));
            }
        }
        self.inflater.reset(DataFormat::Raw);
        (self.first, self.crc, self.length) = (false, 0, 0);
        Ok(true)
    }

    /// Zeros up to the end of the file, as tapes and devices leave them, are passed over; gzip does so, too.
    fn padding(&mut self) -> Result<bool, UnpackError> {
        loop {
            let bytes = self.bytes.peek()?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Err(UnpackError::Damaged(
                    "nothing but zeros behind the last member",
                ));
            }
            let length = bytes.len();
            if length == 0 {
                return Ok(false);
            }
            self.bytes.advance(length);
        }
    }
}
