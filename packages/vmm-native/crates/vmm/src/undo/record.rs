//! The records of an undo log, as they stand in its file.

use std::io;
use std::os::fd::RawFd;

use crc32c::{crc32c, crc32c_append};

use super::header::Header;
use super::Logged;
use crate::files;

/// Bytes of the head of a record.
pub(super) const RECORD: usize = 32;
/// What a range held, which follows.
pub(super) const OLD_CONTENT: u32 = 0x444c_4f21;
/// A range was a hole; nothing follows, however long it was.
pub(super) const OLD_HOLE: u32 = 0x454c_4f48;
/// What a range holds is not needed once the edit is complete; nothing follows.
pub(super) const RELEASE: u32 = 0x4545_5246;
/// The file's clone is whole, and holds what the file held: that is overwritten from now on. Nothing follows.
pub(super) const OLD_CLONE: u32 = 0x454e_4c43;
/// The edit is complete; nothing follows.
pub(super) const COMPLETE: u32 = 0x454e_4f44;
/// Most content of one record (bytes): what is read back at once.
pub(super) const MOST_CONTENT: u64 = 1 << 20;

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk());
    four.map_or(0, |four| u32::from_le_bytes(*four))
}

pub(super) fn number(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
    eight.map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// The head of a record: its kind, the number of the file that it is of, place and length of what the file held there, and a
/// checksum over that and the content, where such follows.
pub(super) struct Head {
    pub kind: u32,
    pub file: u32,
    pub offset: u64,
    pub length: u64,
}

impl Head {
    /// Bytes that follow it.
    fn content(&self) -> u64 {
        if self.kind == OLD_CONTENT {
            self.length
        } else {
            0
        }
    }

    pub fn to_bytes(&self, content: &[u8]) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.file.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        let sum = crc32c_append(crc32c(&bytes[..24]), content);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// Appends records with old content.
#[derive(Debug)]
pub(super) struct Appender {
    pub log: RawFd,
    /// Where the next record goes.
    pub end: u64,
    /// A record; made once, of the size that was needed.
    record: Vec<u8>,
}

impl Appender {
    /// An appender whose next record goes to `end`.
    pub fn new(log: RawFd, end: u64) -> Self {
        Self { log, end, record: Vec::new() }
    }

    /// Appends what the file holds in a range, which is one record at most.
    pub fn append(&mut self, file: Logged, offset: u64, length: u64) -> io::Result<()> {
        let size = usize::try_from(length).map_err(io::Error::other)?;
        let whole = RECORD.saturating_add(size);
        if self.record.len() < whole {
            let more = whole.saturating_sub(self.record.len());
            self.record.try_reserve_exact(more).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
            self.record.resize(whole, 0);
        }
        let record = &mut self.record[..whole];
        let (head, content) = record.split_at_mut(RECORD);
        // SAFETY: the slice has `length` bytes.
        unsafe { files::read_exact_raw(file.fd, content.as_mut_ptr(), length, offset) }?;
        head.copy_from_slice(&Head { kind: OLD_CONTENT, file: file.number, offset, length }.to_bytes(content));
        write(self.log, record, self.end)?;
        self.end = self.end.saturating_add(whole as u64);
        Ok(())
    }

    /// Appends records that no content follows, all of one kind: with offset and length of each.
    pub fn append_heads(&mut self, kind: u32, file: Logged, ranges: &[(u64, u64)]) -> io::Result<()> {
        let file = file.number;
        let heads = ranges.iter().map(|(offset, length)| Head { kind, file, offset: *offset, length: *length });
        let bytes: Vec<u8> = heads.flat_map(|head| head.to_bytes(&[])).collect();
        write(self.log, &bytes, self.end)?;
        self.end = self.end.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Forgets what was appended from `end` on, and gives back what that took.
    pub fn cut(&mut self, end: u64) {
        self.end = end;
        // What stays is no record that anybody relies on.
        let _ = files::set_size(self.log, end);
    }
}

/// The head of the record at `at`, and where its content ends; `None` where no record of a log with this header stands.
fn head_at(log: RawFd, header: &Header, at: u64, size: u64) -> io::Result<Option<([u8; RECORD], Head, u64)>> {
    let content_at = at.saturating_add(RECORD as u64);
    if content_at > size {
        return Ok(None);
    }
    let mut bytes = [0; RECORD];
    bytes.copy_from_slice(&read(log, at, RECORD as u64)?);
    let head =
        Head { kind: word(&bytes, 0), file: word(&bytes, 4), offset: number(&bytes, 8), length: number(&bytes, 16) };
    let end = content_at.saturating_add(head.content());
    let known = header.knows(head.kind, head.file, head.length) && end <= size;
    Ok(known.then_some((bytes, head, end)))
}

/// Calls `each` for the records that are whole, up to the one that says that the edit was complete: those of old content have some.
/// Tells how long the first file is to be where the edit was complete, and where the records end.
pub(super) fn walk(
    log: RawFd,
    header: &Header,
    mut each: impl FnMut(&Head, &[u8]) -> io::Result<()>,
) -> io::Result<(Option<u64>, u64)> {
    let size = files::size(log)?;
    let mut at = header.records_at();
    while let Some((bytes, head, end)) = head_at(log, header, at, size)? {
        let content = read(log, end.saturating_sub(head.content()), head.content())?;
        if bytes != head.to_bytes(&content) {
            break;
        }
        if head.kind == COMPLETE {
            return Ok((Some(head.offset), at));
        }
        each(&head, &content)?;
        at = end;
    }
    Ok((None, at))
}

/// Calls `each` for the records that no content follows, of a log that was written just now.
pub(super) fn walk_heads(log: RawFd, header: &Header, mut each: impl FnMut(&Head) -> io::Result<()>) -> io::Result<()> {
    let size = files::size(log)?;
    let mut at = header.records_at();
    while let Some((bytes, head, end)) = head_at(log, header, at, size)? {
        if head.content() == 0 {
            if bytes != head.to_bytes(&[]) {
                break;
            }
            each(&head)?;
        }
        at = end;
    }
    Ok(())
}

pub(super) fn read(fd: RawFd, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    bytes.resize(size, 0);
    // SAFETY: the vector has `length` bytes.
    unsafe { files::read_exact_raw(fd, bytes.as_mut_ptr(), length, offset) }?;
    Ok(bytes)
}

pub(super) fn write(fd: RawFd, bytes: &[u8], offset: u64) -> io::Result<()> {
    // SAFETY: the slice has that many bytes.
    unsafe { files::write_all_raw(fd, bytes.as_ptr(), bytes.len() as u64, offset) }
}
