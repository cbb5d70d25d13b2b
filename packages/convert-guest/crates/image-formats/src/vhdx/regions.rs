//! The region table ([MS-VHDX] 2.2.3): where the block allocation table and the metadata lie.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vhdx::{region_entry, region_table};

use super::crc32c;
use super::guid::{self, Guid};

pub(super) const PLACES: [u64; 2] = [192 << 10, 256 << 10];
pub(super) const TABLE_BYTES: usize = 64 << 10;
const MOST_ENTRIES: u32 = 2047;
const MEGABYTE: PowerOfTwo = PowerOfTwo::from_bits(20);

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Where its offset stands, for messages.
    pub field: u64,
}

impl Region {
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    pub fn overlaps(&self, offset: u64, length: u64) -> bool {
        offset < self.end() && self.offset < offset.saturating_add(length)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Regions {
    pub bat: Region,
    pub metadata: Region,
}

impl Regions {
    /// Reads the first table, or the second where the first is damaged.
    ///
    /// # Errors
    /// `BadTable`, `ChecksumMismatch`, `UnknownFeature` for a region that must be understood and is not.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let [first, second] = PLACES;
        match Self::read_at(cache, first) {
            Err(error) if error.kind == ErrorKind::ChecksumMismatch => {
                Self::read_at(cache, second).map_err(|_| error)
            }
            read => read,
        }
    }

    fn read_at<S: ByteSource>(cache: &mut MetadataCache<S>, at: u64) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = cache.read_vec(at, TABLE_BYTES)?;
        let head = Structure::new(&bytes, at, device, ErrorKind::BadTable);
        let signature = head.bytes(region_table::SIGNATURE)?;
        let checksum = head.get(region_table::CHECKSUM)?;
        let sum = crc32c::of_structure(&bytes);
        if signature != b"regi" || checksum.value != sum {
            let expected = Expected::Value(sum.into());
            return Err(checksum.refuse(ErrorKind::ChecksumMismatch, expected));
        }
        let count = head.get(region_table::ENTRY_COUNT)?;
        if count.value > MOST_ENTRIES {
            let expected = Expected::AtMost(MOST_ENTRIES.into());
            return Err(count.refuse(ErrorKind::BadTable, expected));
        }
        let mut found: Vec<(Guid, Region)> = Vec::new();
        for number in 0..count.value {
            let entry = head.entry(
                region_table::BYTES,
                region_entry::BYTES,
                to_usize(number.into()),
            );
            let id: Guid = entry.array(region_entry::GUID)?;
            let offset = entry.get(region_entry::FILE_OFFSET)?;
            let length = entry.get(region_entry::LENGTH)?;
            let required = entry.get(region_entry::REQUIRED)?;
            let region = Region {
                offset: offset.value,
                length: length.value.into(),
                field: offset.offset,
            };
            let aligned = MEGABYTE.is_aligned(region.offset) && MEGABYTE.is_aligned(region.length);
            if !aligned || region.offset < MEGABYTE.size() || region.length == 0 {
                let expected = Expected::Sentence("whole MiB behind the first");
                return Err(offset.refuse(ErrorKind::BadTable, expected));
            }
            if found
                .iter()
                .any(|(other, part)| *other == id || part.overlaps(region.offset, region.length))
            {
                let expected =
                    Expected::Sentence("a region that is named once and overlaps no other");
                return Err(offset.refuse(ErrorKind::BadTable, expected));
            }
            if required.value & 1 != 0 && id != guid::BAT && id != guid::METADATA {
                let expected = Expected::Sentence("known regions, or such as may be passed over");
                return Err(required.refuse(ErrorKind::UnknownFeature, expected));
            }
            found.push((id, region));
        }
        let of = |wanted: Guid, name| {
            let region = found.iter().find(|(id, _)| *id == wanted);
            region.map(|(_, region)| *region).ok_or_else(|| {
                let expected = Expected::Sentence("a table with the regions BAT and metadata");
                FormatError::new(ErrorKind::BadTable, device, name, at, 0, expected)
            })
        };
        Ok(Self {
            bat: of(guid::BAT, "BAT region")?,
            metadata: of(guid::METADATA, "metadata region")?,
        })
    }
}
