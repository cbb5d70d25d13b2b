//! Feature bits (qcow2.txt "Header", bytes 72 to 95) and how an unknown one is named.

use alloc::vec::Vec;

use crate::arith::to_usize;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::extensions;
use crate::qcow2::header::Header;
use crate::source::ByteSource;

/// Refcounts may be stale; of no consequence for reading.
pub const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
/// Something was found to be inconsistent; reading is still allowed.
pub const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
/// Guest data lies in another file.
pub const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
/// Compressed clusters are not deflate.
pub const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
/// L2 entries have 16 bytes and describe 32 subclusters.
pub const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;

const INCOMPATIBLE_KNOWN: u64 = INCOMPATIBLE_DIRTY
    | INCOMPATIBLE_CORRUPT
    | INCOMPATIBLE_DATA_FILE
    | INCOMPATIBLE_COMPRESSION
    | INCOMPATIBLE_EXTENDED_L2;

/// Refcount updates may be postponed.
pub const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1 << 0;

/// The bitmaps extension can be trusted.
pub const AUTOCLEAR_BITMAPS: u64 = 1 << 0;
/// The external data file is a raw image of its own.
pub const AUTOCLEAR_DATA_FILE_RAW: u64 = 1 << 1;

/// An entry of the feature name table: type, bit number, name padded with zeros.
pub(super) const NAME_ENTRY_LENGTH: u64 = 48;
const TYPE_INCOMPATIBLE: u8 = 0;

/// Names in a message; the image chooses them, so the message must not grow with it.
const MAX_TEXT: usize = 512;

/// Refuses incompatible features that are not known, by the names that the image gives them.
pub(super) fn refuse_unknown<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    incompatible: Field<u64>,
) -> Result<(), FormatError> {
    let unknown = incompatible.value & !INCOMPATIBLE_KNOWN;
    if unknown == 0 {
        return Ok(());
    }
    // A broken table costs the names, not the refusal.
    let table = extensions::find_feature_names(cache, header).unwrap_or_default();
    let mut text = Vec::new();
    for bit in (0..64_u8).filter(|bit| unknown & 1_u64.wrapping_shl(u32::from(*bit)) != 0) {
        if text.len() > MAX_TEXT {
            text.extend_from_slice(b", ...");
            break;
        }
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        match name_of(&table, bit) {
            Some(name) => text.extend_from_slice(name),
            None => text.extend_from_slice(alloc::format!("incompatible bit {bit}").as_bytes()),
        }
    }
    let expected = Expected::Sentence("only bits 0 to 4");
    Err(incompatible
        .refuse(ErrorKind::UnknownFeature, expected)
        .with_text(&text))
}

fn name_of(table: &[u8], bit: u8) -> Option<&[u8]> {
    table
        .chunks_exact(to_usize(NAME_ENTRY_LENGTH))
        .find_map(|entry| match entry {
            [TYPE_INCOMPATIBLE, number, name @ ..] if *number == bit => name
                .split(|byte| *byte == 0)
                .next()
                .filter(|name| !name.is_empty()),
            _ => None,
        })
}
