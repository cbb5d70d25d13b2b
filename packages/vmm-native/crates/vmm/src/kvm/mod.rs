//! The KVM backend: a micro-VM with one vCPU that never leaves CPL 3 but for the exception stubs.

mod exceptions;
mod layout;
mod page_tables;
mod pause;
mod refusal;
mod restore;
mod vcpu;
mod vm;

pub use layout::PAGE_TABLES;
pub(crate) use page_tables::build as build_page_tables;
pub use restore::CpuTemplate;
pub use vm::{probe, Doorbell, KvmBackend};
