//! Checks that tables and the blocks which they name lie inside the file, and that no two share a part of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::SECTOR;
use crate::blocks::{BlockDisk, BlockSize, Layout, Piece, Place, TableDisk};
use crate::check::Teller;
use crate::error::FormatError;
use crate::source::ByteSource;
use crate::used_units::UsedUnits;

/// Parts of a packed file that are compared with each other: it has few, unless somebody made many.
const MOST_PACKED_PARTS: usize = 64;

/// What the blocks of a format are.
pub(crate) struct Blocks {
    pub block: BlockSize,
    /// Bytes in front of each block that belong to it.
    pub before: u64,
    /// Bytes at the end of the file that no block may reach into.
    pub tail: u64,
    /// Whether a block must lie inside the file to its end: the last bytes of some files were never written.
    pub whole: bool,
    /// Whether compressed blocks and the parts of the file that the format needs are packed, so that they share sectors.
    pub packed: bool,
    /// Says that the block at a virtual offset, with its place in the file, lies behind the end.
    pub beyond: fn(position: u64, host: u64) -> String,
}

/// Looks at every block, and tells of those that cannot be.
///
/// # Errors
/// `SourceFailed` and `OutOfMemory`, and what the findings cannot take.
pub(crate) fn check_blocks<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    teller: &mut Teller<'_>,
    blocks: &Blocks,
) -> Result<(), FormatError> {
    let (device, file_size) = disk.file();
    let sectors = SECTOR.count_for(file_size);
    let mut used = match blocks.packed {
        true => UsedUnits::with_shared(device, SECTOR.size(), sectors)?,
        false => UsedUnits::new(device, SECTOR.size(), sectors)?,
    };
    if tables_end(disk, teller)? > file_size {
        // What would stand behind the end says nothing of blocks.
        return Ok(());
    }
    loop {
        mark_parts(disk, teller, blocks, &mut used)?;
        walk(disk, teller, blocks, &mut used)?;
        if !used.advance() {
            return Ok(());
        }
    }
}

/// Marks the parts of the file that the format needs; tells of those that share bytes.
fn mark_parts<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    teller: &mut Teller<'_>,
    blocks: &Blocks,
    used: &mut UsedUnits,
) -> Result<(), FormatError> {
    let (_, file_size) = disk.file();
    let mut before: Vec<(u64, u64)> = Vec::new();
    let TableDisk { cache, layout, .. } = disk;
    layout.each_part(cache, &mut |name, offset, length| {
        // Its length may be whatever an image says; behind the file is nothing that it could share.
        let end = offset.saturating_add(length).min(file_size);
        let length = end.saturating_sub(offset);
        let shares = if blocks.packed {
            let overlaps = |(from, to): &(u64, u64)| *from < end && offset < *to;
            let other = before.iter().any(overlaps) && used.is_first();
            if before.len() < MOST_PACKED_PARTS {
                before.push((offset, end));
            }
            used.mark_shared(offset, length) || other
        } else {
            used.mark(offset, length)
        };
        if !shares {
            return Ok(());
        }
        let text = format!(
            "ERROR: the {name} at offset {offset} shares bytes with another part of the image"
        );
        teller.corrupt(offset, 0, 0, text)
    })
}

/// Where the last of the tables ends that are always there (byte offset in the file); tells of those behind its end.
pub(crate) fn tables_end<S: ByteSource, L: Layout>(
    disk: &TableDisk<S, L>,
    teller: &mut Teller<'_>,
) -> Result<u64, FormatError> {
    let (_, file_size) = disk.file();
    let mut last = 0;
    for table in disk.tables() {
        last = table.end.max(last);
        if table.end > file_size {
            let text = format!(
                "ERROR: the {} ends at offset {}, behind the end of the file",
                table.field, table.end
            );
            teller.corrupt(table.at, table.end, file_size, text)?;
        }
    }
    Ok(last)
}

fn walk<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    teller: &mut Teller<'_>,
    blocks: &Blocks,
    used: &mut UsedUnits,
) -> Result<(), FormatError> {
    let size = disk.size;
    let mut position = 0;
    while position < size {
        let table = check_table(disk, position, teller, used);
        if let Ok(Some(end)) = table {
            position = end;
            continue;
        }
        match table.and_then(|_| disk.look_at_blocks(position, size)) {
            Ok(run) => {
                check_run(
                    disk,
                    (position, run.piece, run.length),
                    teller,
                    blocks,
                    used,
                )?;
                position = position.saturating_add(run.length.max(1));
            }
            Err(error) if error.is_of_image() => {
                if used.is_first() {
                    teller.fault(&error)?;
                }
                position = after_fault(disk, position, blocks.block);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where the next block begins whose entry may be sound.
fn after_fault<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    position: u64,
    block: BlockSize,
) -> u64 {
    // Where the table itself cannot be found, all its blocks are lost.
    let next = match disk.layout.find(&mut disk.cache, position) {
        Ok(_) => block,
        Err(_) => disk.layout.span().unwrap_or(block),
    };
    position
        .saturating_sub(next.within(position))
        .saturating_add(next.bytes())
}

/// Looks at the table that begins with the block at `position`, where another table names it. A table that shares bytes
/// with something is none: the virtual offset behind its blocks is returned.
fn check_table<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    position: u64,
    teller: &mut Teller<'_>,
    used: &mut UsedUnits,
) -> Result<Option<u64>, FormatError> {
    let (_, file_size) = disk.file();
    let [upper_entry, lower, _] = disk.layout.names();
    let Place::Lower { table, upper } = disk.layout.find(&mut disk.cache, position)? else {
        return Ok(None);
    };
    if table.start != position {
        return Ok(None);
    }
    let at = upper.place_of(position);
    if table.file_end() > file_size && used.is_first() {
        let text = format!(
            "ERROR: the {lower} at offset {} that a {upper_entry} names ends behind the end of the file",
            table.offset
        );
        teller.corrupt(at, table.offset, file_size, text)?;
    }
    if used.mark(table.offset, table.file_end().saturating_sub(table.offset)) {
        let text = format!(
            "ERROR: the {lower} at offset {} shares bytes with another part of the image",
            table.offset
        );
        teller.corrupt(at, table.offset, 0, text)?;
        return Ok(Some(table.end()));
    }
    Ok(None)
}

fn check_run<S: ByteSource, L: Layout>(
    disk: &mut TableDisk<S, L>,
    (position, piece, length): (u64, Piece, u64),
    teller: &mut Teller<'_>,
    blocks: &Blocks,
    used: &mut UsedUnits,
) -> Result<(), FormatError> {
    let (_, file_size) = disk.file();
    let file_end = file_size.saturating_sub(blocks.tail);
    let end = position.saturating_add(length);
    let mut at = position;
    while at < end {
        let part = blocks.block.bytes().min(end.saturating_sub(at));
        let (host, bytes) = match piece {
            Piece::Data(host) => (host.saturating_add(at.saturating_sub(position)), part),
            // How long the stream is, only decoding tells, unless they are packed.
            Piece::Compressed(stream) if blocks.packed => (stream.offset, stream.max_length),
            Piece::Compressed(stream) => (stream.offset, 1),
            Piece::Unallocated | Piece::Zero => return Ok(()),
        };
        let shared = blocks.packed && matches!(piece, Piece::Compressed(_));
        let outside = host >= file_end || (blocks.whole && host.saturating_add(bytes) > file_end);
        if outside {
            if used.is_first() {
                let (_, entry) = disk.entry(at)?;
                teller.corrupt(entry, host, file_end, (blocks.beyond)(at, host))?;
            }
        } else {
            let start = host.saturating_sub(blocks.before);
            let length = host.saturating_add(bytes).saturating_sub(start);
            let twice = match shared {
                true => used.mark_shared(start, length),
                false => used.mark(start, length),
            };
            if twice {
                let (field, entry) = disk.entry(at)?;
                let text = format!(
                    "ERROR: the {field} for virtual offset {at} names offset {start}, where another part of the image lies"
                );
                teller.corrupt(entry, host, 0, text)?;
            }
        }
        at = at.saturating_add(part);
    }
    Ok(())
}
