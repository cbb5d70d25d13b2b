//! What a differencing disk says of its parent: a unique id, a name, and locators ("Parent Locator Entry").

use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::read_header;
use crate::edit::EditTarget;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::staged_file::StagedFile;
use crate::structure::Structure;
use crate::structures::vpc::{dynamic_header, parent_locator};
use crate::windows_name::{big_endian, from_windows, little_endian};

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
    let bytes = read_header(cache, at, dynamic_header::BYTES)?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
    let unique_id: Identity = head.array(dynamic_header::PARENT_UNIQUE_ID)?;
    let name_at = dynamic_header::PARENT_UNICODE_NAME.place(at);
    let name = from_windows(big_endian(head.bytes(dynamic_header::PARENT_UNICODE_NAME)?));
    let (mut relative, mut absolute) = (None, None);
    for number in 0..LOCATORS {
        let locators = dynamic_header::PARENT_LOCATORS.offset();
        let locator = head.entry(locators, parent_locator::BYTES, number);
        let code = locator.get(parent_locator::PLATFORM_CODE)?.value;
        let length = locator.get(parent_locator::PLATFORM_DATA_LENGTH)?;
        let offset = locator.get(parent_locator::PLATFORM_DATA_OFFSET)?;
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

/// Where the path beside the disk stands, and the whole sectors that it has (byte offset in the file, and bytes).
pub(super) fn relative_path<T: EditTarget>(
    file: &mut StagedFile<T>,
    at: u64,
) -> Result<Option<(u64, u64)>, FormatError> {
    let bytes = file.read_vec(at, to_u64(dynamic_header::BYTES))?;
    let head = Structure::new(&bytes, at, file.device(), ErrorKind::BadHeader);
    for number in 0..LOCATORS {
        let locators = dynamic_header::PARENT_LOCATORS.offset();
        let locator = head.entry(locators, parent_locator::BYTES, number);
        if locator.get(parent_locator::PLATFORM_CODE)?.value == RELATIVE {
            let length = locator.get(parent_locator::PLATFORM_DATA_LENGTH)?.value;
            let offset = locator.get(parent_locator::PLATFORM_DATA_OFFSET)?.value;
            let whole = SECTOR.round_up(length.into()).unwrap_or(0);
            let inside = offset.saturating_add(whole) <= file.size();
            return Ok(inside.then_some((offset, whole)));
        }
    }
    Ok(None)
}

/// Where the paths stand that the dynamic header at `at` names, and how long they are (byte offset in the file, and bytes).
pub(super) fn paths<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    at: u64,
) -> Result<Vec<(u64, u64)>, FormatError> {
    let bytes = cache.read_vec(at, dynamic_header::BYTES)?;
    let head = Structure::new(&bytes, at, cache.device(), ErrorKind::BadHeader);
    let mut paths = Vec::new();
    for number in 0..LOCATORS {
        let locators = dynamic_header::PARENT_LOCATORS.offset();
        let locator = head.entry(locators, parent_locator::BYTES, number);
        if locator.get(parent_locator::PLATFORM_CODE)?.value == 0 {
            continue;
        }
        let length = locator.get(parent_locator::PLATFORM_DATA_LENGTH)?.value;
        let offset = locator.get(parent_locator::PLATFORM_DATA_OFFSET)?.value;
        paths.push((offset, length.into()));
    }
    Ok(paths)
}
