//! The process backend: the same guest image in a child process under seccomp.

mod launcher;
mod seccomp;

pub use launcher::{probe, ProcessBackend};
