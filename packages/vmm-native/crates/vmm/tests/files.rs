//! Opening names that come from inside an image, locks, and raw reads and writes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use instar_vmm::files;
use support::{skip, Scratch};

fn open(scratch: &Scratch, name: &str) -> Result<String, i32> {
    let file = files::open_beneath(scratch.path().join("dir").to_str().unwrap(), name);
    file.map(|fd| {
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    })
    .map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn tree() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path().join("dir/sub")).unwrap();
    scratch.file("secret", b"secret");
    scratch.file("dir/image", b"image");
    scratch.file("dir/sub/deep", b"deep");
    scratch
}

#[test]
fn opens_names_inside_the_directory() {
    let scratch = tree();
    symlink("sub/deep", scratch.path().join("dir/link")).unwrap();
    symlink("../image", scratch.path().join("dir/sub/up")).unwrap();
    for (name, text) in [
        ("image", "image"),
        ("./image", "image"),
        ("sub/deep", "deep"),
        ("sub/../image", "image"),
        ("link", "deep"),
        ("sub/up", "image"),
    ] {
        assert_eq!(open(&scratch, name).as_deref(), Ok(text), "{name}");
    }
}

#[test]
fn refuses_names_that_lead_out_of_the_directory() {
    let scratch = tree();
    let secret = scratch.path().join("secret");
    let dir = scratch.path().join("dir");
    symlink("../secret", dir.join("relative-link")).unwrap();
    symlink(&secret, dir.join("absolute-link")).unwrap();
    symlink("/proc/self/root", dir.join("root-link")).unwrap();
    symlink("..", dir.join("parent-link")).unwrap();
    for name in [
        "../secret",
        "sub/../../secret",
        "sub/../../dir/image",
        secret.to_str().unwrap(),
        "/etc/passwd",
        "relative-link",
        "absolute-link",
        "root-link/etc/passwd",
        "parent-link/secret",
        "..",
        "/",
    ] {
        assert_eq!(open(&scratch, name), Err(libc::EXDEV), "{name}");
    }
    // Even an absolute name of a file inside is one: what it means depends on the root of the process.
    assert_eq!(open(&scratch, dir.join("image").to_str().unwrap()), Err(libc::EXDEV));
}

#[test]
fn refuses_magic_links() {
    let file = File::open("/proc/self/exe").unwrap();
    let below = files::open_beneath("/proc/self/fd", &file.as_raw_fd().to_string());
    assert_eq!(below.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    let exe = files::open_beneath("/proc/self", "exe");
    assert_eq!(exe.unwrap_err().raw_os_error(), Some(libc::ELOOP));
}

#[test]
fn refuses_names_that_no_file_can_have() {
    let scratch = tree();
    assert_eq!(open(&scratch, ""), Err(libc::ENOENT));
    assert_eq!(open(&scratch, "missing"), Err(libc::ENOENT));
    assert_eq!(open(&scratch, "image/below-a-file"), Err(libc::ENOTDIR));
    assert_eq!(open(&scratch, "ima\0ge"), Err(libc::EINVAL));
    assert_eq!(open(&scratch, &"x".repeat(5000)), Err(libc::ENAMETOOLONG));
    symlink("loop", scratch.path().join("dir/loop")).unwrap();
    assert_eq!(open(&scratch, "loop"), Err(libc::ELOOP));
}

#[test]
fn opens_a_pipe_without_waiting_and_closes_on_exec() {
    let scratch = tree();
    let status = Command::new("mkfifo").arg(scratch.path().join("dir/pipe")).status().unwrap();
    assert!(status.success());
    let fd = files::open_beneath(scratch.path().join("dir").to_str().unwrap(), "pipe").unwrap();
    // SAFETY: fcntl on a descriptor that this test owns.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

/// A process that keeps an image open until it is dropped.
struct Holder(Child);

impl Holder {
    /// `None` where qemu-io is not installed.
    fn start(path: &Path, options: &[&str]) -> Option<Self> {
        let child = Command::new("qemu-io")
            .args(["-f", "raw"])
            .args(options)
            .args(["-c", "sleep 100000"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.ok().map(Self)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually(check: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if check() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn image(scratch: &Scratch) -> std::path::PathBuf {
    scratch.file("image", &[0; 65536])
}

fn can_read(path: &Path) -> bool {
    files::lock_for_reading(File::open(path).unwrap().as_raw_fd()).unwrap()
}

fn can_write(path: &Path) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    files::lock_for_writing(file.as_raw_fd()).unwrap()
}

#[test]
fn sees_that_qemu_writes_an_image() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    assert!(can_read(&path) && can_write(&path));
    let Some(holder) = Holder::start(&path, &[]) else {
        return skip("qemu-io is not installed (Debian: apt-get install qemu-utils)");
    };
    assert!(eventually(|| !can_read(&path)), "a reader sees the writer");
    assert!(!can_write(&path));
    drop(holder);
    assert!(can_read(&path) && can_write(&path), "the locks ended with the process");
}

/// Whether anybody holds QEMU's lock on "read" in use.
fn is_read_by_qemu(path: &Path) -> bool {
    let inode = format!(":{} 100 100", fs::metadata(path).unwrap().ino());
    fs::read_to_string("/proc/locks").unwrap().lines().any(|line| line.ends_with(&inode))
}

#[test]
fn reads_beside_a_qemu_that_only_reads() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    let Some(_holder) = Holder::start(&path, &["-r"]) else {
        return skip("qemu-io is not installed (Debian: apt-get install qemu-utils)");
    };
    assert!(eventually(|| is_read_by_qemu(&path)), "QEMU has the image open");
    assert!(can_read(&path));
}

#[test]
fn keeps_qemu_from_writing_an_image_that_is_read() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    let reader = File::open(&path).unwrap();
    assert!(files::lock_for_reading(reader.as_raw_fd()).unwrap());
    let write = || Command::new("qemu-io").args(["-f", "raw", "-c", "write 0 512"]).arg(&path).output();
    let Ok(output) = write() else {
        return skip("qemu-io is not installed (Debian: apt-get install qemu-utils)");
    };
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("lock"), "{output:?}");
    drop(reader);
    assert!(write().unwrap().status.success());
}

#[test]
fn readers_and_writers_of_our_own_exclude_each_other() {
    let scratch = Scratch::new();
    let path = image(&scratch);
    let (one, two) = (File::open(&path).unwrap(), File::open(&path).unwrap());
    assert!(files::lock_for_reading(one.as_raw_fd()).unwrap());
    assert!(files::lock_for_reading(two.as_raw_fd()).unwrap(), "readers share");
    assert!(!can_write(&path));
    drop((one, two));
    let writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert!(files::lock_for_writing(writer.as_raw_fd()).unwrap());
    assert!(!can_read(&path) && !can_write(&path));
}

#[test]
fn reading_behind_the_end_of_a_file_is_an_error() {
    let scratch = Scratch::new();
    let file = File::open(scratch.file("short", &[7; 100])).unwrap();
    let mut buffer = [0_u8; 64];
    let mut read = |offset| {
        // SAFETY: the buffer has 64 writable bytes.
        unsafe { files::read_exact_raw(file.as_raw_fd(), buffer.as_mut_ptr(), 64, offset) }
    };
    assert!(read(36).is_ok());
    for offset in [37, 100, 1 << 40] {
        assert_eq!(read(offset).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    assert_eq!(read(u64::MAX).unwrap_err().raw_os_error(), Some(libc::EOVERFLOW));
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: an array of two integers; pipe2 returns two new descriptors that nothing else owns.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

fn write_stream(fd: &File, bytes: &[u8], stopped: &dyn Fn() -> bool) -> std::io::Result<()> {
    // SAFETY: a slice is readable for its length.
    unsafe { files::write_stream_raw(fd.as_raw_fd(), bytes.as_ptr(), bytes.len() as u64, stopped) }
}

#[test]
fn short_writes_of_a_stream_are_continued() {
    for nonblocking in [false, true] {
        let (mut reader, writer) = pipe();
        if nonblocking {
            // SAFETY: fcntl on a descriptor that this test owns.
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        }
        let sent: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 253) as u8).collect();
        let received = std::thread::spawn(move || {
            let (mut all, mut piece) = (Vec::new(), [0; 5000]);
            while let Ok(count) = reader.read(&mut piece) {
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&piece[..count]);
            }
            all
        });
        write_stream(&writer, &sent, &|| false).unwrap();
        drop(writer);
        assert!(received.join().unwrap() == sent, "nonblocking: {nonblocking}");
    }
}

#[test]
fn a_stalled_stream_can_be_stopped() {
    let (_reader, mut writer) = pipe();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Release);
        });
        let done = write_stream(&writer, &[1; 1 << 20], &|| stop.load(Ordering::Acquire));
        assert_eq!(done.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    });
    writer.flush().unwrap();
}

#[test]
fn a_stream_without_a_reader_is_an_error() {
    let (reader, writer) = pipe();
    drop(reader);
    let done = write_stream(&writer, &[1; 100], &|| false);
    assert_eq!(done.unwrap_err().raw_os_error(), Some(libc::EPIPE));
}

#[test]
fn zeroes_and_punches_ranges() {
    let scratch = Scratch::new();
    for hole in [false, true] {
        let path = scratch.file("zero", &[0xff; 65536]);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        if !files::zero_range(file.as_raw_fd(), 4096, 8192, hole).unwrap() {
            skip("this file system has no FALLOC_FL_ZERO_RANGE or FALLOC_FL_PUNCH_HOLE");
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 65536);
        assert!(bytes.iter().enumerate().all(|(at, byte)| (*byte == 0) == (4096..12288).contains(&at)));
    }
}

#[test]
fn knows_file_systems_that_share_no_blocks() {
    // tmpfs on every Linux; and one that knows nothing of copies.
    let memory = fs::File::open("/dev/shm").unwrap();
    let kernel = fs::File::open("/proc/self/status").unwrap();
    assert!(!files::shares_blocks(memory.as_raw_fd()));
    assert!(files::shares_blocks(kernel.as_raw_fd()));
}
