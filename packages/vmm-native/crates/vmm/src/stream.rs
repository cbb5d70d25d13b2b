//! Copies between streams on the host. For raw data only, which has no structure that could be interpreted.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::files;

/// A copy of a part of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamCopy {
    /// Descriptor that is read from its current position.
    pub source: RawFd,
    /// Descriptor that is written.
    pub target: RawFd,
    /// Where to write; `None` for the current position (a pipe).
    pub target_offset: Option<u64>,
    /// Bytes of the source that are dropped first.
    pub skip: u64,
    /// Most bytes that are copied after them.
    pub limit: u64,
}

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCopied {
    /// Bytes that were dropped.
    pub skipped: u64,
    /// Bytes that were copied.
    pub copied: u64,
}

/// Why a copy ended early.
#[derive(Debug)]
pub struct StreamError {
    /// It was reading that failed.
    pub source: bool,
    /// What the system says.
    pub error: io::Error,
}

fn of_source(error: io::Error) -> StreamError {
    StreamError { source: true, error }
}

fn of_target(error: io::Error) -> StreamError {
    StreamError { source: false, error }
}

const BUFFER_SIZE: usize = 1 << 20;
const POLL_MS: libc::c_int = 50;

/// Reads until the limit or the end of the source, with one buffer of 1 MiB. `ECANCELED` when `cancelled` is set.
pub fn copy(request: &StreamCopy, cancelled: &AtomicBool, progress: &AtomicU64) -> Result<StreamCopied, StreamError> {
    let mut buffer = vec![0_u8; BUFFER_SIZE];
    let mut done = StreamCopied::default();
    loop {
        if cancelled.load(Ordering::Acquire) {
            return Err(of_target(io::Error::from_raw_os_error(libc::ECANCELED)));
        }
        let skipping = done.skipped < request.skip;
        let left = if skipping {
            request.skip.saturating_sub(done.skipped)
        } else {
            request.limit.saturating_sub(done.copied)
        };
        if left == 0 {
            return Ok(done);
        }
        let Some(count) = read_some(request.source, &mut buffer, left).map_err(of_source)? else { continue };
        if count == 0 {
            return Ok(done);
        }
        if skipping {
            done.skipped = done.skipped.saturating_add(count);
            continue;
        }
        let stopped = || cancelled.load(Ordering::Acquire);
        // SAFETY: `count` bytes of the buffer were just read.
        unsafe {
            match request.target_offset {
                Some(start) => {
                    let offset = start.saturating_add(done.copied);
                    files::write_all_raw(request.target, buffer.as_ptr(), count, offset)
                }
                None => files::write_stream_raw(request.target, buffer.as_ptr(), count, &stopped),
            }
        }
        .map_err(of_target)?;
        done.copied = done.copied.saturating_add(count);
        progress.store(done.copied, Ordering::Relaxed);
    }
}

/// One read of at most `left` bytes; `None` when nothing came within a short time, so that the caller can look at its
/// cancellation.
fn read_some(fd: RawFd, buffer: &mut [u8], left: u64) -> io::Result<Option<u64>> {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    if unsafe { libc::poll(&mut poll, 1, POLL_MS) } == 0 {
        return Ok(None);
    }
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    // SAFETY: `most` bytes of the buffer are writable.
    let got = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), most) };
    match u64::try_from(got) {
        Ok(count) => Ok(Some(count)),
        Err(_) => match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => Ok(None),
            error => Err(error),
        },
    }
}
