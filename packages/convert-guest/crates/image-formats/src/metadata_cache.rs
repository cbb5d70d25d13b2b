//! A bounded cache of file blocks: tables of any declared size are read through it, never loaded whole.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::error::FormatError;
use crate::source::{ByteSource, DeviceIndex};

/// Size and alignment of a cached block: one L2 table of the usual cluster size, and a read that is
/// large enough for its fixed cost not to matter.
pub const BLOCK: PowerOfTwo = PowerOfTwo::from_bits(16);

/// Blocks kept when the caller has no opinion: 2 MiB an image at most, allocated as they are needed.
pub const DEFAULT_BLOCKS: usize = 32;

/// No block of a file has this number: offsets have 64 bits, block numbers 48.
const EMPTY: u64 = u64::MAX;

#[derive(Debug)]
struct Block {
    number: u64,
    last_use: u64,
    bytes: Vec<u8>,
}

/// Least-recently-used blocks of one file.
///
/// Bytes beyond the end of the file read as zero: files may end inside their last cluster, and
/// metadata that points beyond the end describes nothing but zeros (QEMU reads both so).
#[derive(Debug)]
pub struct MetadataCache<S> {
    source: S,
    device: DeviceIndex,
    size: u64,
    blocks: Vec<Block>,
    capacity: usize,
    tick: u64,
    /// Slots of the last two blocks that were looked at: tables and what they name are read in turn.
    recent: [usize; 2],
    /// What was read last without being kept.
    alone: Vec<u8>,
}

impl<S: ByteSource> MetadataCache<S> {
    /// A cache of at most `capacity` blocks (at least 2) over `source`.
    pub fn new(source: S, device: DeviceIndex, capacity: usize) -> Self {
        let size = source.size();
        let capacity = capacity.max(2);
        Self {
            source,
            device,
            size,
            blocks: Vec::new(),
            capacity,
            tick: 0,
            recent: [0; 2],
            alone: Vec::new(),
        }
    }

    /// The file's number.
    pub fn device(&self) -> DeviceIndex {
        self.device
    }

    /// The file's length in bytes.
    pub fn file_size(&self) -> u64 {
        self.size
    }

    /// Bytes from `offset` on without copying them: at most `max`, at least 1 (unless `max` is 0),
    /// fewer where the cached block ends.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn view(&mut self, offset: u64, max: usize) -> Result<&[u8], FormatError> {
        let slot = self.slot_of(BLOCK.index_of(offset))?;
        let start = to_usize(BLOCK.offset_within(offset));
        let end = start.saturating_add(max).min(BLOCK.in_memory());
        let bytes = self
            .blocks
            .get(slot)
            .and_then(|block| block.bytes.get(start..end));
        Ok(bytes.unwrap_or(&[]))
    }

    /// The same for a table whose neighbours are not looked at: where nothing of it is cached, no more than `max` bytes of the file are
    /// read, and they are not kept.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn view_alone(&mut self, offset: u64, max: usize) -> Result<&[u8], FormatError> {
        let number = BLOCK.index_of(offset);
        let end = offset.saturating_add(to_u64(max));
        let is_inside = end <= self.size && BLOCK.index_of(end.saturating_sub(1)) == number;
        if !is_inside || self.blocks.iter().any(|block| block.number == number) {
            return self.view(offset, max);
        }
        if self.alone.len() < max {
            let missing = max.saturating_sub(self.alone.len());
            self.alone
                .try_reserve_exact(missing)
                .map_err(|_| FormatError::out_of_memory(self.device, offset, to_u64(max)))?;
            self.alone.resize(max, 0);
        }
        let bytes = self.alone.get_mut(..max).unwrap_or_default();
        self.source
            .read_exact_at(offset, bytes)
            .map_err(|error| FormatError::of_source(self.device, offset, error))?;
        Ok(bytes)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        let mut position = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let bytes = self.view(position, rest.len())?;
            let length = bytes.len();
            let Some((now, later)) = rest.split_at_mut_checked(length) else {
                break;
            };
            now.copy_from_slice(bytes);
            position = position.saturating_add(to_u64(length));
            rest = later;
        }
        Ok(())
    }

    /// `length` bytes from `offset`; for names and the like, whose length the caller has bounded.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn read_vec(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| FormatError::out_of_memory(self.device, offset, to_u64(length)))?;
        bytes.resize(length, 0);
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The big-endian number at `offset`.
    ///
    /// # Errors
    /// What the source reports, or no memory.
    pub fn be64(&mut self, offset: u64) -> Result<u64, FormatError> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
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
        let slot = self.free_slot();
        let out_of_memory = || FormatError::out_of_memory(self.device, start, BLOCK.size());
        let block = self.blocks.get_mut(slot).ok_or_else(out_of_memory)?;
        if block.bytes.len() < BLOCK.in_memory() {
            block
                .bytes
                .try_reserve_exact(BLOCK.in_memory())
                .map_err(|_| out_of_memory())?;
            block.bytes.resize(BLOCK.in_memory(), 0);
        }
        let inside = to_usize(self.size.saturating_sub(start)).min(BLOCK.in_memory());
        let (from_file, beyond) = block.bytes.split_at_mut(inside);
        beyond.fill(0);
        if !from_file.is_empty() {
            self.source
                .read_exact_at(start, from_file)
                .map_err(|error| FormatError::of_source(self.device, start, error))?;
        }
        block.number = number;
        Ok(slot)
    }

    /// A slot that holds nothing: a new one while there is room, else the one whose last use is the
    /// oldest. It stays marked as empty until its bytes have really been read.
    fn free_slot(&mut self) -> usize {
        if self.blocks.len() < self.capacity {
            self.blocks.push(Block {
                number: EMPTY,
                last_use: 0,
                bytes: Vec::new(),
            });
            return self.blocks.len().saturating_sub(1);
        }
        let oldest = self
            .blocks
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, block)| block.last_use);
        oldest.map_or(0, |(slot, block)| {
            block.number = EMPTY;
            slot
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::source::SourceError;
    use alloc::vec;

    struct Counting {
        bytes: Vec<u8>,
        reads: u32,
        fail: bool,
    }

    impl ByteSource for Counting {
        fn size(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
            self.reads += 1;
            if self.fail {
                return Err(SourceError::Failed { code: 5 });
            }
            self.bytes.read_exact_at(offset, buffer)
        }
    }

    fn cache(length: usize, capacity: usize) -> MetadataCache<Counting> {
        let bytes = (0..length).map(|index| (index / 7) as u8).collect();
        MetadataCache::new(
            Counting {
                bytes,
                reads: 0,
                fail: false,
            },
            DeviceIndex(0),
            capacity,
        )
    }

    #[test]
    fn reads_cross_blocks_and_end_in_zeros() {
        let mut cache = cache(200_000, 2);
        let expected = cache.source.bytes.clone();
        let mut buffer = vec![0xaa; 150_000];
        cache.read(100_000, &mut buffer).unwrap();
        assert_eq!(buffer[..100_000], expected[100_000..]);
        assert!(buffer[100_000..].iter().all(|byte| *byte == 0));
        assert_eq!(cache.be64(u64::MAX - 3).unwrap(), 0);
    }

    #[test]
    fn a_table_that_is_read_alone_costs_its_own_bytes_unless_it_is_cached() {
        let mut cache = cache(200_000, 2);
        let expected = cache.source.bytes.clone();
        assert_eq!(
            cache.view_alone(70_000, 512).unwrap(),
            &expected[70_000..70_512]
        );
        assert!(cache.blocks.is_empty());
        cache.be64(65_536).unwrap();
        assert_eq!(
            cache.view_alone(70_000, 512).unwrap(),
            &expected[70_000..70_512]
        );
        assert_eq!(cache.source.reads, 2);
        // Where a block or the file ends, so does what is read.
        let last = cache.view_alone(65_536 * 2 - 8, 512).unwrap();
        assert_eq!(last, &expected[65_536 * 2 - 8..65_536 * 2]);
        assert_eq!(cache.view_alone(199_996, 8).unwrap()[4..], [0; 4]);
    }

    #[test]
    fn memory_stays_within_the_capacity_and_old_blocks_leave_first() {
        let mut cache = cache(10 * 65536, 3);
        for number in [0, 1, 2, 0, 3, 0, 4, 0] {
            cache.be64(number * 65536).unwrap();
        }
        assert_eq!(cache.blocks.len(), 3);
        assert_eq!(cache.source.reads, 5, "block 0 was used often and stayed");
    }

    #[test]
    fn a_failed_read_is_reported_and_not_remembered() {
        let mut cache = cache(65536 * 4, 2);
        for number in 0..2 {
            cache.be64(number * 65536).unwrap();
        }
        cache.source.fail = true;
        let error = cache.be64(2 * 65536).unwrap_err();
        assert_eq!((error.kind, error.value), (ErrorKind::SourceFailed, 5));
        cache.source.fail = false;
        for number in 0..4_u64 {
            let at = (number * 65536) as usize;
            let expected = u64::from_be_bytes(cache.source.bytes[at..at + 8].try_into().unwrap());
            assert_eq!(cache.be64(number * 65536).unwrap(), expected);
        }
    }
}
