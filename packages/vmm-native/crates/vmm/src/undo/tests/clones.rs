//! Logs that hold clones, laid out as a file system that shares blocks would: the files of these tests cannot be cloned, so that what is
//! put back is copied.

use std::os::unix::fs::MetadataExt;

use super::super::clone::place;
use super::super::record::OLD_CLONE;
use super::*;

const KIB: u64 = 1024;
const FIRST: u64 = 64 * KIB;

/// The header of version 3: two owners, where their clones begin, and a checksum.
fn header(both: [&File; 2], second: bool, clones: [u64; 2]) -> Vec<u8> {
    let mut bytes = b"INSTUNDO\x03\0\0\0\0\0\0\0".to_vec();
    for (file, is_there) in both.into_iter().zip([true, second]) {
        let owner = Owner::of(file.as_raw_fd()).unwrap();
        let numbers = if is_there { [owner.device, owner.inode, owner.length] } else { [0; 3] };
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    }
    clones.iter().for_each(|place| bytes.extend_from_slice(&place.to_le_bytes()));
    for (file, is_there) in both.into_iter().zip([true, second]) {
        let born = if is_there { Owner::of(file.as_raw_fd()).unwrap().born } else { 0 };
        bytes.extend_from_slice(&born.to_le_bytes());
    }
    bytes.extend_from_slice(&files::identity(both[0].as_raw_fd()).unwrap().0.to_le_bytes());
    bytes.resize(124, 0);
    bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
    bytes
}

/// A log of one file with a clone at 64 KiB, and where its records begin.
fn log_of(image: &File) -> (File, u64) {
    let log = file(&header([image, image], false, [FIRST, 0]));
    log.write_all_at(&content(image), FIRST).unwrap();
    let end = log.metadata().unwrap().len();
    (log, end.next_multiple_of(64 * KIB))
}

fn put_record(log: &File, at: u64, (kind, file): (u32, u32), (offset, length): (u64, u64)) {
    log.write_all_at(&Head { kind, file, offset, length }.to_bytes(&[]), at).unwrap();
}

fn settle_one(image: &File, log: &File) -> Settled {
    settle(image.as_raw_fd(), None, log.as_raw_fd()).unwrap()
}

#[test]
fn the_header_is_the_one_that_is_documented() {
    let [image, data] = [5000, 70_000].map(|length| file(&pattern(length)));
    let owners = [&image, &data].map(|file| Owner::of(file.as_raw_fd()).unwrap());
    let device = owners[0].device;
    let made = Header::new(device, owners[0], Some(owners[1]), [Some(FIRST), Some(3 * FIRST)]);
    assert_eq!(made.to_bytes()[..], header([&image, &data], true, [FIRST, 3 * FIRST]));
    let one = Header::new(device, owners[0], None, [Some(FIRST), None]);
    assert_eq!(one.to_bytes()[..], header([&image, &data], false, [FIRST, 0]));
    assert_eq!(one.records_at(), 128 * KIB);
}

#[test]
fn where_no_blocks_are_shared_the_log_is_one_of_records() {
    let edit = Edit::begin(&pattern(200_000));
    assert_eq!(content(&edit.log).len(), HEADER);
    assert_eq!(content(&edit.log)[8], 2);
}

#[test]
fn what_was_overwritten_cut_or_appended_is_put_back_from_the_clone() {
    for length in [1, 5000, 65_536, 200_000, 2_300_000] {
        let before = pattern(length);
        let image = file(&before);
        let (log, records_at) = log_of(&image);
        put_record(&log, records_at, (OLD_CLONE, 0), (0, 0));
        for now in [vec![1; length], before[..length / 2].to_vec(), [before.clone(), vec![2; 90_000]].concat(), vec![]]
        {
            image.set_len(0).unwrap();
            image.write_all_at(&now, 0).unwrap();
            assert_eq!(settle_one(&image, &log), Settled::RolledBack);
            assert!(content(&image) == before, "{length} bytes, of which {} were left", now.len());
        }
    }
}

#[test]
fn holes_of_the_clone_become_holes_again() {
    let image = file(&pattern(65_536));
    image.set_len(8 << 20).unwrap();
    image.write_all_at(&pattern(10_000), 5 << 20).unwrap();
    let (before, blocks) = (content(&image), image.metadata().unwrap().blocks());
    let log = file(&header([&image, &image], false, [FIRST, 0]));
    log.write_all_at(&before[..65_536], FIRST).unwrap();
    log.write_all_at(&before[5 << 20..(5 << 20) + 10_000], FIRST + (5 << 20)).unwrap();
    log.set_len(FIRST + (8 << 20)).unwrap();
    put_record(&log, FIRST + (8 << 20), (OLD_CLONE, 0), (0, 0));
    image.write_all_at(&vec![7; 9 << 20], 0).unwrap();
    assert_eq!(settle_one(&image, &log), Settled::RolledBack);
    assert!(content(&image) == before);
    assert_eq!(image.metadata().unwrap().blocks(), blocks);
}

#[test]
fn nothing_is_put_back_before_the_record_that_says_that_the_file_is_overwritten() {
    let image = file(&pattern(100_000));
    let (log, records_at) = log_of(&image);
    let mut changed = pattern(100_000);
    changed[..4096].fill(9);
    image.write_all_at(&changed, 0).unwrap();
    image.write_all_at(&[9; 4096], 150_000).unwrap();
    assert_eq!(settle_one(&image, &log), Settled::RolledBack);
    assert!(content(&image) == changed, "but what was appended goes");
    put_record(&log, records_at, (OLD_CLONE, 0), (0, 0));
    let whole = content(&log);
    for broken in [0, 4, 9, 17, 25] {
        let mut bytes = whole.clone();
        bytes[usize::try_from(records_at).unwrap() + broken] ^= 1;
        log.write_all_at(&bytes, 0).unwrap();
        assert_eq!(settle_one(&image, &log), Settled::RolledBack);
        assert!(content(&image) == changed, "byte {broken} of the record flipped");
    }
    log.write_all_at(&whole, 0).unwrap();
    for length in [records_at, records_at + 31] {
        log.set_len(length).unwrap();
        assert_eq!(settle_one(&image, &log), Settled::RolledBack);
        assert!(content(&image) == changed, "cut to {length}");
    }
}

#[test]
fn a_log_with_a_clone_gets_one_record_and_that_once() {
    let before = pattern(3_000_000);
    let image = file(&before);
    let (log, records_at) = log_of(&image);
    let mut undo = UndoLog::open(log.as_raw_fd()).unwrap();
    assert!(!can_release(image.as_raw_fd(), log.as_raw_fd()), "it is overwritten where it is");
    assert!(undo.unsynced, "the header may not be on the disk yet");
    for number in 0..100 {
        undo.save_and_sync(logged(&image), number * 50_000, 50_000).unwrap();
        assert!(!undo.unsynced);
        image.write_all_at(&[9; 50_000], number * 50_000).unwrap();
    }
    undo.finish_ahead();
    assert_eq!(log.metadata().unwrap().len(), records_at + RECORD as u64);
    assert_eq!(settle_one(&image, &log), Settled::RolledBack);
    assert!(content(&image) == before);
    assert!(UndoLog::open(log.as_raw_fd()).is_err(), "it was written to before");
}

#[test]
fn an_edit_with_a_clone_is_complete_once_the_log_says_so() {
    let image = file(&pattern(50_000));
    let (log, _) = log_of(&image);
    let mut undo = UndoLog::open(log.as_raw_fd()).unwrap();
    undo.save_and_sync(logged(&image), 0, 4096).unwrap();
    image.write_all_at(&[1; 4096], 0).unwrap();
    complete(image.as_raw_fd(), None, Some(log.as_raw_fd()), 10_000).unwrap();
    let after = content(&image);
    assert_eq!((after.len(), after[0]), (10_000, 1));
    // As if the machine had stopped before the cut.
    image.set_len(50_000).unwrap();
    assert_eq!(settle_one(&image, &log), Settled::Completed);
    assert_eq!(content(&image), after);
}

#[test]
fn a_log_whose_clone_was_not_named_yet_is_one_of_an_edit_that_wrote_nothing() {
    let image = file(&pattern(100_000));
    let (log, records_at) = log_of(&image);
    put_record(&log, records_at, (OLD_CLONE, 0), (0, 0));
    log.write_all_at(&[0; HEADER], 0).unwrap();
    image.write_all_at(&[3; 5000], 0).unwrap();
    let now = content(&image);
    assert_eq!(settle_one(&image, &log), Settled::RolledBack);
    assert!(content(&image) == now);
    assert!(!belongs(image.as_raw_fd(), log.as_raw_fd()).unwrap());
}

#[test]
fn a_clone_that_cannot_be_where_the_header_says_is_damage_and_nothing_is_written() {
    let [image, data] = [100_000, 70_000].map(|length| file(&pattern(length)));
    let made_up: [(bool, [u64; 2]); 11] = [
        // Behind the log's end, by a byte, and by all that there is.
        (false, [1_000_000 - 100_000 + 1, 0]),
        (false, [u64::MAX - 100_000, 0]),
        (false, [u64::MAX - 50_000, 0]),
        (false, [u64::MAX, 0]),
        // Over the header.
        (false, [127, 0]),
        (false, [1, 0]),
        // Over each other.
        (true, [FIRST, FIRST]),
        (true, [FIRST, FIRST + 99_999]),
        (true, [FIRST + 69_999, FIRST]),
        // Of a file that the log does not name; none at all.
        (false, [FIRST, 4 * FIRST]),
        (true, [0, 0]),
    ];
    for (second, clones) in made_up {
        let log = file(&header([&image, &data], second, clones));
        log.write_all_at(&[5; 1_000_000 - 128], 128).unwrap();
        let both = second.then_some(data.as_raw_fd());
        assert_eq!(settle(image.as_raw_fd(), both, log.as_raw_fd()).unwrap(), Settled::Damaged, "{clones:?}");
        assert_eq!(settle_first(image.as_raw_fd(), log.as_raw_fd()).unwrap(), Settled::Damaged, "{clones:?}");
        assert!(UndoLog::open(log.as_raw_fd()).is_err());
        assert!(join(log.as_raw_fd(), data.as_raw_fd()).is_err());
        assert!(content(&image) == pattern(100_000) && content(&data) == pattern(70_000), "{clones:?}");
    }
}

#[test]
fn the_clone_of_another_file_is_left_alone() {
    let [image, other] = [100_000, 100_000].map(|length| file(&pattern(length)));
    let (log, records_at) = log_of(&image);
    put_record(&log, records_at, (OLD_CLONE, 0), (0, 0));
    other.write_all_at(&[7; 5000], 0).unwrap();
    let now = content(&other);
    assert_eq!(settle_one(&other, &log), Settled::NotItsLog);
    assert!(content(&other) == now);
}

#[test]
fn beside_its_clone_no_record_says_what_a_file_held() {
    let image = file(&pattern(100_000));
    let (log, records_at) = log_of(&image);
    for (kind, content_length) in [(OLD_HOLE, 0), (OLD_CONTENT, 4096)] {
        let bytes = vec![9; content_length];
        let head = Head { kind, file: 0, offset: 0, length: 4096 }.to_bytes(&bytes);
        log.write_all_at(&[&head[..], &bytes].concat(), records_at).unwrap();
        assert_eq!(settle_one(&image, &log), Settled::RolledBack);
        assert!(content(&image) == pattern(100_000));
    }
    // And a file without one has no record of it.
    let edit = Edit::begin(&pattern(5000));
    append(&edit.log, (OLD_CLONE, 0), (0, 0), &[]);
    append(&edit.log, (OLD_CONTENT, 0), (0, 4096), &[9; 4096]);
    assert_eq!(edit.settle(), Settled::RolledBack);
    assert_eq!(content(&edit.image), pattern(5000));
}

#[test]
fn of_two_files_each_may_have_a_clone_or_records() {
    let before = [pattern(100_000), pattern(170_000).split_off(50_000)];
    for has in [[true, true], [true, false], [false, true]] {
        let files = before.each_ref().map(|bytes| file(bytes));
        let places = [FIRST, 5 * FIRST];
        let log =
            file(&header([&files[0], &files[1]], true, [0, 1].map(|index| if has[index] { places[index] } else { 0 })));
        for index in [0, 1] {
            if has[index] {
                log.write_all_at(&before[index], places[index]).unwrap();
            }
        }
        let mut undo = UndoLog::open(log.as_raw_fd()).unwrap();
        undo.save_and_sync(Logged { fd: files[0].as_raw_fd(), number: 0 }, 0, 1).unwrap();
        undo.save(Logged { fd: files[1].as_raw_fd(), number: 1 }, 0, 1).unwrap();
        assert!(undo.unsynced, "what is said of the second file is not on the disk yet");
        for (number, offset) in [(1, 0), (0, 8192), (1, 100_000), (0, 99_000), (0, 200_000)] {
            let file = &files[usize::try_from(number).unwrap()];
            undo.save_and_sync(Logged { fd: file.as_raw_fd(), number }, offset, 5000).unwrap();
            file.write_all_at(&[8; 5000], offset).unwrap();
        }
        undo.finish_ahead();
        let [image, data] = files.each_ref().map(AsRawFd::as_raw_fd);
        assert_eq!(settle_one(&files[0], &log), Settled::NeedsSecond);
        assert_eq!(settle_first(image, log.as_raw_fd()).unwrap(), Settled::NeedsSecond);
        assert!(content(&files[0]) == before[0], "the first alone, {has:?}");
        assert!(content(&files[1]) != before[1]);
        for _ in [1, 2] {
            assert_eq!(settle(image, Some(data), log.as_raw_fd()).unwrap(), Settled::RolledBack);
            assert!(content(&files[0]) == before[0] && content(&files[1]) == before[1], "{has:?}");
        }
    }
}

#[test]
fn what_the_second_file_holds_is_not_taken_for_records() {
    // It is cloned into the log while the header speaks of the first alone, whose records would begin at 128 KiB.
    for block in [512, 4096, 65_536, 1 << 20] {
        let at = place(2 * FIRST, block).unwrap();
        assert!(at >= 2 * FIRST + RECORD as u64 && at.is_multiple_of(block) && at.is_multiple_of(FIRST), "{at}");
    }
    assert_eq!(place(HEADER as u64, 4096), Some(FIRST));
    assert_eq!(place(u64::MAX - 5, 4096), None);
    let image = file(&pattern(100_000));
    let (log, _) = log_of(&image);
    let complete = Head { kind: COMPLETE, file: 0, offset: 10, length: 0 }.to_bytes(&[]);
    log.write_all_at(&complete, place(3 * FIRST, 4096).unwrap()).unwrap();
    assert_eq!(settle_one(&image, &log), Settled::RolledBack);
    assert!(content(&image) == pattern(100_000));
}
