//! Android's sparse images (AOSP `libsparse`, `sparse_format.h`): chunks of data, of a repeated word, and of nothing.

mod checksum;
mod chunks;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64};
use crate::blocks::read_header;
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Codec, Extent, ExtentKind, Image, clamp_request};
use crate::facts::{Facts, ListLimits};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::raw::data_within;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::simg::{chunk, header};
use crate::within::{Beyond, Within};

use chunks::{Chunk, ChunkKind, Index, Walk};

const MAGIC: u32 = 0xed26_ff3a;
/// Most bytes of a repeated word that are made at once.
const FILL_PIECE: u64 = 1 << 20;
/// Bytes of a repeated word.
const WORD: u64 = 4;

/// Whether a file begins like a sparse image.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(&MAGIC.to_le_bytes())
}

/// Opens an image, looking at the header of every chunk, and at all data where checksums tell what it must be.
///
/// # Errors
/// `ChecksumMismatch`, `NotThisFormat`, `UnsupportedVersion`, `BadHeader`, `BadTable`, `BadTableEntry`.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let header = Header::read(&mut cache)?;
    let index = Index::build(&mut cache, &header)?;
    if index.has_checksums() || header.checksum.value != 0 {
        checksum::verify(&mut cache, &header)?;
    }
    Ok(Box::new(SparseImage {
        size: SECTOR.round_up(header.data_size()).unwrap_or(u64::MAX),
        cache,
        header,
        index,
    }))
}

/// A checked header.
#[derive(Clone, Copy, Debug)]
struct Header {
    /// Bytes of the header, behind which chunks begin.
    length: u64,
    /// Bytes of a chunk's header.
    chunk_header: u64,
    /// Bytes of a block.
    block: u64,
    /// Blocks of the disk.
    blocks: Field<u32>,
    chunks: u64,
    /// Of the whole disk; 0 where it was not made.
    checksum: Field<u32>,
}

impl Header {
    fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let bytes = read_header(cache, 0, header::BYTES)?;
        let head = Structure::new(&bytes, 0, cache.device(), ErrorKind::BadHeader);
        let magic = head.get(header::MAGIC)?;
        if magic.value != MAGIC {
            return Err(magic.refuse(ErrorKind::NotThisFormat, Expected::Value(MAGIC.into())));
        }
        let major = head.get(header::MAJOR_VERSION)?;
        if major.value != 1 {
            return Err(major.refuse(ErrorKind::UnsupportedVersion, Expected::Value(1)));
        }
        let length = head.get(header::FILE_HDR_SZ)?;
        let chunk_header = head.get(header::CHUNK_HDR_SZ)?;
        let block = head.get(header::BLK_SZ)?;
        let blocks = head.get(header::TOTAL_BLKS)?;
        let chunks = head.get(header::TOTAL_CHUNKS)?;
        let checksum = head.get(header::IMAGE_CHECKSUM)?;
        if u64::from(length.value) < to_u64(header::BYTES) {
            let expected = Expected::AtLeast(to_u64(header::BYTES));
            return Err(length.refuse(ErrorKind::BadHeader, expected));
        }
        if u64::from(chunk_header.value) < to_u64(chunk::BYTES) {
            let expected = Expected::AtLeast(to_u64(chunk::BYTES));
            return Err(chunk_header.refuse(ErrorKind::BadHeader, expected));
        }
        if block.value == 0 || u64::from(block.value) & 3 != 0 {
            return Err(block.refuse(ErrorKind::BadHeader, Expected::MultipleOf(WORD)));
        }
        Ok(Self {
            length: length.value.into(),
            chunk_header: chunk_header.value.into(),
            block: block.value.into(),
            blocks,
            chunks: chunks.value.into(),
            checksum,
        })
    }

    /// Bytes of the disk; 32 bits times 32 bits fit.
    fn data_size(&self) -> u64 {
        self.block.saturating_mul(self.blocks.value.into())
    }
}

struct SparseImage<S> {
    cache: MetadataCache<S>,
    header: Header,
    index: Index,
    /// Bytes of the disk, whole sectors.
    size: u64,
}

impl<S: ByteSource> SparseImage<S> {
    fn chunk_at(&mut self, offset: u64) -> Result<Chunk, FormatError> {
        self.index.find(&mut self.cache, &self.header, offset)
    }
}

impl<S: ByteSource> Image for SparseImage<S> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.size, offset, max_length)?;
        let device = self.cache.device();
        let zero = |length| Extent {
            start: offset,
            length,
            kind: ExtentKind::Zero,
        };
        if offset >= self.header.data_size() {
            return Ok(zero(length));
        }
        let chunk = self.chunk_at(offset)?;
        let within = offset.saturating_sub(chunk.start);
        let length = length.min(chunk.length.saturating_sub(within));
        let file_size = self.cache.file_size();
        Ok(match chunk.kind {
            ChunkKind::Nothing | ChunkKind::Checksum => zero(length),
            ChunkKind::Data => {
                let place = chunk.data.saturating_add(within);
                data_within(device, file_size, offset, place, length)
            }
            ChunkKind::Fill => {
                let mut word = [0; 4];
                self.cache.read(chunk.data, &mut word)?;
                if word == [0; 4] {
                    return Ok(zero(length));
                }
                let piece = within & !FILL_PIECE.wrapping_sub(1);
                let cluster_start = chunk.start.saturating_add(piece);
                let cluster_size = FILL_PIECE.min(chunk.length.saturating_sub(piece));
                let end = cluster_start.saturating_add(cluster_size);
                Extent {
                    start: offset,
                    length: length.min(end.saturating_sub(offset)),
                    kind: ExtentKind::Compressed {
                        device,
                        codec: Codec::Fill,
                        offset: chunk.data,
                        max_length: WORD.min(file_size.saturating_sub(chunk.data)),
                        cluster_start,
                        cluster_size,
                    },
                }
            }
        })
    }
}

impl<S: ByteSource> FormatImage for SparseImage<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            version: 1,
            cluster_size: self.header.block,
            ..Facts::default()
        })
    }

    fn within_file(&mut self, _: u64) -> Result<Within, FormatError> {
        let size = self.cache.file_size();
        let mut walk = Walk::new(&self.header);
        loop {
            match walk.next(&mut self.cache, &self.header) {
                Ok(Some(chunk)) if chunk.end > size => {
                    return Ok(Within::Beyond(Beyond {
                        field: "total_sz",
                        at: chunk.at.saturating_add(8),
                        end: chunk.end,
                    }));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Within::Whole(Vec::new())),
                Err(error) => return Ok(Within::Fault(error)),
            }
        }
    }
}
