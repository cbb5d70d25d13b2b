#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crc32c::{crc32c, crc32c_append};

use super::record::RECORD;
use super::*;

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
        self.undo.save_and_sync(self.image.as_raw_fd(), offset, bytes.len() as u64).unwrap();
        assert!(!self.undo.unsynced);
        self.image.write_all_at(bytes, offset).unwrap();
    }

    fn settle(&self) -> Settled {
        settle(self.image.as_raw_fd(), self.log.as_raw_fd()).unwrap()
    }
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    // RFC 3720, B.4.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(crc32c_append(crc32c(b"1234"), b"56789"), 0xe306_9283);
}

#[test]
fn what_was_overwritten_appended_and_overwritten_again_is_undone() {
    let before = pattern(1_300_000);
    let mut edit = Edit::begin(&before);
    edit.write(5000, &[1; 10]);
    edit.write(4096, &[2; 100_000]);
    edit.write(1_299_999, &[3; 5000]);
    edit.write(2_000_000, &[4; 3]);
    edit.write(0, &vec![5; 1_200_000]);
    assert_ne!(content(&edit.image), before);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
    assert_eq!(edit.settle(), Settled::RolledBack, "a second time changes nothing");
    assert_eq!(content(&edit.image), before);
}

#[test]
fn holes_that_were_not_written_stay_holes() {
    use std::os::unix::fs::MetadataExt;

    let mut edit = Edit::begin(&[]);
    edit.image.set_len(4 << 20).unwrap();
    let (image, log) = (edit.image.as_raw_fd(), edit.log.as_raw_fd());
    begin(image, log).unwrap();
    edit.undo = UndoLog::open(log).unwrap();
    edit.undo.save(image, 0, 2 << 20).unwrap();
    edit.write(4096, &[7; 4096]);
    edit.write(6 << 20, &[8; 65536]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), vec![0; 4 << 20]);
    // Of a file system that is full, nothing more is wanted than what the edit took.
    assert_eq!(edit.image.metadata().unwrap().blocks() * 512, 4096);
}

#[test]
fn no_range_is_saved_twice() {
    let mut edit = Edit::begin(&pattern(100_000));
    for offset in [8192, 0, 4096, 6000, 8192] {
        edit.write(offset, &[9; 100]);
    }
    assert_eq!(edit.undo.saved, [(0, 12288)]);
    assert_eq!(edit.log.metadata().unwrap().len(), (HEADER + 3 * (RECORD + 4096)) as u64);
}

#[test]
fn writes_that_follow_each_other_are_saved_ahead_of_them() {
    let before = pattern(3_000_000);
    let mut edit = Edit::begin(&before);
    let mut lengths = Vec::new();
    for number in 0..600 {
        edit.write(4096 * (number + 1), &[6; 4096]);
        edit.undo.finish_ahead();
        lengths.push(edit.log.metadata().unwrap().len());
    }
    lengths.dedup();
    // Twice as much each time.
    assert!(lengths.len() < 13, "{lengths:?}");
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn what_is_saved_ahead_is_waited_for_before_it_is_overwritten() {
    let before = pattern(8_000_000);
    let mut edit = Edit::begin(&before);
    let mut at = 4096;
    while at < 7_000_000 {
        edit.write(at, &[6; 65_536]);
        at += 65_536;
    }
    // Elsewhere, where nothing is saved, and where something may just be saved.
    edit.write(7_900_000, &[5; 100]);
    edit.write(at + 65_536, &[5; 100]);
    edit.undo.finish_ahead();
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn what_cannot_be_saved_ahead_is_taken_back_and_saved_when_it_is_overwritten() {
    let before = pattern(1_000_000);
    let mut edit = Edit::begin(&before);
    edit.write(4096, &[6; 4096]);
    // The file ends before what the log was told: reading ahead fails.
    edit.image.set_len(401_408).unwrap();
    edit.write(8192, &[6; 401_408 - 8192 - 4096]);
    edit.write(401_408 - 4096, &[6; 4096]);
    edit.undo.finish_ahead();
    assert_eq!(edit.undo.ahead, 0);
    edit.image.set_len(0).unwrap();
    edit.image.write_all_at(&pattern(1_000_000), 0).unwrap();
    edit.write(500_000, &[7; 4096]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn a_range_of_more_than_is_saved_ahead_may_follow_a_write() {
    let mut edit = Edit::begin(&[]);
    let length = MOST_AHEAD * 3;
    edit.image.set_len(length).unwrap();
    let (image, log) = (edit.image.as_raw_fd(), edit.log.as_raw_fd());
    begin(image, log).unwrap();
    edit.undo = UndoLog::open(log).unwrap();
    edit.write(4096, &[7; 4096]);
    edit.undo.save_and_sync(image, 8192, MOST_AHEAD + 4096).unwrap();
    assert!(edit.undo.has(8192, MOST_AHEAD + 4096));
    assert_eq!(edit.undo.ahead, MOST_AHEAD);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(edit.image.metadata().unwrap().len(), length);
}

#[test]
fn other_writes_save_what_they_overwrite_and_nothing_else() {
    let mut edit = Edit::begin(&pattern(3_000_000));
    for offset in [65_536, 4096, 131_072, 12_288, 8192] {
        edit.write(offset, &[6; 4096]);
    }
    // The last but one is where the second one ended, not the one before it.
    assert_eq!(edit.log.metadata().unwrap().len(), (HEADER + 5 * (RECORD + 4096)) as u64);
}

#[test]
fn a_log_cut_anywhere_undoes_what_its_whole_records_hold() {
    let before = pattern(20_000);
    let mut edit = Edit::begin(&before);
    edit.write(0, &[1; 4096]);
    let (first, second) = ((HEADER + RECORD + 4096) as u64, (HEADER + 2 * (RECORD + 4096)) as u64);
    edit.undo.save(edit.image.as_raw_fd(), 8192, 10).unwrap();
    let whole = content(&edit.log);
    for length in (first..second).step_by(97) {
        // What was not on the disk was not relied on: the second range is as it was.
        edit.log.set_len(length).unwrap();
        edit.image.write_all_at(&[1; 4096], 0).unwrap();
        assert_eq!(edit.settle(), Settled::RolledBack);
        assert_eq!(content(&edit.image), before, "cut to {length}");
    }
    for broken in [first, first + 8, first + 24, first + 40] {
        let mut bytes = whole.clone();
        bytes[usize::try_from(broken).unwrap()] ^= 1;
        edit.log.write_all_at(&bytes, 0).unwrap();
        edit.image.write_all_at(&[1; 4096], 0).unwrap();
        assert_eq!(edit.settle(), Settled::RolledBack);
        assert_eq!(content(&edit.image), before, "byte {broken} flipped");
    }
}

#[test]
fn a_header_that_is_not_whole_belongs_to_an_edit_that_wrote_nothing() {
    let mut edit = Edit::begin(&pattern(5000));
    edit.log.set_len(17).unwrap();
    assert_eq!(edit.settle(), Settled::RolledBack);
    edit = Edit::begin(&pattern(5000));
    edit.write(0, &[1]);
    edit.log.write_all_at(&[0], 0).unwrap();
    assert_eq!(edit.settle(), Settled::Damaged);
    assert_eq!(content(&edit.image)[0], 1);
}

#[test]
fn the_log_of_another_file_is_left_alone() {
    let mut edit = Edit::begin(&pattern(5000));
    edit.write(0, &[1; 100]);
    let other = file(&[7; 5000]);
    assert_eq!(settle(other.as_raw_fd(), edit.log.as_raw_fd()).unwrap(), Settled::NotItsLog);
    assert_eq!(content(&other), [7; 5000]);
}

#[test]
fn an_edit_is_complete_once_the_log_says_so_and_then_cuts_the_file() {
    let before = pattern(50_000);
    let mut edit = Edit::begin(&before);
    edit.write(0, &[1; 4096]);
    complete(edit.image.as_raw_fd(), Some(edit.log.as_raw_fd()), 10_000).unwrap();
    let after = content(&edit.image);
    assert_eq!((after.len(), after[0]), (10_000, 1));
    // As if the machine had stopped before the cut.
    edit.image.set_len(50_000).unwrap();
    assert_eq!(edit.settle(), Settled::Completed);
    assert_eq!(content(&edit.image), after);
}
