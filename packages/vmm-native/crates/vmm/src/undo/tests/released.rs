use super::*;

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
    let edit = Edit::begin(&pattern(5000));
    let (image, log) = (&edit.image, edit.log.as_raw_fd());
    assert!(can_release(image.as_raw_fd(), log));
    assert_eq!(content(image), pattern(5000));
    let mut ends = [0; 2];
    // SAFETY: pipe on two writable integers.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    assert!(!can_release(ends[1], log));
    // SAFETY: descriptors that nothing else owns.
    ends.iter().for_each(|end| assert_eq!(unsafe { libc::close(*end) }, 0));
}
