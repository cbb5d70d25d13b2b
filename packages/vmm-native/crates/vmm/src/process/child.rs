//! A child of this process by its number.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;

use crate::executor::lock;

/// A child that is killed and reaped once, here.
pub struct GuestProcess {
    pid: libc::pid_t,
    /// Whether it was reaped: its number may then belong to another process.
    reaped: Mutex<bool>,
}

impl GuestProcess {
    /// The child of this number, which nobody else waits for.
    pub fn new(pid: libc::pid_t) -> Self {
        Self { pid, reaped: Mutex::new(false) }
    }

    /// Its number; another process's once it was reaped.
    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Sends it a signal. False where it was reaped.
    pub fn signal(&self, number: libc::c_int) -> bool {
        let reaped = lock(&self.reaped);
        // SAFETY: a system call on numbers; under the lock the number is still the child's.
        !*reaped && unsafe { libc::kill(self.pid, number) } == 0
    }

    /// Waits for its end.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        wait_without_reaping(self.pid)?;
        let mut reaped = lock(&self.reaped);
        if *reaped {
            return Err(io::Error::other("it was waited for before"));
        }
        let mut status = 0;
        // SAFETY: a valid out-pointer. It has ended, so that this does not block.
        if unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        *reaped = true;
        Ok(ExitStatus::from_raw(status))
    }
}

impl Drop for GuestProcess {
    fn drop(&mut self) {
        if self.signal(libc::SIGKILL) {
            // Fails only for a child that is not ours, and then nothing is left to do.
            let _ = self.wait();
        }
    }
}

/// Blocks until the child has ended, and leaves it to be reaped, so that its pid stays its own.
fn wait_without_reaping(pid: libc::pid_t) -> io::Result<()> {
    let id = libc::id_t::try_from(pid).map_err(io::Error::other)?;
    loop {
        // SAFETY: siginfo_t is plain data for which zero is a valid value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: a valid siginfo_t that the kernel may write to.
        if unsafe { libc::waitid(libc::P_PID, id, &mut info, libc::WEXITED | libc::WNOWAIT) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
