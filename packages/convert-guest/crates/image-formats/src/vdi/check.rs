//! Checks the block map, as `qemu-img check` does, and that its blocks lie inside the file.

use alloc::format;

use crate::arith::to_u64;
use crate::blocks::{Check, TableDisk, tables_end};
use crate::check::{Remedy, Teller};
use crate::error::FormatError;
use crate::source::ByteSource;
use crate::used_units::UsedUnits;

use super::LEAST_UNALLOCATED;
use super::header::Header;

impl Check for Header {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        let header = disk.layout;
        let (device, file_size) = (disk.cache.device(), disk.cache.file_size());
        let map = header.block_map();
        let mut allocated = 0_u64;
        if tables_end(disk, teller)? > file_size {
            return Ok(());
        }
        let end = map.file_end();
        if header.data_offset < end {
            let text = format!(
                "ERROR: the blocks begin at offset {}, inside the block map, which ends at {end}",
                header.data_offset
            );
            let field = crate::structures::vdi::header::OFFSET_DATA.place(0);
            teller.corrupt(field, header.data_offset, end, text)?;
        }
        let header_end = to_u64(crate::structures::vdi::header::BYTES);
        if header.block_map_offset < header_end {
            let text = format!(
                "ERROR: the block map begins at offset {}, inside the header, which ends at {header_end}",
                header.block_map_offset
            );
            let field = crate::structures::vdi::header::OFFSET_BMAP.place(0);
            teller.corrupt(field, header.block_map_offset, header_end, text)?;
        }
        let mut used = UsedUnits::new(device, 1, header.blocks)?;
        loop {
            for index in 0..header.blocks {
                let entry = map.read(&mut disk.cache, header.block.times(index))?;
                let number = entry.value;
                if number >= LEAST_UNALLOCATED {
                    continue;
                }
                if number >= header.blocks {
                    if used.is_first() {
                        let text = format!("ERROR: block index {index} out of range, is {number}");
                        teller.mendable(
                            Remedy::Unallocate,
                            (entry.at, number, header.blocks),
                            text,
                        )?;
                    }
                    continue;
                }
                if used.mark(number, 1) {
                    let text =
                        format!("ERROR: block index {index} is {number}, which another one is");
                    let found = (entry.at, header.offset_of(number), 0);
                    teller.mendable(Remedy::Separate, found, text)?;
                }
                if used.is_first() {
                    allocated = allocated.saturating_add(1);
                    let offset = header.offset_of(number);
                    // What lies behind the end was there once: a program writes a block when it takes one.
                    if offset >= file_size && !header.fixed {
                        let text = format!(
                            "ERROR: block index {index} is {number}, whose bytes begin at offset {offset}, behind the end of the file"
                        );
                        let found = (entry.at, offset, file_size);
                        teller.mendable(Remedy::Unallocate, found, text)?;
                    }
                }
            }
            if !used.advance() {
                break;
            }
        }
        let stated = header.allocated;
        if allocated != u64::from(stated.value) {
            let text = format!(
                "ERROR: allocated blocks mismatch, is {allocated}, should be {}",
                stated.value
            );
            let found = (stated.offset, stated.value.into(), allocated);
            teller.mendable(Remedy::Replace, found, text)?;
        }
        Ok(())
    }
}
