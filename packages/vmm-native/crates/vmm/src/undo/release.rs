//! Places that an edit has left: once it is complete, and only then, they are given back to the file system. What interrupts that
//! leaves bytes that nobody needs.

use std::io;
use std::os::fd::RawFd;

use super::header::{read_header, Found};
use super::record::{walk_heads, RELEASE};
use crate::files;

/// Whether a file can give places back that it does not need, and has any while it is edited: where its log holds a clone of it, it is
/// overwritten where it is.
pub fn can_release(file: RawFd, log: RawFd) -> bool {
    if !matches!(read_header(log), Ok(Found::Header(header)) if header.clone_of(0).is_none()) {
        return false;
    }
    // Behind its end there is nothing to lose.
    files::size(file).and_then(|end| files::zero_range(file, end, 1, true)).unwrap_or(false)
}

/// Gives back what the edit has released whose log this is. To be called once the edit is complete and nobody can find its log any
/// more: what it released is gone then.
pub fn release(file: RawFd, log: RawFd) -> io::Result<()> {
    let Found::Header(header) = read_header(log)? else { return Ok(()) };
    if !header.is(0, file, log)? {
        return Ok(());
    }
    let end = files::size(file)?;
    walk_heads(log, &header, |head| {
        let length = end.saturating_sub(head.offset).min(head.length);
        if head.kind == RELEASE && head.file == 0 && length > 0 {
            files::zero_range(file, head.offset, length, true)?;
        }
        Ok(())
    })
}
