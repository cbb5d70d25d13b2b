#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crc32c::{crc32c, crc32c_append};

use super::record::{Head, COMPLETE, OLD_CONTENT, OLD_HOLE, RECORD};
use super::*;

mod ahead;
mod clones;
mod edits;
mod holes;
mod released;
mod two_files;
mod versions;

/// A file without a name.
fn file(bytes: &[u8]) -> File {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: memfd_create on a string that ends with a zero byte.
    let fd = unsafe { libc::memfd_create(c"undo".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", io::Error::last_os_error());
    // SAFETY: a new descriptor that nothing else owns.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

fn logged(file: &File) -> Logged {
    Logged { fd: file.as_raw_fd(), number: 0 }
}

struct Edit {
    image: File,
    log: File,
    undo: UndoLog,
}

impl Edit {
    fn begin(before: &[u8]) -> Self {
        let (image, log) = (file(before), file(&[]));
        begin(image.as_raw_fd(), log.as_raw_fd()).unwrap();
        let undo = UndoLog::open(log.as_raw_fd()).unwrap();
        Self { image, log, undo }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.undo.save_and_sync(logged(&self.image), offset, bytes.len() as u64).unwrap();
        assert!(!self.undo.unsynced);
        self.image.write_all_at(bytes, offset).unwrap();
    }

    fn settle(&self) -> Settled {
        settle(self.image.as_raw_fd(), None, self.log.as_raw_fd()).unwrap()
    }
}

/// A record as another program would append it.
fn append(log: &File, (kind, file): (u32, u32), (offset, length): (u64, u64), content: &[u8]) {
    let mut bytes = Head { kind, file, offset, length }.to_bytes(content).to_vec();
    bytes.extend_from_slice(content);
    log.write_all_at(&bytes, log.metadata().unwrap().len()).unwrap();
}

/// The header of the older version: 64 bytes, one owner.
fn old_header(owner: Owner) -> Vec<u8> {
    let mut bytes = b"INSTUNDO\x01\0\0\0\0\0\0\0".to_vec();
    for value in [owner.device, owner.inode, owner.length] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.resize(60, 0);
    bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
    bytes
}

/// A file of `length` bytes with data at some places (start and length of each), whose edit begins.
fn sparse(length: u64, data: &[(u64, usize)]) -> (Edit, Vec<u8>) {
    let mut edit = Edit::begin(&[]);
    edit.image.set_len(length).unwrap();
    for (at, length) in data {
        edit.image.write_all_at(&pattern(*length), *at).unwrap();
    }
    let (image, log) = (edit.image.as_raw_fd(), edit.log.as_raw_fd());
    begin(image, log).unwrap();
    edit.undo = UndoLog::open(log).unwrap();
    let before = content(&edit.image);
    (edit, before)
}
