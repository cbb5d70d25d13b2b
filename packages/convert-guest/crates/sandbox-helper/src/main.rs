//! The child of the process backend: maps the guest's regions, gives up every right, installs the filter that its
//! parent built, and jumps to the guest. Static, without a C library; linked far away from the guest's addresses.
//!
//! Descriptors: 0 the doorbell socket, 1 the memory file, 2 the same file, which is not used. Where 1 is no file it is a
//! nursery: see there.
#![no_std]
#![no_main]

mod nursery;
mod sys;

use core::mem::offset_of;
use core::panic::PanicInfo;

use instar_abi::{
    SANDBOX_BOOT_MAGIC, SANDBOX_FAULT_MAGIC, SANDBOX_FAULT_STATUS, SANDBOX_PAUSE_SIGNAL,
    SANDBOX_SETUP_STATUS, SANDBOX_STOP_SIGNAL, SandboxBoot, SandboxFault, sandbox_region_flag,
    sandbox_step,
};

instar_freestanding::start!(start);

#[panic_handler]
fn on_panic(_: &PanicInfo<'_>) -> ! {
    failed(sandbox_step::BOOT)
}

/// What `instar-freestanding` ends the program with.
#[unsafe(no_mangle)]
fn __abort() -> ! {
    failed(sandbox_step::BOOT)
}

const DOORBELL: u64 = 0;
const MEMORY_FILE: u64 = 1;
const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = instar_abi::LARGE_PAGE_SIZE as u64;
/// Bytes that `info` of an image touches of heap and stack.
const HEAP_OF_A_LOOK: u64 = 272 * 1024;
const STACK_OF_A_LOOK: u64 = 160 * 1024;
const SIGNAL_STACK: u64 = 64 * 1024;

/// Address of the fault report, for the signal handler.
static mut FAULT_ADDR: u64 = 0;

/// Ends the program before there is a guest, and says in its status at which step.
fn failed(step: u32) -> ! {
    sys::exit_group(SANDBOX_SETUP_STATUS + step)
}

fn need(step: u32, result: Result<u64, u64>) -> u64 {
    match result {
        Ok(value) => value,
        Err(_) => failed(step),
    }
}

fn map_region(address: u64, size: u64, flags: u32) {
    let has = |flag| flags & flag != 0;
    let mut protection = 0;
    for (flag, bit) in [
        (sandbox_region_flag::READ, sys::PROT_READ),
        (sandbox_region_flag::WRITE, sys::PROT_WRITE),
        (sandbox_region_flag::EXECUTE, sys::PROT_EXEC),
    ] {
        if has(flag) {
            protection |= bit;
        }
    }
    let fixed = sys::MAP_FIXED_NOREPLACE | sys::MAP_NORESERVE;
    if has(sandbox_region_flag::PRIVATE) {
        need(
            sandbox_step::MEMORY,
            sys::mmap(
                address,
                size,
                protection,
                fixed | sys::MAP_PRIVATE | sys::MAP_ANONYMOUS,
                u64::MAX,
                0,
            ),
        );
        advise(address, size);
    } else {
        need(
            sandbox_step::MEMORY,
            sys::mmap(
                address,
                size,
                protection,
                fixed | sys::MAP_SHARED,
                MEMORY_FILE,
                address,
            ),
        );
    }
}

/// Large pages make first touches of much memory cheaper. A look at an image touches little at the begin of its heap, the
/// mark of the allocator at its end, and the top of its stack: for that no 2 MiB are to be cleared, and what it touches is
/// there before it begins. Advice; without it nothing is lost.
fn advise(address: u64, size: u64) {
    let middle = size.saturating_sub(2 * LARGE_PAGE);
    if middle > 0 {
        let _ = sys::madvise(address + LARGE_PAGE, middle, sys::MADV_HUGEPAGE);
        // Where the system takes large pages without being asked.
        for end in [address, address + size - LARGE_PAGE] {
            let _ = sys::madvise(end, LARGE_PAGE, sys::MADV_NOHUGEPAGE);
        }
        let _ = sys::madvise(address, HEAP_OF_A_LOOK, sys::MADV_POPULATE_WRITE);
        let _ = sys::madvise(address + size - PAGE, PAGE, sys::MADV_POPULATE_WRITE);
    } else {
        let begin = size.saturating_sub(STACK_OF_A_LOOK);
        let _ = sys::madvise(address + begin, size - begin, sys::MADV_POPULATE_WRITE);
    }
}

fn report() -> *mut u8 {
    // SAFETY: set before handlers were installed, and never again.
    core::ptr::with_exposed_provenance_mut(unsafe { FAULT_ADDR } as usize)
}

/// Writes what the kernel says of a signal, the magic last.
///
/// # Safety
/// `info` and `context` must be what the kernel passed to a handler with SA_SIGINFO.
unsafe fn write_report(signal: u32, info: *const sys::SigInfo, context: *const sys::UContext) {
    // SAFETY: the caller's promise; the report lies in the ring region, which is mapped read-write.
    unsafe {
        let info = &*info;
        let machine = &(*context).machine;
        let report = report();
        let put32 =
            |field: usize, value: u32| report.add(field).cast::<u32>().write_volatile(value);
        let put64 =
            |field: usize, value: u64| report.add(field).cast::<u64>().write_volatile(value);
        put32(offset_of!(SandboxFault, signal), signal);
        put32(offset_of!(SandboxFault, code), info.code);
        put32(offset_of!(SandboxFault, syscall), info.syscall);
        put64(offset_of!(SandboxFault, vector), machine.trapno);
        put64(offset_of!(SandboxFault, error_code), machine.err);
        put64(offset_of!(SandboxFault, cr2), machine.cr2);
        for (index, value) in machine.in_abi_order().into_iter().enumerate() {
            put64(offset_of!(SandboxFault, registers) + index * 8, value);
        }
        put32(offset_of!(SandboxFault, magic), SANDBOX_FAULT_MAGIC);
    }
}

/// Signal handler: reports a fault, and ends the process.
extern "C" fn on_fault(signal: u32, info: *const sys::SigInfo, context: *const sys::UContext) {
    // SAFETY: the kernel's own arguments.
    unsafe { write_report(signal, info, context) };
    sys::exit_group(SANDBOX_FAULT_STATUS)
}

/// Signal handler: reports the registers, and halts until the parent has taken the report away.
extern "C" fn on_pause(signal: u32, info: *const sys::SigInfo, context: *const sys::UContext) {
    // SAFETY: the kernel's own arguments.
    unsafe { write_report(signal, info, context) };
    // SAFETY: as in `write_report`.
    let magic = || unsafe {
        report()
            .add(offset_of!(SandboxFault, magic))
            .cast::<u32>()
            .read_volatile()
    };
    while magic() == SANDBOX_FAULT_MAGIC {
        core::hint::spin_loop();
    }
}

extern "C" fn start() -> ! {
    match map_boot_page() {
        Ok(page) => become_guest(page, false),
        Err(sys::ENODEV) => nursery::run(),
        Err(_) => failed(sandbox_step::BOOT),
    }
}

fn map_boot_page() -> Result<u64, u64> {
    sys::mmap(0, PAGE, sys::PROT_READ, sys::MAP_SHARED, MEMORY_FILE, 0)
}

/// Sets everything up and jumps to the guest; with `waits`, not before the parent has rung.
fn become_guest(page: u64, waits: bool) -> ! {
    // SAFETY: the page was just mapped and the parent does not change it any more.
    let boot = unsafe {
        let bytes: *const [u8; SandboxBoot::SIZE] =
            core::ptr::with_exposed_provenance(page as usize);
        SandboxBoot::from_bytes(&*bytes)
    };
    if boot.magic != SANDBOX_BOOT_MAGIC {
        failed(sandbox_step::BOOT);
    }
    need(sandbox_step::BOOT, sys::munmap(page, PAGE));
    for region in boot.regions.iter().take(boot.region_count as usize) {
        map_region(region.address, region.size, region.flags);
    }
    need(sandbox_step::RIGHTS, sys::drop_rights(boot.cpu_seconds));

    // SAFETY: one thread, and no handler is installed yet.
    unsafe { FAULT_ADDR = boot.fault_addr };
    let anonymous = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS;
    let stack = need(
        sandbox_step::SIGNALS,
        sys::mmap(
            0,
            SIGNAL_STACK,
            sys::PROT_READ | sys::PROT_WRITE,
            anonymous,
            u64::MAX,
            0,
        ),
    );
    need(sandbox_step::SIGNALS, sys::sigaltstack(stack, SIGNAL_STACK));
    for signal in sys::FAULT_SIGNALS {
        need(sandbox_step::SIGNALS, sys::sigaction(signal, on_fault));
    }
    need(
        sandbox_step::SIGNALS,
        sys::sigaction(u64::from(SANDBOX_STOP_SIGNAL), on_fault),
    );
    need(
        sandbox_step::SIGNALS,
        sys::sigaction(u64::from(SANDBOX_PAUSE_SIGNAL), on_pause),
    );
    need(
        sandbox_step::DESCRIPTORS,
        sys::close_range(1, u64::from(u32::MAX)),
    );
    let count = (boot.filter_count as usize).min(boot.filter.len());
    need(
        sandbox_step::FILTER,
        sys::install_filter(&boot.filter[..count]),
    );
    if waits {
        // The filter lets a guest do the same. Nothing is read where the parent is gone, whose death ends this process.
        let mut ring = [0; 4];
        let _ = sys::read(DOORBELL, &mut ring);
    }
    sys::jump(boot.entry, boot.stack_top)
}
