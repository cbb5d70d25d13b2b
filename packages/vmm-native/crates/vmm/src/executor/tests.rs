//! What only shows with the indexes of a run that has lasted for years.
#![allow(clippy::unwrap_used)]

use instar_abi::{opcode, Descriptor, RingHeader, REGION_RING, RING_COMPLETIONS_OFFSET, RING_SUBMISSIONS_OFFSET};

use super::*;

struct Doorbell(files::Event);

impl Wake for Doorbell {
    fn doorbell(&self) -> RawFd {
        self.0.fd()
    }
    fn drain_doorbell(&self) -> u64 {
        self.0.clear();
        1
    }
    fn wake_guest(&self) {}
}

#[test]
fn commands_go_on_where_the_indexes_wrap_around() {
    const START: u32 = u32::MAX - 100;
    const COMMANDS: u32 = 200;
    let memory = GuestMemory::anonymous().unwrap();
    let devices = DeviceTable::default();
    let counters = Counters::default();
    let executor = Executor::new(&memory, &devices, &counters, &Limits::default()).unwrap();
    let word = |field: usize| memory.atomic_u32(REGION_RING.start + field as u64).unwrap();
    let slot = |offset: u32, size: usize, index: u32| {
        REGION_RING.start + u64::from(offset) + u64::from(index % RING_ENTRIES) * size as u64
    };
    lock(&executor.queue).head = START;
    *lock(&executor.completion_tail) = START;
    word(RingHeader::OFFSET_SUBMISSION_TAIL).store(START, Ordering::SeqCst);
    word(RingHeader::OFFSET_COMPLETION_TAIL).store(START, Ordering::SeqCst);
    let doorbell = Doorbell(files::Event::new().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| executor.serve(&doorbell));
        scope.spawn(|| executor.serve(&doorbell));
        for done in 0..COMMANDS {
            let index = START.wrapping_add(done);
            let progress = Descriptor {
                opcode: opcode::PROGRESS,
                offset: u64::from(done),
                user_data: u64::from(index),
                ..Descriptor::ZERO
            };
            memory.write(slot(RING_SUBMISSIONS_OFFSET, Descriptor::SIZE, index), &progress.to_bytes()).unwrap();
            word(RingHeader::OFFSET_SUBMISSION_TAIL).store(index.wrapping_add(1), Ordering::SeqCst);
            doorbell.0.signal();
            while word(RingHeader::OFFSET_COMPLETION_TAIL).load(Ordering::SeqCst) != index.wrapping_add(1) {
                assert!(!executor.stopped(), "the run ended at index {index:#x}");
                std::thread::yield_now();
            }
            let mut bytes = [0; Completion::SIZE];
            memory.read(slot(RING_COMPLETIONS_OFFSET, Completion::SIZE, index), &mut bytes).unwrap();
            assert_eq!(Completion::from_bytes(&bytes).user_data, u64::from(index));
        }
        executor.finish(Outcome::Exit(0));
    });
    assert_eq!(counters.statistics().commands, u64::from(COMMANDS));
    assert_eq!(counters.progress_done.load(Ordering::Relaxed), u64::from(COMMANDS) - 1);
}
