//! The end of an edit: it is complete, or it was interrupted and is put back.

use std::io;
use std::os::fd::RawFd;

use super::header::{read_header, Found, Header};
use super::record::{read, walk, write, Head, COMPLETE, MOST_CONTENT, OLD_CLONE, OLD_CONTENT, OLD_HOLE};
use super::{clone, UNIT};
use crate::files;

/// Completes an edit: the files are brought to the disk, and the first is cut to `length` where it is longer. From then on the log is
/// of no use, and may be removed.
pub fn complete(file: RawFd, second: Option<RawFd>, log: Option<RawFd>, length: u64) -> io::Result<()> {
    if let Some(second) = second {
        files::sync_data(second)?;
    }
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
    /// The files are as they were before.
    RolledBack,
    /// They are as the edit left them: that was complete.
    Completed,
    /// The log is another file's; nothing was done.
    NotItsLog,
    /// The log is another file's, and this one is what is edited together with that; nothing was done.
    IsSecond,
    /// It is the log of another file as well, which has to be there; nothing was done.
    NeedsSecond,
    /// It is the log of another file as well, and the one that is there is not that; nothing was done.
    OtherSecond,
    /// The log is damaged in its header; nothing was done.
    Damaged,
}

/// Brings a file whose edit was interrupted to what it was before, or to what it was to become where that had been reached; where the log
/// is that of a second file, both. The caller holds their locks, and removes the log afterwards.
pub fn settle(file: RawFd, second: Option<RawFd>, log: RawFd) -> io::Result<Settled> {
    let header = match open_log(file, log)? {
        Ok(header) => header,
        Err(settled) => return Ok(settled),
    };
    match (header.second, second) {
        (Some(_), None) => return Ok(Settled::NeedsSecond),
        (Some(_), Some(second)) if !header.is(1, second, log)? => return Ok(Settled::OtherSecond),
        _ => {}
    }
    put_all_back(&header, log, [Some(file), second.filter(|_| header.second.is_some())])?;
    Ok(Settled::RolledBack)
}

/// The same of the first of two files alone, which is to be looked at; the edit is not settled by that.
pub fn settle_first(file: RawFd, log: RawFd) -> io::Result<Settled> {
    let header = match open_log(file, log)? {
        Ok(header) => header,
        Err(settled) => return Ok(settled),
    };
    put_all_back(&header, log, [Some(file), None])?;
    Ok(if header.second.is_some() { Settled::NeedsSecond } else { Settled::RolledBack })
}

/// Whether a log is that of a file, be it the second one; of a log that is damaged nobody can tell, so that it may be.
pub fn belongs(file: RawFd, log: RawFd) -> io::Result<bool> {
    match read_header(log)? {
        Found::Header(header) => Ok(header.is(1, file, log)? || header.is(0, file, log)?),
        Found::Unfinished => Ok(false),
        Found::Damaged => Ok(true),
    }
}

/// The header of a log of this file whose edit is to be put back; of any other, what came of it.
fn open_log(file: RawFd, log: RawFd) -> io::Result<Result<Header, Settled>> {
    let header = match read_header(log)? {
        Found::Header(header) => header,
        Found::Unfinished => return Ok(Err(Settled::RolledBack)),
        Found::Damaged => return Ok(Err(Settled::Damaged)),
    };
    if !header.is(0, file, log)? {
        return Ok(Err(if header.is(1, file, log)? { Settled::IsSecond } else { Settled::NotItsLog }));
    }
    if let (Some(length), _) = walk(log, &header, |_, _| Ok(()))? {
        if files::size(file)? > length {
            cut(file, length)?;
        }
        return Ok(Err(Settled::Completed));
    }
    Ok(Ok(header))
}

/// Puts back what the log has of the files that are there.
fn put_all_back(header: &Header, log: RawFd, there: [Option<RawFd>; 2]) -> io::Result<()> {
    let owners = [Some(header.file), header.second];
    let both = || there.into_iter().zip(owners).filter_map(|(fd, owner)| Some((fd?, owner?)));
    // First what was appended goes: on a full file system the rest needs the room, or none.
    for (fd, owner) in both() {
        if files::size(fd)? != owner.length && files::allocated(fd).is_some() {
            files::set_size(fd, owner.length)?;
        }
    }
    walk(log, header, |head, content| {
        let number = usize::try_from(head.file).map_err(io::Error::other)?;
        let (Some(Some(fd)), Some(owner)) = (there.get(number), header.owner(head.file)) else { return Ok(()) };
        match head.kind {
            OLD_HOLE => put_hole_back(*fd, head.offset, head.length, owner.length),
            OLD_CONTENT => put_back(*fd, content, head.offset),
            OLD_CLONE => match header.clone_of(head.file) {
                Some(at) => clone::restore(*fd, owner.length, log, at),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    })?;
    both().try_for_each(|(fd, _)| files::sync_data(fd))
}

/// Makes a range a hole again, as far as the file reaches; where there are no holes, zeros.
pub(super) fn put_hole_back(file: RawFd, offset: u64, length: u64, end: u64) -> io::Result<()> {
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
pub(super) fn put_back(file: RawFd, content: &[u8], offset: u64) -> io::Result<()> {
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
