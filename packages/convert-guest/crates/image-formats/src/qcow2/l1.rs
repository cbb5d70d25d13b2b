//! L1 table entries (qcow2.txt "L1 table entry").

use crate::error::{ErrorKind, Expected, FormatError};
use crate::qcow2::header::Header;
use crate::source::DeviceIndex;

/// Bits 9 to 55: the L2 table's byte offset. The other bits do not matter to a reader.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: u64 = 8;

/// The L2 table's offset in an entry, or `None` where there is no table and nothing is allocated.
pub(super) fn table_offset(entry: [u8; 8]) -> Option<u64> {
    match u64::from_be_bytes(entry) & OFFSET {
        0 => None,
        offset => Some(offset),
    }
}

/// Refuses tables that do not start a cluster; `at` is the entry's own place in the file.
pub(super) fn check_table(
    header: &Header,
    device: DeviceIndex,
    at: u64,
    table: u64,
) -> Result<(), FormatError> {
    if header.cluster.is_aligned(table) {
        return Ok(());
    }
    let expected = Expected::MultipleOf(header.cluster.size());
    Err(FormatError::new(
        ErrorKind::BadL1Entry,
        device,
        "L2 table offset",
        at,
        table,
        expected,
    ))
}
