//! Checks directory, tables and grains; `qemu-img check` looks at places behind the end only.

use alloc::format;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::{Blocks, Check, TableDisk, check_blocks};
use crate::check::Teller;
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

use super::grains::Grains;

/// Bytes of tables that are compared at once.
const PIECE: usize = 2048;

impl Check for Grains {
    fn check<S: ByteSource>(
        disk: &mut TableDisk<S, Self>,
        teller: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        let blocks = Blocks {
            block: disk.layout.grain,
            before: 0,
            tail: 0,
            whole: false,
            packed: false,
            beyond: |position, _| {
                let sector = SECTOR.index_of(position);
                format!("ERROR: cluster offset for sector {sector} points after EOF")
            },
        };
        check_blocks(disk, teller, &blocks)?;
        compare_redundant(disk, teller)
    }
}

/// The second directory leads to tables of its own, which name the same grains.
fn compare_redundant<S: ByteSource>(
    disk: &mut TableDisk<S, Grains>,
    teller: &mut Teller<'_>,
) -> Result<(), FormatError> {
    let layout = disk.layout;
    let Some(second) = layout.redundant_directory() else {
        return Ok(());
    };
    let first = layout.directory();
    let file_size = disk.cache.file_size();
    if first.file_end() > file_size {
        // That was told, and nothing can be compared.
        return Ok(());
    }
    if second.file_end() > file_size {
        let end = second.file_end();
        let text = format!(
            "ERROR: the redundant grain directory ends at offset {end}, behind the end of the file"
        );
        return teller.corrupt(second.offset, end, file_size, text);
    }
    let bytes = layout.table_entries.saturating_mul(layout.width().bytes());
    for index in 0..first.entries {
        let position = first.block.times(index);
        let one = first.read(&mut disk.cache, position)?;
        let other = second.read(&mut disk.cache, position)?;
        let same = match (one.value, other.value) {
            (0, 0) => true,
            (0, _) | (_, 0) => false,
            _ => {
                let places = [layout.table_offset(one)?, layout.table_offset(other)?];
                is_same(&mut disk.cache, places, bytes)?
            }
        };
        if !same {
            let text = format!(
                "ERROR: the redundant grain table for virtual offset {position} says something else than the first one"
            );
            teller.corrupt(other.at, other.value, one.value, text)?;
        }
    }
    Ok(())
}

/// Whether two parts of the file hold the same.
fn is_same<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    [one, other]: [u64; 2],
    length: u64,
) -> Result<bool, FormatError> {
    let mut pieces = [[0; PIECE], [0; PIECE]];
    let mut done = 0_u64;
    while done < length {
        let size = PIECE.min(to_usize(length.saturating_sub(done)));
        let [first, second] = &mut pieces;
        for (piece, start) in [(&mut *first, one), (&mut *second, other)] {
            let part = piece.get_mut(..size).unwrap_or_default();
            cache.read(start.saturating_add(done), part)?;
        }
        if first.get(..size) != second.get(..size) {
            return Ok(false);
        }
        done = done.saturating_add(to_u64(size));
    }
    Ok(true)
}
