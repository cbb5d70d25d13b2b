//! A second processor over the same memory, which takes tasks. It runs the same image, on a stack of its own, by which it
//! knows what it is; where the host has started none, the first processor does everything.
//!
//! One of the files of this crate with unsafe code: here memory is shared between two processors.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use instar_abi::REGION_WORKER_STACK;

use crate::call_table::{doorbell, wait};

/// Looks for a task before the second processor sleeps.
const SPINS: u32 = 2000;

/// Set by the second processor when it is there.
static PRESENT: AtomicBool = AtomicBool::new(false);
/// The number of a job (bits 32 to 63), how many tasks it has (bits 16 to 31), and the number of the next one (bits 0 to 15): who
/// raises that has the task. All three change at once, so that no ticket of one job takes a task of another. Everything below
/// belongs to a job, and changes only between two of them.
static TICKET: AtomicU64 = AtomicU64::new(0);
/// Tasks that are done.
static DONE: AtomicU32 = AtomicU32::new(0);
/// The function that runs a task, of the type [`Task`]; what it runs; and what on.
static TASK: AtomicUsize = AtomicUsize::new(0);
static RUN: AtomicUsize = AtomicUsize::new(0);
static CONTEXT: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static SLOTS: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Runs the function at the address `run` on the context and the slot of an index.
type Task = unsafe fn(run: usize, context: *mut (), slots: *mut (), index: u32);

/// Whether this code runs on the second processor.
pub(crate) fn is_worker() -> bool {
    let here = 0_u8;
    let address = (&raw const here).addr() as u64;
    address
        .checked_sub(REGION_WORKER_STACK.start)
        .is_some_and(|inside| inside < REGION_WORKER_STACK.size)
}

/// Whether there is a second processor, as far as it has come.
pub fn has_second_processor() -> bool {
    PRESENT.load(Ordering::Acquire)
}

/// Where a program goes on that [`entry`](crate::entry) has started; returns on the first processor only.
pub fn serve_on_second_processor() {
    if is_worker() {
        serve();
    }
}

fn serve() -> ! {
    PRESENT.store(true, Ordering::Release);
    // The host has set this processor up when it is told so, and prepares the first one.
    doorbell();
    wait();
    let mut idle = 0_u32;
    loop {
        let ticket = TICKET.load(Ordering::Acquire);
        if take(ticket) {
            idle = 0;
            continue;
        }
        if idle < SPINS {
            idle += 1;
            spin_loop();
            continue;
        }
        idle = 0;
        doorbell();
        wait();
    }
}

/// Takes the task of a ticket and runs it. Returns whether there was one.
fn take(ticket: u64) -> bool {
    if !claim(ticket) {
        return false;
    }
    let (task, run) = (TASK.load(Ordering::Relaxed), RUN.load(Ordering::Relaxed));
    let context = CONTEXT.load(Ordering::Relaxed);
    let slots = SLOTS.load(Ordering::Relaxed);
    // SAFETY: a ticket was claimed, so the job of these fields goes on until DONE has counted this task: `share` put a function
    // of this type there, with what it is to be called with.
    unsafe {
        let task: Task = transmute::<usize, Task>(task);
        task(run, context, slots, index_of(ticket));
    }
    DONE.fetch_add(1, Ordering::Release);
    true
}

/// Bits of a ticket from one on that a task's number, or their count, takes.
fn bits_of(ticket: u64, from: u32) -> u32 {
    u32::try_from((ticket >> from) & u64::from(u16::MAX)).unwrap_or(u32::MAX)
}

/// The number of the task in a job.
fn index_of(ticket: u64) -> u32 {
    bits_of(ticket, 0)
}

/// Makes the task of a ticket the caller's.
fn claim(ticket: u64) -> bool {
    index_of(ticket) < bits_of(ticket, 16)
        && TICKET
            .compare_exchange(ticket, ticket + 1, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
}

/// Calls the function of the type that a job was begun with.
///
/// # Safety
/// `run`, `context` and `slots` must be those of one job of [`share`], with these types, and the index below its count and
/// claimed by the caller.
unsafe fn call<S, C>(run: usize, context: *mut (), slots: *mut (), index: u32) {
    // SAFETY: the caller's promise; each index is claimed once, and the context is used by one processor.
    unsafe {
        let run: fn(&mut C, &mut S) = transmute::<usize, fn(&mut C, &mut S)>(run);
        run(
            &mut *context.cast::<C>(),
            &mut *slots.cast::<S>().add(index as usize),
        );
    }
}

/// Runs a function on every slot, on both processors where there are two: on the first with one context, on the second with
/// another; without that, on the first alone. It must not allocate. Slots and contexts lie on the heap, which both processors
/// see.
pub fn share<S: Send, C: Send>(
    slots: &mut Vec<S>,
    first: &mut C,
    second: Option<&mut Box<C>>,
    run: fn(&mut C, &mut S),
) {
    let (count, second) = match (u16::try_from(slots.len()), second) {
        (Ok(count), Some(second)) if count > 1 && has_second_processor() => {
            (u32::from(count), second)
        }
        _ => return slots.iter_mut().for_each(|slot| run(first, slot)),
    };
    let base = slots.as_mut_ptr();
    let context: *mut C = &raw mut **second;
    // No task of the job before is left, and none of this one before the ticket says so.
    TASK.store(call::<S, C> as Task as usize, Ordering::Relaxed);
    RUN.store(run as usize, Ordering::Relaxed);
    CONTEXT.store(context.cast(), Ordering::Relaxed);
    SLOTS.store(base.cast(), Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    let job = (TICKET.load(Ordering::Relaxed) >> 32).wrapping_add(1);
    TICKET.store(job << 32 | u64::from(count) << 16, Ordering::Release);
    loop {
        let ticket = TICKET.load(Ordering::Acquire);
        if index_of(ticket) >= count {
            break;
        }
        if claim(ticket) {
            // SAFETY: the index was claimed, and is below the length of the slots.
            run(first, unsafe { &mut *base.add(index_of(ticket) as usize) });
            DONE.fetch_add(1, Ordering::Release);
        }
    }
    while DONE.load(Ordering::Acquire) < count {
        spin_loop();
    }
}
