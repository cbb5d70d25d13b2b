//! What is saved ahead of writes that follow each other, by a thread of its own: while one part is overwritten, the old content of the
//! next one goes to the disk.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::record::Appender;
use super::Logged;
use crate::files;

/// A thread that appends. It has the log's end for itself, and ends before this is gone: the descriptors belong to the caller.
#[derive(Debug)]
pub(super) struct Ahead {
    log: RawFd,
    /// The file whose content it is.
    pub file: Logged,
    /// Where the log ended before.
    start: u64,
    pieces: Vec<(u64, u64)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(Appender, io::Result<()>)>>,
}

impl Ahead {
    /// Begins to append what `file` holds in `pieces` (start and end of each). Where there can be no thread, that shows when it is
    /// waited for.
    pub fn begin(mut appender: Appender, file: Logged, pieces: Vec<(u64, u64)>) -> Self {
        let (log, start) = (appender.log, appender.end);
        let stop = Arc::new(AtomicBool::new(false));
        let (wanted, stopped) = (pieces.clone(), Arc::clone(&stop));
        let work = move || {
            let append = || {
                for (from, to) in wanted {
                    if stopped.load(Ordering::Relaxed) {
                        return Err(io::Error::from_raw_os_error(libc::ECANCELED));
                    }
                    appender.append(file, from, to.saturating_sub(from))?;
                }
                files::sync_data(log)
            };
            let result = append();
            (appender, result)
        };
        let thread = Builder::new().name("instar-undo".into()).spawn(work).ok();
        Self { log, file, start, pieces, stop, thread }
    }

    /// Waits until all is on the disk. Gives the appender back, and what was saved; what was appended in vain is taken back.
    pub fn wait(mut self) -> (Appender, io::Result<Vec<(u64, u64)>>) {
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok((appender, Ok(())))) => (appender, Ok(std::mem::take(&mut self.pieces))),
            Some(Ok((mut appender, Err(error)))) => {
                appender.cut(self.start);
                (appender, Err(error))
            }
            _ => {
                let mut appender = Appender::new(self.log, self.start);
                appender.cut(self.start);
                (appender, Err(io::Error::from_raw_os_error(libc::EAGAIN)))
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
