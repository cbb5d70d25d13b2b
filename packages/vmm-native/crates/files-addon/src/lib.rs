//! Node-API face of the system calls on files that node has no function for. Thin, no decisions of its own.
//!
//! Names are bytes and relative to the descriptor of a directory, so that nobody can put another directory in between.
//! An addon of its own: the one that runs guests opens nothing by name.

mod attributes;
mod teardown;

use std::os::fd::{BorrowedFd, IntoRawFd};

use napi::bindgen_prelude::{BigInt, Buffer};
use napi::Error;
use napi_derive::napi;
use rustix::fs::{self, AtFlags, Mode, OFlags, RawDir, RenameFlags, StatxAttributes, StatxFlags, CWD};
use rustix::io::Errno;

/// An error of which JavaScript sees `code` and `message`.
type Failure = Error<String>;

/// The error number travels in the code; the JavaScript face knows the names.
fn failure(errno: Errno) -> Failure {
    Error::new(format!("ERRNO_{}", errno.raw_os_error()), errno.to_string())
}

/// The descriptor of a caller; a negative number is the current directory.
fn borrowed(fd: i32) -> BorrowedFd<'static> {
    if fd < 0 {
        return CWD;
    }
    // SAFETY: not -1. A descriptor that the caller has closed makes the calls here fail with EBADF; no memory depends on it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// What a name leads to.
#[napi(object)]
pub struct FileStatus {
    /// Device of the file system.
    pub dev: BigInt,
    /// Number of the inode.
    pub ino: BigInt,
    /// Kind and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names of the file.
    pub nlink: u32,
    /// Bytes.
    pub size: BigInt,
    /// Bytes that it takes on its file system.
    pub allocated: BigInt,
    /// Whether something is mounted there; absent where the kernel does not tell.
    pub mount_root: Option<bool>,
}

/// Opens a name relative to a directory (openat(2), O_CLOEXEC). The caller closes the descriptor.
#[napi(catch_unwind)]
pub fn open_at(dir: i32, name: &[u8], flags: u32, mode: u32) -> Result<i32, Failure> {
    let flags = OFlags::from_bits_retain(flags) | OFlags::CLOEXEC;
    fs::openat(borrowed(dir), name, flags, Mode::from_raw_mode(mode)).map(IntoRawFd::into_raw_fd).map_err(failure)
}

/// What a name is (statx(2)); the empty name is the descriptor itself. Mounts nothing automatically.
#[napi(catch_unwind)]
pub fn stat_at(dir: i32, name: &[u8], follow: bool) -> Result<FileStatus, Failure> {
    let links = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    let flags = links | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
    let found = fs::statx(borrowed(dir), name, flags, StatxFlags::BASIC_STATS).map_err(failure)?;
    let known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    Ok(FileStatus {
        dev: fs::makedev(found.stx_dev_major, found.stx_dev_minor).into(),
        ino: found.stx_ino.into(),
        mode: u32::from(found.stx_mode),
        uid: found.stx_uid,
        gid: found.stx_gid,
        nlink: found.stx_nlink,
        size: found.stx_size.into(),
        allocated: found.stx_blocks.saturating_mul(512).into(),
        mount_root: known.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
    })
}

/// The text of a symbolic link (readlinkat(2)).
#[napi(catch_unwind)]
pub fn read_link_at(dir: i32, name: &[u8]) -> Result<Buffer, Failure> {
    fs::readlinkat(borrowed(dir), name, Vec::new()).map(|text| text.into_bytes().into()).map_err(failure)
}

/// Gives an open file without a name one (linkat(2) by way of `/proc`). EEXIST where the name is taken.
#[napi(catch_unwind)]
pub fn link_descriptor(fd: i32, dir: i32, name: &[u8]) -> Result<(), Failure> {
    let source = format!("/proc/self/fd/{fd}");
    fs::linkat(CWD, source, borrowed(dir), name, AtFlags::SYMLINK_FOLLOW).map_err(failure)
}

/// Gives a name of a directory to another one of it (linkat(2)). EEXIST where that is taken.
#[napi(catch_unwind)]
pub fn link_at(dir: i32, from: &[u8], to: &[u8]) -> Result<(), Failure> {
    fs::linkat(borrowed(dir), from, borrowed(dir), to, AtFlags::empty()).map_err(failure)
}

/// Renames within a directory (renameat(2), or renameat2(2) with RENAME_NOREPLACE).
#[napi(catch_unwind)]
pub fn rename_at(dir: i32, from: &[u8], to: &[u8], replace: bool) -> Result<(), Failure> {
    let dir = borrowed(dir);
    if replace {
        return fs::renameat(dir, from, dir, to).map_err(failure);
    }
    fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE).map_err(failure)
}

/// Removes a name that is no directory (unlinkat(2)).
#[napi(catch_unwind)]
pub fn unlink_at(dir: i32, name: &[u8]) -> Result<(), Failure> {
    fs::unlinkat(borrowed(dir), name, AtFlags::empty()).map_err(failure)
}

/// Random bytes of the system for names that nobody guesses (getrandom(2)); as few as a name needs. Loading node's own
/// takes longer than asking an image what it is.
#[napi(catch_unwind)]
pub fn random_bytes(count: u8) -> Result<Buffer, Failure> {
    let mut bytes = vec![0; usize::from(count)];
    // Up to 256 bytes come at once, and no signal interrupts that.
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(failure)?;
    bytes.truncate(got);
    Ok(bytes.into())
}

/// The names in a directory that is open for reading, without `.` and `..`.
#[napi(catch_unwind)]
pub fn read_directory(dir: i32) -> Result<Vec<Buffer>, Failure> {
    // A descriptor of its own: the caller's keeps its position.
    let own = fs::openat(borrowed(dir), ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(failure)?;
    let mut space = Vec::with_capacity(1 << 15);
    let mut entries = RawDir::new(own, space.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(failure)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec().into());
        }
    }
    Ok(names)
}

/// Room on a file system.
#[napi(object)]
pub struct FileSystemStatus {
    /// Its kind (statfs(2), `f_type`).
    pub kind: i64,
    /// Bytes of all of it; 0 where it does not tell.
    pub size: BigInt,
    /// Bytes that a privileged process may still write.
    pub free: BigInt,
    /// Bytes that any process may still write.
    pub available: BigInt,
}

/// Room on the file system of a descriptor (fstatfs(2)).
#[napi(catch_unwind)]
pub fn file_system_status(fd: i32) -> Result<FileSystemStatus, Failure> {
    let found = fs::fstatfs(borrowed(fd)).map_err(failure)?;
    let block = u64::try_from(found.f_bsize).unwrap_or(0);
    let bytes = |blocks: u64| BigInt::from(blocks.saturating_mul(block));
    Ok(FileSystemStatus {
        kind: found.f_type,
        size: bytes(found.f_blocks),
        free: bytes(found.f_bfree),
        available: bytes(found.f_bavail),
    })
}
