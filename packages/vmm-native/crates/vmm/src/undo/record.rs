//! The records of an undo log, as they stand in its file.

use std::io;
use std::os::fd::RawFd;

use crc32c::{crc32c, crc32c_append};

use crate::files;

pub(super) const MAGIC: [u8; 8] = *b"INSTUNDO";
pub(super) const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 64;
/// Bytes of the head of a record.
pub(super) const RECORD: usize = 32;
pub(super) const OLD_CONTENT: u32 = 0x444c_4f21;
pub(super) const COMPLETE: u32 = 0x454e_4f44;
/// Most content of one record (bytes): what is read back at once.
pub(super) const MOST_CONTENT: u64 = 1 << 20;

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

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
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
pub(super) struct Head {
    pub kind: u32,
    pub offset: u64,
    pub length: u64,
}

impl Head {
    pub fn to_bytes(&self, content: &[u8]) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0..4].copy_from_slice(&self.kind.to_le_bytes());
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
    pub fn append(&mut self, file: RawFd, offset: u64, length: u64) -> io::Result<()> {
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
        unsafe { files::read_exact_raw(file, content.as_mut_ptr(), length, offset) }?;
        head.copy_from_slice(&Head { kind: OLD_CONTENT, offset, length }.to_bytes(content));
        write(self.log, record, self.end)?;
        self.end = self.end.saturating_add(whole as u64);
        Ok(())
    }

    /// Forgets what was appended from `end` on, and gives back what that took.
    pub fn cut(&mut self, end: u64) {
        self.end = end;
        // What stays is no record that anybody relies on.
        let _ = files::set_size(self.log, end);
    }
}

pub(super) enum Found {
    Owner(Owner),
    /// Nothing was written but a part of the header, so nothing was overwritten.
    Unfinished,
    Damaged,
}

pub(super) fn read_owner(log: RawFd) -> io::Result<Found> {
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
pub(super) fn walk(
    log: RawFd,
    mut each: impl FnMut(u64, u64, &[u8]) -> io::Result<()>,
) -> io::Result<(Option<u64>, u64)> {
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
