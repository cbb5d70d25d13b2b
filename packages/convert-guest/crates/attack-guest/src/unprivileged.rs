//! What any program may execute: instructions that fault by themselves, and harmless ones.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::hint::black_box;

use crate::PIERCED;
use crate::config::Config;
use crate::control_flow::instructions;

instructions! {
    /// An undefined instruction.
    ud0: ".byte 0x0f, 0xff, 0xc0";
    /// An undefined instruction.
    ud2: "ud2";
    /// Divides by zero.
    divide_by_zero: "xor ecx, ecx", "xor edx, edx", "mov eax, 1", "div ecx";
    /// A breakpoint.
    int3: "int3";
    /// A debug exception (`int1`).
    icebp: ".byte 0xf1";
    /// Unmasks all x87 exceptions and divides by zero.
    x87_exception: "fninit", "push 0x340", "fldcw [rsp]", "pop rax", "fld1", "fldz", "fdivp st(1), st", "fwait";
    /// Unmasks all SSE exceptions and divides by zero.
    simd_exception: "push 0", "ldmxcsr [rsp]", "pop rax", "mov eax, 1", "cvtsi2ss xmm0, eax", "xorps xmm1, xmm1",
        "divss xmm0, xmm1";
    /// Turns alignment checks on and reads an unaligned word.
    unaligned: "push 0", "push 0", "pushfq", "or qword ptr [rsp], 0x40000", "popfq", "mov eax, [rsp + 1]",
        "pop rax", "pop rax", "pushfq", "and qword ptr [rsp], -0x40001", "popfq";
    /// Gives itself every protection key.
    write_protection_keys: "xor eax, eax", "xor ecx, ecx", "xor edx, edx", "wrpkru";
    /// Asks what the processor is.
    cpuid: "xor eax, eax", "xor ecx, ecx", "cpuid";
    /// Reads the time stamp counter.
    rdtsc: "rdtsc";
    /// Reads the time stamp counter and the processor's number.
    rdtscp: "rdtscp";
    /// Asks which extended states are in use.
    xgetbv: "xor ecx, ecx", "xgetbv";
    /// Asks for a random number.
    rdrand: "rdrand rax";
    /// Sets its own FS base.
    write_fs_base: "wrfsbase rdi";
    /// Flushes a cache line of its own.
    flush_line: "clflush [rsp]", "mfence";
}

/// Adds with SSE2: state of the vector unit is there.
pub fn simd(_: &Config) -> u32 {
    let values = black_box([1.5_f64, 2.5, 3.5, 4.5]);
    let sum: f64 = values.iter().map(|value| black_box(value * 2.0)).sum();
    if black_box(sum) == 24.0 { 0 } else { PIERCED }
}

#[target_feature(enable = "avx2")]
fn sum_avx2(values: &[u32; 64]) -> u32 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

/// Adds with AVX2, where the processor and the backend offer it (CPUID says so, with OSXSAVE and XCR0).
pub fn avx2(_: &Config) -> u32 {
    const OSXSAVE: u32 = 1 << 27;
    const AVX2: u32 = 1 << 5;
    if __cpuid(1).ecx & OSXSAVE == 0 || __cpuid_count(7, 0).ebx & AVX2 == 0 {
        return 0;
    }
    let values = black_box([3; 64]);
    // SAFETY: the processor has AVX2 and the backend enabled its state.
    let sum = unsafe { sum_avx2(&values) };
    if black_box(sum) == 3 * 64 { 0 } else { PIERCED }
}
