use super::*;

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
