//! A file whose changes are kept in memory until they are written out together: in phases, of which each is on the disk before
//! the next begins.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::edit::EditTarget;
use crate::error::FormatError;
use crate::source::DeviceIndex;
use crate::structure::{Number, Stored};

/// Size and alignment of a block that is kept.
const BLOCK: PowerOfTwo = PowerOfTwo::from_bits(16);
/// Blocks that are kept: 8 MiB.
const MOST_BLOCKS: usize = 128;
/// Of them, so many at least are not changed, or all changes are written out.
const LEAST_CLEAN: usize = 16;

#[derive(Debug)]
struct Block {
    number: u64,
    last_use: u64,
    bytes: Vec<u8>,
    /// Bytes that differ from the file.
    dirty: Option<(usize, usize)>,
}

/// The file.
#[derive(Debug)]
pub struct StagedFile<T> {
    target: T,
    device: DeviceIndex,
    size: u64,
    blocks: Vec<Block>,
    tick: u64,
    /// Slots of the last two blocks that were looked at: tables and what they name are read in turn.
    recent: [usize; 2],
}

impl<T: EditTarget> StagedFile<T> {
    /// Nothing is changed yet.
    pub fn new(target: T, device: DeviceIndex) -> Self {
        let size = target.size();
        Self {
            target,
            device,
            size,
            blocks: Vec::new(),
            tick: 0,
            recent: [0; 2],
        }
    }

    /// The file's number.
    pub fn device(&self) -> DeviceIndex {
        self.device
    }

    /// Bytes of the file, with what will be written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` from `offset`; what lies behind the end of the file reads as zeros.
    ///
    /// # Errors
    /// What the host reports, or no memory; so for all the others.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        self.each_part(offset, buffer.len(), |block, start, done, length| {
            let from = block.bytes.get(start..start.saturating_add(length));
            let to = buffer.get_mut(done..done.saturating_add(length));
            if let (Some(from), Some(to)) = (from, to) {
                to.copy_from_slice(from);
            }
        })
    }

    /// Bytes from `offset` on without copying them: at most `max`, fewer where the block ends that is kept.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn view(&mut self, offset: u64, max: usize) -> Result<&[u8], FormatError> {
        let slot = self.slot_of(BLOCK.index_of(offset))?;
        let start = to_usize(BLOCK.offset_within(offset));
        let end = start.saturating_add(max).min(BLOCK.in_memory());
        let block = self.blocks.get(slot);
        Ok(block
            .and_then(|block| block.bytes.get(start..end))
            .unwrap_or_default())
    }

    /// `length` bytes from `offset`.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn read_vec(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, FormatError> {
        let mut bytes = zeros(self.device, offset, length)?;
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The big-endian number at `offset`.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn be64(&mut self, offset: u64) -> Result<u64, FormatError> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Changes bytes; the file grows where they end behind its end.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.each_part(offset, bytes.len(), |block, start, done, length| {
            let end = start.saturating_add(length);
            let from = bytes.get(done..done.saturating_add(length));
            let to = block.bytes.get_mut(start..end);
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                to.copy_from_slice(from);
                let (low, high) = block.dirty.unwrap_or((start, end));
                block.dirty = Some((low.min(start), high.max(end)));
            }
        })?;
        self.size = self.size.max(offset.saturating_add(to_u64(bytes.len())));
        Ok(())
    }

    /// Stages a number of the structure that begins at `start`.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn put<N: Stored>(
        &mut self,
        start: u64,
        number: Number<N>,
        value: N::Value,
    ) -> Result<(), FormatError> {
        let mut bytes = [0; 8];
        let bytes = bytes.get_mut(..N::BYTES).unwrap_or_default();
        N::store(value, bytes);
        self.write(number.place(start), bytes)
    }

    /// Has the file reach to `size` bytes at least; what it gets reads as zeros.
    pub fn reach(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Has what a range of content holds kept, before parts of it are written.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn preserve(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        self.target.preserve(offset, length).map_err(failed)
    }

    /// Has a range given back to the file system once the edit is complete.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn release(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let failed = |error| FormatError::of_source(self.device, offset, error);
        self.target.release(offset, length).map_err(failed)
    }

    /// Writes content that is not read again through here: at once, and not kept.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let end = offset.saturating_add(to_u64(bytes.len()));
        if self.keeps_part_of(offset, end) {
            return self.write(offset, bytes);
        }
        let failed = |error| FormatError::of_source(self.device, offset, error);
        self.target.write_at(offset, bytes).map_err(failed)?;
        self.size = self.size.max(end);
        Ok(())
    }

    /// Writes content that another file holds, as [`write_through`](Self::write_through) does. False where that cannot be done.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn copy_through(
        &mut self,
        offset: u64,
        length: u64,
        from: (DeviceIndex, u64),
    ) -> Result<bool, FormatError> {
        let end = offset.saturating_add(length);
        let failed = |error| FormatError::of_source(self.device, offset, error);
        let copied = !self.keeps_part_of(offset, end)
            && self.target.copy_at(offset, length, from).map_err(failed)?;
        if copied {
            self.size = self.size.max(end);
        }
        Ok(copied)
    }

    /// Whether a block of metadata that is kept may share its bytes with a range.
    fn keeps_part_of(&self, offset: u64, end: u64) -> bool {
        let first = BLOCK.index_of(offset);
        let last = BLOCK.index_of(end.saturating_sub(1));
        let inside = |block: &Block| (first..=last).contains(&block.number);
        self.blocks.iter().any(inside)
    }

    /// Writes out what was changed, in no particular order, and brings it to the disk.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn flush(&mut self) -> Result<(), FormatError> {
        self.write_out()?;
        let device = self.device;
        let failed = |error| FormatError::of_source(device, 0, error);
        // Zeros at the end were never written.
        if self.target.size() < self.size {
            let last = self.size.saturating_sub(1);
            self.target.write_at(last, &[0]).map_err(failed)?;
        }
        self.target.flush().map_err(failed)
    }

    fn write_out(&mut self) -> Result<(), FormatError> {
        let device = self.device;
        let place = |block: &Block| {
            let (low, high) = block.dirty?;
            let start = BLOCK.times(block.number)?.checked_add(to_u64(low))?;
            Some((start, low, high))
        };
        for block in &self.blocks {
            if let Some((start, low, high)) = place(block) {
                let length = to_u64(high.saturating_sub(low));
                let failed = |error| FormatError::of_source(device, start, error);
                self.target.preserve(start, length).map_err(failed)?;
            }
        }
        for block in &mut self.blocks {
            if let Some((start, low, high)) = place(block) {
                let bytes = block.bytes.get(low..high).unwrap_or_default();
                let failed = |error| FormatError::of_source(device, start, error);
                self.target.write_at(start, bytes).map_err(failed)?;
                block.dirty = None;
            }
        }
        Ok(())
    }

    /// Calls `each` for the parts of a range that lie in one block: with where the part begins in the block, how many bytes
    /// went before, and how many it has.
    fn each_part(
        &mut self,
        offset: u64,
        length: usize,
        mut each: impl FnMut(&mut Block, usize, usize, usize),
    ) -> Result<(), FormatError> {
        let mut done = 0;
        while done < length {
            let position = offset.saturating_add(to_u64(done));
            let start = to_usize(BLOCK.offset_within(position));
            let room = BLOCK.in_memory().saturating_sub(start);
            let part = room.min(length.saturating_sub(done));
            let slot = self.slot_of(BLOCK.index_of(position))?;
            if let Some(block) = self.blocks.get_mut(slot) {
                each(block, start, done, part);
            }
            done = done.saturating_add(part);
        }
        Ok(())
    }

    fn slot_of(&mut self, number: u64) -> Result<usize, FormatError> {
        self.tick = self.tick.wrapping_add(1);
        let tick = self.tick;
        let known = |block: &Block| block.number == number;
        let at = |slot: usize| self.blocks.get(slot).is_some_and(known).then_some(slot);
        let [last, before] = self.recent;
        let found = at(last).or_else(|| at(before));
        let slot = match found.or_else(|| self.blocks.iter().position(known)) {
            Some(slot) => slot,
            None => self.load(number)?,
        };
        if let Some(block) = self.blocks.get_mut(slot) {
            block.last_use = tick;
        }
        if slot != last {
            self.recent = [slot, last];
        }
        Ok(slot)
    }

    fn load(&mut self, number: u64) -> Result<usize, FormatError> {
        let start = BLOCK.times(number).unwrap_or(u64::MAX);
        let mut bytes = zeros(self.device, start, BLOCK.size())?;
        let inside = to_usize(self.target.size().saturating_sub(start)).min(bytes.len());
        if let Some(inside) = bytes.get_mut(..inside)
            && !inside.is_empty()
        {
            let device = self.device;
            let failed = |error| FormatError::of_source(device, start, error);
            self.target.read_exact_at(start, inside).map_err(failed)?;
        }
        if self.blocks.len() >= MOST_BLOCKS {
            self.make_room()?;
        }
        self.blocks.push(Block {
            number,
            last_use: self.tick,
            bytes,
            dirty: None,
        });
        Ok(self.blocks.len().saturating_sub(1))
    }

    /// Forgets the block whose last use is the oldest, of those that are as the file has them. There are always some: were there just
    /// one, two blocks that are looked at in turn would be read anew each time.
    fn make_room(&mut self) -> Result<(), FormatError> {
        let clean = self.blocks.iter().filter(|block| block.dirty.is_none());
        if clean.count() < LEAST_CLEAN {
            self.write_out()?;
        }
        let clean = self.blocks.iter().enumerate();
        let clean = clean.filter(|(_, block)| block.dirty.is_none());
        if let Some((slot, _)) = clean.min_by_key(|(_, block)| block.last_use) {
            self.blocks.swap_remove(slot);
        }
        Ok(())
    }
}

/// A buffer of zeros.
pub(crate) fn zeros(device: DeviceIndex, offset: u64, length: u64) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(to_usize(length))
        .map_err(|_| FormatError::out_of_memory(device, offset, length))?;
    bytes.resize(to_usize(length), 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{ByteSource, SourceError};
    use alloc::vec;

    /// What was asked of a target, and its bytes.
    #[derive(Default)]
    struct Recorder {
        bytes: Vec<u8>,
        asked: Vec<(&'static str, u64, u64)>,
        /// Offsets of reads.
        reads: core::cell::RefCell<Vec<u64>>,
    }

    impl ByteSource for Recorder {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
            self.reads.borrow_mut().push(offset);
            self.bytes.read_exact_at(offset, buffer)
        }
    }

    impl EditTarget for Recorder {
        fn preserve(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
            self.asked.push(("preserve", offset, length));
            Ok(())
        }

        fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
            self.asked.push(("write", offset, bytes.len() as u64));
            let end = offset as usize + bytes.len();
            if self.bytes.len() < end {
                self.bytes.resize(end, 0);
            }
            self.bytes[offset as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn zero_at(&mut self, _: u64, _: u64) -> Result<(), SourceError> {
            unreachable!("zeros are written")
        }

        fn flush(&mut self) -> Result<(), SourceError> {
            self.asked.push(("flush", 0, 0));
            Ok(())
        }
    }

    fn staged(length: usize) -> StagedFile<Recorder> {
        let bytes = (0..length).map(|index| (index % 251) as u8).collect();
        let target = Recorder {
            bytes,
            ..Recorder::default()
        };
        StagedFile::new(target, DeviceIndex(0))
    }

    #[test]
    fn nothing_is_written_before_a_flush_and_all_is_preserved_before_the_first_write() {
        let mut file = staged(200_000);
        file.write(10, &[1, 2, 3]).unwrap();
        file.write(65_530, &[9; 20]).unwrap();
        assert!(file.target.asked.is_empty());
        assert_eq!(file.read_vec(65_528, 4).unwrap(), [17, 18, 9, 9]);
        file.flush().unwrap();
        let kinds: Vec<_> = file.target.asked.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(kinds, ["preserve", "preserve", "write", "write", "flush"]);
        assert_eq!(file.target.bytes[10..13], [1, 2, 3]);
        assert_eq!(file.target.bytes[65_530..65_550], [9; 20]);
        assert_eq!(file.target.bytes.len(), 200_000);
    }

    #[test]
    fn what_was_there_already_is_not_written() {
        let mut file = staged(1000);
        let same = file.read_vec(100, 50).unwrap();
        file.write(100, &same).unwrap();
        file.flush().unwrap();
        assert_eq!(file.target.asked, [("flush", 0, 0)]);
    }

    #[test]
    fn zeros_behind_the_end_make_the_file_as_long_as_they_are() {
        let mut file = staged(1000);
        file.write(5000, &[0; 100]).unwrap();
        file.flush().unwrap();
        assert_eq!(file.target.bytes.len(), 5100);
        assert!(file.target.bytes[1000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn more_changes_than_are_kept_are_written_and_read_again() {
        let blocks = MOST_BLOCKS as u64 * 2;
        let mut file = staged(0);
        for number in 0..blocks {
            file.write(number * 65_536 + 7, &number.to_be_bytes())
                .unwrap();
        }
        for number in 0..blocks {
            assert_eq!(file.be64(number * 65_536 + 7).unwrap(), number);
        }
        assert!(file.blocks.len() <= MOST_BLOCKS);
        file.flush().unwrap();
        let last = (blocks - 1) * 65_536 + 7;
        assert_eq!(file.target.bytes.len() as u64, last + 8);
    }

    #[test]
    fn blocks_that_are_only_looked_at_stay_beside_many_changes() {
        let mut file = staged(MOST_BLOCKS * 3 * 65_536);
        for number in 0..MOST_BLOCKS as u64 * 2 {
            // A table and a block of it, as counting a cluster reads them.
            for table in [MOST_BLOCKS as u64 * 2 + 1, MOST_BLOCKS as u64 * 2 + 2] {
                for entry in 0..4 {
                    file.be64(table * 65_536 + entry * 8).unwrap();
                }
            }
            file.write(number * 65_536 + 7, &[0xee]).unwrap();
        }
        let reads = file.target.reads.borrow();
        let again = reads
            .iter()
            .filter(|offset| **offset > MOST_BLOCKS as u64 * 2 * 65_536);
        assert_eq!(again.count(), 2);
    }

    #[test]
    fn content_that_shares_a_block_with_changes_does_not_lose_them() {
        let mut file = staged(200_000);
        file.write(70_000, &[5; 8]).unwrap();
        file.write_through(65_536, &vec![1; 4096]).unwrap();
        file.write_through(150_000, &[2; 16]).unwrap();
        file.flush().unwrap();
        assert_eq!(file.target.bytes[65_536..69_632], [1; 4096]);
        assert_eq!(file.target.bytes[70_000..70_008], [5; 8]);
        assert_eq!(file.target.bytes[150_000..150_016], [2; 16]);
    }
}
