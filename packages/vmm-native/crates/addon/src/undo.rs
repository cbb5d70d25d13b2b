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
    /// The file is as it was before.
    RolledBack,
    /// The edit was complete, and the file is as it left it.
    Completed,
    /// The log belongs to another file; nothing was done.
    NotItsLog,
    /// It is the log of another file as well, which has to be there; nothing was done.
    NeedsSecond,
    /// The log is damaged; nothing was done.
    Damaged,
}

/// Writes the head of an undo log for a file that is about to be edited, and brings it to the disk.
#[napi(catch_unwind)]
pub fn begin_undo_log(fd: i32, log: i32) -> Result<(), Failure> {
    undo::begin(fd, log).map_err(|error| io_failure(&error))
}

/// Work on a file that waits for the disk.
pub enum UndoTask {
    Complete { fd: i32, log: Option<i32>, length: u64 },
    Settle { fd: i32, log: i32 },
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
            UndoTask::Complete { fd, log, length } => undo::complete(fd, log, length).map(|()| None),
            UndoTask::Settle { fd, log } => undo::settle(fd, log).map(Some),
        }
        .map_err(|error| to_error(&error))
    }

    fn resolve(&mut self, _: Env, settled: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(settled.map(|settled| match settled {
            Settled::RolledBack => SettledEdit::RolledBack,
            Settled::Completed => SettledEdit::Completed,
            Settled::NotItsLog => SettledEdit::NotItsLog,
            Settled::NeedsSecond => SettledEdit::NeedsSecond,
            Settled::Damaged => SettledEdit::Damaged,
        }))
    }
}

/// Brings an edited file to the disk, and cuts it to `length` bytes where it is longer. Then its log may be removed.
#[napi(catch_unwind, ts_return_type = "Promise<null>")]
pub fn complete_edit(fd: i32, log: Option<i32>, length: BigInt) -> Result<AsyncTask<UndoTask>, Failure> {
    let length = to_u64(&length, "length").map_err(|text| failure(&format!("ERRNO_{}", libc::EINVAL), text))?;
    Ok(AsyncTask::new(UndoTask::Complete { fd, log, length }))
}

/// Brings a file whose edit was interrupted to what it was before, or to what it was to become. The caller holds its lock.
#[napi(catch_unwind, ts_return_type = "Promise<SettledEdit>")]
pub fn settle_edit(fd: i32, log: i32) -> AsyncTask<UndoTask> {
    AsyncTask::new(UndoTask::Settle { fd, log })
}
