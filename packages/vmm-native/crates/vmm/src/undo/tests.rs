#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crc32c::{crc32c, crc32c_append};

use super::record::{Head, COMPLETE, OLD_CONTENT, OLD_HOLE, RECORD};
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
    edit.undo.save(logged(&edit.image), 0, 2 << 20).unwrap();
    edit.write(4096, &[7; 4096]);
    edit.write(6 << 20, &[8; 65536]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), vec![0; 4 << 20]);
    assert_eq!(edit.image.metadata().unwrap().blocks(), 0, "what was a hole is one again");
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

#[test]
fn holes_take_no_room_in_the_log_and_are_saved_with_those_behind_them() {
    let (mut edit, before) = sparse(64 << 20, &[(1 << 20, 65_536), (9 << 20, 10_000), (40 << 20, 4096)]);
    let start = content(&edit.log).len();
    edit.write(12_288, &[7; 300_000]);
    let four = content(&edit.log).len();
    assert_eq!(four - start, 4 * RECORD, "all four holes, and no content");
    for at in [2 << 20, 500_000, 12 << 20, (64 << 20) - 70_000] {
        edit.write(at, &[8; 70_000]);
    }
    assert_eq!(content(&edit.log).len(), four);
    // From a hole into data and behind it.
    edit.write((9 << 20) - 5000, &[9; 20_000]);
    assert_eq!(content(&edit.log).len() - four, RECORD + 12_288, "whole units of what was data");
    assert!(edit.undo.files[0].ranges.is_sorted_by(|(_, end), (start, _)| end < start));
    edit.write((40 << 20) + 100, &[9; 100]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn holes_are_saved_as_they_were_before_the_edit() {
    let (mut edit, before) = sparse(8 << 20, &[(4 << 20, 4096)]);
    // Into the last hole first, then into the one before: what was written is data by now, and saved.
    edit.write(6 << 20, &[7; 8192]);
    edit.write((6 << 20) + 4096, &[8; 8192]);
    edit.write(0, &[9; 5 << 20]);
    edit.write(6 << 20, &[9; 1 << 20]);
    edit.write(9 << 20, &[9; 100]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn a_hole_within_a_unit_is_saved_as_what_it_reads_as() {
    // A file that ends within a unit, in a hole.
    let (mut edit, before) = sparse((1 << 20) + 100, &[(0, 5000)]);
    edit.write(8000, &[1; 500]);
    edit.write((1 << 20) + 10, &[1; 500]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn what_is_released_is_given_back_once_the_edit_is_complete_and_not_when_it_is_undone() {
    use std::os::unix::fs::MetadataExt;

    let before = pattern(1 << 20);
    for is_complete in [false, true] {
        let mut edit = Edit::begin(&before);
        let (image, log) = (edit.image.as_raw_fd(), edit.log.as_raw_fd());
        edit.write(0, &[7; 4096]);
        edit.undo.release(logged(&edit.image), 131_072, 65_536).unwrap();
        edit.undo.release(logged(&edit.image), 900_000, u64::MAX >> 1).unwrap();
        edit.write(8192, &[7; 4096]);
        edit.undo.release(logged(&edit.image), u64::MAX - 5, 5).unwrap();
        edit.write(1 << 20, &[7; 4096]);
        assert_eq!(content(&edit.image)[131_072..196_608], before[131_072..196_608]);
        if !is_complete {
            assert_eq!(edit.settle(), Settled::RolledBack);
            assert_eq!(content(&edit.image), before);
            continue;
        }
        complete(image, None, Some(log), 1 << 20).unwrap();
        let blocks = edit.image.metadata().unwrap().blocks();
        release(image, log).unwrap();
        let mut after = before.clone();
        after[..4096].fill(7);
        after[8192..12_288].fill(7);
        after[131_072..196_608].fill(0);
        after[900_000..].fill(0);
        assert_eq!(content(&edit.image), after);
        assert!(edit.image.metadata().unwrap().blocks() * 512 <= blocks * 512 - 65_536 - 140_000);
        // Of another file than its own nothing is given back.
        let other = file(&before);
        release(other.as_raw_fd(), log).unwrap();
        assert_eq!(content(&other), before);
    }
}

#[test]
fn what_was_written_into_a_hole_is_not_given_back_with_what_is_released() {
    let (mut edit, mut after) = sparse(4 << 20, &[(0, 65_536), (2 << 20, 65_536)]);
    edit.write(1 << 20, &[7; 8192]);
    edit.undo.release(logged(&edit.image), 2 << 20, 65_536).unwrap();
    edit.write(3 << 20, &[8; 8192]);
    after[1 << 20..(1 << 20) + 8192].fill(7);
    after[3 << 20..(3 << 20) + 8192].fill(8);
    after[2 << 20..(2 << 20) + 65_536].fill(0);
    let (image, log) = (edit.image.as_raw_fd(), edit.log.as_raw_fd());
    complete(image, None, Some(log), u64::MAX).unwrap();
    release(image, log).unwrap();
    assert_eq!(content(&edit.image), after);
}

#[test]
fn what_an_older_log_or_a_damaged_record_would_release_stays() {
    let before = pattern(20_000);
    let image = file(&before);
    let log = file(&old_header(Owner::of(image.as_raw_fd()).unwrap()));
    append(&log, (RELEASE, 0), (0, 4096), &[]);
    release(image.as_raw_fd(), log.as_raw_fd()).unwrap();
    assert_eq!(content(&image), before);
    for broken in [0, 4, 9, 17, 25] {
        let mut edit = Edit::begin(&before);
        edit.undo.release(logged(&edit.image), 0, 4096).unwrap();
        let mut bytes = content(&edit.log);
        bytes[HEADER + broken] ^= 1;
        edit.log.write_all_at(&bytes, 0).unwrap();
        release(edit.image.as_raw_fd(), edit.log.as_raw_fd()).unwrap();
        assert_eq!(content(&edit.image), before, "byte {broken} flipped");
    }
}

#[test]
fn whether_places_can_be_given_back_is_tried_without_losing_any() {
    let image = file(&pattern(5000));
    assert!(can_release(image.as_raw_fd()));
    assert_eq!(content(&image), pattern(5000));
    let mut ends = [0; 2];
    // SAFETY: pipe on two writable integers.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    assert!(!can_release(ends[1]));
    // SAFETY: descriptors that nothing else owns.
    ends.iter().for_each(|end| assert_eq!(unsafe { libc::close(*end) }, 0));
}

#[test]
fn no_range_is_saved_twice() {
    let mut edit = Edit::begin(&pattern(100_000));
    for offset in [8192, 0, 4096, 6000, 8192] {
        edit.write(offset, &[9; 100]);
    }
    assert_eq!(edit.undo.files[0].ranges, [(0, 12288)]);
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
    // The file ends before what the log was told, and has seen: reading ahead fails.
    edit.undo.files[0].data = (0, 1_000_000);
    edit.image.set_len(401_408).unwrap();
    edit.write(8192, &[6; 401_408 - 8192 - 4096]);
    edit.write(401_408 - 4096, &[6; 4096]);
    edit.undo.finish_ahead();
    assert_eq!(edit.undo.files[0].ahead, 0);
    edit.image.set_len(0).unwrap();
    edit.image.write_all_at(&pattern(1_000_000), 0).unwrap();
    edit.write(500_000, &[7; 4096]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), before);
}

#[test]
fn a_range_of_more_than_is_saved_ahead_may_follow_a_write() {
    let length = MOST_AHEAD * 3;
    let mut edit = Edit::begin(&vec![3; usize::try_from(length).unwrap()]);
    edit.write(4096, &[7; 4096]);
    edit.undo.save_and_sync(logged(&edit.image), 8192, MOST_AHEAD + 4096).unwrap();
    assert!(edit.undo.files[0].has(8192, MOST_AHEAD + 4096));
    assert_eq!(edit.undo.files[0].ahead, MOST_AHEAD);
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
    edit.undo.save(logged(&edit.image), 8192, 10).unwrap();
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
    assert_eq!(settle(other.as_raw_fd(), None, edit.log.as_raw_fd()).unwrap(), Settled::NotItsLog);
    assert_eq!(content(&other), [7; 5000]);
}

#[test]
fn an_edit_is_complete_once_the_log_says_so_and_then_cuts_the_file() {
    let before = pattern(50_000);
    let mut edit = Edit::begin(&before);
    edit.write(0, &[1; 4096]);
    complete(edit.image.as_raw_fd(), None, Some(edit.log.as_raw_fd()), 10_000).unwrap();
    let after = content(&edit.image);
    assert_eq!((after.len(), after[0]), (10_000, 1));
    // As if the machine had stopped before the cut.
    edit.image.set_len(50_000).unwrap();
    assert_eq!(edit.settle(), Settled::Completed);
    assert_eq!(content(&edit.image), after);
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

#[test]
fn the_header_has_its_numbers_where_programs_that_know_one_file_look_for_the_version() {
    let edit = Edit::begin(&pattern(5000));
    let bytes = content(&edit.log);
    let (device, inode) = files::identity(edit.image.as_raw_fd()).unwrap();
    assert_eq!(bytes.len(), 128);
    assert_eq!(bytes[..16], *b"INSTUNDO\x02\0\0\0\0\0\0\0");
    let numbers: Vec<u64> =
        bytes[16..64].chunks(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap())).collect();
    assert_eq!(numbers, [device, inode, 5000, 0, 0, 0]);
    assert_eq!(bytes[64..124], [0; 60]);
    assert_eq!(bytes[124..], crc32c(&bytes[..124]).to_le_bytes());
}

#[test]
fn a_log_of_the_older_version_is_settled_as_it_was() {
    let before = pattern(20_000);
    let image = file(&before);
    let log = file(&old_header(Owner::of(image.as_raw_fd()).unwrap()));
    append(&log, (OLD_CONTENT, 0), (4096, 4096), &before[4096..8192]);
    image.write_all_at(&[1; 4096], 4096).unwrap();
    image.write_all_at(&[1; 4096], 30_000).unwrap();
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::RolledBack);
    assert_eq!(content(&image), before);
    append(&log, (COMPLETE, 0), (10_000, 0), &[]);
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::Completed);
    assert_eq!(content(&image), before[..10_000]);
    // A log that the header alone was begun of, or whose header is damaged before its first record.
    log.set_len(40).unwrap();
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::RolledBack);
    let mut damaged = old_header(Owner::of(image.as_raw_fd()).unwrap());
    damaged[20] ^= 1;
    damaged.resize(65, 0);
    log.write_all_at(&damaged, 0).unwrap();
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::Damaged);
}

#[test]
fn a_log_of_the_older_version_has_no_holes_and_no_second_file() {
    let before = pattern(20_000);
    for record in [(OLD_HOLE, 0), (OLD_CONTENT, 1)] {
        let image = file(&before);
        let log = file(&old_header(Owner::of(image.as_raw_fd()).unwrap()));
        append(&log, record, (0, 4096), if record.0 == OLD_HOLE { &[] } else { &[9; 4096] });
        assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::RolledBack);
        assert_eq!(content(&image), before);
    }
}

#[test]
fn a_log_of_a_version_that_is_not_known_is_left_alone() {
    let edit = Edit::begin(&pattern(5000));
    let mut bytes = content(&edit.log);
    bytes[8] = 3;
    let sum = crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..].copy_from_slice(&sum);
    bytes.extend_from_slice(&[0; 32]);
    edit.log.write_all_at(&bytes, 0).unwrap();
    edit.image.write_all_at(&[1; 100], 6000).unwrap();
    assert_eq!(edit.settle(), Settled::Damaged);
    assert_eq!(content(&edit.image).len(), 6100);
}

#[test]
fn holes_are_put_back_however_long_they_were_and_no_further_than_the_file_reached() {
    use std::os::unix::fs::MetadataExt;

    let mut before = vec![0; 8 << 20];
    before[..8192].copy_from_slice(&pattern(8192));
    let image = file(&before[..8192]);
    image.set_len(8 << 20).unwrap();
    let blocks = image.metadata().unwrap().blocks();
    let log = file(&[]);
    begin(image.as_raw_fd(), log.as_raw_fd()).unwrap();
    append(&log, (OLD_HOLE, 0), (8192, 5 << 20), &[]);
    append(&log, (OLD_CONTENT, 0), (4096, 4096), &before[4096..8192]);
    append(&log, (OLD_HOLE, 0), (7 << 20, u64::MAX - (7 << 20)), &[]);
    append(&log, (OLD_HOLE, 0), (u64::MAX, u64::MAX), &[]);
    image.write_all_at(&vec![1; 5 << 20], 4096).unwrap();
    image.write_all_at(&vec![2; 2 << 20], 7 << 20).unwrap();
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::RolledBack);
    assert_eq!(content(&image), before);
    assert_eq!(image.metadata().unwrap().blocks(), blocks, "what was a hole is one");
    assert_eq!(settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap(), Settled::RolledBack, "a second time");
    assert_eq!(content(&image), before);
}

#[test]
fn a_hole_whose_record_is_not_whole_was_not_relied_on() {
    let before = pattern(20_000);
    for broken in [0, 4, 9, 17, 25] {
        let edit = Edit::begin(&before);
        append(&edit.log, (OLD_HOLE, 0), (0, 8192), &[]);
        append(&edit.log, (OLD_HOLE, 0), (8192, 8192), &[]);
        let mut bytes = content(&edit.log);
        bytes[HEADER + broken] ^= 1;
        edit.log.write_all_at(&bytes, 0).unwrap();
        assert_eq!(edit.settle(), Settled::RolledBack);
        assert_eq!(content(&edit.image), before, "byte {broken} flipped");
    }
}

/// An edit of two files: how it began, and its log.
struct Both {
    files: [File; 2],
    log: File,
    undo: UndoLog,
}

impl Both {
    fn begin(before: [&[u8]; 2]) -> Self {
        let (files, log) = (before.map(file), file(&[]));
        begin(files[0].as_raw_fd(), log.as_raw_fd()).unwrap();
        join(log.as_raw_fd(), files[1].as_raw_fd()).unwrap();
        let undo = UndoLog::open(log.as_raw_fd()).unwrap();
        Self { files, log, undo }
    }

    fn write(&mut self, number: u32, offset: u64, bytes: &[u8]) {
        let file = &self.files[usize::try_from(number).unwrap()];
        self.undo.save_and_sync(Logged { fd: file.as_raw_fd(), number }, offset, bytes.len() as u64).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    fn settle(&self) -> Settled {
        settle(self.files[0].as_raw_fd(), Some(self.files[1].as_raw_fd()), self.log.as_raw_fd()).unwrap()
    }

    fn contents(&self) -> [Vec<u8>; 2] {
        [content(&self.files[0]), content(&self.files[1])]
    }
}

#[test]
fn an_edit_of_two_files_is_undone_in_both() {
    let before = [pattern(50_000), pattern(90_000).split_off(40_000)];
    let mut edit = Both::begin([&before[0], &before[1]]);
    edit.write(1, 4096, &[1; 10_000]);
    edit.write(0, 4096, &[2; 100]);
    edit.write(0, 60_000, &[3; 100]);
    edit.write(1, 0, &[4; 80_000]);
    edit.write(0, 49_000, &[5; 20]);
    edit.undo.finish_ahead();
    assert_ne!(edit.contents(), before);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(edit.contents(), before);
    assert_eq!(edit.settle(), Settled::RolledBack, "a second time changes nothing");
    assert_eq!(edit.contents(), before);
}

#[test]
fn what_is_saved_ahead_of_one_file_is_not_taken_for_what_the_other_holds() {
    let before = [pattern(3_000_000), pattern(3_500_000).split_off(500_000)];
    let mut edit = Both::begin([&before[0], &before[1]]);
    for number in 0..500 {
        edit.write(1, 4096 * (number + 1), &[6; 4096]);
        edit.write(0, 4096 * (number + 7), &[7; 4096]);
    }
    assert!(edit.undo.files.iter().any(|saved| saved.ahead > 4096), "something was saved ahead");
    edit.undo.finish_ahead();
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(edit.contents(), before);
}

#[test]
fn an_edit_of_two_files_is_complete_in_both() {
    let mut edit = Both::begin([&pattern(50_000), &pattern(9000)]);
    edit.write(0, 0, &[1; 4096]);
    edit.write(1, 8000, &[2; 4096]);
    let [image, data] = [0, 1].map(|number: usize| edit.files[number].as_raw_fd());
    complete(image, Some(data), Some(edit.log.as_raw_fd()), 10_000).unwrap();
    let after = edit.contents();
    assert_eq!(after.each_ref().map(Vec::len), [10_000, 12_096]);
    // As if the machine had stopped before the cut. The second file is not needed any more.
    edit.files[0].set_len(50_000).unwrap();
    assert_eq!(settle(image, None, edit.log.as_raw_fd()).unwrap(), Settled::Completed);
    assert_eq!(edit.contents(), after);
}

#[test]
fn a_log_of_two_files_puts_nothing_back_without_both() {
    let mut edit = Both::begin([&pattern(5000), &pattern(9000)]);
    edit.write(0, 0, &[1; 4096]);
    edit.write(1, 0, &[2; 4096]);
    let after = edit.contents();
    let [image, data] = [0, 1].map(|number: usize| edit.files[number].as_raw_fd());
    let (log, other) = (edit.log.as_raw_fd(), file(&[7; 9000]));
    assert_eq!(settle(image, None, log).unwrap(), Settled::NeedsSecond);
    assert_eq!(settle(image, Some(other.as_raw_fd()), log).unwrap(), Settled::OtherSecond);
    assert_eq!(settle(image, Some(image), log).unwrap(), Settled::OtherSecond);
    assert_eq!(settle(data, None, log).unwrap(), Settled::IsSecond);
    assert_eq!(settle(data, Some(image), log).unwrap(), Settled::IsSecond);
    assert_eq!(settle(other.as_raw_fd(), Some(data), log).unwrap(), Settled::NotItsLog);
    assert_eq!((edit.contents(), content(&other)), (after.clone(), vec![7; 9000]));
    let whose = [image, data, other.as_raw_fd()].map(|file| belongs(file, log).unwrap());
    assert_eq!(whose, [true, true, false]);
    // The first alone, to be looked at: the log stays what it is.
    assert_eq!(settle_first(image, log).unwrap(), Settled::NeedsSecond);
    assert_eq!(edit.contents(), [pattern(5000), after[1].clone()]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(edit.contents(), [pattern(5000), pattern(9000)]);
}

#[test]
fn holes_of_the_second_file_end_where_that_ended() {
    let before = pattern(9000);
    let edit = Both::begin([&pattern(50_000), &before]);
    append(&edit.log, (OLD_CONTENT, 1), (0, 4096), &before[..4096]);
    append(&edit.log, (OLD_HOLE, 1), (8192, u64::MAX / 2), &[]);
    edit.files[1].write_all_at(&[1; 40_000], 0).unwrap();
    assert_eq!(edit.settle(), Settled::RolledBack);
    let [image, data] = edit.contents();
    assert_eq!((image, data.len()), (pattern(50_000), 9000));
    assert_eq!((&data[..4096], &data[8192..]), (&before[..4096], &[0; 808][..]));
}

#[test]
fn a_log_gets_a_second_file_only_before_it_says_anything() {
    let mut edit = Edit::begin(&pattern(5000));
    let (data, log) = (file(&pattern(9000)), edit.log.as_raw_fd());
    let number = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    assert_eq!(number(join(log, edit.image.as_raw_fd())), Some(libc::EINVAL), "the same file twice");
    let second = Logged { fd: data.as_raw_fd(), number: 1 };
    assert_eq!(number(edit.undo.save(second, 0, 100)), Some(libc::EINVAL), "it is not that file's log");
    edit.write(0, &[1; 100]);
    assert_eq!(number(join(log, data.as_raw_fd())), Some(libc::EINVAL));
    let other = Both::begin([&pattern(100), &pattern(100)]);
    assert_eq!(number(join(other.log.as_raw_fd(), data.as_raw_fd())), Some(libc::EINVAL), "a third file");
}
