//! The undo log of a file that is edited in place: what its bytes were before they were overwritten. It knows no image
//! format.
//!
//! A header says whose log it is: of one file, or of two that are edited together. Each record says what a range of one of them
//! held, with checksums, so that a record which did not reach the disk whole is told from one that did. A record is on the disk
//! before the first of its bytes is overwritten, and so all that stand before it are: whatever follows the first bad record was
//! never relied on. Where the file system shares blocks, the log holds a clone of the file instead, and one record, which says that
//! the file is overwritten. Bytes behind the old end need no record, only the old length. The log's last record, where there is one, says
//! that the edit is complete and how long the first file is to be; what it cuts off needs no record either.

mod ahead;
mod clone;
mod header;
mod holes;
mod record;
mod release;
mod settle;

use std::io;
use std::os::fd::RawFd;

use ahead::Ahead;
use header::{read_header, Found, Header, HEADER};
use record::{write, Appender, MOST_CONTENT, OLD_CLONE, OLD_HOLE, RELEASE};

use crate::files;

pub use header::Owner;
pub use release::{can_release, release};
pub use settle::{belongs, complete, settle, settle_first, Settled};

/// Most content that is saved ahead (bytes): so much is overwritten after one sync, where writes follow each other.
const MOST_AHEAD: u64 = 32 << 20;
/// Ranges are saved in whole units of this size (bytes), so that neighbours share a record.
const UNIT: u64 = 4096;

/// Begins the log of a file that is about to be edited, with a clone of that where the file system shares blocks. It is on the disk
/// afterwards, but for a header that names a clone: that reaches it with the first record.
pub fn begin(file: RawFd, log: RawFd) -> io::Result<()> {
    let owner = Owner::of(file)?;
    let clone = clone::take(file, owner.length, log, HEADER as u64)?;
    write_header(log, &Header::new(files::identity(log)?.0, owner, None, [clone, None]))
}

fn write_header(log: RawFd, header: &Header) -> io::Result<()> {
    write(log, &header.to_bytes(), 0)?;
    if header.has_clones() {
        return Ok(());
    }
    files::sync_data(log)
}

/// Has a log that was begun, and says nothing yet, be that of a second file as well, which is about to be edited together with the
/// first. What is on the disk afterwards is as with one file.
pub fn join(log: RawFd, second: RawFd) -> io::Result<()> {
    match read_header(log)? {
        Found::Header(header)
            if header.second.is_none() && header.is_begun(files::size(log)?) && !header.is(0, second, log)? =>
        {
            let owner = Owner::of(second)?;
            let clone = clone::take(second, owner.length, log, header.records_at())?;
            // It is within one sector: what reaches the disk is this one, or the one before.
            let device = files::identity(log)?.0;
            write_header(log, &Header::new(device, header.file, Some(owner), [header.clone_of(0), clone]))
        }
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// A file whose old content goes into a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its descriptor.
    pub fd: RawFd,
    /// Its number in the log: 0, or 1 of the second file.
    pub number: u32,
}

/// A log that is written.
#[derive(Debug)]
pub struct UndoLog {
    end: End,
    /// What it has of each file.
    files: [Saved; 2],
    /// Some of that is not on the disk yet.
    unsynced: bool,
}

/// What a log has of a file.
#[derive(Debug, Default)]
struct Saved {
    /// Bytes that the file had; a file that is not the log's had none.
    length: Option<u64>,
    /// All of it is in a clone, of which no record tells yet.
    untold: bool,
    /// Ranges whose old content is in the log, in order and apart from each other.
    ranges: Vec<(u64, u64)>,
    /// Where the last write ended, and how much is saved ahead of one that goes on there.
    next: u64,
    ahead: u64,
    /// A range that is data, not a hole: it stays so while the file is edited.
    data: (u64, u64),
}

/// Who appends to the log.
#[derive(Debug)]
enum End {
    Here(Appender),
    Ahead(Ahead),
    /// For the moment in which it changes hands.
    Nobody,
}

impl UndoLog {
    /// Goes on with a log that was begun.
    pub fn open(log: RawFd) -> io::Result<Self> {
        match read_header(log)? {
            Found::Header(header) if header.is_begun(files::size(log)?) => Ok(Self {
                end: End::Here(Appender::new(log, header.records_at())),
                files: [0, 1].map(|number| Saved::of(&header, number)),
                unsynced: header.has_clones(),
            }),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    }

    fn saved(&mut self, file: Logged) -> io::Result<&mut Saved> {
        let index = usize::try_from(file.number).map_err(io::Error::other)?;
        let saved = self.files.get_mut(index).filter(|saved| saved.length.is_some());
        saved.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }

    /// Appends the old content of what is not saved yet of a range; it reaches the disk before a byte of it is overwritten.
    pub fn save(&mut self, file: Logged, offset: u64, length: u64) -> io::Result<()> {
        if self.saved(file)?.untold {
            self.unsynced = true;
            self.append_heads(OLD_CLONE, file, &[(0, 0)])?;
            self.saved(file)?.untold = false;
        }
        if !self.saved(file)?.has(offset, length) {
            self.finish_ahead();
        }
        for (from, to) in self.saved(file)?.gaps(offset, length) {
            self.unsynced = true;
            self.save_gap(file, from, to)?;
        }
        Ok(())
    }

    /// Notes that what a range holds is not needed once the edit is complete, for who completes it.
    pub fn release(&mut self, file: Logged, offset: u64, length: u64) -> io::Result<()> {
        self.append_heads(RELEASE, file, &[(offset, length)])
    }

    fn append_heads(&mut self, kind: u32, file: Logged, ranges: &[(u64, u64)]) -> io::Result<()> {
        self.finish_ahead();
        self.appender()?.append_heads(kind, file, ranges)
    }

    /// Saves a range that is about to be overwritten, and brings that to the disk. Where one write goes on where the last one ended,
    /// what lies behind it is saved as well, more each time: a sync takes longer than a write, and what is saved meanwhile need not
    /// be waited for.
    pub fn save_and_sync(&mut self, file: Logged, offset: u64, length: u64) -> io::Result<()> {
        let saved = self.saved(file)?;
        let follows = offset == saved.next && offset > 0;
        saved.next = offset.saturating_add(length);
        if !follows {
            saved.ahead = 0;
        }
        self.save(file, offset, length)?;
        self.sync()?;
        let idle = matches!(self.end, End::Here(_));
        let saved = self.saved(file)?;
        if follows && idle && !saved.has(saved.next, (saved.ahead / 2).max(1)) {
            // One command may zero more than is ever saved ahead.
            saved.ahead = saved.ahead.saturating_mul(2).max(length).min(MOST_AHEAD);
            self.save_ahead(file)?;
        }
        Ok(())
    }

    /// Begins to save what may be overwritten next. It may come to nothing: the file system gets back what that took.
    fn save_ahead(&mut self, file: Logged) -> io::Result<()> {
        let End::Here(appender) = &self.end else { return Ok(()) };
        let free = files::free_bytes(appender.log);
        let saved = self.saved(file)?;
        let data = saved.data_from(file.fd, saved.next).saturating_sub(saved.next);
        // What lies in a hole needs no time when its turn comes.
        let pieces = saved.gaps(saved.next, saved.ahead.min(data));
        // What is written to the file may need the room.
        let has_room = free.is_ok_and(|free| free / 8 > saved.ahead);
        if !has_room {
            saved.ahead = 0;
        } else if !pieces.is_empty() {
            if let End::Here(appender) = std::mem::replace(&mut self.end, End::Nobody) {
                self.end = End::Ahead(Ahead::begin(appender, file, pieces));
            }
        }
        Ok(())
    }

    /// Waits for what is saved ahead.
    pub fn finish_ahead(&mut self) {
        match std::mem::replace(&mut self.end, End::Nobody) {
            End::Ahead(ahead) => {
                let file = ahead.file;
                let (appender, pieces) = ahead.wait();
                self.end = End::Here(appender);
                let Ok(saved) = self.saved(file) else { return };
                match pieces {
                    Ok(pieces) => pieces.into_iter().for_each(|(from, to)| saved.note(from, to)),
                    Err(_) => saved.ahead = 0,
                }
            }
            other => self.end = other,
        }
    }

    fn appender(&mut self) -> io::Result<&mut Appender> {
        match &mut self.end {
            End::Here(appender) => Ok(appender),
            _ => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        }
    }

    /// Brings to the disk what was saved. To be called before what was saved is overwritten.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.finish_ahead();
            files::sync_data(self.appender()?.log)?;
            self.unsynced = false;
        }
        Ok(())
    }
}

impl Saved {
    /// What a log that was begun has of a file.
    fn of(header: &Header, file: u32) -> Self {
        let length = header.owner(file).map(|owner| owner.length);
        let untold = header.clone_of(file).is_some();
        let ranges = length.filter(|_| untold).map(|length| (0, length)).into_iter().collect();
        Self { length, untold, ranges, ..Self::default() }
    }

    /// Where the file ended.
    fn end(&self) -> u64 {
        self.length.unwrap_or(0)
    }

    /// The parts of a range that are not saved, in whole units, none longer than a record (start and end of each).
    fn gaps(&self, offset: u64, length: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = offset - offset % UNIT;
        let end = offset.saturating_add(length).checked_next_multiple_of(UNIT).unwrap_or(u64::MAX);
        let end = end.min(self.end());
        while at < end {
            let next = self.ranges.partition_point(|(start, _)| *start <= at);
            if let Some((_, saved_to)) = next.checked_sub(1).and_then(|before| self.ranges.get(before)) {
                if *saved_to > at {
                    at = *saved_to;
                    continue;
                }
            }
            let gap = self.ranges.get(next).map_or(end, |(start, _)| (*start).min(end));
            let piece = gap.saturating_sub(at).min(MOST_CONTENT);
            gaps.push((at, at.saturating_add(piece)));
            at = at.saturating_add(piece);
        }
        gaps
    }

    /// Whether the old content of a range is saved.
    fn has(&self, offset: u64, length: u64) -> bool {
        let end = offset.saturating_add(length).min(self.end());
        let next = self.ranges.partition_point(|(start, _)| *start <= offset);
        let before = next.checked_sub(1).and_then(|before| self.ranges.get(before));
        offset >= end || before.is_some_and(|(_, saved_to)| *saved_to >= end)
    }

    /// Notes that a range is saved.
    fn note(&mut self, from: u64, to: u64) {
        let next = self.ranges.partition_point(|(start, _)| *start <= from);
        self.ranges.insert(next, (from, to));
        self.join(next);
    }

    /// Joins a range with its neighbours where they touch.
    fn join(&mut self, index: usize) {
        for first in [Some(index), index.checked_sub(1)].into_iter().flatten() {
            let (Some((start, end)), Some((next, next_end))) =
                (self.ranges.get(first).copied(), self.ranges.get(first + 1).copied())
            else {
                continue;
            };
            if end == next {
                self.ranges[first] = (start, next_end);
                self.ranges.remove(first + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
