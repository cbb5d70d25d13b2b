//! RLIMIT_FSIZE without its signal: a write beyond the limit is an error like a full disk, not the end of the process.

use std::ptr;

/// Runs `action` with SIGXFSZ held back on this thread, so that the system calls in it fail with EFBIG (setrlimit(2)).
/// The signal's default action would end the process, and with it all that it has in hand.
pub fn without_signal<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: sigset_t is plain data that sigemptyset initialises; all pointers are valid for their calls.
    unsafe {
        let mut held: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut held);
        libc::sigaddset(&mut held, libc::SIGXFSZ);
        if libc::pthread_sigmask(libc::SIG_BLOCK, &held, &mut before) != 0 {
            return action();
        }
        let result = action();
        // A signal that came is taken here; otherwise it would be delivered with the old mask.
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        if libc::sigismember(&before, libc::SIGXFSZ) == 0 {
            while libc::sigtimedwait(&held, ptr::null_mut(), &at_once) == libc::SIGXFSZ {}
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        }
        result
    }
}
