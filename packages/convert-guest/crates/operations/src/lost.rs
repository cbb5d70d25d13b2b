//! What of a disk could not be read where a copy goes on without it.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{ConvertResult, LOST_RANGES_MAX, LostRange};
use instar_image_formats::ErrorKind;

use crate::error::OperationError;

/// Bytes that are read at once where more of them cannot be read.
const SECTOR: u64 = 512;

/// Ranges of a disk, in their order.
#[derive(Default)]
pub struct Lost {
    /// The first of them: start and length (bytes).
    first: Vec<(u64, u64)>,
    count: u64,
    bytes: u64,
    /// Where the last one ends (virtual byte).
    end: u64,
}

/// One account for all who read.
pub type SharedLost = Rc<RefCell<Lost>>;

impl Lost {
    /// Takes a range that could not be read. One that was taken before counts once.
    pub fn note(&mut self, start: u64, length: u64) {
        let end = start.saturating_add(length);
        let begin = start.max(self.end);
        let length = end.saturating_sub(begin);
        if length == 0 {
            return;
        }
        let joins = self.count > 0 && begin == self.end;
        self.bytes = self.bytes.saturating_add(length);
        self.end = end;
        if !joins {
            self.count = self.count.saturating_add(1);
            if self.first.len() < LOST_RANGES_MAX as usize {
                self.first.push((begin, length));
            }
        } else if self.count == self.first.len() as u64
            && let Some((_, last)) = self.first.last_mut()
        {
            *last = last.saturating_add(length);
        }
    }

    /// Puts all of it into a result.
    pub fn tell(&self, result: &mut ConvertResult) {
        result.lost_bytes = self.bytes;
        result.lost_count = self.count;
        for (place, (start, length)) in result.lost.iter_mut().zip(&self.first) {
            *place = LostRange {
                start: *start,
                length: *length,
            };
        }
    }
}

/// Whether a copy can go on without what was asked for: it is the image that is damaged, or its file that cannot be read.
pub fn can_be_left(error: &OperationError) -> bool {
    match error {
        OperationError::Format(error) => {
            !matches!(error.kind, ErrorKind::OutOfMemory | ErrorKind::NeedsMemory)
        }
        OperationError::Command { write, .. } => !write,
        OperationError::Decompress { .. } => true,
        OperationError::Plain { .. } => false,
    }
}

/// How much of `most` bytes lies before the next sector.
pub fn to_next_sector(position: u64, most: u64) -> u64 {
    let behind = position.checked_rem(SECTOR).unwrap_or(0);
    SECTOR.saturating_sub(behind).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lost: &Lost) -> (u64, u64, Vec<(u64, u64)>) {
        let mut result = ConvertResult::ZERO;
        lost.tell(&mut result);
        let ranges = result.lost.iter().filter(|range| range.length > 0);
        (
            result.lost_bytes,
            result.lost_count,
            ranges.map(|range| (range.start, range.length)).collect(),
        )
    }

    #[test]
    fn joins_what_lies_together_and_counts_nothing_twice() {
        let mut lost = Lost::default();
        lost.note(1024, 512);
        lost.note(1536, 512);
        lost.note(1024, 1024);
        lost.note(4096, 512);
        lost.note(4096, 1024);
        assert_eq!(told(&lost), (2048, 2, [(1024, 1024), (4096, 1024)].into()));
    }

    #[test]
    fn keeps_the_sum_where_there_is_no_place_for_a_range() {
        let mut lost = Lost::default();
        for index in 0..100 {
            lost.note(index * 2048, 512);
            lost.note(index * 2048 + 512, 512);
        }
        let (bytes, count, ranges) = told(&lost);
        assert_eq!((bytes, count, ranges.len()), (102_400, 100, 64));
        assert_eq!(ranges.last(), Some(&(63 * 2048, 1024)));
    }
}
