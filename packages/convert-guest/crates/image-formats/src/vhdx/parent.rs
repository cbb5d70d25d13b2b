//! The parent locator ([MS-VHDX] 2.6.2.6): keys and values that say what the parent of a differencing disk is.

use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::to_usize;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vhdx::{parent_locator, parent_locator_entry};
use crate::windows_name::{from_windows, little_endian};

use super::guid;
use super::regions::Region;

/// Most bytes of a locator that are read.
const MOST_BYTES: u64 = 1 << 20;
/// Most keys: the specification has five.
const MOST_KEYS: u16 = 64;
/// Names of the parent, the best first: the relative one is right where both files were moved together.
const NAMES: [&str; 3] = ["relative_path", "absolute_win32_path", "volume_path"];
/// What the parent's `DataWriteGuid` may be.
const LINKAGES: [&str; 2] = ["parent_linkage", "parent_linkage2"];

pub(super) struct Parent {
    pub identities: Vec<Identity>,
    /// Its name, as of a file beside the disk.
    pub name: Vec<u8>,
}

/// Reads the locator.
///
/// # Errors
/// `UnsupportedVariant` for locators of another type, `BadTable`, `BadBackingName` without a name or a linkage.
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    region: Region,
) -> Result<Parent, FormatError> {
    let device = cache.device();
    let at = region.offset;
    let refuse = |kind, field, value, expected| {
        let expected = Expected::Sentence(expected);
        FormatError::new(kind, device, field, at, value, expected)
    };
    if region.length > MOST_BYTES {
        let kind = ErrorKind::BadTable;
        return Err(refuse(
            kind,
            "parent locator",
            region.length,
            "at most 1 MiB",
        ));
    }
    let bytes = cache.read_vec(at, to_usize(region.length))?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadTable);
    if head.bytes(parent_locator::LOCATOR_TYPE)? != guid::VHDX_PARENT {
        let kind = ErrorKind::UnsupportedVariant;
        return Err(refuse(kind, "LocatorType", 0, "a VHDX as the parent"));
    }
    let count = head.get(parent_locator::KEY_VALUE_COUNT)?;
    if count.value > MOST_KEYS {
        return Err(count.refuse(ErrorKind::BadTable, Expected::AtMost(MOST_KEYS.into())));
    }
    let mut pairs: Vec<(String, &[u8])> = Vec::new();
    for number in 0..count.value {
        let entry = head.entry(
            parent_locator::BYTES,
            parent_locator_entry::BYTES,
            usize::from(number),
        );
        let key_at = entry.get(parent_locator_entry::KEY_OFFSET)?;
        let value_at = entry.get(parent_locator_entry::VALUE_OFFSET)?;
        let key_length = entry.get(parent_locator_entry::KEY_LENGTH)?.value;
        let value_length = entry.get(parent_locator_entry::VALUE_LENGTH)?.value;
        let part = |offset: u32, length: u16| {
            let rest = bytes.get(to_usize(offset.into())..)?;
            rest.get(..usize::from(length))
        };
        let inside = Expected::Sentence("a place inside the locator");
        let key = part(key_at.value, key_length)
            .ok_or_else(|| key_at.refuse(ErrorKind::BadTable, inside))?;
        let value = part(value_at.value, value_length)
            .ok_or_else(|| value_at.refuse(ErrorKind::BadTable, inside))?;
        pairs.push((text(key), value));
    }
    let value_of = |wanted: &str| {
        let pair = pairs.iter().find(|(key, _)| key == wanted);
        pair.map(|(_, value)| *value)
    };
    let identities: Vec<Identity> = LINKAGES
        .iter()
        .filter_map(|key| guid::parse(&text(value_of(key)?)))
        .collect();
    let name = NAMES
        .iter()
        .find_map(|key| from_windows(little_endian(value_of(key)?)));
    let kind = ErrorKind::BadBackingName;
    match name {
        _ if identities.is_empty() => {
            Err(refuse(kind, "parent_linkage", 0, "the GUID of the parent"))
        }
        None => Err(refuse(kind, "parent locator", 0, "the name of the parent")),
        Some(name) => Ok(Parent { identities, name }),
    }
}

fn text(bytes: &[u8]) -> String {
    char::decode_utf16(little_endian(bytes))
        .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
