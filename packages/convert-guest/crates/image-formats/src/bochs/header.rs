//! The header: 512 bytes at least, little-endian; the catalog follows it.

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::bochs::{header, header1};

pub(super) const MAGIC: &[u8] = b"Bochs Virtual HD Image";
pub(super) const TYPE: &[u8] = b"Redolog";

const SUBTYPE: &[u8] = b"Growing";
const VERSION_1: u32 = 0x0001_0000;
const VERSION_2: u32 = 0x0002_0000;
/// QEMU's limits.
const MOST_ENTRIES: u32 = 0x10_0000;
const MOST_EXTENT: u32 = 0x80_0000;
const MOST_SECTORS: u64 = u64::MAX >> 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub version: u32,
    pub catalog_offset: u64,
    pub catalog_entries: u64,
    /// Bytes of an extent's bitmap, whole sectors.
    pub bitmap_bytes: u64,
    pub extent: BlockSize,
    /// Bytes of the disk, whole sectors.
    pub size: u64,
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVariant`, `UnsupportedVersion`, `BadTable`, `BadClusterSize` or `ImageTooBig`.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, 512)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let texts = [
            (
                header::MAGIC,
                MAGIC,
                ErrorKind::NotThisFormat,
                "\"Bochs Virtual HD Image\"",
            ),
            (
                header::TYPE,
                TYPE,
                ErrorKind::UnsupportedVariant,
                "\"Redolog\"",
            ),
            (
                header::SUBTYPE,
                SUBTYPE,
                ErrorKind::UnsupportedVariant,
                "\"Growing\"",
            ),
        ];
        for (field, text, kind, expected) in texts {
            if !head.bytes(field)?.starts_with(text) {
                return Err(head.refuse(field, kind, 0, Expected::Sentence(expected)));
            }
        }
        let version = head.get(header::VERSION)?;
        if version.value != VERSION_1 && version.value != VERSION_2 {
            let expected = Expected::Sentence("65536 or 131072");
            return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
        }
        let catalog_offset = u64::from(head.get(header::HEADER)?.value);
        let entries = head.get(header::CATALOG)?;
        if entries.value > MOST_ENTRIES {
            let expected = Expected::AtMost(MOST_ENTRIES.into());
            return Err(entries.refuse(ErrorKind::BadTable, expected));
        }
        let bitmap = head.get(header::BITMAP)?;
        let extent_size = head.get(header::EXTENT)?;
        let possible = 512..=MOST_EXTENT;
        let extent = BlockSize::new(extent_size.value.into()).filter(|_| {
            possible.contains(&extent_size.value) && extent_size.value.is_power_of_two()
        });
        let Some(extent) = extent else {
            let expected = Expected::Sentence("a power of two from 512 to 8388608");
            return Err(extent_size.refuse(ErrorKind::BadClusterSize, expected));
        };
        // One bit a sector.
        let needed = SECTOR.index_of(extent.bytes()).div_ceil(8);
        if u64::from(bitmap.value) < needed {
            return Err(bitmap.refuse(ErrorKind::BadTable, Expected::AtLeast(needed)));
        }
        let disk = head.get(if version.value == VERSION_2 {
            header::DISK
        } else {
            header1::DISK
        })?;
        let size = SECTOR.round_down(disk.value);
        if SECTOR.index_of(size) > MOST_SECTORS {
            let most = SECTOR.times(MOST_SECTORS).unwrap_or(u64::MAX);
            return Err(disk.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)));
        }
        if extent.count_for(size) > u64::from(entries.value) {
            let expected = Expected::AtLeast(extent.count_for(size));
            return Err(entries.refuse(ErrorKind::BadTable, expected));
        }
        Ok(Self {
            version: version.value,
            catalog_offset,
            catalog_entries: entries.value.into(),
            bitmap_bytes: SECTOR.round_up(bitmap.value.into()).unwrap_or(0),
            extent,
            size,
        })
    }
}
