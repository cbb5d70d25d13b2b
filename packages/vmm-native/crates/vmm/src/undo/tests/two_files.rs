use super::*;

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
