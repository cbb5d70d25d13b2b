//! The header (`VDIHEADER1PLUS` behind `VDIPREHEADER`): 512 bytes, little-endian.

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vdi::header;

/// 0xbeda107f, the lowest byte first.
pub(super) const SIGNATURE: [u8; 4] = [0x7f, 0x10, 0xda, 0xbe];

/// `image_type` of an image whose blocks were all allocated when it was created.
const TYPE_FIXED: u32 = 2;
const VERSION_1_1: u32 = 0x0001_0001;
/// The one size of blocks that VirtualBox writes and QEMU reads.
const BLOCK_BYTES: u64 = 1 << 20;
/// So many blocks that the bytes of their map still fit 32 bits.
const MOST_BLOCKS: u32 = u32::MAX / 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub version: u32,
    pub block_map_offset: u64,
    pub data_offset: u64,
    /// Bytes of the disk, whole sectors.
    pub size: u64,
    pub block: BlockSize,
    /// Entries of the block map.
    pub blocks: u64,
    /// Blocks that have bytes in the file, as the header counts them.
    pub allocated: Field<u32>,
    /// All blocks were allocated when the image was created.
    pub fixed: bool,
}

fn aligned(field: Field<u32>) -> Result<u64, FormatError> {
    let offset = u64::from(field.value);
    if !SECTOR.is_aligned(offset) {
        return Err(field.refuse(ErrorKind::BadHeader, Expected::MultipleOf(SECTOR.size())));
    }
    Ok(offset)
}

fn must_be(field: Field<u32>, value: u32) -> Result<(), FormatError> {
    if field.value == value {
        return Ok(());
    }
    Err(field.refuse(ErrorKind::UnsupportedVariant, Expected::Value(value.into())))
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVersion`, `BadHeader`, `BadClusterSize`, `ImageTooBig`, `BadTable` by the rule that is
    /// broken, `UnsupportedVariant` for differencing images and blocks with bytes of their own.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, header::BYTES)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let signature = head.get(header::SIGNATURE)?;
        if signature.value != u32::from_le_bytes(SIGNATURE) {
            let expected = Expected::Value(u32::from_le_bytes(SIGNATURE).into());
            return Err(signature.refuse(ErrorKind::NotThisFormat, expected));
        }
        let version = head.get(header::VERSION)?;
        if version.value != VERSION_1_1 {
            let expected = Expected::Value(VERSION_1_1.into());
            return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
        }
        // Dynamic and fixed images are read alike.
        let fixed = head.get(header::IMAGE_TYPE)?.value == TYPE_FIXED;
        let block_map_offset = aligned(head.get(header::OFFSET_BMAP)?)?;
        let data_offset = aligned(head.get(header::OFFSET_DATA)?)?;
        must_be(head.get(header::SECTOR_SIZE)?, 512)?;
        let disk_size = head.get(header::DISK_SIZE)?;
        let block_size = head.get(header::BLOCK_SIZE)?;
        let block = BlockSize::new(block_size.value.into())
            .filter(|block| block.bytes() == BLOCK_BYTES)
            .ok_or_else(|| {
                block_size.refuse(ErrorKind::BadClusterSize, Expected::Value(BLOCK_BYTES))
            })?;
        must_be(head.get(header::BLOCK_EXTRA)?, 0)?;
        let blocks = head.get(header::BLOCKS_IN_IMAGE)?;
        if blocks.value > MOST_BLOCKS {
            let expected = Expected::AtMost(MOST_BLOCKS.into());
            return Err(blocks.refuse(ErrorKind::BadTable, expected));
        }
        // A size that is no whole number of sectors is rounded up, as QEMU rounds it.
        let size = SECTOR.round_up(disk_size.value);
        let Some(size) = size.filter(|size| *size <= block.times(MOST_BLOCKS.into())) else {
            let expected = Expected::AtMost(block.times(MOST_BLOCKS.into()));
            return Err(disk_size.refuse(ErrorKind::ImageTooBig, expected));
        };
        if size > block.times(blocks.value.into()) {
            let expected = Expected::AtLeast(block.count_for(size));
            return Err(blocks.refuse(ErrorKind::BadTable, expected));
        }
        let allocated = head.get(header::BLOCKS_ALLOCATED)?;
        for field in [header::UUID_LINK, header::UUID_PARENT] {
            if head.bytes(field)?.iter().any(|byte| *byte != 0) {
                let expected = Expected::Sentence("zeros: differencing images are not read");
                let kind = ErrorKind::UnsupportedVariant;
                return Err(head
                    .refuse(field, kind, 1, expected)
                    .with_text(b"differencing"));
            }
        }
        Ok(Self {
            version: version.value,
            block_map_offset,
            data_offset,
            size,
            block,
            blocks: blocks.value.into(),
            allocated,
            fixed,
        })
    }
}
