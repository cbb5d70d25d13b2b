//! The footer: the last 512 bytes of the file, big-endian; dynamic disks begin with a copy of it.

use crate::arith::SECTOR;
use crate::blocks::read_header;
use crate::cursor::{Cursor, Field};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

pub(super) const COOKIE: &[u8; 8] = b"conectix";
pub(super) const BYTES: usize = 512;
/// Where the checksum stands.
pub(super) const CHECKSUM_AT: usize = 64;

/// Sectors of the largest geometry; a disk that has it is as large as the footer says.
const MOST_GEOMETRY: u64 = 65535 * 16 * 255;
/// Most sectors of a disk (2040 GiB).
const MOST_SECTORS: u64 = 0xff00_0000;
/// Programs (Virtual PC, QEMU) that round the size down to the geometry, which is then the size of the disk. All others
/// mean the size that they write.
const GEOMETRY_CREATORS: &[&[u8]] = &[b"vpc ", b"qemu"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskType {
    Fixed,
    Dynamic,
    Differencing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Footer {
    pub disk_type: DiskType,
    /// Byte offset of the dynamic header.
    pub data_offset: Field<u64>,
    /// Bytes of the disk.
    pub size: u64,
    /// What differencing disks know it by.
    pub unique_id: Identity,
    /// Its size is that of its geometry.
    pub by_geometry: bool,
}

/// The ones' complement of the sum of all bytes but those of the checksum, which stands at `field`.
pub(super) fn checksum(bytes: &[u8], field: usize) -> u32 {
    let sum = bytes
        .iter()
        .enumerate()
        .filter(|(index, _)| !(field..field.saturating_add(4)).contains(index))
        .fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
    !sum
}

impl Footer {
    /// Reads the copy at the beginning of the file, or else the footer at its end.
    ///
    /// # Errors
    /// `NotThisFormat`, `ChecksumMismatch`, `UnsupportedVariant` or `ImageTooBig`.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let mut at = 0;
        let mut bytes = read_header(cache, at, BYTES)?;
        if !bytes.starts_with(COOKIE) {
            at = cache.file_size().saturating_sub(SECTOR.size());
            bytes = read_header(cache, at, BYTES)?;
        }
        let device = cache.device();
        let mut cursor = Cursor::new(&bytes, at, device, ErrorKind::BadHeader);
        if cursor.bytes("cookie", 8)? != COOKIE {
            let expected = Expected::Sentence("\"conectix\"");
            let kind = ErrorKind::NotThisFormat;
            return Err(FormatError::new(kind, device, "cookie", at, 0, expected));
        }
        cursor.be32("features")?;
        cursor.be32("file format version")?;
        let data_offset = cursor.be64("data offset")?;
        cursor.be32("time stamp")?;
        let creator = cursor.bytes("creator application", 4)?;
        cursor.bytes("creator version and system", 8)?;
        cursor.be64("original size")?;
        let current = cursor.be64("current size")?;
        let cylinders = cursor.be16("cylinders")?;
        let heads = cursor.u8("heads")?;
        let sectors = cursor.u8("sectors per track")?;
        let type_field = cursor.be32("disk type")?;
        let stored = cursor.be32("checksum")?;
        let mut unique_id = Identity::default();
        unique_id.copy_from_slice(cursor.bytes("unique id", 16)?);
        let sum = checksum(&bytes, CHECKSUM_AT);
        if stored.value != sum {
            return Err(stored.refuse(ErrorKind::ChecksumMismatch, Expected::Value(sum.into())));
        }
        let disk_type = match type_field.value {
            2 => DiskType::Fixed,
            3 => DiskType::Dynamic,
            4 => DiskType::Differencing,
            _ => {
                let expected = Expected::Sentence("2 (fixed), 3 (dynamic) or 4 (differencing)");
                return Err(type_field.refuse(ErrorKind::UnsupportedVariant, expected));
            }
        };
        let geometry = u64::from(cylinders.value)
            .saturating_mul(heads.value.into())
            .saturating_mul(sectors.value.into());
        let by_geometry = GEOMETRY_CREATORS.contains(&creator) && geometry != MOST_GEOMETRY;
        let count = if by_geometry {
            geometry
        } else {
            SECTOR.index_of(current.value)
        };
        if count > MOST_SECTORS {
            let most = SECTOR.times(MOST_SECTORS).unwrap_or(u64::MAX);
            return Err(current.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)));
        }
        Ok(Self {
            disk_type,
            data_offset,
            size: SECTOR.times(count).unwrap_or(0),
            unique_id,
            by_geometry,
        })
    }
}
