//! A helper that forks guest processes: see the helper's own `nursery.rs`. It knows no guest, and no guest can reach it.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::child::GuestProcess;

/// A fork takes less than a millisecond: a helper that does not answer in this time is stopped, or none of ours.
const PATIENCE: Duration = Duration::from_secs(10);

/// The helper, waiting for orders. It ends with this value, or with the thread that started it.
pub struct Nursery {
    orders: UnixStream,
    _helper: GuestProcess,
}

/// Two ends of a socket that keeps messages apart.
fn message_sockets() -> io::Result<[OwnedFd; 2]> {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: socketpair returned two new descriptors that nothing else owns.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }))
}

impl Nursery {
    /// Starts the helper.
    pub fn start(helper: &Path) -> Result<Self, String> {
        let [ours, theirs] = message_sockets().map_err(|error| format!("socketpair: {error}"))?;
        let copy = || theirs.try_clone().map(Stdio::from).map_err(|error| format!("message socket: {error}"));
        let child = Command::new(helper)
            .env_clear()
            .current_dir("/")
            .stdin(copy()?)
            // No file: that tells the helper what it is to be.
            .stdout(copy()?)
            .stderr(copy()?)
            .spawn()
            .map_err(|error| format!("the sandbox helper {} cannot be started: {error}", helper.display()))?;
        let pid = libc::pid_t::try_from(child.id()).map_err(|error| error.to_string())?;
        let helper = GuestProcess::new(pid);
        let orders = UnixStream::from(ours);
        orders.set_read_timeout(Some(PATIENCE)).map_err(|error| format!("message socket: {error}"))?;
        Ok(Self { orders, _helper: helper })
    }

    /// Makes a guest process, which waits for a ring on its doorbell before it enters the guest.
    pub fn fork(&self, doorbell: RawFd, memory: RawFd) -> Result<GuestProcess, String> {
        let say = |error: io::Error| format!("the sandbox helper does not fork: {error}");
        send_descriptors(self.orders.as_raw_fd(), [doorbell, memory]).map_err(say)?;
        let mut number = [0; 8];
        let length = (&self.orders).read(&mut number).map_err(say)?;
        let number = i64::from_le_bytes(number);
        match libc::pid_t::try_from(number) {
            Ok(pid) if pid > 0 && length == 8 => Ok(GuestProcess::new(pid)),
            Ok(code) if code < 0 => Err(say(io::Error::from_raw_os_error(code.saturating_neg()))),
            _ => Err(format!("the sandbox helper does not fork: it answered {number}")),
        }
    }
}

/// Sends two descriptors with a message of one byte (unix(7)).
fn send_descriptors(socket: RawFd, descriptors: [RawFd; 2]) -> io::Result<()> {
    /// `struct cmsghdr` with two descriptors.
    #[repr(C, align(8))]
    struct Control {
        head: libc::cmsghdr,
        descriptors: [RawFd; 2],
    }
    let mut byte = [0_u8; 1];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control {
        head: libc::cmsghdr {
            cmsg_len: std::mem::size_of::<Control>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptors,
    };
    // SAFETY: msghdr is plain data for which zero is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut vector;
    message.msg_iovlen = 1;
    message.msg_control = std::ptr::from_mut(&mut control).cast();
    message.msg_controllen = std::mem::size_of::<Control>();
    loop {
        // SAFETY: all that the message names lives until the call returns.
        match unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) } {
            1 => return Ok(()),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
