//! The footer: the last 512 bytes of the file, big-endian; dynamic disks begin with a copy of it.

use crate::arith::SECTOR;
use crate::blocks::read_header;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::{Be, Number, Structure};
use crate::structures::vpc::footer;

pub(super) const COOKIE: &[u8; 8] = b"conectix";

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

/// The ones' complement of the sum of all bytes but those of the checksum, which is kept in `field`.
pub(crate) fn checksum(bytes: &[u8], field: Number<Be<u32>>) -> u32 {
    let field = field.offset();
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
        let mut bytes = read_header(cache, at, footer::BYTES)?;
        if !bytes.starts_with(COOKIE) {
            at = cache.file_size().saturating_sub(SECTOR.size());
            bytes = read_header(cache, at, footer::BYTES)?;
        }
        let device = cache.device();
        let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
        if head.bytes(footer::COOKIE)? != COOKIE {
            let expected = Expected::Sentence("\"conectix\"");
            let kind = ErrorKind::NotThisFormat;
            return Err(FormatError::new(kind, device, "cookie", at, 0, expected));
        }
        let data_offset = head.get(footer::DATA_OFFSET)?;
        let creator = head.bytes(footer::CREATOR_APPLICATION)?;
        let current = head.get(footer::CURRENT_SIZE)?;
        let cylinders = head.get(footer::CYLINDERS)?;
        let heads = head.get(footer::HEADS)?;
        let sectors = head.get(footer::SECTORS_PER_TRACK)?;
        let type_field = head.get(footer::DISK_TYPE)?;
        let stored = head.get(footer::CHECKSUM)?;
        let unique_id: Identity = head.array(footer::UNIQUE_ID)?;
        let sum = checksum(&bytes, footer::CHECKSUM);
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
