//! Checks the block allocation table; `qemu-img check` looks at places behind the end and at overlaps with structures.

use alloc::format;
use alloc::string::String;

use crate::blocks::{Blocks, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::FormatError;
use crate::source::ByteSource;

use super::bat::AllocationTable;

pub(super) fn check<S: ByteSource>(
    disk: &mut TableDisk<S, AllocationTable>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    if disk.layout.has_replayed() {
        let text = String::from("ERROR: the log holds changes that were not yet made in the file");
        teller.corrupt(disk.layout.log().offset, disk.layout.log().length, 0, text)?;
    }
    let blocks = Blocks {
        block: disk.layout.block(),
        before: 0,
        tail: 0,
        whole: true,
        beyond: |position, host| {
            format!(
                "ERROR: the block of virtual offset {position} lies at offset {host}, behind the end of the file; it was probably cut off"
            )
        },
    };
    check_blocks(disk, teller, &blocks)
}
