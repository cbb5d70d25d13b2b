//! The seccomp filter of the child, as BPF that the helper installs: what the doorbell needs, nothing else.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Longest read or write on the doorbell socket.
const DOORBELL_BYTES: u64 = 4;

/// Instructions in the kernel's `struct sock_filter` encoding, one u64 each.
pub fn filter() -> Result<Vec<u64>, String> {
    let say = |error: seccompiler::BackendError| format!("seccomp filter: {error}");
    let doorbell = || -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![
            SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?,
            SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Le, DOORBELL_BYTES)?,
        ])
    };
    let rules: BTreeMap<i64, Vec<SeccompRule>> = [
        (libc::SYS_read, vec![doorbell().map_err(say)?]),
        (libc::SYS_write, vec![doorbell().map_err(say)?]),
        (libc::SYS_exit_group, vec![]),
    ]
    .into_iter()
    .collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64).map_err(say)?;
    let program: BpfProgram = filter.try_into().map_err(say)?;
    Ok(program
        .iter()
        .map(|instruction| {
            u64::from(instruction.code)
                | u64::from(instruction.jt) << 16
                | u64::from(instruction.jf) << 24
                | u64::from(instruction.k) << 32
        })
        .collect())
}
