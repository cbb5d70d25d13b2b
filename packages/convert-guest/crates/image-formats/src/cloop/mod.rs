//! Compressed loop images, version 2 (`advancecomp`, Knoppix): zlib streams one behind the other, and a table of where
//! each begins.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64};
use crate::blocks::{self, BlockDisk, BlockSize, Piece, Run, Stream, Table, Width, read_header};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Codec, Extent, Image};
use crate::facts::{Facts, ListLimits};
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::cloop::header;
use crate::within::{Beyond, Within};

/// The script that an image begins with, as far as all of them agree.
const MAGIC: &[u8] = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop";
/// Larger blocks do not fit the reader's memory; those of Knoppix have 64 KiB.
const MOST_BLOCK: u32 = 2 << 20;
/// QEMU's limit: 512 MiB of table.
const MOST_BLOCKS: u32 = (512 << 20) / 8 - 1;

/// Whether a file begins with the script.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(MAGIC)
}

/// Opens an image.
///
/// # Errors
/// `NotThisFormat`, `BadClusterSize` or `BadTable`.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let bytes = read_header(&mut cache, 0, header::BYTES)?;
    let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
    if !head.bytes(header::SCRIPT)?.starts_with(MAGIC) {
        let expected = Expected::Sentence("the script of a compressed loop image, version 2");
        let kind = ErrorKind::NotThisFormat;
        return Err(FormatError::new(kind, device, "script", 0, 0, expected));
    }
    let block_size = head.get(header::BLOCK_SIZE)?;
    let whole = SECTOR.is_aligned(block_size.value.into()) && block_size.value <= MOST_BLOCK;
    let Some(block) = BlockSize::new(block_size.value.into()).filter(|_| whole) else {
        let expected = Expected::Sentence("a multiple of 512, at most 2097152");
        return Err(block_size.refuse(ErrorKind::BadClusterSize, expected));
    };
    let blocks = head.get(header::N_BLOCKS)?;
    if blocks.value > MOST_BLOCKS {
        return Err(blocks.refuse(ErrorKind::BadTable, Expected::AtMost(MOST_BLOCKS.into())));
    }
    Ok(Box::new(CloopDisk {
        table: Table {
            offset: to_u64(header::BYTES),
            entries: blocks.value.into(),
            width: Width::Be64,
            start: 0,
            block,
        },
        size: block.times(blocks.value.into()),
        cache,
    }))
}

struct CloopDisk<S> {
    cache: MetadataCache<S>,
    /// Offsets of the blocks' streams; one more entry says where the last one ends.
    table: Table,
    size: u64,
}

impl<S: ByteSource> BlockDisk for CloopDisk<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn file(&self) -> (DeviceIndex, u64) {
        (self.cache.device(), self.cache.file_size())
    }

    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let block = self.table.block;
        let entry = self.table.read(&mut self.cache, position)?;
        let next = entry.start.saturating_add(block.bytes());
        let end = self.table.read(&mut self.cache, next)?;
        // A stream is a little longer than what it holds, at most.
        let most = block.bytes().saturating_mul(2);
        let length = end.value.checked_sub(entry.value);
        let Some(length) = length.filter(|length| (1..=most).contains(length)) else {
            let expected =
                Expected::Sentence("an offset 1 byte to two blocks behind the one before");
            let device = self.cache.device();
            let kind = ErrorKind::BadTableEntry;
            let field = "offset of a block";
            return Err(FormatError::new(
                kind, device, field, end.at, end.value, expected,
            ));
        };
        Ok(Run {
            piece: Piece::Compressed(Stream {
                codec: Codec::Zlib,
                offset: entry.value,
                max_length: length,
                start: entry.start,
                size: block.bytes(),
            }),
            length: next.min(limit).saturating_sub(position),
            cost: self.table.width.bytes(),
        })
    }

    fn entry(&mut self, position: u64) -> Result<(&'static str, u64), FormatError> {
        Ok(("offset of a block", self.table.place_of(position)))
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "table of offsets",
            at: header::N_BLOCKS.place(0),
            end: self
                .table
                .file_end()
                .saturating_add(self.table.width.bytes()),
        }]
    }
}

impl<S: ByteSource> Image for CloopDisk<S> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        blocks::map(self, offset, max_length)
    }
}

impl<S: ByteSource> FormatImage for CloopDisk<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts::default())
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        blocks::within_file(self, budget)
    }
}
