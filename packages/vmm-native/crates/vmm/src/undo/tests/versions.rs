use super::*;

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
    assert_eq!(bytes[64..80], [0; 16], "no clones");
    let more: Vec<u64> = bytes[80..104].chunks(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap())).collect();
    let born = edit.image.metadata().unwrap().created().unwrap();
    let born = born.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    assert_eq!(more, [u64::try_from(born).unwrap(), 0, files::identity(edit.log.as_raw_fd()).unwrap().0]);
    assert_eq!(bytes[104..124], [0; 20]);
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
    bytes[8] = 4;
    let sum = crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..].copy_from_slice(&sum);
    bytes.extend_from_slice(&[0; 32]);
    edit.log.write_all_at(&bytes, 0).unwrap();
    edit.image.write_all_at(&[1; 100], 6000).unwrap();
    assert_eq!(edit.settle(), Settled::Damaged);
    assert_eq!(content(&edit.image).len(), 6100);
}

/// A log that puts four KiB back, under a header of which a program, another machine or another file would have made something else: its
/// device, when the file came into being, and the device of the log.
fn settle_with(change: impl Fn(u64, u64) -> [u64; 3]) -> (Settled, bool) {
    let before = pattern(20_000);
    let mut edit = Edit::begin(&before);
    edit.write(4096, &[1; 4096]);
    let after = content(&edit.image);
    let mut bytes = content(&edit.log);
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let changed = change(number(&bytes, 16), number(&bytes, 80));
    for (at, value) in [16, 80, 96].into_iter().zip(changed) {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let sum = crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..128].copy_from_slice(&sum);
    edit.log.write_all_at(&bytes, 0).unwrap();
    let belongs = belongs(edit.image.as_raw_fd(), edit.log.as_raw_fd()).unwrap();
    let settled = edit.settle();
    assert_eq!(belongs, settled == Settled::RolledBack);
    let is_before = content(&edit.image) == before;
    assert!(is_before || content(&edit.image) == after);
    (settled, is_before)
}

#[test]
fn a_file_that_has_the_inode_of_one_that_was_removed_is_left_alone() {
    assert_eq!(settle_with(|device, born| [device, born + 1, device]), (Settled::NotItsLog, false));
    assert_eq!(settle_with(|device, born| [device, born, device]), (Settled::RolledBack, true));
    // As programs before this one left it, and those on file systems that do not say.
    assert_eq!(settle_with(|device, _| [device, 0, 0]), (Settled::RolledBack, true));
}

#[test]
fn a_file_system_may_have_another_device_where_the_log_has_it_too() {
    assert_eq!(settle_with(|device, born| [device + 1, born, device + 1]), (Settled::RolledBack, true));
    assert_eq!(settle_with(|device, born| [device + 1, born, device]), (Settled::NotItsLog, false));
    assert_eq!(settle_with(|device, born| [device + 1, born, device + 2]), (Settled::NotItsLog, false));
    assert_eq!(settle_with(|device, born| [device + 1, born + 1, device + 1]), (Settled::NotItsLog, false));
    assert_eq!(
        settle_with(|device, _| [device + 1, 0, device + 1]),
        (Settled::NotItsLog, false),
        "an inode alone says little"
    );
}
