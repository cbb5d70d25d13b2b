//! The header of an undo log: whose it is, and where the clones stand that it holds.

use std::io;
use std::os::fd::RawFd;

use crc32c::crc32c;

use super::clone;
use super::record::{number, read, word, COMPLETE, MOST_CONTENT, OLD_CLONE, OLD_CONTENT, OLD_HOLE, RELEASE};
use crate::files;

pub(super) const MAGIC: [u8; 8] = *b"INSTUNDO";
/// Logs of one file or of two, with holes.
pub(super) const VERSION: u32 = 2;
/// The same, which hold clones of files.
pub(super) const CLONES_VERSION: u32 = 3;
/// Logs of one file without holes, which programs before it have left.
const OLD_VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 128;
/// The same of the older version.
const OLD_HEADER: usize = 64;
/// Bytes of what the header says of one file, and where that begins.
const OWNER: usize = 24;
const OWNERS_AT: usize = 16;
/// Where the header says where the clones begin, eight bytes for each.
const CLONES_AT: usize = OWNERS_AT + 2 * OWNER;
/// Where the header says when the files came into being, eight bytes for each, and on which device the log was made. Programs before these
/// left zeros there, and look at none of it.
const BORN_AT: usize = CLONES_AT + 16;
const LOG_DEVICE_AT: usize = BORN_AT + 16;

/// What a log says of a file that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Device of its file system.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Its length before the edit (bytes).
    pub length: u64,
    /// When it came into being (nanoseconds); 0 where nobody knows.
    pub born: u64,
}

impl Owner {
    /// What a file is now.
    pub fn of(fd: RawFd) -> io::Result<Self> {
        let (device, inode) = files::identity(fd)?;
        Ok(Self { device, inode, length: files::size(fd)?, born: files::born(fd).unwrap_or(0) })
    }

    /// Whether a file may be the one that is meant, wherever it is: it has its inode, and not that of one which was removed.
    fn may_be(&self, fd: RawFd, inode: u64) -> bool {
        inode == self.inode && (self.born == 0 || files::born(fd).is_none_or(|born| born == self.born))
    }
}

/// What the header of a log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    version: u32,
    /// The file whose log it is.
    pub file: Owner,
    /// The one that is edited together with it.
    pub second: Option<Owner>,
    /// Where in the log the clones of both begin.
    clones: [Option<u64>; 2],
    /// Device of the file system on which the log was made; 0 where nobody knows.
    log_device: u64,
}

impl Header {
    pub fn new(log_device: u64, file: Owner, second: Option<Owner>, clones: [Option<u64>; 2]) -> Self {
        let version = if clones == [None, None] { VERSION } else { CLONES_VERSION };
        Self { version, file, second, clones, log_device }
    }

    /// Whether `fd` is the file of a number whose log this is. A file system may have another device once the machine has started again:
    /// then the log has that, too.
    pub fn is(&self, file: u32, fd: RawFd, log: RawFd) -> io::Result<bool> {
        let Some(owner) = self.owner(file) else { return Ok(false) };
        let (device, inode) = files::identity(fd)?;
        // Elsewhere an inode alone says little.
        let was_beside = owner.device == self.log_device && owner.born != 0 && files::born(fd) == Some(owner.born);
        let is_there = device == owner.device || was_beside && device == files::identity(log)?.0;
        Ok(is_there && owner.may_be(fd, inode))
    }

    /// Where its records begin (bytes).
    pub fn records_at(&self) -> u64 {
        match self.version {
            OLD_VERSION => OLD_HEADER as u64,
            VERSION => HEADER as u64,
            _ => clone::behind(self.clones_end()),
        }
    }

    /// Whether a log of `size` bytes can be written to: one of a version that is written, without records.
    pub fn is_begun(&self, size: u64) -> bool {
        self.version != OLD_VERSION && size <= self.records_at()
    }

    /// Where the clone of a file begins (bytes), where the log holds one.
    pub fn clone_of(&self, file: u32) -> Option<u64> {
        usize::try_from(file).ok().and_then(|index| self.clones.get(index).copied().flatten())
    }

    /// Whether it speaks of a clone.
    pub fn has_clones(&self) -> bool {
        self.version == CLONES_VERSION
    }

    /// Where the last clone ends; 0 where there is none.
    fn clones_end(&self) -> u64 {
        self.clone_ranges().map(|(_, end)| end).max().unwrap_or(0)
    }

    /// Start and end of each clone.
    fn clone_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let of = |file: u32| Some((self.clone_of(file)?, self.owner(file)?.length));
        (0..2).filter_map(of).map(|(start, length)| (start, start.saturating_add(length)))
    }

    /// Whether its clones stand behind the header and apart from each other, and belong to files that it names.
    fn places_are_apart(&self) -> bool {
        let named = (0..2).all(|file| self.clone_of(file).is_none() || self.owner(file).is_some());
        let mut ranges: Vec<(u64, u64)> = self.clone_ranges().collect();
        ranges.sort_unstable();
        let apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let has_any = self.version != CLONES_VERSION || !ranges.is_empty();
        named
            && has_any
            && apart
            && ranges.iter().all(|(start, end)| *start >= HEADER as u64 && clone::behind(*end) < u64::MAX)
    }

    /// The file of a number, which records use.
    pub fn owner(&self, file: u32) -> Option<Owner> {
        match file {
            0 => Some(self.file),
            1 => self.second,
            _ => None,
        }
    }

    /// Whether a log of its version can hold a record that says this of itself.
    pub fn knows(&self, kind: u32, file: u32, length: u64) -> bool {
        let known = match kind {
            OLD_CONTENT => length <= MOST_CONTENT && self.clone_of(file).is_none(),
            OLD_HOLE => self.version != OLD_VERSION && self.clone_of(file).is_none(),
            OLD_CLONE => self.clone_of(file).is_some(),
            RELEASE => self.version != OLD_VERSION,
            COMPLETE => length == 0 && file == 0,
            _ => false,
        };
        known && self.owner(file).is_some()
    }

    /// The header of a log that is new.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &self.version.to_le_bytes());
        for (at, owner) in [(OWNERS_AT, Some(self.file)), (OWNERS_AT + OWNER, self.second)] {
            let Some(owner) = owner else { continue };
            put(at, &owner.device.to_le_bytes());
            put(at + 8, &owner.inode.to_le_bytes());
            put(at + 16, &owner.length.to_le_bytes());
        }
        for (index, place) in self.clones.iter().enumerate() {
            put(CLONES_AT + 8 * index, &place.unwrap_or(0).to_le_bytes());
        }
        put(BORN_AT, &self.file.born.to_le_bytes());
        put(BORN_AT + 8, &self.second.map_or(0, |second| second.born).to_le_bytes());
        put(LOG_DEVICE_AT, &self.log_device.to_le_bytes());
        let sum = crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let version = version_of(bytes);
        let size = match version {
            OLD_VERSION => OLD_HEADER,
            VERSION | CLONES_VERSION => HEADER,
            _ => return None,
        };
        let sum = crc32c(&bytes[..size - 4]);
        if !bytes.starts_with(&MAGIC) || bytes[size - 4..size] != sum.to_le_bytes() {
            return None;
        }
        // The older version ends before what follows the owners.
        let later = |at: usize| if version == OLD_VERSION { 0 } else { number(bytes, at) };
        let owner = |index: usize| {
            let at = OWNERS_AT + OWNER * index;
            let (device, inode) = (number(bytes, at), number(bytes, at + 8));
            Owner { device, inode, length: number(bytes, at + 16), born: later(BORN_AT + 8 * index) }
        };
        let second = Some(owner(1)).filter(|second| second.inode != 0 && version != OLD_VERSION);
        let place = |at: usize| Some(number(bytes, at)).filter(|place| *place != 0 && version == CLONES_VERSION);
        let clones = [place(CLONES_AT), place(CLONES_AT + 8)];
        let header = Self { version, file: owner(0), second, clones, log_device: later(LOG_DEVICE_AT) };
        header.places_are_apart().then_some(header)
    }
}

fn version_of(bytes: &[u8; HEADER]) -> u32 {
    word(bytes, 8)
}

pub(super) enum Found {
    Header(Header),
    /// Nothing was written but a part of the header, so nothing was overwritten.
    Unfinished,
    Damaged,
}

pub(super) fn read_header(log: RawFd) -> io::Result<Found> {
    let size = files::size(log)?;
    let mut bytes = [0; HEADER];
    let have = usize::try_from(size).unwrap_or(HEADER).min(HEADER);
    let head = read(log, 0, have as u64)?;
    bytes[..have].copy_from_slice(&head);
    let whole = if version_of(&bytes) == OLD_VERSION { OLD_HEADER } else { HEADER };
    Ok(match Header::from_bytes(&bytes) {
        // What is behind a clone was written once that was on the disk.
        Some(header) if header.clones_end() > size => Found::Damaged,
        Some(header) => Found::Header(header),
        // A clone is brought to the disk before the header that speaks of it.
        None if size <= whole as u64 || bytes == [0; HEADER] => Found::Unfinished,
        None => Found::Damaged,
    })
}
