//! The system calls on files that node has no function for, and the raw reads and writes of the executor.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

fn offset_of(value: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Reads exactly `length` bytes at `offset`; a file that ends earlier is EIO.
///
/// # Safety
/// `target` must be valid for writes of `length` bytes.
pub unsafe fn read_exact_raw(fd: RawFd, target: *mut u8, length: u64, offset: u64) -> io::Result<()> {
    let mut done: u64 = 0;
    while done < length {
        let left = usize::try_from(length.saturating_sub(done)).map_err(io::Error::other)?;
        let at = usize::try_from(done).map_err(io::Error::other)?;
        // SAFETY: done < length, and the caller promises `length` bytes.
        let got = unsafe { libc::pread(fd, target.add(at).cast(), left, offset_of(offset.saturating_add(done))?) };
        match u64::try_from(got) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::EIO)),
            Ok(count) => done = done.saturating_add(count),
            Err(_) => retry_interrupted()?,
        }
    }
    Ok(())
}

/// Writes exactly `length` bytes at `offset`.
///
/// # Safety
/// `source` must be valid for reads of `length` bytes.
pub unsafe fn write_all_raw(fd: RawFd, source: *const u8, length: u64, offset: u64) -> io::Result<()> {
    let mut done: u64 = 0;
    while done < length {
        let left = usize::try_from(length.saturating_sub(done)).map_err(io::Error::other)?;
        let at = usize::try_from(done).map_err(io::Error::other)?;
        // SAFETY: done < length, and the caller promises `length` bytes.
        let put = unsafe { libc::pwrite(fd, source.add(at).cast(), left, offset_of(offset.saturating_add(done))?) };
        match u64::try_from(put) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::EIO)),
            Ok(count) => done = done.saturating_add(count),
            Err(_) => retry_interrupted()?,
        }
    }
    Ok(())
}

/// Bytes that a pipe which polls writable takes without blocking (pipe(7), PIPE_BUF).
const PIPE_BUF: usize = 4096;
/// Bytes that are written to a file at once, between two looks at `stopped`.
const FILE_PIECE: usize = 1 << 20;
/// How long a stalled stream is waited for before `stopped` is looked at again (ms).
const STREAM_POLL_MS: libc::c_int = 50;

/// Writes exactly `length` bytes at the position of a stream. A reader that stalls is waited for, but never so that
/// `stopped` would not be seen: then it fails with ECANCELED.
///
/// # Safety
/// `source` must be valid for reads of `length` bytes.
pub unsafe fn write_stream_raw(
    fd: RawFd,
    source: *const u8,
    length: u64,
    stopped: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut done: u64 = 0;
    let is_file = is_file(fd);
    let mut can_refuse_to_wait = !is_file;
    while done < length {
        if stopped() {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        let left = usize::try_from(length.saturating_sub(done)).map_err(io::Error::other)?;
        let at = usize::try_from(done).map_err(io::Error::other)?;
        // SAFETY: done < length, and the caller promises `length` bytes.
        let from = unsafe { source.add(at) };
        let put = if can_refuse_to_wait {
            let part = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: left };
            // SAFETY: one valid iovec over `left` readable bytes; offset -1 means the current position.
            unsafe { libc::pwritev2(fd, &part, 1, -1, libc::RWF_NOWAIT) }
        } else if is_file {
            // SAFETY: at most `left` readable bytes.
            unsafe { libc::write(fd, from.cast(), left.min(FILE_PIECE)) }
        } else {
            if !wait_writable(fd)? {
                continue;
            }
            // SAFETY: at most `left` readable bytes.
            unsafe { libc::write(fd, from.cast(), left.min(PIPE_BUF)) }
        };
        match u64::try_from(put) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::EIO)),
            Ok(count) => done = done.saturating_add(count),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error if error.raw_os_error() == Some(libc::EAGAIN) => {
                    wait_writable(fd)?;
                }
                error if can_refuse_to_wait && !is_final(&error) => can_refuse_to_wait = false,
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// Errors that say that there is no room for more bytes.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG | libc::EDQUOT))
}

/// Whether the descriptor is a file or a block device, which never makes a writer wait for a reader.
fn is_file(fd: RawFd) -> bool {
    // SAFETY: stat is plain data for which zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a valid stat that the kernel may write to.
    let known = unsafe { libc::fstat(fd, &mut stat) } == 0;
    known && matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFBLK)
}

/// Errors of a stream that another way of writing would meet, too.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPIPE | libc::ENOSPC | libc::EFBIG | libc::EDQUOT | libc::EIO | libc::EBADF)
    )
}

fn retry_interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted {
        return Ok(());
    }
    Err(error)
}

/// Waits a short time; returns whether the descriptor can be written.
fn wait_writable(fd: RawFd) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid pollfd.
    match unsafe { libc::poll(&mut poll, 1, STREAM_POLL_MS) } {
        -1 => retry_interrupted().map(|()| false),
        ready => Ok(ready > 0),
    }
}

/// Makes a range of a file read as zeros without writing it: allocated, or deallocated where `hole`. False where the
/// file system cannot.
pub fn zero_range(fd: RawFd, offset: u64, length: u64, hole: bool) -> io::Result<bool> {
    let mode = if hole { libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE } else { libc::FALLOC_FL_ZERO_RANGE };
    fallocate(fd, mode, offset, length)
}

/// Allocates what a range has of holes; its bytes do not change. False where the file system cannot.
pub fn allocate(fd: RawFd, offset: u64, length: u64) -> io::Result<bool> {
    fallocate(fd, 0, offset, length)
}

fn fallocate(fd: RawFd, mode: libc::c_int, offset: u64, length: u64) -> io::Result<bool> {
    loop {
        // SAFETY: fallocate on plain integers.
        match check(unsafe { libc::fallocate(fd, mode, offset_of(offset)?, offset_of(length)?) }) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // ENODEV is a block device or a pipe, EINVAL one that knows fallocate but not this range.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::ENODEV | libc::EINVAL)
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Bytes of a file or block device (the position of the descriptor moves).
pub fn size(fd: RawFd) -> io::Result<u64> {
    // SAFETY: lseek on plain integers.
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    u64::try_from(end).map_err(|_| io::Error::last_os_error())
}

/// Whether a file has at least one byte, whatever length it states: files of the kernel state none.
pub fn has_bytes(fd: RawFd) -> io::Result<bool> {
    let mut byte = [0_u8; 1];
    loop {
        // SAFETY: one writable byte.
        match unsafe { libc::pread(fd, byte.as_mut_ptr().cast(), byte.len(), 0) } {
            count if count >= 0 => return Ok(count > 0),
            _ => retry_interrupted()?,
        }
    }
}

/// The first byte from `offset` on that is not in a hole, or None when only a hole follows (the position of the
/// descriptor moves). A file system without holes has data everywhere.
pub fn next_data(fd: RawFd, offset: u64) -> io::Result<Option<u64>> {
    let from = offset_of(offset)?;
    // SAFETY: lseek on plain integers.
    let found = unsafe { libc::lseek(fd, from, libc::SEEK_DATA) };
    match u64::try_from(found) {
        Ok(data) => Ok(Some(data)),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}

/// Bytes that a file takes on its file system; None for what is no regular file.
pub fn allocated(fd: RawFd) -> Option<u64> {
    // SAFETY: stat is plain data for which zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a valid stat that the kernel may write to.
    let known = unsafe { libc::fstat(fd, &mut stat) } == 0;
    let blocks = u64::try_from(stat.st_blocks).ok()?;
    (known && stat.st_mode & libc::S_IFMT == libc::S_IFREG).then(|| blocks.saturating_mul(512))
}

/// Device and inode of a file: the same for all its names.
pub fn identity(fd: RawFd) -> io::Result<(u64, u64)> {
    // SAFETY: stat is plain data for which zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a valid stat that the kernel may write to.
    check(unsafe { libc::fstat(fd, &mut stat) })?;
    Ok((stat.st_dev, stat.st_ino))
}

/// When a file came into being, in nanoseconds; `None` where its file system, or the system, does not say. A file that is made where another
/// one was removed may have the inode of that: this tells them apart.
pub fn born(fd: RawFd) -> Option<u64> {
    // SAFETY: statx is plain data for which zero is a valid value.
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: an empty name, which ends with a zero byte, and a valid statx that the kernel may write to.
    check(unsafe { libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_BTIME, &mut status) }).ok()?;
    let is_told = status.stx_mask & libc::STATX_BTIME != 0;
    let seconds = u64::try_from(status.stx_btime.tv_sec).ok().filter(|_| is_told)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(u64::from(status.stx_btime.tv_nsec))
}

/// Bytes that the file system of a file has left for its users; the most there can be where it does not count them.
pub fn free_bytes(fd: RawFd) -> io::Result<u64> {
    // SAFETY: statvfs is plain data for which zero is a valid value.
    let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a valid statvfs that the kernel may write to.
    check(unsafe { libc::fstatvfs(fd, &mut status) })?;
    match status.f_blocks {
        0 => Ok(u64::MAX),
        _ => Ok(status.f_bavail.saturating_mul(status.f_frsize)),
    }
}

/// What a file holds from `offset` on: whether it is data, and for how many of `most` bytes that is so (the position of
/// the descriptor moves). Where the system cannot say, all of it is data.
pub fn extent(fd: RawFd, offset: u64, most: u64) -> (bool, u64) {
    let seek = |whence: libc::c_int| {
        let from = offset_of(offset).ok()?;
        // SAFETY: lseek on plain integers.
        let found = unsafe { libc::lseek(fd, from, whence) };
        match u64::try_from(found) {
            Ok(place) => Some(place),
            // Behind the last data there is one hole up to the end.
            Err(_) if whence == libc::SEEK_DATA && last_error_is(libc::ENXIO) => Some(u64::MAX),
            Err(_) => None,
        }
    };
    match seek(libc::SEEK_DATA) {
        None => (true, most),
        Some(data) if data > offset => (false, data.saturating_sub(offset).min(most)),
        Some(_) => match seek(libc::SEEK_HOLE) {
            Some(hole) if hole > offset => (true, hole.saturating_sub(offset).min(most)),
            _ => (true, most),
        },
    }
}

/// Bytes of the hole at `offset`, at most `most`; 0 where there is data, or the system cannot say (the position of the descriptor moves).
pub fn hole(fd: RawFd, offset: u64, most: u64) -> u64 {
    match next_data(fd, offset) {
        Ok(Some(data)) => data.saturating_sub(offset).min(most),
        Ok(None) => most,
        Err(_) => 0,
    }
}

fn last_error_is(code: libc::c_int) -> bool {
    io::Error::last_os_error().raw_os_error() == Some(code)
}

/// Copies a range from file to file inside the kernel (copy_file_range(2)). `Ok(false)` when these two files cannot be
/// copied so and nothing was written; a source that ends early is EIO.
pub fn copy_range(source: RawFd, target: RawFd, source_offset: u64, offset: u64, length: u64) -> io::Result<bool> {
    let mut done: u64 = 0;
    while done < length {
        let left = usize::try_from(length.saturating_sub(done)).map_err(io::Error::other)?;
        let mut from = offset_of(source_offset.saturating_add(done))?;
        let mut to = offset_of(offset.saturating_add(done))?;
        // SAFETY: both offsets are valid for the call.
        let copied = unsafe { libc::copy_file_range(source, &mut from, target, &mut to, left, 0) };
        match u64::try_from(copied) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::EIO)),
            Ok(count) => done = done.saturating_add(count),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error if done == 0 && cannot_copy(&error) => return Ok(false),
                error => return Err(error),
            },
        }
    }
    Ok(true)
}

/// Has a range of a file share its blocks with another file (FICLONERANGE). The places are multiples of the file system's block, and so
/// is `length` but where the source ends. `Ok(false)` when the file system cannot do that with these files, or has no room for it; a part
/// of the range may be shared then.
pub fn clone_range(source: RawFd, source_offset: u64, length: u64, target: RawFd, offset: u64) -> io::Result<bool> {
    let src_fd = i64::from(source);
    let range = libc::file_clone_range { src_fd, src_offset: source_offset, src_length: length, dest_offset: offset };
    loop {
        // SAFETY: a valid range that the kernel reads.
        match check(unsafe { libc::ioctl(target, libc::FICLONERANGE, std::ptr::from_ref(&range)) }) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if cannot_clone(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Errors that say that a file system does not share blocks, or not these.
fn cannot_clone(error: &io::Error) -> bool {
    let is_other = matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EACCES));
    is_other || is_full(error) || cannot_copy(error)
}

/// Bytes of a block of the file system that a file is on.
pub fn block_size(fd: RawFd) -> io::Result<u64> {
    // SAFETY: statvfs is plain data for which zero is a valid value.
    let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a valid statvfs that the kernel may write to.
    check(unsafe { libc::fstatvfs(fd, &mut status) })?;
    Ok(status.f_bsize)
}

/// Errors that say that these files cannot be copied inside the kernel (different file systems, devices, old kernels).
fn cannot_copy(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EXDEV | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM | libc::EBADF | libc::ETXTBSY)
    )
}

/// Whether a copy inside the kernel may make the file share blocks with another, and holes with it, instead of writing bytes:
/// not where it is known that the file system cannot.
pub fn shares_blocks(fd: RawFd) -> bool {
    // SAFETY: statfs is plain data for which zero is a valid value.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a valid statfs that the kernel may write to.
    let known = unsafe { libc::fstatfs(fd, &mut about) } == 0;
    !known || !matches!(about.f_type, libc::EXT4_SUPER_MAGIC | libc::TMPFS_MAGIC)
}

/// Asks the kernel to begin writing a range back, without waiting (sync_file_range(2)): a later sync then finds little
/// left to do. Only advice, so that failures do not matter.
pub fn start_writeback(fd: RawFd, offset: u64, length: u64) {
    if let (Ok(offset), Ok(length)) = (offset_of(offset), offset_of(length)) {
        // SAFETY: sync_file_range on plain integers.
        unsafe { libc::sync_file_range(fd, offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    }
}

/// Makes a file as long as `length` bytes.
pub fn set_size(fd: RawFd, length: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(length).map_err(io::Error::other)?;
    // SAFETY: a system call on numbers.
    check(unsafe { libc::ftruncate(fd, length) })
}

/// Brings written data to the disk.
pub fn sync_data(fd: RawFd) -> io::Result<()> {
    // SAFETY: fdatasync on a plain integer.
    check(unsafe { libc::fdatasync(fd) })
}

/// Waits until at least one descriptor is readable (or closed at the other end).
pub fn wait_readable(fds: &[RawFd]) -> io::Result<Vec<bool>> {
    poll_readable(fds, -1)
}

/// The same, not much longer than `timeout`.
pub fn wait_readable_for(fds: &[RawFd], timeout: Duration) -> io::Result<Vec<bool>> {
    let milliseconds = timeout.as_micros().div_ceil(1000);
    poll_readable(fds, i32::try_from(milliseconds).unwrap_or(i32::MAX))
}

fn poll_readable(fds: &[RawFd], milliseconds: i32) -> io::Result<Vec<bool>> {
    let mut polls: Vec<libc::pollfd> =
        fds.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: the vector holds `polls.len()` valid entries.
    let ready = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, milliseconds) };
    if ready < 0 {
        retry_interrupted()?;
        return Ok(vec![false; fds.len()]);
    }
    Ok(polls.iter().map(|poll| poll.revents != 0).collect())
}

/// An eventfd.
pub struct Event(OwnedFd);

impl Event {
    /// A new event that is not signalled.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd on plain integers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        check(fd)?;
        // SAFETY: eventfd returned a new descriptor that nothing else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable.
    pub fn signal(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight readable bytes. A full counter stays readable, so the result does not matter.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        let mut value = [0; 8];
        // SAFETY: eight writable bytes. EAGAIN means that it was clear already.
        unsafe { libc::read(self.0.as_raw_fd(), value.as_mut_ptr().cast(), value.len()) };
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Opens `name` read-only below the directory `dir`: no component may lead out of it, no magic link is followed
/// (openat2(2), RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS). Returns a descriptor that closes on exec.
pub fn open_beneath(dir: &str, name: &str) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    const RESOLVE_BENEATH: u64 = 0x08;
    let dir = c_string(dir)?;
    let name = c_string(name)?;
    // SAFETY: a NUL-terminated path and plain flags.
    let dir_fd = unsafe { libc::open(dir.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    check(dir_fd)?;
    // SAFETY: open returned a new descriptor that nothing else owns.
    let dir_fd = unsafe { OwnedFd::from_raw_fd(dir_fd) };
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let how =
        OpenHow { flags: u64::try_from(flags).unwrap_or(0), mode: 0, resolve: RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    // SAFETY: all pointers are valid for the call and the size is that of the struct.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir_fd.as_raw_fd(),
            name.as_ptr(),
            std::ptr::from_ref(&how),
            std::mem::size_of::<OpenHow>(),
        )
    };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    check(fd)?;
    // SAFETY: openat2 returned a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes an exclusive open-file-description lock on a whole file, without waiting. False when another description has
/// one; it ends with the descriptor, also when the process is killed.
pub fn lock_exclusive(fd: RawFd) -> io::Result<bool> {
    // SAFETY: flock is plain data for which zero is a valid value; l_len 0 means the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(libc::F_WRLCK).map_err(io::Error::other)?;
    // SAFETY: a valid flock that the kernel may read.
    match check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock)) }) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes that QEMU locks in an image (block/file-posix.c): permissions in use from 100, permissions denied to
/// others from 200.
const LOCK_PERMISSIONS: i64 = 100;
const LOCK_SHARED: i64 = 200;
/// Bit of the permission "consistent read", and of "write", in QEMU's numbering.
const PERMISSION_READ: i64 = 0;
const PERMISSION_WRITE: i64 = 1;

fn region_lock(fd: RawFd, start: i64, kind: libc::c_int, command: libc::c_int) -> io::Result<libc::flock> {
    // SAFETY: flock is plain data for which zero is a valid value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).map_err(io::Error::other)?;
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).map_err(io::Error::other)?;
    lock.l_start = start;
    lock.l_len = 1;
    // SAFETY: a valid flock that the kernel may write to.
    check(unsafe { libc::fcntl(fd, command, std::ptr::from_mut(&mut lock)) })?;
    Ok(lock)
}

/// Takes the locks that QEMU takes on an image that is read (a shared lock on "read" in use, and on "write" denied to
/// others), as open-file-description locks: they end with the descriptor.
/// Returns whether the image could be locked; false means that another process writes it.
pub fn lock_for_reading(fd: RawFd) -> io::Result<bool> {
    region_lock(fd, LOCK_PERMISSIONS + PERMISSION_READ, libc::F_RDLCK, libc::F_OFD_SETLK)?;
    region_lock(fd, LOCK_SHARED + PERMISSION_WRITE, libc::F_RDLCK, libc::F_OFD_SETLK)?;
    let denied = region_lock(fd, LOCK_SHARED + PERMISSION_READ, libc::F_WRLCK, libc::F_OFD_GETLK)?;
    let writer = region_lock(fd, LOCK_PERMISSIONS + PERMISSION_WRITE, libc::F_WRLCK, libc::F_OFD_GETLK)?;
    let free = libc::c_short::try_from(libc::F_UNLCK).map_err(io::Error::other)?;
    Ok(denied.l_type == free && writer.l_type == free)
}

/// Takes the lock that QEMU's `resize`/`write` users take on an output that is written in place, and looks whether
/// anybody uses the file. Needs a descriptor open for reading and writing.
pub fn lock_for_writing(fd: RawFd) -> io::Result<bool> {
    region_lock(fd, LOCK_PERMISSIONS + PERMISSION_WRITE, libc::F_RDLCK, libc::F_OFD_SETLK)?;
    region_lock(fd, LOCK_SHARED + PERMISSION_WRITE, libc::F_RDLCK, libc::F_OFD_SETLK)?;
    let denied = region_lock(fd, LOCK_SHARED + PERMISSION_WRITE, libc::F_WRLCK, libc::F_OFD_GETLK)?;
    let writer = region_lock(fd, LOCK_PERMISSIONS + PERMISSION_WRITE, libc::F_WRLCK, libc::F_OFD_GETLK)?;
    let free = libc::c_short::try_from(libc::F_UNLCK).map_err(io::Error::other)?;
    Ok(denied.l_type == free && writer.l_type == free)
}
