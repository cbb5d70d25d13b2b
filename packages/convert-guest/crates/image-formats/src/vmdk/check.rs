//! Checks directory, tables and grains; `qemu-img check` looks at places behind the end only.

use alloc::format;

use crate::arith::SECTOR;
use crate::blocks::{Blocks, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::FormatError;
use crate::source::ByteSource;

use super::grains::Grains;

pub(super) fn check<S: ByteSource>(
    disk: &mut TableDisk<S, Grains>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let blocks = Blocks {
        block: disk.layout.grain,
        before: 0,
        tail: 0,
        whole: false,
        beyond: |position, _| {
            let sector = SECTOR.index_of(position);
            format!("ERROR: cluster offset for sector {sector} points after EOF")
        },
    };
    check_blocks(disk, teller, &blocks)
}
