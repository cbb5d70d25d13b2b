//! The process backend: the same guest image in a child process under seccomp.

mod child;
mod launcher;
mod nursery;
mod seccomp;

pub(crate) use launcher::{cpu_seconds, prepare, put_boot_page};
pub use launcher::{probe, ProcessBackend, ProcessKind};
pub use nursery::Nursery;
