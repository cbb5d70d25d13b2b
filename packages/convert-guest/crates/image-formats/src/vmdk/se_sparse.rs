//! Headers of ESX's space-efficient disks, little-endian: a constant one, and one that changes behind it.

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vmdk::{se_sparse_header, se_sparse_volatile_header};

use super::grains::{Entries, Grains};

/// 0xcafebabe in 64 bits, the lowest byte first.
pub(super) const MAGIC: &[u8] = &[0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0];

const VERSION: u64 = 0x2_0000_0001;
const GRAIN_SECTORS: u64 = 8;
const TABLE_SECTORS: u64 = 64;
const VOLATILE_MAGIC: u64 = 0xcafe_cafe;
const MOST_SECTORS: u64 = i64::MAX.unsigned_abs() >> 9;

fn must_be(field: Field<u64>, value: u64, kind: ErrorKind) -> Result<(), FormatError> {
    if field.value == value {
        return Ok(());
    }
    Err(field.refuse(kind, Expected::Value(value)))
}

fn sectors(field: Field<u64>) -> u64 {
    SECTOR.times(field.value).unwrap_or(u64::MAX)
}

/// Reads and checks both headers.
///
/// # Errors
/// `UnsupportedVersion`, `UnsupportedVariant`, `BadHeader`, `BadTable`, `ImageTooBig`, `BadLog` for a journal that would
/// have to be replayed.
pub(super) fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Grains, FormatError> {
    let device = cache.device();
    let bytes = read_header(cache, 0, 512)?;
    let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
    must_be(
        head.get(se_sparse_header::VERSION)?,
        VERSION,
        ErrorKind::UnsupportedVersion,
    )?;
    let capacity = head.get(se_sparse_header::CAPACITY)?;
    must_be(
        head.get(se_sparse_header::GRAIN_SIZE)?,
        GRAIN_SECTORS,
        ErrorKind::UnsupportedVariant,
    )?;
    must_be(
        head.get(se_sparse_header::GRAIN_TABLE_SIZE)?,
        TABLE_SECTORS,
        ErrorKind::UnsupportedVariant,
    )?;
    must_be(
        head.get(se_sparse_header::FLAGS)?,
        0,
        ErrorKind::UnknownFeature,
    )?;
    let volatile_header = head.get(se_sparse_header::VOLATILE_HEADER_OFFSET)?;
    let directory = head.get(se_sparse_header::GRAIN_DIR_OFFSET)?;
    let directory_size = head.get(se_sparse_header::GRAIN_DIR_SIZE)?;
    let tables = head.get(se_sparse_header::GRAIN_TABLES_OFFSET)?;
    let grains = head.get(se_sparse_header::GRAINS_OFFSET)?;

    if capacity.value > MOST_SECTORS {
        return Err(capacity.refuse(ErrorKind::ImageTooBig, Expected::AtMost(MOST_SECTORS)));
    }
    let at = sectors(volatile_header);
    let bytes = read_header(cache, at, 64)?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
    must_be(
        head.get(se_sparse_volatile_header::MAGIC)?,
        VOLATILE_MAGIC,
        ErrorKind::BadHeader,
    )?;
    must_be(
        head.get(se_sparse_volatile_header::REPLAY_JOURNAL)?,
        0,
        ErrorKind::BadLog,
    )?;

    let expected = Expected::Value(GRAIN_SECTORS);
    let grain = BlockSize::new(SECTOR.times(GRAIN_SECTORS).unwrap_or(0))
        .ok_or_else(|| capacity.refuse(ErrorKind::BadClusterSize, expected))?;
    let table_entries = SECTOR.times(TABLE_SECTORS).unwrap_or(0) >> 3;
    let size = sectors(capacity);
    let layout = Grains {
        device,
        directory: sectors(directory),
        directory_field: directory.offset,
        size,
        grain,
        table_entries,
        entries: Entries::SpaceEfficient {
            tables: sectors(tables),
            grains: sectors(grains),
        },
        redundant: None,
        descriptor: None,
    };
    let needed = SECTOR.count_for(layout.directory().entries.saturating_mul(8));
    if directory_size.value < needed {
        return Err(directory_size.refuse(ErrorKind::BadTable, Expected::AtLeast(needed)));
    }
    Ok(layout)
}
