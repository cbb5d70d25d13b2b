//! bzip2: streams one after the other.

use super::{PackedBytes, TRUNCATED, UnpackError};
use crate::bzip2::{Step, Stream};

pub(super) struct Bunzip2<B> {
    pub bytes: B,
    stream: Stream,
    /// Streams that have ended.
    ended: bool,
    between: bool,
}

impl<B: PackedBytes> Bunzip2<B> {
    pub fn new(bytes: B) -> Result<Self, UnpackError> {
        Ok(Self {
            bytes,
            stream: Stream::new().ok_or(UnpackError::OutOfMemory)?,
            ended: false,
            between: false,
        })
    }

    pub fn read(&mut self, output: &mut [u8]) -> Result<usize, UnpackError> {
        loop {
            let input = self.bytes.peek()?;
            let at_end = input.is_empty();
            if self.between {
                if at_end {
                    return Ok(0);
                }
                self.stream = Stream::new().ok_or(UnpackError::OutOfMemory)?;
                self.between = false;
            }
            let (step, consumed, written) = self.stream.step(input, output);
            self.bytes.advance(consumed);
            match step {
                Step::More if written == 0 && consumed == 0 && at_end => return Err(TRUNCATED),
                Step::More => {}
                Step::End => (self.between, self.ended) = (true, true),
                Step::NoMemory => return Err(UnpackError::OutOfMemory),
                Step::NotBzip2 if self.ended => {
                    return Err(UnpackError::Damaged(
                        "nothing behind the last stream, or another one",
                    ));
                }
                Step::NotBzip2 | Step::BadData => {
                    return Err(UnpackError::Damaged(
                        "undamaged bzip2 data, whose checksums agree",
                    ));
                }
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}
