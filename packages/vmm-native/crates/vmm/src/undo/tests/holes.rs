use super::*;

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
