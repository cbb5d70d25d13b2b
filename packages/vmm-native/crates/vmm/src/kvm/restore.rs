//! The state of a vCPU before its first instruction, and bringing it back to that (KVM API 4.11 – 4.13, 4.18, 4.31, 4.33,
//! 4.35, 4.42). At CPL 3 a guest reaches general, segment-base, vector, x87 and flags registers; all that KVM can set is
//! set, whether a guest can reach it or not.

use kvm_bindings::{kvm_debugregs, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave, Msrs};
use kvm_ioctls::VcpuFd;

use super::refusal::refused;

/// `FS.base`, `GS.base`, and the base that SWAPGS would load (AMD64 manual volume 2, appendix A).
const BASES: [u32; 3] = [0xc000_0100, 0xc000_0101, 0xc000_0102];
/// SYSCALL's targets and mask, SYSENTER's three registers, and the processor's number.
const OTHERS: [u32; 8] = [0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0103, 0x174, 0x175, 0x176];
const TIME_STAMP_COUNTER: u32 = 0x10;

/// Where XSTATE_BV stands in an XSAVE area, in words of 32 bits (Intel SDM volume 1, 13.4.2).
const XSTATE_BV: usize = 128;
const X87_SSE_AVX: u32 = 7;

/// Everything of a vCPU that a session could leave to the next.
pub struct CpuTemplate {
    registers: kvm_regs,
    system: kvm_sregs,
    extended: kvm_xsave,
    control: Option<kvm_xcrs>,
    debug: kvm_debugregs,
    events: kvm_vcpu_events,
    model_specific: Msrs,
}

impl CpuTemplate {
    /// Of a vCPU that has not run. Fails where KVM is too old for one of the calls.
    pub fn take(vcpu: &VcpuFd) -> Result<Self, String> {
        let say = |what: &'static str| move |error: kvm_ioctls::Error| refused(what, &error);
        let mut extended = vcpu.get_xsave().map_err(say("KVM_GET_XSAVE"))?;
        let control = vcpu.get_xcrs().ok().filter(|xcrs| xcrs.nr_xcrs > 0);
        // A component whose bit is clear would stay what it is in parts (MXCSR): all are loaded, in their first state.
        let present = control.map_or(3, |xcrs| X87_SSE_AVX & u32::try_from(xcrs.xcrs[0].value).unwrap_or(X87_SSE_AVX));
        extended.region[XSTATE_BV] |= present;
        let entry = |index: u32| kvm_msr_entry { index, ..kvm_msr_entry::default() };
        let mut model_specific = Vec::new();
        // One at a time: KVM stops at the first that this processor does not have.
        for index in BASES.into_iter().chain(OTHERS) {
            let mut one = msrs(&[entry(index)])?;
            if vcpu.get_msrs(&mut one).map_err(say("KVM_GET_MSRS"))? == 1 {
                model_specific.extend_from_slice(one.as_slice());
            }
        }
        model_specific.push(kvm_msr_entry { index: TIME_STAMP_COUNTER, ..kvm_msr_entry::default() });
        Ok(Self {
            registers: vcpu.get_regs().map_err(say("KVM_GET_REGS"))?,
            system: vcpu.get_sregs().map_err(say("KVM_GET_SREGS"))?,
            extended,
            control,
            debug: vcpu.get_debug_regs().map_err(say("KVM_GET_DEBUGREGS"))?,
            events: vcpu.get_vcpu_events().map_err(say("KVM_GET_VCPU_EVENTS"))?,
            model_specific: msrs(&model_specific)?,
        })
    }

    /// Brings the vCPU back, whatever it did.
    pub fn restore(&self, vcpu: &mut VcpuFd) -> Result<(), String> {
        let say = |what: &'static str| move |error: kvm_ioctls::Error| refused(what, &error);
        finish_exit(vcpu)?;
        vcpu.set_vcpu_events(&self.events).map_err(say("KVM_SET_VCPU_EVENTS"))?;
        vcpu.set_sregs(&self.system).map_err(say("KVM_SET_SREGS"))?;
        if let Some(control) = &self.control {
            vcpu.set_xcrs(control).map_err(say("KVM_SET_XCRS"))?;
        }
        // SAFETY: no component beyond those of 4096 bytes was ever enabled, which would take a call of arch_prctl.
        unsafe { vcpu.set_xsave(&self.extended) }.map_err(say("KVM_SET_XSAVE"))?;
        vcpu.set_debug_regs(&self.debug).map_err(say("KVM_SET_DEBUGREGS"))?;
        let set = vcpu.set_msrs(&self.model_specific).map_err(say("KVM_SET_MSRS"))?;
        if set != self.model_specific.as_slice().len() {
            return Err(format!("KVM_SET_MSRS took {set} of {}", self.model_specific.as_slice().len()));
        }
        vcpu.set_regs(&self.registers).map_err(say("KVM_SET_REGS"))
    }
}

/// Completes the `out` by which the guest left, which KVM does when the vCPU runs again: it must not happen to the next
/// guest.
fn finish_exit(vcpu: &mut VcpuFd) -> Result<(), String> {
    vcpu.set_kvm_immediate_exit(1);
    let left = vcpu.run().map(|exit| format!("{exit:?}"));
    vcpu.set_kvm_immediate_exit(0);
    match left {
        Err(error) if error.errno() == libc::EINTR => Ok(()),
        Err(error) => Err(refused("KVM_RUN", &error)),
        Ok(exit) => Err(format!("the vCPU went on with {exit}")),
    }
}

fn msrs(entries: &[kvm_msr_entry]) -> Result<Msrs, String> {
    Msrs::from_entries(entries).map_err(|error| format!("a list of MSRs: {error:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::kvm::vcpu::set_up;
    use kvm_ioctls::Kvm;

    fn all_of(vcpu: &VcpuFd, indices: &[kvm_msr_entry]) -> String {
        let mut found = msrs(indices).unwrap();
        assert_eq!(vcpu.get_msrs(&mut found).unwrap(), indices.len());
        let (registers, system) = (vcpu.get_regs().unwrap(), vcpu.get_sregs().unwrap());
        let (control, debug) = (vcpu.get_xcrs().unwrap(), vcpu.get_debug_regs().unwrap());
        let mut extended = vcpu.get_xsave().unwrap().region.to_vec();
        // Which components are in use is the processor's to say; what is in them is compared.
        extended[XSTATE_BV] = 0;
        let events = vcpu.get_vcpu_events().unwrap();
        format!("{registers:x?} {system:x?} {control:?} {debug:x?} {extended:x?} {events:?} {:x?}", found.as_slice())
    }

    /// Also what no guest can reach at CPL 3, such as debug registers: whoever could is not to leave it either.
    #[test]
    fn brings_everything_back_that_kvm_can_set() {
        let kvm = match Kvm::new() {
            Ok(kvm) => kvm,
            Err(error) => {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must not skip this test: {error}");
                if let Some(log) = std::env::var_os("INSTAR_SKIP_LOG") {
                    use std::io::Write;
                    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
                    writeln!(log, "brings_everything_back_that_kvm_can_set: no KVM here: {error}").unwrap();
                }
                return;
            }
        };
        let vm = kvm.create_vm().unwrap();
        let mut vcpu = vm.create_vcpu(0).unwrap();
        set_up(&kvm, &vcpu, 0x6000, 0x20_0000, crate::startup::Processor::First).unwrap();
        let template = CpuTemplate::take(&vcpu).unwrap();
        let indices: Vec<kvm_msr_entry> = template
            .model_specific
            .as_slice()
            .iter()
            .filter(|entry| entry.index != TIME_STAMP_COUNTER)
            .map(|entry| kvm_msr_entry { index: entry.index, ..kvm_msr_entry::default() })
            .collect();
        assert!(BASES.iter().all(|base| indices.iter().any(|entry| entry.index == *base)));
        let before = all_of(&vcpu, &indices);

        let mark = 0x4c45_4654;
        let regs =
            kvm_regs { rax: mark, rbx: mark, r15: mark, rip: 0x1234, rflags: 0x4_4402, ..vcpu.get_regs().unwrap() };
        vcpu.set_regs(&regs).unwrap();
        let mut sregs = vcpu.get_sregs().unwrap();
        (sregs.fs.base, sregs.gs.base, sregs.ds.selector, sregs.cr2) = (mark, mark, 0x2b, mark);
        vcpu.set_sregs(&sregs).unwrap();
        let mut xsave = vcpu.get_xsave().unwrap();
        // MXCSR, and what of xmm0 … xmm15 has a place behind it.
        xsave.region[6] = 0x1fa0;
        xsave.region[40..104].fill(0x4c45_4654);
        xsave.region[XSTATE_BV] |= 3;
        // SAFETY: as in `restore`.
        unsafe { vcpu.set_xsave(&xsave) }.unwrap();
        let mut debug = vcpu.get_debug_regs().unwrap();
        debug.db = [mark; 4];
        vcpu.set_debug_regs(&debug).unwrap();
        let marked: Vec<kvm_msr_entry> =
            BASES.iter().map(|index| kvm_msr_entry { index: *index, data: mark, ..kvm_msr_entry::default() }).collect();
        assert_eq!(vcpu.set_msrs(&msrs(&marked).unwrap()).unwrap(), marked.len());
        assert_ne!(all_of(&vcpu, &indices), before);

        template.restore(&mut vcpu).unwrap();
        assert_eq!(all_of(&vcpu, &indices), before);
    }
}
