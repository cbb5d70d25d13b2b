//! A clone of a file in its log, where the file system shares blocks: all of the file is saved then, for nothing.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::record::{read, MOST_CONTENT, RECORD};
use super::settle::{put_back, put_hole_back};
use crate::files;

/// Clones begin at multiples of this (bytes), or of the file system's block where that is larger, and so do the records behind them.
const PLACE: u64 = 64 << 10;
/// Bytes that are cloned first; from one look at the time to the next it is twice as many.
const FIRST_PIECE: u64 = 16 << 20;
/// How long it may take: each extent takes some 20 µs, and of files in very many of them most edits overwrite little, so that copying
/// that is faster.
const MOST_TIME: Duration = Duration::from_millis(50);

/// Where records begin in a log whose clones end at `end`.
pub(super) fn behind(end: u64) -> u64 {
    end.checked_next_multiple_of(PLACE).unwrap_or(u64::MAX)
}

/// Where a clone begins in a log whose records would begin at `records_at`. Between the two there are zeros, which are no record: until the
/// log's header speaks of the clone, nobody takes what the file holds for records.
pub(super) fn place(records_at: u64, block: u64) -> Option<u64> {
    records_at.saturating_add(RECORD as u64).checked_next_multiple_of(PLACE.max(block))
}

/// Clones a file of `length` bytes into a log whose records would begin at `records_at`, and brings that to the disk. Tells where the clone
/// begins; `None` where there can be none.
pub(super) fn take(file: RawFd, length: u64, log: RawFd, records_at: u64) -> io::Result<Option<u64>> {
    if length == 0 || files::allocated(file).is_none() {
        return Ok(None);
    }
    let size = files::size(log)?;
    let Some(at) = place(records_at, files::block_size(log)?) else { return Ok(None) };
    if share(file, length, log, at)? {
        match files::sync_data(log) {
            Ok(()) => return Ok(Some(at)),
            Err(error) if !files::is_full(&error) => return Err(error),
            Err(_) => {}
        }
    }
    if files::size(log)? != size {
        files::set_size(log, size)?;
    }
    Ok(None)
}

/// Has a log share all blocks of a file. False where it cannot, or where that takes too long: then a part is shared.
fn share(file: RawFd, length: u64, log: RawFd, at: u64) -> io::Result<bool> {
    let begun = Instant::now();
    let mut done = 0_u64;
    let mut most = FIRST_PIECE;
    while done < length {
        let piece = length.saturating_sub(done).min(most);
        let is_late = done > 0 && begun.elapsed() > MOST_TIME;
        if is_late || !files::clone_range(file, done, piece, log, at.saturating_add(done))? {
            return Ok(false);
        }
        done = done.saturating_add(piece);
        most = most.saturating_mul(2);
    }
    Ok(true)
}

/// Puts back what a file of `length` bytes held, from the clone at `at` in its log. It may be done again, from the beginning, wherever it was
/// interrupted.
pub(super) fn restore(file: RawFd, length: u64, log: RawFd, at: u64) -> io::Result<()> {
    let place = PLACE.max(files::block_size(file)?);
    let whole = length.saturating_sub(length.checked_rem(place).unwrap_or(0));
    // Whatever a failure was, copying tells what cannot be done.
    let is_cloned = whole > 0 && files::clone_range(log, at, whole, file, 0).unwrap_or(false);
    copy(file, length, log, at, if is_cloned { whole } else { 0 })
}

/// The same from `from` on, by copying what differs.
fn copy(file: RawFd, length: u64, log: RawFd, at: u64, from: u64) -> io::Result<()> {
    let mut done = from;
    while done < length {
        let place = at.saturating_add(done);
        let (is_data, bytes) = files::extent(log, place, length.saturating_sub(done));
        let bytes = if is_data { bytes.min(MOST_CONTENT) } else { bytes };
        if is_data {
            put_back(file, &read(log, place, bytes)?, done)?;
        } else {
            put_hole_back(file, done, bytes, length)?;
        }
        done = done.saturating_add(bytes);
    }
    Ok(())
}
