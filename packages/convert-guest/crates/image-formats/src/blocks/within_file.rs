//! Whether everything that the tables of a disk of blocks name lies inside its file.

use alloc::vec::Vec;

use crate::blocks::{BlockDisk, Piece};
use crate::error::FormatError;
use crate::within::{Beyond, Tail, Within};

/// Most compressed streams near the end of the file that are kept for a trial.
const MOST_TAILS: usize = 256;
/// What a look costs at least, in bytes of tables.
const LEAST_COST: u64 = 16;

/// As [`FormatImage::within_file`](crate::FormatImage::within_file): looks at the tables' places, then at every block.
pub(crate) fn within_file<D: BlockDisk>(disk: &mut D, budget: u64) -> Result<Within, FormatError> {
    let (_, file_size) = disk.file();
    if let Some(beyond) = disk.tables().into_iter().find(|part| part.end > file_size) {
        return Ok(Within::Beyond(beyond));
    }
    let mut tails = Vec::new();
    let size = disk.size();
    let (mut position, mut left) = (0_u64, budget);
    while position < size {
        let found = disk.look(position, size);
        let run = match found {
            Ok(run) => run,
            Err(error) if error.is_of_image() => return Ok(Within::Fault(error)),
            Err(error) => return Err(error),
        };
        let Some(rest) = left.checked_sub(run.cost.max(LEAST_COST)) else {
            return Ok(Within::TooMany);
        };
        left = rest;
        let lower = disk.lower_table(position)?;
        if let Some(beyond) = lower.filter(|table| table.end > file_size) {
            return Ok(Within::Beyond(beyond));
        }
        match run.piece {
            Piece::Data(host) if host.saturating_add(run.length) > file_size => {
                let inside = file_size
                    .saturating_sub(host)
                    .min(run.length.saturating_sub(1));
                let (field, at) = disk.entry(position.saturating_add(inside))?;
                let end = host.saturating_add(run.length);
                return Ok(Within::Beyond(Beyond { field, at, end }));
            }
            Piece::Compressed(stream) => {
                let end = stream.offset.saturating_add(stream.max_length);
                if stream.offset >= file_size {
                    let (field, at) = disk.entry(position)?;
                    return Ok(Within::Beyond(Beyond { field, at, end }));
                }
                if end > file_size {
                    if tails.len() >= MOST_TAILS {
                        return Ok(Within::TooMany);
                    }
                    let (_, at) = disk.entry(position)?;
                    tails.push(Tail {
                        at,
                        offset: stream.offset,
                        length: file_size.saturating_sub(stream.offset),
                        end,
                        codec: stream.codec,
                        decoded: stream.size,
                    });
                }
            }
            _ => {}
        }
        position = position.saturating_add(run.length.max(1));
    }
    Ok(Within::Whole(tails))
}
