//! The seccomp filter of the child, as BPF that the helper installs: what the doorbell needs, nothing else.

use std::collections::BTreeMap;

use instar_abi::{SANDBOX_SETUP_LAST_STATUS, SANDBOX_SETUP_STATUS};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Longest read or write on the doorbell socket.
const DOORBELL_BYTES: u64 = 4;

/// Instructions in the kernel's `struct sock_filter` encoding, one u64 each.
///
/// A guest that may be paused for a dump may also return from a signal: that can only change its own registers.
pub fn filter(pausable: bool) -> Result<Vec<u64>, String> {
    let say = |error: seccompiler::BackendError| format!("seccomp filter: {error}");
    let doorbell = || -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![
            SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?,
            SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Le, DOORBELL_BYTES)?,
        ])
    };
    // The helper is behind its set-up when the filter is in place. Without these rules a guest could end with a status of
    // the set-up, and make its crime look like a failure of the host. Of a status the parent sees 8 bits: no more are let
    // through.
    let status = |operator: SeccompCmpOp, value: u32| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, u64::from(value))
    };
    let before_setup = || SeccompRule::new(vec![status(SeccompCmpOp::Lt, SANDBOX_SETUP_STATUS)?]);
    let behind_setup = || {
        SeccompRule::new(vec![
            status(SeccompCmpOp::Gt, SANDBOX_SETUP_LAST_STATUS)?,
            status(SeccompCmpOp::Le, u32::from(u8::MAX))?,
        ])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = [
        (libc::SYS_read, vec![doorbell().map_err(say)?]),
        (libc::SYS_write, vec![doorbell().map_err(say)?]),
        (libc::SYS_exit_group, vec![before_setup().map_err(say)?, behind_setup().map_err(say)?]),
    ]
    .into_iter()
    .collect();
    if pausable {
        rules.insert(libc::SYS_rt_sigreturn, Vec::new());
    }
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
