//! Brings a vCPU to the guest's first instruction at CPL 3.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_xcrs, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Kvm, VcpuFd};

use super::exceptions::{tss_address, GDT_SIZE, TASK, TSS_LIMIT, USER_CODE, USER_DATA};
use super::layout::{DESCRIPTORS, IDT, VECTORS};
use super::refusal::refused;
use crate::startup::Processor;

const CR0_PE_MP_ET_NE_WP_AM_PG: u64 = 0x8005_0033;
const CR4_PAE: u64 = 1 << 5;
const CR4_OSFXSR_OSXMMEXCPT: u64 = 1 << 9 | 1 << 10;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const EFER_LME_LMA_NXE: u64 = 1 << 8 | 1 << 10 | 1 << 11;
const RFLAGS_FIXED: u64 = 1 << 1;
const XCR0_X87_SSE_AVX: u64 = 7;

/// Features of the processor that the guest is given.
struct Features {
    xsave: bool,
    xcr0: u64,
    fsgsbase: bool,
    smep: bool,
    smap: bool,
    umip: bool,
}

fn segment(selector: u16, kind: u8, long: u8) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: kind,
        present: 1,
        dpl: 3,
        db: u8::from(long == 0),
        s: 1,
        l: long,
        g: 1,
        ..kvm_segment::default()
    }
}

/// Sets CPUID, control registers, segments, extended state and general registers.
pub fn set_up(
    kvm: &Kvm,
    vcpu: &VcpuFd,
    page_tables: u64,
    entry: u64,
    processor: Processor,
) -> Result<kvm_regs, String> {
    let say = |what: &'static str| move |error: kvm_ioctls::Error| refused(what, &error);
    let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(say("KVM_GET_SUPPORTED_CPUID"))?;
    vcpu.set_cpuid2(&cpuid).map_err(say("KVM_SET_CPUID2"))?;
    let leaf = |function: u32, index: u32| {
        cpuid.as_slice().iter().find(|entry| entry.function == function && entry.index == index)
    };
    let features = Features {
        xsave: leaf(1, 0).is_some_and(|entry| entry.ecx & 1 << 26 != 0),
        xcr0: leaf(13, 0).map_or(0, |entry| u64::from(entry.eax)) & XCR0_X87_SSE_AVX,
        fsgsbase: leaf(7, 0).is_some_and(|entry| entry.ebx & 1 << 0 != 0),
        smep: leaf(7, 0).is_some_and(|entry| entry.ebx & 1 << 7 != 0),
        smap: leaf(7, 0).is_some_and(|entry| entry.ebx & 1 << 20 != 0),
        umip: leaf(7, 0).is_some_and(|entry| entry.ecx & 1 << 2 != 0),
    };

    let mut sregs = vcpu.get_sregs().map_err(say("KVM_GET_SREGS"))?;
    sregs.cr0 = CR0_PE_MP_ET_NE_WP_AM_PG;
    sregs.cr3 = page_tables;
    sregs.cr4 = CR4_PAE | CR4_OSFXSR_OSXMMEXCPT;
    for (has, bit) in [
        (features.xsave, CR4_OSXSAVE),
        (features.fsgsbase, CR4_FSGSBASE),
        (features.smep, CR4_SMEP),
        (features.smap, CR4_SMAP),
        (features.umip, CR4_UMIP),
    ] {
        if has {
            sregs.cr4 |= bit;
        }
    }
    sregs.efer = EFER_LME_LMA_NXE;
    sregs.cs = segment(USER_CODE, 11, 1);
    let data = segment(USER_DATA, 3, 0);
    sregs.ss = data;
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.tr = kvm_segment {
        base: tss_address(),
        limit: TSS_LIMIT,
        selector: TASK,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    sregs.ldt = kvm_segment { unusable: 1, ..kvm_segment::default() };
    sregs.gdt.base = DESCRIPTORS;
    sregs.gdt.limit = GDT_SIZE.saturating_sub(1);
    sregs.idt.base = IDT;
    sregs.idt.limit = u16::try_from(VECTORS.saturating_mul(16).saturating_sub(1)).unwrap_or(0);
    vcpu.set_sregs(&sregs).map_err(say("KVM_SET_SREGS"))?;

    if features.xsave && features.xcr0 != 0 {
        let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..kvm_xcrs::default() };
        xcrs.xcrs[0].xcr = 0;
        xcrs.xcrs[0].value = features.xcr0;
        vcpu.set_xcrs(&xcrs).map_err(say("KVM_SET_XCRS"))?;
    }

    let regs = kvm_regs { rip: entry, rsp: processor.initial_stack(), rflags: RFLAGS_FIXED, ..kvm_regs::default() };
    vcpu.set_regs(&regs).map_err(say("KVM_SET_REGS"))?;
    Ok(regs)
}
