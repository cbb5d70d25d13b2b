//! The end of an edit: it is complete, or it was interrupted and is put back.

use std::io;
use std::os::fd::RawFd;

use super::record::{read, read_owner, walk, write, Found, Head, COMPLETE};
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
        let end = walk(log, |_, _, _| Ok(()))?.1;
        let head = Head { kind: COMPLETE, offset: length, length: 0 };
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
    /// The log is damaged in its header; nothing was done.
    Damaged,
}

/// Brings a file whose edit was interrupted to what it was before, or to what it was to become where that had been reached. The
/// caller holds its lock, and removes the log afterwards.
pub fn settle(file: RawFd, log: RawFd) -> io::Result<Settled> {
    let owner = match read_owner(log)? {
        Found::Owner(owner) => owner,
        Found::Unfinished => return Ok(Settled::RolledBack),
        Found::Damaged => return Ok(Settled::Damaged),
    };
    if files::identity(file)? != (owner.device, owner.inode) {
        return Ok(Settled::NotItsLog);
    }
    if let (Some(length), _) = walk(log, |_, _, _| Ok(()))? {
        if files::size(file)? > length {
            cut(file, length)?;
        }
        return Ok(Settled::Completed);
    }
    // First what was appended goes: on a full file system the rest needs the room, or none.
    if files::size(file)? != owner.length && files::allocated(file).is_some() {
        files::set_size(file, owner.length)?;
    }
    walk(log, |_, offset, content| put_back(file, content, offset))?;
    files::sync_data(file)?;
    Ok(Settled::RolledBack)
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
