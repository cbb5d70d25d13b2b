//! Checks the block allocation table; `qemu-img check` looks at places behind the end and at overlaps with structures.

use alloc::format;
use alloc::string::String;

use crate::blocks::{Blocks, Check, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structures;

use super::bat::AllocationTable;
use super::header::{self, Header};
use super::regions;

impl Check for AllocationTable {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        if disk.layout.has_replayed() {
            let text =
                String::from("ERROR: the log holds changes that were not yet made in the file");
            teller.corrupt(disk.layout.log().offset, disk.layout.log().length, 0, text)?;
        }
        check_headers(&mut disk.cache, teller)?;
        check_region_tables(&mut disk.cache, teller)?;
        let blocks = Blocks {
            block: disk.layout.block(),
            before: 0,
            tail: 0,
            whole: true,
            packed: false,
            beyond: |position, host| {
                format!(
                    "ERROR: the block of virtual offset {position} lies at offset {host}, behind the end of the file; it was probably cut off"
                )
            },
        };
        check_blocks(disk, teller, &blocks)
    }
}

/// Both headers are valid, and tell which of them is the newer ([MS-VHDX] 2.2.2).
fn check_headers<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let device = cache.device();
    let mut found = [None, None];
    for (at, header) in header::PLACES.into_iter().zip(&mut found) {
        let bytes = cache.read_vec(at, structures::vhdx::header::BYTES)?;
        match Header::parse(&bytes, at, device) {
            Ok(valid) => *header = Some((valid, bytes)),
            Err(error) => {
                let text = format!("ERROR: the header at offset {at} is of no use: {error}");
                teller.corrupt(at, error.value, 0, text)?;
            }
        }
    }
    if let [Some((first, bytes)), Some((second, others))] = found
        && first.sequence == second.sequence
        && bytes != others
    {
        let [_, at] = header::PLACES;
        let text = format!(
            "ERROR: both headers have the sequence number {}, and they differ",
            first.sequence
        );
        teller.corrupt(at, second.sequence, 0, text)?;
    }
    Ok(())
}

/// The second region table is a copy of the first (2.2.3).
fn check_region_tables<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let [first, second] = regions::PLACES;
    let one = cache.read_vec(first, regions::TABLE_BYTES)?;
    let other = cache.read_vec(second, regions::TABLE_BYTES)?;
    if one == other {
        return Ok(());
    }
    let text = format!("ERROR: the region tables at offsets {first} and {second} differ");
    teller.corrupt(second, 0, 0, text)
}
