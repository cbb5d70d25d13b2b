//! Chunks: a header of 12 bytes and perhaps data, one after the other; where one lies only its forerunners tell.

use alloc::vec::Vec;

use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::simg::{Header, WORD};
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::simg::chunk;

const RAW: u16 = 0xcac1;
const FILL: u16 = 0xcac2;
const DONT_CARE: u16 = 0xcac3;
const CRC32: u16 = 0xcac4;
/// Places that are remembered, however many chunks there are.
const MOST_MARKS: u64 = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Data,
    /// One word, again and again.
    Fill,
    /// Nothing is said of these blocks: they read as zeros.
    Nothing,
    /// The checksum of all blocks before.
    Checksum,
}

/// One chunk that has blocks, or a checksum without any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub kind: ChunkKind,
    /// Where its blocks begin on the disk, and how long they are (bytes).
    pub start: u64,
    pub length: u64,
    /// Where its header, its data and the next chunk begin (byte offsets in the file).
    pub at: u64,
    pub data: u64,
    pub end: u64,
}

/// Goes from chunk to chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Where the next chunk's header lies.
    at: u64,
    /// Where its blocks begin on the disk (bytes).
    start: u64,
    left: u64,
}

impl Walk {
    pub fn new(header: &Header) -> Self {
        Self {
            at: header.length,
            start: 0,
            left: header.chunks,
        }
    }

    /// The next chunk; `None` behind the last.
    pub fn next<S: ByteSource>(
        &mut self,
        cache: &mut MetadataCache<S>,
        header: &Header,
    ) -> Result<Option<Chunk>, FormatError> {
        if self.left == 0 {
            return Ok(None);
        }
        let (at, size) = (self.at, cache.file_size());
        let data = at.saturating_add(header.chunk_header);
        if data > size {
            let expected = Expected::AtMost(size);
            let kind = ErrorKind::BadTable;
            let device = cache.device();
            return Err(FormatError::new(kind, device, "chunk", at, data, expected));
        }
        let mut bytes = [0; chunk::BYTES];
        cache.read(at, &mut bytes)?;
        let head = Structure::new(&bytes, at, cache.device(), ErrorKind::BadTableEntry);
        let kind = head.get(chunk::CHUNK_TYPE)?;
        let blocks = head.get(chunk::CHUNK_SZ)?;
        let total = head.get(chunk::TOTAL_SZ)?;
        let length = header.block.saturating_mul(blocks.value.into());
        let (chunk_kind, length, stored) = match kind.value {
            RAW => (ChunkKind::Data, length, length),
            FILL => (ChunkKind::Fill, length, WORD),
            DONT_CARE => (ChunkKind::Nothing, length, 0),
            CRC32 => (ChunkKind::Checksum, 0, WORD),
            _ => {
                let expected = Expected::Between(RAW.into(), CRC32.into());
                return Err(kind.refuse(ErrorKind::BadTableEntry, expected));
            }
        };
        let needed = header.chunk_header.saturating_add(stored);
        if u64::from(total.value) != needed {
            return Err(total.refuse(ErrorKind::BadTableEntry, Expected::Value(needed)));
        }
        let next = self.start.saturating_add(length);
        if next > header.data_size() {
            let left = header.data_size().saturating_sub(self.start);
            let most = left.checked_div(header.block).unwrap_or(0);
            return Err(blocks.refuse(ErrorKind::BadTableEntry, Expected::AtMost(most)));
        }
        let chunk = Chunk {
            kind: chunk_kind,
            start: self.start,
            length,
            at,
            data,
            end: at.saturating_add(needed),
        };
        (self.at, self.start) = (chunk.end, next);
        self.left = self.left.saturating_sub(1);
        Ok(Some(chunk))
    }
}

/// Some of the chunks, from which the others are found.
#[derive(Debug)]
pub(super) struct Index {
    marks: Vec<Walk>,
    last: Option<Chunk>,
    checksums: bool,
}

impl Index {
    /// Looks at every chunk.
    pub fn build<S: ByteSource>(
        cache: &mut MetadataCache<S>,
        header: &Header,
    ) -> Result<Self, FormatError> {
        let step = header.chunks.div_ceil(MOST_MARKS).max(1);
        let mut walk = Walk::new(header);
        let mut marks: Vec<Walk> = Vec::new();
        let mut number = 0_u64;
        let mut checksums = false;
        loop {
            let before = walk;
            let Some(chunk) = walk.next(cache, header)? else {
                break;
            };
            checksums |= chunk.kind == ChunkKind::Checksum;
            if number.checked_rem(step) == Some(0) {
                let device = cache.device();
                let no_room = |_| FormatError::out_of_memory(device, before.at, number);
                marks.try_reserve(1).map_err(no_room)?;
                marks.push(before);
            }
            number = number.saturating_add(1);
        }
        if walk.start != header.data_size() {
            let found = walk.start.checked_div(header.block).unwrap_or(0);
            let expected = Expected::Value(found);
            return Err(header.blocks.refuse(ErrorKind::BadTable, expected));
        }
        Ok(Self {
            marks,
            last: None,
            checksums,
        })
    }

    /// Whether there are chunks that hold checksums.
    pub fn has_checksums(&self) -> bool {
        self.checksums
    }

    /// The chunk with the byte at `offset`, which lies on the disk.
    pub fn find<S: ByteSource>(
        &mut self,
        cache: &mut MetadataCache<S>,
        header: &Header,
        offset: u64,
    ) -> Result<Chunk, FormatError> {
        let has = |chunk: &Chunk| {
            offset
                .checked_sub(chunk.start)
                .is_some_and(|within| within < chunk.length)
        };
        if let Some(chunk) = self.last.filter(has) {
            return Ok(chunk);
        }
        let after = self.marks.partition_point(|mark| mark.start <= offset);
        let mark = after.checked_sub(1).and_then(|index| self.marks.get(index));
        let mut walk = mark.copied().unwrap_or_else(|| Walk::new(header));
        while let Some(chunk) = walk.next(cache, header)? {
            if has(&chunk) {
                self.last = Some(chunk);
                return Ok(chunk);
            }
        }
        Err(FormatError::out_of_range(offset, header.data_size()))
    }
}
