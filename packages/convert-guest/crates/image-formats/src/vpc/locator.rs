//! What a differencing disk says of its parent, as it is written: its identity, its name, and a path beside the disk.

use alloc::vec::Vec;

use super::checksum;
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::facts::Identity;
use crate::structure::{Built, put, put_bytes};
use crate::structures::vpc::{dynamic_header, parent_locator};
use crate::windows_name::to_windows;

/// A path relative to the disk, of UTF-16, the lower byte first.
const RELATIVE: u32 = u32::from_be_bytes(*b"W2ru");
/// Most bytes of a name in the header.
const MOST_NAME: usize = 510;

/// A parent, and the path to it.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    pub identity: Identity,
    path: Vec<u16>,
}

impl Parent {
    /// `None` for a name that Windows programs have no way to write.
    pub fn new(identity: Identity, name: &[u8]) -> Option<Self> {
        let path = to_windows(name)?;
        Some(Self { identity, path })
    }

    /// The path, as it stands in the file: whole sectors.
    pub fn locator(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .path
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        let whole = SECTOR.round_up(to_u64(bytes.len())).unwrap_or(u64::MAX);
        bytes.resize(to_usize(whole), 0);
        bytes
    }

    /// Writes it into a dynamic header, for a path that stands at `at` (byte offset in the file).
    pub fn put_into(&self, header: &mut [u8], at: u64) {
        put_bytes(header, dynamic_header::PARENT_UNIQUE_ID, &self.identity);
        let separator = u16::from(b'\\');
        let leaf = self
            .path
            .rsplit(|unit| *unit == separator)
            .next()
            .unwrap_or(&[]);
        let mut name: Vec<u8> = leaf.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        name.truncate(MOST_NAME);
        name.resize(MOST_NAME.saturating_add(2), 0);
        put_bytes(header, dynamic_header::PARENT_UNICODE_NAME, &name);
        let length = u32::try_from(self.path.len().saturating_mul(2)).unwrap_or(u32::MAX);
        let space = u32::try_from(self.locator().len()).unwrap_or(u32::MAX);
        let mut locators = Built::new(parent_locator::BYTES)
            .put(parent_locator::PLATFORM_CODE, RELATIVE)
            .put(parent_locator::PLATFORM_DATA_SPACE, space)
            .put(parent_locator::PLATFORM_DATA_LENGTH, length)
            .put(parent_locator::PLATFORM_DATA_OFFSET, at)
            .done();
        locators.resize(8 * parent_locator::BYTES, 0);
        put_bytes(header, dynamic_header::PARENT_LOCATORS, &locators);
        let sum = checksum(header, dynamic_header::CHECKSUM);
        put(header, dynamic_header::CHECKSUM, sum);
    }
}
