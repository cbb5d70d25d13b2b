//! The end of an edit: it is complete, or it was interrupted and is put back.

use std::io;
use std::os::fd::RawFd;

use super::record::{read, read_header, walk, write, Found, Head, COMPLETE, MOST_CONTENT, OLD_HOLE};
use super::UNIT;
use crate::files;

/// Completes an edit: the file is brought to the disk, and cut to `length` where it is longer. From then on the log is of no
/// use, and may be removed.
pub fn complete(file: RawFd, log: Option<RawFd>, length: u64) -> io::Result<()> {
    files::sync_data(file)?;
    if files::size(file)? <= length {
        return Ok(());
    }
    if let Some(log) = log {
        let Found::Header(header) = read_header(log)? else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
        let end = walk(log, &header, |_, _| Ok(()))?.1;
        let head = Head { kind: COMPLETE, file: 0, offset: length, length: 0 };
        write(log, &head.to_bytes(&[]), end)?;
        files::sync_data(log)?;
    }
    cut(file, length)
}

fn cut(file: RawFd, length: u64) -> io::Result<()> {
    files::set_size(file, length)?;
    files::sync_data(file)
}

/// What came of an edit that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The file is as it was before.
    RolledBack,
    /// It is as the edit left it: that was complete.
    Completed,
    /// The log is another file's; nothing was done.
    NotItsLog,
    /// It is the log of another file as well, which has to be there; nothing was done.
    NeedsSecond,
    /// The log is damaged in its header; nothing was done.
    Damaged,
}

/// Brings a file whose edit was interrupted to what it was before, or to what it was to become where that had been reached. The
/// caller holds its lock, and removes the log afterwards.
pub fn settle(file: RawFd, log: RawFd) -> io::Result<Settled> {
    let header = match read_header(log)? {
        Found::Header(header) => header,
        Found::Unfinished => return Ok(Settled::RolledBack),
        Found::Damaged => return Ok(Settled::Damaged),
    };
    if !header.file.is(file)? {
        return Ok(Settled::NotItsLog);
    }
    if let (Some(length), _) = walk(log, &header, |_, _| Ok(()))? {
        if files::size(file)? > length {
            cut(file, length)?;
        }
        return Ok(Settled::Completed);
    }
    if header.second.is_some() {
        return Ok(Settled::NeedsSecond);
    }
    // First what was appended goes: on a full file system the rest needs the room, or none.
    if files::size(file)? != header.file.length && files::allocated(file).is_some() {
        files::set_size(file, header.file.length)?;
    }
    walk(log, &header, |head, content| match head.kind {
        OLD_HOLE => put_hole_back(file, head.offset, head.length, header.file.length),
        _ => put_back(file, content, head.offset),
    })?;
    files::sync_data(file)?;
    Ok(Settled::RolledBack)
}

/// Makes a range a hole again, as far as the file reaches; where there are no holes, zeros.
fn put_hole_back(file: RawFd, offset: u64, length: u64, end: u64) -> io::Result<()> {
    let end = offset.saturating_add(length).min(end);
    let Some(length) = end.checked_sub(offset).filter(|length| *length > 0) else { return Ok(()) };
    if files::zero_range(file, offset, length, true)? {
        return Ok(());
    }
    let zeros = vec![0; usize::try_from(MOST_CONTENT).map_err(io::Error::other)?];
    let mut at = offset;
    while at < end {
        let piece = usize::try_from(end.saturating_sub(at).min(MOST_CONTENT)).map_err(io::Error::other)?;
        put_back(file, &zeros[..piece], at)?;
        at = at.saturating_add(piece as u64);
    }
    Ok(())
}

/// Writes what differs: a hole that was never written stays one, and takes no room where there may be none.
fn put_back(file: RawFd, content: &[u8], offset: u64) -> io::Result<()> {
    let length = content.len() as u64;
    let inside = files::size(file)?.saturating_sub(offset).min(length);
    let now = read(file, offset, inside)?;
    let unit = usize::try_from(UNIT).map_err(io::Error::other)?;
    let mut at = offset;
    for (index, old) in content.chunks(unit).enumerate() {
        let start = index.saturating_mul(unit);
        if now.get(start..start.saturating_add(old.len())) != Some(old) {
            write(file, old, at)?;
        }
        at = at.saturating_add(old.len() as u64);
    }
    Ok(())
}
