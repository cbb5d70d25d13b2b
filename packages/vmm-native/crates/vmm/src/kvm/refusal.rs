//! Words for calls of KVM that the environment refuses.

/// A refusal of the environment, with what would help.
pub fn refused(call: &str, error: &kvm_ioctls::Error) -> String {
    let remedy = match error.errno() {
        libc::EBUSY => "another hypervisor has the processor's virtualisation; stop it, or use --sandbox=process",
        libc::ENOMEM | libc::EAGAIN => {
            "there is not memory enough for a virtual machine; free some, or raise its limit"
        }
        libc::EMFILE | libc::ENFILE => "too many files are open; raise `ulimit -n`",
        libc::EPERM | libc::EACCES => {
            "a security policy forbids it (seccomp, SELinux, a container); allow it, or use --sandbox=process"
        }
        _ => "use --sandbox=process",
    };
    format!("{call} failed ({error}): {remedy}")
}
