//! The undo log of a file that is edited in place: what its bytes were before they were overwritten. It knows no image
//! format.
//!
//! A header says whose log it is; each record holds a range of the file as it was, with checksums, so that a record which did
//! not reach the disk whole is told from one that did. A record is on the disk before the first of its bytes is overwritten,
//! and so all that stand before it are: whatever follows the first bad record was never relied on. Bytes behind the old end
//! need no record, only the old length. The log's last record, where there is one, says that the edit is complete and how
//! long the file is to be; what it cuts off needs no record either.

use std::io;
use std::os::fd::RawFd;

use crc32c::{crc32c, crc32c_append};

use crate::files;

const MAGIC: [u8; 8] = *b"INSTUNDO";
const VERSION: u32 = 1;
/// Bytes of the header.
const HEADER: usize = 64;
/// Bytes of the head of a record.
const RECORD: usize = 32;
const OLD_CONTENT: u32 = 0x444c_4f21;
const COMPLETE: u32 = 0x454e_4f44;
/// Most content of one record (bytes): what is read back at once.
const MOST_CONTENT: u64 = 1 << 20;
/// Most content that is saved ahead (bytes): so much is overwritten after one sync, where writes follow each other.
const MOST_AHEAD: u64 = 32 << 20;
/// Ranges are saved in whole units of this size (bytes), so that neighbours share a record.
const UNIT: u64 = 4096;

/// What a log says of the file that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Device of its file system.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its length before the edit (bytes).
    pub length: u64,
}

impl Owner {
    /// What a file is now.
    pub fn of(fd: RawFd) -> io::Result<Self> {
        let (device, inode) = files::identity(fd)?;
        Ok(Self { device, inode, length: files::size(fd)? })
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(16, &self.device.to_le_bytes());
        put(24, &self.inode.to_le_bytes());
        put(32, &self.length.to_le_bytes());
        let sum = crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let mut copy = *bytes;
        copy[HEADER - 4..].fill(0);
        let sum = crc32c(&copy[..HEADER - 4]);
        let known = bytes.starts_with(&MAGIC) && bytes[8..12] == VERSION.to_le_bytes();
        (known && bytes[HEADER - 4..] == sum.to_le_bytes()).then(|| Self {
            device: number(bytes, 16),
            inode: number(bytes, 24),
            length: number(bytes, 32),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
    eight.map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// The head of a record: kind, place and length of the content that follows, and its checksum over both.
struct Head {
    kind: u32,
    offset: u64,
    length: u64,
}

impl Head {
    fn to_bytes(&self, content: &[u8]) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        let sum = crc32c_append(crc32c(&bytes[..24]), content);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// Writes a log for a file that is about to be edited, and brings it to the disk.
pub fn begin(file: RawFd, log: RawFd) -> io::Result<()> {
    write(log, &Owner::of(file)?.to_bytes(), 0)?;
    files::sync_data(log)
}

/// A log that is written.
#[derive(Debug)]
pub struct UndoLog {
    log: RawFd,
    owner: Owner,
    /// Where the next record goes.
    end: u64,
    /// Ranges whose old content is in the log, in order and apart from each other.
    saved: Vec<(u64, u64)>,
    /// Some of them are not on the disk yet.
    unsynced: bool,
    /// Where the last write ended, and how much is saved ahead of one that goes on there.
    next: u64,
    ahead: u64,
}

impl UndoLog {
    /// Goes on with a log that was begun.
    pub fn open(log: RawFd) -> io::Result<Self> {
        match read_owner(log)? {
            Found::Owner(owner) if files::size(log)? == HEADER as u64 => {
                Ok(Self { log, owner, end: HEADER as u64, saved: Vec::new(), unsynced: false, next: 0, ahead: 0 })
            }
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    }

    /// Appends the old content of what is not saved yet of a range; it reaches the disk before a byte of it is overwritten.
    pub fn save(&mut self, file: RawFd, offset: u64, length: u64) -> io::Result<()> {
        let mut at = offset - offset % UNIT;
        let end = offset.saturating_add(length).checked_next_multiple_of(UNIT).unwrap_or(u64::MAX);
        let end = end.min(self.owner.length);
        while at < end {
            let next = self.saved.partition_point(|(start, _)| *start <= at);
            if let Some((_, saved_to)) = next.checked_sub(1).and_then(|before| self.saved.get(before)) {
                if *saved_to > at {
                    at = *saved_to;
                    continue;
                }
            }
            let gap = self.saved.get(next).map_or(end, |(start, _)| (*start).min(end));
            let piece = gap.saturating_sub(at).min(MOST_CONTENT);
            self.append(file, at, piece)?;
            self.saved.insert(next, (at, at.saturating_add(piece)));
            self.join(next);
            at = at.saturating_add(piece);
        }
        Ok(())
    }

    /// Saves a range that is about to be overwritten, and brings that to the disk. Where one write goes on where the last one ended,
    /// what lies behind it is saved as well, more each time: a sync takes longer than a write.
    pub fn save_and_sync(&mut self, file: RawFd, offset: u64, length: u64) -> io::Result<()> {
        let follows = offset == self.next && offset > 0;
        self.next = offset.saturating_add(length);
        if !follows {
            self.ahead = 0;
        }
        if !self.has(offset, length) {
            if follows {
                // One command may zero more than is ever saved ahead.
                self.ahead = self.ahead.saturating_mul(2).max(length).min(MOST_AHEAD);
            }
            self.save(file, offset, length)?;
            if self.ahead > 0 {
                self.save_ahead(file);
            }
        }
        self.sync()
    }

    /// Whether the old content of a range is saved.
    fn has(&self, offset: u64, length: u64) -> bool {
        let end = offset.saturating_add(length).min(self.owner.length);
        let next = self.saved.partition_point(|(start, _)| *start <= offset);
        let before = next.checked_sub(1).and_then(|before| self.saved.get(before));
        offset >= end || before.is_some_and(|(_, saved_to)| *saved_to >= end)
    }

    /// Saves what may be overwritten next. It may come to nothing: the file system gets back what that took.
    fn save_ahead(&mut self, file: RawFd) {
        let (next, ahead) = (self.next, self.ahead);
        // What is written to the file may need the room.
        let has_room = files::free_bytes(self.log).is_ok_and(|free| free / 8 > ahead);
        if !has_room || self.save(file, next, ahead).is_err() {
            self.ahead = 0;
            let _ = files::set_size(self.log, self.end);
        }
    }

    /// Brings to the disk what was saved. To be called before what was saved is overwritten.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            files::sync_data(self.log)?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn append(&mut self, file: RawFd, offset: u64, length: u64) -> io::Result<()> {
        let content = read(file, offset, length)?;
        let head = Head { kind: OLD_CONTENT, offset, length }.to_bytes(&content);
        self.unsynced = true;
        let place = self.end.saturating_add(RECORD as u64);
        write(self.log, &head, self.end)?;
        write(self.log, &content, place)?;
        self.end = place.saturating_add(length);
        Ok(())
    }

    /// Joins a range with its neighbours where they touch.
    fn join(&mut self, index: usize) {
        for first in [Some(index), index.checked_sub(1)].into_iter().flatten() {
            let (Some((start, end)), Some((next, next_end))) =
                (self.saved.get(first).copied(), self.saved.get(first + 1).copied())
            else {
                continue;
            };
            if end == next {
                self.saved[first] = (start, next_end);
                self.saved.remove(first + 1);
            }
        }
    }
}

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

enum Found {
    Owner(Owner),
    /// Nothing was written but a part of the header, so nothing was overwritten.
    Unfinished,
    Damaged,
}

fn read_owner(log: RawFd) -> io::Result<Found> {
    let size = files::size(log)?;
    let mut bytes = [0; HEADER];
    let have = usize::try_from(size).unwrap_or(HEADER).min(HEADER);
    let head = read(log, 0, have as u64)?;
    bytes[..have].copy_from_slice(&head);
    Ok(match Owner::from_bytes(&bytes) {
        Some(owner) => Found::Owner(owner),
        None if size <= HEADER as u64 => Found::Unfinished,
        None => Found::Damaged,
    })
}

/// Calls `each` for the records with old content that are whole. Tells how long the file is to be where the edit was
/// complete, and where the records end.
fn walk(log: RawFd, mut each: impl FnMut(u64, u64, &[u8]) -> io::Result<()>) -> io::Result<(Option<u64>, u64)> {
    let size = files::size(log)?;
    let mut at = HEADER as u64;
    while at.saturating_add(RECORD as u64) <= size {
        let head = read(log, at, RECORD as u64)?;
        let (offset, length) = (number(&head, 8), number(&head, 16));
        let content_at = at.saturating_add(RECORD as u64);
        let end = content_at.saturating_add(length);
        if length > MOST_CONTENT || end > size {
            break;
        }
        let content = read(log, content_at, length)?;
        let kind = if head.starts_with(&COMPLETE.to_le_bytes()) { COMPLETE } else { OLD_CONTENT };
        let whole = Head { kind, offset, length }.to_bytes(&content);
        if head[..] != whole {
            break;
        }
        if kind == COMPLETE {
            return Ok((Some(offset), at));
        }
        each(at, offset, &content)?;
        at = end;
    }
    Ok((None, at))
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

fn read(fd: RawFd, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    bytes.resize(size, 0);
    // SAFETY: the vector has `length` bytes.
    unsafe { files::read_exact_raw(fd, bytes.as_mut_ptr(), length, offset) }?;
    Ok(bytes)
}

fn write(fd: RawFd, bytes: &[u8], offset: u64) -> io::Result<()> {
    // SAFETY: the slice has that many bytes.
    unsafe { files::write_all_raw(fd, bytes.as_ptr(), bytes.len() as u64, offset) }
}

#[cfg(test)]
mod tests;
