use super::*;

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
fn no_range_is_saved_twice() {
    let mut edit = Edit::begin(&pattern(100_000));
    for offset in [8192, 0, 4096, 6000, 8192] {
        edit.write(offset, &[9; 100]);
    }
    assert_eq!(edit.undo.files[0].ranges, [(0, 12288)]);
    assert_eq!(edit.log.metadata().unwrap().len(), (HEADER + 3 * (RECORD + 4096)) as u64);
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
