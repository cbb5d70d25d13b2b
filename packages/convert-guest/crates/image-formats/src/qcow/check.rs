//! Checks tables and clusters, which `qemu-img check` does not.

use alloc::format;

use crate::blocks::{BlockSize, Blocks, Check, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::FormatError;
use crate::source::ByteSource;

use super::header::Header;

impl Check for Header {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        let header = disk.layout;
        let blocks = Blocks {
            block: BlockSize::new(header.cluster.size()).unwrap_or(header.l1_span),
            before: 0,
            tail: 0,
            whole: false,
            packed: true,
            beyond: |position, host| {
                format!(
                    "ERROR: the cluster of virtual offset {position} lies at offset {host}, behind the end of the file"
                )
            },
        };
        check_blocks(disk, teller, &blocks)
    }
}
