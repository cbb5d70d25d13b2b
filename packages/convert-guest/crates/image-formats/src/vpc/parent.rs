//! What a differencing disk says of its parent: a unique id, a name, and locators ("Parent Locator Entry").

use alloc::vec::Vec;

use crate::arith::to_usize;
use crate::blocks::read_header;
use crate::cursor::Cursor;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::windows_name::{big_endian, from_windows, little_endian};

use super::dynamic::HEADER_BYTES;

/// Where the parent's unique id stands in the dynamic header.
const PARENT_FIELD: usize = 40;
const NAME_BYTES: usize = 512;
const LOCATORS: usize = 8;
/// A path relative to the disk, and an absolute one; both of UTF-16, the lower byte first.
const RELATIVE: u32 = u32::from_be_bytes(*b"W2ru");
const ABSOLUTE: u32 = u32::from_be_bytes(*b"W2ku");
/// Most bytes of a path that are read: what the longest path of Windows has.
const MOST_PATH: u32 = 1 << 16;

pub(super) struct Parent {
    pub unique_id: Identity,
    /// Its name, as of a file beside the disk.
    pub name: Vec<u8>,
}

/// Reads what the dynamic header at `at` says.
///
/// # Errors
/// `BadBackingName` when there is no name of a file.
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    at: u64,
) -> Result<Parent, FormatError> {
    let device = cache.device();
    let bytes = read_header(cache, at, HEADER_BYTES)?;
    let mut cursor = Cursor::new(&bytes, at, device, ErrorKind::BadHeader);
    cursor.bytes("dynamic header", PARENT_FIELD)?;
    let mut unique_id = Identity::default();
    unique_id.copy_from_slice(cursor.bytes("parent unique id", 16)?);
    cursor.bytes("parent time stamp", 8)?;
    let name_at = cursor.offset();
    let name = from_windows(big_endian(cursor.bytes("parent unicode name", NAME_BYTES)?));
    let (mut relative, mut absolute) = (None, None);
    for _ in 0..LOCATORS {
        let code = cursor.be32("platform code")?.value;
        cursor.be32("platform data space")?;
        let length = cursor.be32("platform data length")?;
        cursor.be32("reserved")?;
        let offset = cursor.be64("platform data offset")?;
        let place = match code {
            RELATIVE => &mut relative,
            ABSOLUTE => &mut absolute,
            _ => continue,
        };
        let end = offset.value.saturating_add(length.value.into());
        if length.value > MOST_PATH || end > cache.file_size() {
            let expected = Expected::Sentence("a path inside the file");
            return Err(offset.refuse(ErrorKind::BadBackingName, expected));
        }
        let path = cache.read_vec(offset.value, to_usize(length.value.into()))?;
        *place = from_windows(little_endian(&path));
    }
    // The relative one is right where both files were moved together.
    let name = relative.or(absolute).or(name).ok_or_else(|| {
        let expected = Expected::Sentence("the name of the parent");
        let kind = ErrorKind::BadBackingName;
        FormatError::new(kind, device, "parent locator", name_at, 0, expected)
    })?;
    Ok(Parent { unique_id, name })
}
