//! Misuse of the command ring. Descriptors come from the test, 64 bytes each, behind a count in argument 0.

use core::hint::spin_loop;
use core::ptr;
use core::sync::atomic::Ordering;

use instar_abi::{
    COMMAND_MAX_LENGTH, Descriptor, LOG_MAX_LENGTH, REGION_RING, REGION_WINDOWS, RING_ENTRIES,
    RingHeader, opcode,
};
use instar_guest_runtime::{self as runtime, Ring};

use crate::config::Config;
use crate::{PIERCED, raw_ring};

const WORDS: usize = Descriptor::SIZE / 8;
/// Exit code for a completion with another command's user data.
const WRONG_COMPLETION: u32 = 97;

fn descriptor(config: &Config, index: usize) -> Descriptor {
    let mut bytes = [0; Descriptor::SIZE];
    for (word, place) in bytes.chunks_exact_mut(8).enumerate() {
        place.copy_from_slice(&config.argument(1 + index * WORDS + word).to_le_bytes());
    }
    Descriptor::from_bytes(&bytes)
}

fn open() -> Ring {
    // SAFETY: each attack opens the ring once.
    unsafe { Ring::open() }
}

/// Submits one descriptor and takes its completion. Returns 0 or the errno.
fn perform(ring: &mut Ring, descriptor: &Descriptor) -> u32 {
    ring.submit(descriptor);
    let completion = ring.next_completion();
    if completion.user_data != descriptor.user_data {
        return WRONG_COMPLETION;
    }
    completion.status.unsigned_abs()
}

fn copy(target_device: u32, length: u64) -> Descriptor {
    Descriptor {
        opcode: opcode::COPY,
        target_device,
        length,
        ..Descriptor::ZERO
    }
}

/// What a well-behaved guest does: reads, writes, copies, zeroes, logs, tells its progress, flushes. Argument 0 is the
/// output's index, argument 1 how many bytes each command moves. The output then begins with that many bytes of device
/// 0, three times, and as many zeros.
pub fn honest(config: &Config) -> u32 {
    let (output, length) = (config.argument(0) as u32, config.argument(1));
    let window = REGION_WINDOWS.start;
    let base = Descriptor {
        length,
        ..Descriptor::ZERO
    };
    let commands = [
        Descriptor {
            opcode: opcode::READ,
            window,
            ..base
        },
        Descriptor {
            opcode: opcode::WRITE,
            target_device: output,
            window,
            ..base
        },
        Descriptor {
            target_offset: length,
            ..copy(output, length)
        },
        Descriptor {
            opcode: opcode::WRITE,
            target_device: output,
            target_offset: length * 2,
            window,
            ..base
        },
        Descriptor {
            opcode: opcode::ZERO,
            target_device: output,
            target_offset: length * 3,
            ..base
        },
        Descriptor {
            opcode: opcode::LOG,
            window,
            length: 16,
            ..base
        },
        Descriptor {
            opcode: opcode::PROGRESS,
            offset: length,
            ..base
        },
        Descriptor {
            opcode: opcode::FLUSH,
            target_device: output,
            ..Descriptor::ZERO
        },
    ];
    let mut ring = open();
    for (index, command) in commands.into_iter().enumerate() {
        let status = perform(
            &mut ring,
            &Descriptor {
                user_data: index as u64,
                ..command
            },
        );
        if status != 0 {
            return status;
        }
    }
    0
}

/// Submits the test's descriptors one after the other. Returns the first errno.
pub fn descriptors(config: &Config) -> u32 {
    let mut ring = open();
    for index in 0..config.argument(0) as usize {
        let status = perform(&mut ring, &descriptor(config, index));
        if status != 0 {
            return status;
        }
    }
    0
}

/// Submits the test's descriptors by one move of the tail. Returns the first errno.
pub fn at_once(config: &Config) -> u32 {
    let mut ring = open();
    let count = config.argument(0) as u32;
    for index in 0..count {
        raw_ring::put(index, &descriptor(config, index as usize));
    }
    raw_ring::publish(count);
    for _ in 0..count {
        let status = ring.next_completion().status;
        if status != 0 {
            return status.unsigned_abs();
        }
    }
    0
}

/// Time for the host to fall asleep: looks that take a few dozen milliseconds.
const NAP: u32 = 1 << 20;

/// Submits the test's descriptor when the host sleeps, does not ring, and waits.
pub fn unrung(config: &Config) -> u32 {
    while raw_ring::word(RingHeader::OFFSET_NEED_WAKEUP).load(Ordering::SeqCst) == 0 {
        spin_loop();
    }
    (0..NAP).for_each(|_| spin_loop());
    raw_ring::put(0, &descriptor(config, 0));
    raw_ring::word(RingHeader::OFFSET_SUBMISSION_TAIL).store(1, Ordering::SeqCst);
    loop {
        runtime::wait();
    }
}

/// Moves the tail by argument 0 without having filled the slots.
pub fn tail_ahead(config: &Config) -> u32 {
    raw_ring::publish(config.argument(0) as u32);
    loop {
        spin_loop();
    }
}

/// After a good command, moves the tail back by argument 0.
pub fn tail_backwards(config: &Config) -> u32 {
    let progress = Descriptor {
        opcode: opcode::PROGRESS,
        ..Descriptor::ZERO
    };
    if perform(&mut open(), &progress) != 0 {
        return PIERCED;
    }
    raw_ring::publish(1_u32.wrapping_sub(config.argument(0) as u32));
    loop {
        spin_loop();
    }
}

/// Overwrites the words that the host wrote at the start, then behaves.
pub fn overwrite_magic(config: &Config) -> u32 {
    raw_ring::word(RingHeader::OFFSET_MAGIC).store(u32::MAX, Ordering::SeqCst);
    raw_ring::word(RingHeader::OFFSET_ENTRIES).store(u32::MAX, Ordering::SeqCst);
    honest(config)
}

/// Overwrites the host's indexes before each of some good commands. The host keeps its own, so all are carried out.
pub fn overwrite_indexes(config: &Config) -> u32 {
    for index in 0..8_u32 {
        raw_ring::word(RingHeader::OFFSET_SUBMISSION_HEAD).store(0x8000_0000, Ordering::SeqCst);
        raw_ring::word(RingHeader::OFFSET_COMPLETION_HEAD).store(u32::MAX, Ordering::SeqCst);
        raw_ring::word(RingHeader::OFFSET_COMPLETION_TAIL).store(0x7fff_ffff, Ordering::SeqCst);
        raw_ring::word(RingHeader::OFFSET_GUEST_WAITING).store(u32::MAX, Ordering::SeqCst);
        let user_data = u64::from(index);
        raw_ring::put(
            index,
            &Descriptor {
                user_data,
                ..copy(config.argument(0) as u32, 512)
            },
        );
        raw_ring::publish(index + 1);
        runtime::doorbell();
        while raw_ring::completed() != index + 1 {
            spin_loop();
        }
        let completion = raw_ring::completion(index);
        if completion.user_data != user_data || completion.status != 0 {
            return WRONG_COMPLETION;
        }
    }
    0
}

/// Fills the whole ring region, indexes and slots, with the byte in argument 0, and rings.
pub fn overwrite_all(config: &Config) -> u32 {
    let target: *mut u8 = ptr::with_exposed_provenance_mut(REGION_RING.start as usize);
    // SAFETY: the ring region is mapped read-write for the guest's whole life.
    unsafe { ptr::write_bytes(target, config.argument(0) as u8, REGION_RING.size as usize) };
    runtime::doorbell();
    loop {
        spin_loop();
    }
}

/// Submits argument 1 copies and never takes a completion from the queue, which the host fills again and again.
pub fn never_reap(config: &Config) -> u32 {
    for index in 0..config.argument(1) as u32 {
        raw_ring::put(index, &copy(config.argument(0) as u32, 512));
        raw_ring::publish(index + 1);
        raw_ring::spin_until_completed((index + 1).saturating_sub(RING_ENTRIES / 2));
    }
    raw_ring::spin_until_completed(config.argument(1) as u32);
    0
}

/// Argument 1 times: submits a good copy to the output in argument 0, and while the host takes it, keeps rewriting the
/// slot with one that lies beyond the limit, and back.
pub fn rewrite_descriptor(config: &Config) -> u32 {
    let good = copy(config.argument(0) as u32, 512);
    let evil = [
        Descriptor {
            target_offset: u64::MAX - 100,
            ..good
        },
        Descriptor {
            target_offset: 1 << 20,
            ..good
        },
        Descriptor {
            target_device: 0,
            ..good
        },
        Descriptor {
            length: u64::MAX,
            ..good
        },
    ];
    for round in 0..config.argument(1) as u32 {
        raw_ring::put(round, &good);
        raw_ring::publish(round + 1);
        // An entry that was taken cannot be refused any more; until then the host sees one of both or a mixture.
        while raw_ring::completed() != round + 1 {
            raw_ring::put(round, &evil[round as usize % evil.len()]);
            raw_ring::put(round, &good);
        }
    }
    0
}

/// Submits READs and WRITEs of one window in turn, many at once, and scribbles in it all the while.
pub fn read_under_own_hands(config: &Config) -> u32 {
    const LENGTH: u64 = 0x1_0000;
    let window = REGION_WINDOWS.start;
    let target: *mut u8 = ptr::with_exposed_provenance_mut(window as usize);
    let base = Descriptor {
        window,
        length: LENGTH,
        ..Descriptor::ZERO
    };
    for round in 0..config.argument(1) as u32 {
        let command = if round % 2 == 0 {
            Descriptor {
                opcode: opcode::READ,
                ..base
            }
        } else {
            Descriptor {
                opcode: opcode::WRITE,
                target_device: config.argument(0) as u32,
                ..base
            }
        };
        raw_ring::put(round, &command);
        raw_ring::publish(round + 1);
        // SAFETY: the window is mapped read-write; that the host uses it at the same time is the attack.
        unsafe { ptr::write_bytes(target, round as u8, LENGTH as usize) };
        raw_ring::spin_until_completed((round + 1).saturating_sub(RING_ENTRIES / 2));
    }
    raw_ring::spin_until_completed(config.argument(1) as u32);
    0
}

/// Keeps the ring full of `command`, for ever.
fn keep_full(command: &Descriptor) -> u32 {
    let mut tail = 0_u32;
    loop {
        raw_ring::put(tail, command);
        tail = tail.wrapping_add(1);
        raw_ring::publish(tail);
        raw_ring::spin_until_completed(tail.wrapping_sub(RING_ENTRIES - 1));
    }
}

/// Copies to the output in argument 0 for ever, argument 1 bytes at a time.
pub fn copy_forever(config: &Config) -> u32 {
    keep_full(&copy(
        config.argument(0) as u32,
        config.argument(1).min(u64::from(COMMAND_MAX_LENGTH)),
    ))
}

/// Writes argument 1 bytes to the stream in argument 0, then the next, for ever.
pub fn write_forever(config: &Config) -> u32 {
    let (target_device, length) = (config.argument(0) as u32, config.argument(1));
    let mut ring = open();
    let mut target_offset = 0;
    loop {
        let window = REGION_WINDOWS.start;
        let write = Descriptor {
            opcode: opcode::WRITE,
            target_device,
            target_offset,
            length,
            window,
            ..Descriptor::ZERO
        };
        let status = perform(&mut ring, &write);
        if status != 0 {
            return status;
        }
        target_offset += length;
    }
}

/// Reads argument 0 bytes of the first input, again and again.
pub fn read_forever(config: &Config) -> u32 {
    keep_full(&Descriptor {
        opcode: opcode::READ,
        length: config.argument(0).min(u64::from(COMMAND_MAX_LENGTH)),
        window: REGION_WINDOWS.start,
        ..Descriptor::ZERO
    })
}

/// Sends argument 0 log lines of argument 1 bytes.
pub fn log_flood(config: &Config) -> u32 {
    let length = config.argument(1).min(u64::from(LOG_MAX_LENGTH));
    let line = Descriptor {
        opcode: opcode::LOG,
        window: REGION_WINDOWS.start,
        length,
        ..Descriptor::ZERO
    };
    let mut ring = open();
    (0..config.argument(0))
        .map(|_| perform(&mut ring, &line))
        .find(|status| *status != 0)
        .unwrap_or(0)
}

/// Says that it makes progress, for ever.
pub fn progress_flood(_: &Config) -> u32 {
    keep_full(&Descriptor {
        opcode: opcode::PROGRESS,
        offset: u64::MAX,
        length: 1,
        ..Descriptor::ZERO
    })
}

fn next(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: opcode::NEXT,
        user_data,
        ..Descriptor::ZERO
    }
}

/// Asks for the next request twice at once.
pub fn answer_twice(_: &Config) -> u32 {
    let mut ring = open();
    ring.submit(&next(1));
    ring.submit(&next(2));
    loop {
        ring.next_completion();
    }
}

/// Answers, and computes in place of sleeping until the next request.
pub fn answer_without_rest(_: &Config) -> u32 {
    let mut ring = open();
    ring.submit(&next(1));
    loop {
        spin_loop();
    }
}

/// Answers every request with its config page, and ends with the error number when none comes.
pub fn answer_and_go_on(_: &Config) -> u32 {
    let mut ring = open();
    loop {
        let config = runtime::operation_config();
        runtime::put_result(&config);
        match perform(&mut ring, &next(7)) {
            0 => {}
            errno => return errno,
        }
    }
}
