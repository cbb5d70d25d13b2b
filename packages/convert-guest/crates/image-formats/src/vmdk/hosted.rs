//! Headers of sparse extents: hosted ("KDMV", 512 bytes) and ESX's copy-on-write disks ("COWD"), both little-endian.

use crate::arith::{SECTOR, to_u64};
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vmdk::{cowd_header, grain_marker, marker, sparse_header};

use super::Embedded;
use super::grains::{Entries, Grains};

pub(super) const MAGIC: &[u8] = b"KDMV";
pub(super) const COWD_MAGIC: &[u8] = b"COWD";

/// Entries that are 1 stand for zeros.
const FLAG_ZERO_GRAINS: u32 = 1 << 2;
/// There is a second directory.
const FLAG_REDUNDANT: u32 = 1 << 1;
/// Grains lie behind a marker.
const FLAG_MARKERS: u32 = 1 << 17;
/// The directory lies at the end of the file, and a copy of the header there tells where.
const DIRECTORY_AT_END: u64 = u64::MAX;
/// That copy lies before the marker of the end of the stream, each behind a marker of a sector.
const FOOTER_FROM_END: u64 = 1024;
const MARKER_OF_FOOTER: u32 = 3;

/// QEMU's limits.
const MOST_TABLE_ENTRIES: u32 = 512;
const MOST_GRAIN_SECTORS: u64 = 0x20_0000;
const MOST_DIRECTORY: u64 = 32 << 20;
const MOST_SECTORS: u64 = i64::MAX.unsigned_abs() >> 9;
/// A compressed grain passes through the reader's memory.
const MOST_PACKED_SECTORS: u64 = (2 << 20) / 512;
const COWD_TABLE_ENTRIES: u64 = 4096;

fn sectors<T: Copy + Into<u64>>(field: Field<T>) -> u64 {
    SECTOR.times(field.value.into()).unwrap_or(u64::MAX)
}

fn grain_of<T: Copy + Into<u64>>(field: Field<T>, most: u64) -> Result<BlockSize, FormatError> {
    BlockSize::new(sectors(field))
        .filter(|_| field.value.into() <= most)
        .ok_or_else(|| field.refuse(ErrorKind::BadClusterSize, Expected::Between(1, most)))
}

fn size_of<T: Copy + Into<u64>>(capacity: Field<T>, span: BlockSize) -> Result<u64, FormatError> {
    let size = sectors(capacity);
    if capacity.value.into() > MOST_SECTORS {
        return Err(capacity.refuse(ErrorKind::ImageTooBig, Expected::AtMost(MOST_SECTORS)));
    }
    if span.count_for(size) > MOST_DIRECTORY {
        let most = SECTOR.index_of(span.times(MOST_DIRECTORY));
        return Err(capacity.refuse(ErrorKind::BadTable, Expected::AtMost(most)));
    }
    Ok(size)
}

/// Reads the header at the beginning of the file, and the one at its end where the first sends there.
///
/// # Errors
/// `UnsupportedVersion`, `UnsupportedVariant`, `BadHeader`, `BadClusterSize`, `BadTable`, `ImageTooBig`.
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
) -> Result<(Grains, Embedded), FormatError> {
    let (first, embedded, directory) = read_at(cache, 0)?;
    if directory.value != DIRECTORY_AT_END {
        return Ok((first, embedded));
    }
    let at = cache.file_size().saturating_sub(FOOTER_FROM_END);
    let marker = read_header(cache, at.saturating_sub(SECTOR.size()), 16)?;
    let device = cache.device();
    let head = Structure::new(&marker, at, device, ErrorKind::BadHeader);
    let kind = head.get(marker::TYPE)?;
    if kind.value != MARKER_OF_FOOTER || !read_header(cache, at, 512)?.starts_with(MAGIC) {
        let expected = Expected::Sentence("an offset, or a footer at the end of the file");
        return Err(directory.refuse(ErrorKind::BadHeader, expected));
    }
    let (mut last, _, directory) = read_at(cache, at)?;
    if directory.value == DIRECTORY_AT_END {
        let expected = Expected::Sentence("an offset in sectors");
        return Err(directory.refuse(ErrorKind::BadHeader, expected));
    }
    last.descriptor = embedded;
    Ok((last, embedded))
}

fn read_at<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    at: u64,
) -> Result<(Grains, Embedded, Field<u64>), FormatError> {
    let device = cache.device();
    let bytes = read_header(cache, at, 512)?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
    let version = head.get(sparse_header::VERSION)?;
    if !(1..=3).contains(&version.value) {
        return Err(version.refuse(ErrorKind::UnsupportedVersion, Expected::Between(1, 3)));
    }
    let flags = head.get(sparse_header::FLAGS)?.value;
    let capacity = head.get(sparse_header::CAPACITY)?;
    let grain_size = head.get(sparse_header::GRAIN_SIZE)?;
    let descriptor_offset = head.get(sparse_header::DESCRIPTOR_OFFSET)?;
    let descriptor_size = head.get(sparse_header::DESCRIPTOR_SIZE)?;
    let entries = head.get(sparse_header::NUM_GTES_PER_GT)?;
    let redundant = head.get(sparse_header::RGD_OFFSET)?;
    let directory = head.get(sparse_header::GD_OFFSET)?;
    let overhead = head.get(sparse_header::OVER_HEAD)?;
    let compression = head.get(sparse_header::COMPRESS_ALGORITHM)?;
    if compression.value > 1 {
        let expected = Expected::Sentence("0 (none) or 1 (deflate)");
        return Err(compression.refuse(ErrorKind::UnsupportedVariant, expected));
    }
    if capacity.value == 0 {
        let expected = Expected::Sentence("at least 1: no disk whose extents are elsewhere");
        return Err(capacity.refuse(ErrorKind::UnsupportedVariant, expected));
    }
    let packed = compression.value == 1;
    let most = if packed {
        MOST_PACKED_SECTORS
    } else {
        MOST_GRAIN_SECTORS
    };
    let grain = grain_of(grain_size, most)?;
    if !(1..=MOST_TABLE_ENTRIES).contains(&entries.value) {
        let expected = Expected::Between(1, MOST_TABLE_ENTRIES.into());
        return Err(entries.refuse(ErrorKind::BadTable, expected));
    }
    let span = BlockSize::new(grain.times(entries.value.into())).unwrap_or(grain);
    let size = size_of(capacity, span)?;
    if overhead.value > SECTOR.count_for(cache.file_size()) {
        // QEMU refuses such files as truncated.
        let expected = Expected::AtMost(SECTOR.count_for(cache.file_size()));
        return Err(overhead.refuse(ErrorKind::BadHeader, expected));
    }
    let header = if flags & FLAG_MARKERS == 0 {
        0
    } else {
        to_u64(grain_marker::BYTES)
    };
    let embedded = (descriptor_offset.value != 0)
        .then(|| (sectors(descriptor_offset), sectors(descriptor_size)));
    let grains = Grains {
        device,
        directory: sectors(directory),
        directory_field: directory.offset,
        size,
        grain,
        table_entries: entries.value.into(),
        entries: Entries::Sectors {
            zero_grains: flags & FLAG_ZERO_GRAINS != 0,
            compressed: packed.then_some(header),
        },
        redundant: (flags & FLAG_REDUNDANT != 0
            && redundant.value != 0
            && redundant.value != directory.value)
            .then_some(sectors(redundant)),
        descriptor: embedded,
    };
    Ok((grains, embedded, directory))
}

/// Reads the header of a disk of ESX (`COWDisk_Header`).
///
/// # Errors
/// As for [`read`].
pub(super) fn read_cowd<S: ByteSource>(
    cache: &mut MetadataCache<S>,
) -> Result<Grains, FormatError> {
    let device = cache.device();
    let bytes = read_header(cache, 0, 512)?;
    let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
    let version = head.get(cowd_header::VERSION)?;
    if version.value != 1 {
        return Err(version.refuse(ErrorKind::UnsupportedVersion, Expected::Value(1)));
    }
    let capacity = head.get(cowd_header::NUM_SECTORS)?;
    let grain = grain_of(head.get(cowd_header::GRAIN_SIZE)?, MOST_GRAIN_SECTORS)?;
    let directory = head.get(cowd_header::GD_OFFSET)?;
    let entries = head.get(cowd_header::NUM_GDENTRIES)?;
    let span = BlockSize::new(grain.times(COWD_TABLE_ENTRIES)).unwrap_or(grain);
    let size = size_of(capacity, span)?;
    if u64::from(entries.value) < span.count_for(size) {
        let expected = Expected::AtLeast(span.count_for(size));
        return Err(entries.refuse(ErrorKind::BadTable, expected));
    }
    Ok(Grains {
        device,
        directory: sectors(directory),
        directory_field: directory.offset,
        size,
        grain,
        table_entries: COWD_TABLE_ENTRIES,
        entries: Entries::Sectors {
            zero_grains: false,
            compressed: None,
        },
        redundant: None,
        descriptor: None,
    })
}
