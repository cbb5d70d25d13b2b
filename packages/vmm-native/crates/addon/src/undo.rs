//! Undo logs of files that are edited.

use instar_vmm::undo::{self, Settled};
use napi::bindgen_prelude::{AsyncTask, BigInt};
use napi::{Env, Task};
use napi_derive::napi;

use crate::options::to_u64;
use crate::{failure, io_failure, Failure};

/// What came of an edit that was interrupted.
#[napi(string_enum = "kebab-case")]
pub enum SettledEdit {
    /// The files are as they were before.
    RolledBack,
    /// The edit was complete, and the files are as it left them.
    Completed,
    /// The log belongs to another file; nothing was done.
    NotItsLog,
    /// The log belongs to another file, and this one is edited together with that; nothing was done.
    IsSecond,
    /// It is the log of another file as well, which has to be there; nothing was done.
    NeedsSecond,
    /// It is the log of another file as well, and not of the one that is there; nothing was done.
    OtherSecond,
    /// The log is damaged; nothing was done.
    Damaged,
}

/// Begins the undo log of a file that is about to be edited; where the file system shares blocks, the log gets a clone of the file.
#[napi(catch_unwind, ts_return_type = "Promise<null>")]
pub fn begin_undo_log(fd: i32, log: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::Begin { fd, log })
}

/// Has a log that was begun be that of a second file as well, which is about to be edited.
#[napi(catch_unwind, ts_return_type = "Promise<null>")]
pub fn join_undo_log(log: i32, second: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::Join { log, second })
}

/// Whether an undo log is that of a file, be it the second one; a log that is damaged may be.
#[napi(catch_unwind)]
pub fn undo_log_belongs(fd: i32, log: i32) -> Result<bool, Failure> {
    undo::belongs(fd, log).map_err(|error| io_failure(&error))
}

/// Work on files that waits for the disk.
pub enum UndoTask {
    Begin { fd: i32, log: i32 },
    Join { log: i32, second: i32 },
    Complete { fd: i32, second: Option<i32>, log: Option<i32>, length: u64 },
    Settle { fd: i32, second: Option<i32>, log: i32 },
    SettleFirst { fd: i32, log: i32 },
    Release { fd: i32, log: i32 },
}

fn to_error(error: &std::io::Error) -> napi::Error {
    let Failure { status, reason, .. } = io_failure(error);
    napi::Error::from_reason(format!("{status}\n{reason}"))
}

impl Task for UndoTask {
    type Output = Option<Settled>;
    type JsValue = Option<SettledEdit>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        match *self {
            UndoTask::Begin { fd, log } => undo::begin(fd, log).map(|()| None),
            UndoTask::Join { log, second } => undo::join(log, second).map(|()| None),
            UndoTask::Complete { fd, second, log, length } => undo::complete(fd, second, log, length).map(|()| None),
            UndoTask::Release { fd, log } => undo::release(fd, log).map(|()| None),
            UndoTask::Settle { fd, second, log } => undo::settle(fd, second, log).map(Some),
            UndoTask::SettleFirst { fd, log } => undo::settle_first(fd, log).map(Some),
        }
        .map_err(|error| to_error(&error))
    }

    fn resolve(&mut self, _: Env, settled: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(settled.map(|settled| match settled {
            Settled::RolledBack => SettledEdit::RolledBack,
            Settled::Completed => SettledEdit::Completed,
            Settled::NotItsLog => SettledEdit::NotItsLog,
            Settled::IsSecond => SettledEdit::IsSecond,
            Settled::OtherSecond => SettledEdit::OtherSecond,
            Settled::NeedsSecond => SettledEdit::NeedsSecond,
            Settled::Damaged => SettledEdit::Damaged,
        }))
    }
}

/// Brings edited files to the disk, and cuts the first to `length` bytes where it is longer. Then their log may be removed.
#[napi(catch_unwind, ts_return_type = "Promise<null>")]
pub fn complete_edit(
    fd: i32,
    second: Option<i32>,
    log: Option<i32>,
    length: BigInt,
) -> Result<AsyncTask<UndoTask>, Failure> {
    let length = to_u64(&length, "length").map_err(|text| failure(&format!("ERRNO_{}", libc::EINVAL), text))?;
    Ok(AsyncTask::new(UndoTask::Complete { fd, second, log, length }))
}

/// Brings files whose edit was interrupted to what they were before, or to what they were to become. The caller holds their locks.
#[napi(catch_unwind, ts_return_type = "Promise<SettledEdit>")]
pub fn settle_edit(fd: i32, second: Option<i32>, log: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::Settle { fd, second, log })
}

/// The same of the first file alone, which is to be looked at then. Where there is a second one, the edit is not settled by that.
#[napi(catch_unwind, ts_return_type = "Promise<SettledEdit>")]
pub fn settle_first(fd: i32, log: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::SettleFirst { fd, log })
}

/// Whether a file can give places back to its file system that an edit with this log leaves.
#[napi(catch_unwind)]
#[must_use]
pub fn can_release(fd: i32, log: i32) -> bool {
    undo::can_release(fd, log)
}

/// Gives back what an edit has left, once it is complete and its log has no name any more.
#[napi(catch_unwind, ts_return_type = "Promise<null>")]
pub fn release_edit(fd: i32, log: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::Release { fd, log })
}
