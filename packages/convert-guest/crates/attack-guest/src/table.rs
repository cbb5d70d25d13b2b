//! Every attack by name. The number of an attack is its place here, and tests learn names and numbers from the guest
//! itself (attack 0), so that neither stands anywhere else.

use alloc::string::String;

use instar_guest_runtime::put_result;

use crate::config::Config;
use crate::{
    control_flow, items, leave, limits, memory, ports, privileged, results, ring, second, syscalls,
    unprivileged,
};

/// One attack: returns an exit code where it was not stopped.
pub type Attack = fn(&Config) -> u32;

macro_rules! attacks {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        const ATTACKS: &[(&str, Attack)] = &[
            ("list", list),
            $($((concat!(stringify!($module), ".", stringify!($name)), $module::$name)),*),*
        ];
    };
}

attacks! {
    memory {
        read, write, execute, write_text, write_rodata, execute_rodata, execute_stack, execute_heap,
        overflow_stack, push_to_bad_stack, exhaust_heap,
    }
    control_flow {
        jump, interrupt, far_return, interrupt_return, load_ds, load_fs, load_ss, single_step, raise_iopl,
        system_call, system_enter, compatibility_mode,
        system_return, system_exit, hypercall_intel, hypercall_amd,
    }
    privileged {
        hlt, cli, sti, read_msr, write_msr, read_cr0, write_cr0, read_cr3, write_cr3, write_cr4, read_dr7, write_dr7,
        lgdt, lidt, lldt, ltr, lmsw, clts, invlpg, invd, wbinvd, swapgs, sgdt, sidt, sldt, str, smsw, xsetbv, rdpmc,
        rsm, vmlaunch, vmrun, monitor, mwait,
    }
    unprivileged {
        ud0, ud2, divide_by_zero, int3, icebp, x87_exception, simd_exception, unaligned, write_protection_keys, cpuid,
        rdtsc, rdtscp, xgetbv, rdrand, write_fs_base, flush_line, simd, avx2,
    }
    ports { out8, out16, out32, in8, in16, in32, outs8, outs32, ins8, ins32 }
    limits { spin, wait_forever, wait_storm, doorbell_storm, exit }
    ring {
        honest, descriptors, at_once, unrung, tail_ahead, tail_backwards, overwrite_magic, overwrite_indexes, overwrite_all,
        never_reap, rewrite_descriptor, read_under_own_hands, copy_forever, write_forever, read_forever, log_flood, progress_flood,
        answer_twice, answer_without_rest, answer_and_go_on,
    }
    results { fill, forge_fault }
    second { exit, read_null, halt, system_call, allocate, spin, wait_storm }
    syscalls { native, legacy, virtual_call }
    items { describe_note, describe_partly, read_back }
    leave {
        look, memory, variables, general, sse, avx, sse_control, x87_control, x87_stack, mmx, fs_base, gs_base, flags, selectors,
        commands, ring_word, rings, note, request,
    }
}

/// The attack of a number.
pub fn find(number: u32) -> Option<Attack> {
    ATTACKS.get(number as usize).map(|(_, attack)| *attack)
}

/// Attack 0 attacks nothing: it leaves the names, one a line, in the result region.
fn list(_: &Config) -> u32 {
    let mut text = String::new();
    for (name, _) in ATTACKS {
        text.push_str(name);
        text.push('\n');
    }
    put_result(text.as_bytes());
    0
}
