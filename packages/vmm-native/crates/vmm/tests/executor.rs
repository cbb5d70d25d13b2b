//! The executor against a guest that is played by this test: it writes descriptors into the ring and reads completions.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use instar_abi::{
    opcode, Completion, Descriptor, FileExtent, RingHeader, REGION_RING, REGION_WINDOWS, RING_COMPLETIONS_OFFSET,
    RING_ENTRIES, RING_SUBMISSIONS_OFFSET,
};
use instar_vmm::device::{Access, Device, DeviceTable};
use instar_vmm::executor::{Counters, Executor, Remains, Wake};
use instar_vmm::files::Event;
use instar_vmm::memory::GuestMemory;
use instar_vmm::remote::{Question, RemoteDevice};
use instar_vmm::report::{CommandFailure, Outcome};
use instar_vmm::ring::Ring;
use instar_vmm::watchdog::Limits;
use support::Scratch;

const WINDOW: u64 = REGION_WINDOWS.start;
const PATIENCE: Duration = Duration::from_secs(20);

/// A doorbell without a sandbox behind it.
struct Doorbell(Event);

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

/// The guest's side of a run.
struct Guest<'a> {
    memory: &'a GuestMemory,
    executor: &'a Executor<'a>,
    doorbell: &'a Doorbell,
    tail: u32,
}

impl Guest<'_> {
    fn word(&self, field: usize) -> &std::sync::atomic::AtomicU32 {
        self.memory.atomic_u32(REGION_RING.start + field as u64).unwrap()
    }

    fn put(&self, index: u32, descriptor: &Descriptor) {
        let slot = u64::from(index % RING_ENTRIES) * Descriptor::SIZE as u64;
        self.memory
            .write(REGION_RING.start + u64::from(RING_SUBMISSIONS_OFFSET) + slot, &descriptor.to_bytes())
            .unwrap();
    }

    fn publish(&mut self) {
        self.tail = self.tail.wrapping_add(1);
        self.word(RingHeader::OFFSET_SUBMISSION_TAIL).store(self.tail, Ordering::SeqCst);
        self.doorbell.0.signal();
    }

    fn completed(&self) -> u32 {
        self.word(RingHeader::OFFSET_COMPLETION_TAIL).load(Ordering::SeqCst)
    }

    /// Waits for as many completions as there were submissions; false when the run ended instead.
    fn wait(&self) -> bool {
        let start = Instant::now();
        while self.completed() != self.tail {
            if self.executor.stopped() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "no completion");
            std::thread::yield_now();
        }
        true
    }

    fn status(&self, index: u32) -> i32 {
        let mut bytes = [0; Completion::SIZE];
        let slot = u64::from(index % RING_ENTRIES) * Completion::SIZE as u64;
        self.memory.read(REGION_RING.start + u64::from(RING_COMPLETIONS_OFFSET) + slot, &mut bytes).unwrap();
        Completion::from_bytes(&bytes).status
    }

    /// Submits one descriptor and returns its status, or `None` when it ended the run.
    fn perform(&mut self, descriptor: &Descriptor) -> Option<i32> {
        let index = self.tail;
        self.put(index, descriptor);
        self.publish();
        self.wait().then(|| self.status(index))
    }
}

/// Plays a guest against an executor with `threads` threads, and returns how the run ended.
fn run(devices: Vec<Device>, threads: usize, play: impl FnOnce(&mut Guest<'_>)) -> Outcome {
    remains(devices, threads, play).outcome.unwrap()
}

/// The same, with all that the run left.
fn remains(devices: Vec<Device>, threads: usize, play: impl FnOnce(&mut Guest<'_>)) -> Remains {
    let memory = GuestMemory::anonymous().unwrap();
    let devices = DeviceTable::new(devices);
    let counters = Counters::default();
    let executor = Executor::new(&memory, &devices, &counters, &Limits::default()).unwrap();
    let doorbell = Doorbell(Event::new().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| executor.serve(&doorbell));
        }
        play(&mut Guest { memory: &memory, executor: &executor, doorbell: &doorbell, tail: 0 });
        executor.finish(Outcome::Exit(0));
    });
    executor.into_parts()
}

fn input(file: &File, size: u64) -> Device {
    Device { fd: file.as_raw_fd(), access: Access::Input, size, fresh: false, log: None, remote: None }
}

fn output(file: &File, size: u64) -> Device {
    Device { fd: file.as_raw_fd(), access: Access::Output, size, fresh: false, log: None, remote: None }
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn read(length: u64) -> Descriptor {
    Descriptor { opcode: opcode::READ, length, window: WINDOW, ..Descriptor::ZERO }
}

fn write(length: u64) -> Descriptor {
    Descriptor { opcode: opcode::WRITE, target_device: 1, length, window: WINDOW, ..Descriptor::ZERO }
}

fn copy(length: u64) -> Descriptor {
    Descriptor { opcode: opcode::COPY, target_device: 1, length, ..Descriptor::ZERO }
}

fn zero(length: u64) -> Descriptor {
    Descriptor { opcode: opcode::ZERO, target_device: 1, length, ..Descriptor::ZERO }
}

#[test]
fn reads_writes_copies_and_zeroes() {
    let scratch = Scratch::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let (source, target) = (scratch.file("in", &bytes), scratch.file("out", &vec![0xee; bytes.len()]));
    let (source, opened) = (open(&source), open(&target));
    let size = bytes.len() as u64;
    let outcome = run(vec![input(&source, size), output(&opened, size)], 2, |guest| {
        assert_eq!(guest.perform(&Descriptor { offset: 1000, ..read(5000) }), Some(0));
        assert_eq!(guest.perform(&write(5000)), Some(0));
        let far = Descriptor { offset: 5000, target_offset: 5000, ..copy(size - 10_000) };
        assert_eq!(guest.perform(&far), Some(0));
        assert_eq!(guest.perform(&Descriptor { target_offset: size - 5000, ..zero(5000) }), Some(0));
    });
    assert_eq!(outcome, Outcome::Exit(0));
    let end = bytes.len() - 5000;
    let expected = [&bytes[1000..6000], &bytes[5000..end], &[0; 5000]].concat();
    assert!(fs::read(target).unwrap() == expected);
}

#[test]
fn reading_a_file_that_is_shorter_than_its_device_is_an_error_of_the_command() {
    let scratch = Scratch::new();
    let source = open(&scratch.file("in", &[1; 1000]));
    let target = open(&scratch.file("out", &[0; 4096]));
    let outcome = run(vec![input(&source, 1 << 20), output(&target, 4096)], 2, |guest| {
        for command in [read(1001), copy(1001), Descriptor { offset: 2000, ..read(1) }] {
            assert_eq!(guest.perform(&command), Some(-libc::EIO));
        }
        assert_eq!(guest.perform(&read(1000)), Some(0), "the run goes on");
    });
    assert_eq!(outcome, Outcome::Exit(0));
}

#[test]
fn a_full_disk_is_an_error_of_the_command() {
    let scratch = Scratch::new();
    let source = open(&scratch.file("in", &[1; 4096]));
    let full = open(Path::new("/dev/full"));
    let outcome = run(vec![input(&source, 4096), output(&full, 1 << 30)], 2, |guest| {
        for command in [write(4096), copy(4096), zero(4096), zero(1 << 29)] {
            assert_eq!(guest.perform(&command), Some(-libc::ENOSPC));
        }
        assert_eq!(guest.perform(&read(512)), Some(0), "the run goes on");
    });
    assert_eq!(outcome, Outcome::Exit(0));
}

const LIMITED: &str = "INSTAR_TEST_FILE_SIZE_LIMIT";

/// Runs itself again in a process of its own, under RLIMIT_FSIZE.
#[test]
fn a_file_size_limit_is_an_error_of_the_command() {
    if std::env::var_os(LIMITED).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_file_size_limit_is_an_error_of_the_command"])
            .env(LIMITED, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stdout));
        return;
    }
    let scratch = Scratch::new();
    let source = open(&scratch.file("in", &[1; 4096]));
    let target = open(&scratch.file("out", &[]));
    let limit = libc::rlimit { rlim_cur: 65536, rlim_max: 65536 };
    // SAFETY: a valid rlimit; this process was started for this test. Like node it ignores SIGXFSZ, which by default ends
    // a process that writes beyond the limit.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    let outcome = run(vec![input(&source, 4096), output(&target, 1 << 30)], 2, |guest| {
        for command in [write(4096), copy(4096), zero(4096)] {
            let behind = Descriptor { target_offset: 65536, ..command };
            assert_eq!(guest.perform(&behind), Some(-libc::EFBIG), "{behind:?}");
            let across = Descriptor { target_offset: 65536 - 1000, ..command };
            assert_eq!(guest.perform(&across), Some(-libc::EFBIG), "{across:?}");
        }
        assert_eq!(guest.perform(&write(4096)), Some(0), "the run goes on");
    });
    assert_eq!(outcome, Outcome::Exit(0));
}

#[test]
fn a_bad_descriptor_ends_the_run_and_what_follows_it_is_not_carried_out() {
    let scratch = Scratch::new();
    let target = scratch.file("out", &[7; 4096]);
    let source = open(&scratch.file("in", &[1; 4096]));
    let opened = open(&target);
    let outcome = run(vec![input(&source, 4096), output(&opened, 2048)], 1, |guest| {
        guest.put(0, &Descriptor { target_offset: 2047, ..write(2) });
        guest.put(1, &write(512));
        guest.tail = 1;
        guest.publish();
        assert!(!guest.wait());
    });
    assert!(matches!(outcome, Outcome::BadDescriptor(_)), "{outcome:?}");
    assert_eq!(fs::read(target).unwrap(), [7; 4096]);
}

/// A second thread rewrites the descriptors in shared memory while the executor takes, checks and carries them out.
/// Every file is larger than its device, so that a command beyond the limits would leave its trace.
#[test]
fn rewriting_descriptors_never_gets_a_command_past_its_check() {
    const LIMIT: u64 = 4096;
    const FILE: usize = 1 << 20;
    let scratch = Scratch::new();
    let paths = [scratch.file("in", &[1; FILE]), scratch.file("out", &[7; FILE])];
    let files = paths.each_ref().map(|path| open(path));
    let evil = [
        Descriptor { target_offset: LIMIT, ..copy(512) },
        Descriptor { target_offset: LIMIT - 511, ..copy(512) },
        Descriptor { target_offset: u64::MAX - 511, ..copy(512) },
        Descriptor { target_device: 0, ..copy(512) },
        Descriptor { target_device: 0, target_offset: 8192, ..write(512) },
        Descriptor { target_offset: 65536, ..write(512) },
        Descriptor { target_offset: LIMIT, ..zero(512) },
        Descriptor { device: 1, ..read(512) },
        Descriptor { window: 4096, ..read(512) },
        copy(1 << 22),
    ];
    let (mut carried_out, mut refused) = (0_u32, 0_u32);
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        let devices = vec![input(&files[0], LIMIT), output(&files[1], LIMIT)];
        let outcome = run(devices, 2, |guest| {
            let stop = AtomicBool::new(false);
            let memory = guest.memory;
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let slots = REGION_RING.start + u64::from(RING_SUBMISSIONS_OFFSET);
                    for round in 0_usize.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let slot = slots + (round as u64 % u64::from(RING_ENTRIES)) * Descriptor::SIZE as u64;
                        let bad = &evil[round % evil.len()];
                        memory.write(slot, &bad.to_bytes()).unwrap();
                        memory.write(slot, &copy(512).to_bytes()).unwrap();
                    }
                });
                for index in 0..RING_ENTRIES {
                    guest.put(index, &copy(512));
                }
                for _ in 0..2000 {
                    guest.publish();
                    if !guest.wait() {
                        break;
                    }
                    carried_out += 1;
                }
                stop.store(true, Ordering::Relaxed);
            });
        });
        refused += u32::from(matches!(outcome, Outcome::BadDescriptor(_)));
        assert!(matches!(outcome, Outcome::BadDescriptor(_) | Outcome::Exit(0)), "{outcome:?}");
    }
    assert!(carried_out > 0 && refused > 0, "both happened: {carried_out} carried out, {refused} refused");
    assert!(fs::read(&paths[0]).unwrap().iter().all(|byte| *byte == 1), "the input is as it was");
    let written = fs::read(&paths[1]).unwrap();
    assert_eq!(written.len(), FILE);
    assert!(written[LIMIT as usize..].iter().all(|byte| *byte == 7), "nothing beyond the limit was written");
}

#[test]
fn every_thread_ends_however_the_end_falls() {
    for round in 0..2000_u64 {
        let outcome = run(Vec::new(), 4, |guest| {
            if round % 2 == 0 {
                guest.perform(&Descriptor { opcode: opcode::PROGRESS, ..Descriptor::ZERO });
            }
            for _ in 0..round % 97 * 20 {
                std::hint::spin_loop();
            }
        });
        assert_eq!(outcome, Outcome::Exit(0));
    }
}

#[test]
fn indexes_of_the_ring_wrap_around() {
    let memory = GuestMemory::anonymous().unwrap();
    let ring = Ring::initialise(&memory).unwrap();
    let slots = REGION_RING.start + u64::from(RING_SUBMISSIONS_OFFSET);
    for index in [u32::MAX - 1, u32::MAX, 0, 1] {
        let user_data = u64::from(index);
        let slot = slots + u64::from(index % RING_ENTRIES) * Descriptor::SIZE as u64;
        memory.write(slot, &Descriptor { user_data, ..Descriptor::ZERO }.to_bytes()).unwrap();
        assert_eq!(ring.descriptor(index).user_data, user_data);

        ring.complete(index, Completion { user_data, status: -5, source_failed: 0 });
        let tail = memory.atomic_u32(REGION_RING.start + RingHeader::OFFSET_COMPLETION_TAIL as u64).unwrap();
        assert_eq!(tail.load(Ordering::SeqCst), index.wrapping_add(1));
        let mut bytes = [0; Completion::SIZE];
        let slot = u64::from(index % RING_ENTRIES) * Completion::SIZE as u64;
        memory.read(REGION_RING.start + u64::from(RING_COMPLETIONS_OFFSET) + slot, &mut bytes).unwrap();
        assert_eq!(Completion::from_bytes(&bytes), Completion { user_data, status: -5, source_failed: 0 });
    }
}

#[test]
fn impossible_tails_end_the_run() {
    for tail in [RING_ENTRIES + 1, 1000, 1 << 31, u32::MAX] {
        let outcome = run(Vec::new(), 2, |guest| {
            guest.tail = tail.wrapping_sub(1);
            guest.publish();
            assert!(!guest.wait());
        });
        assert!(matches!(outcome, Outcome::BadRing(_)), "{outcome:?}");
    }
}

#[test]
fn a_failed_write_is_in_the_ledger_whatever_the_guest_does_with_it() {
    let scratch = Scratch::new();
    let path = scratch.file("input", &[7; 4096]);
    let read_only = File::open(&path).unwrap();
    let input_file = File::open(&path).unwrap();
    let left = remains(vec![input(&input_file, 8192), output(&read_only, 1 << 20)], 2, |guest| {
        let write = Descriptor {
            opcode: opcode::WRITE,
            target_device: 1,
            target_offset: 512,
            length: 512,
            window: WINDOW,
            ..Descriptor::ZERO
        };
        assert_eq!(guest.perform(&write), Some(-libc::EBADF));
        assert_eq!(guest.perform(&write), Some(-libc::EBADF));
        let beyond = Descriptor { opcode: opcode::READ, offset: 4000, length: 512, window: WINDOW, ..Descriptor::ZERO };
        assert_eq!(guest.perform(&beyond), Some(-libc::EIO));
    });
    assert_eq!(
        left.failures,
        [
            CommandFailure { device: 1, offset: 512, errno: libc::EBADF, write: true },
            CommandFailure { device: 0, offset: 4000, errno: libc::EIO, write: false },
        ]
    );
}

#[test]
fn compare_tells_sectors_that_differ_and_those_of_zeros() {
    const LENGTH: usize = 300_000;
    let scratch = Scratch::new();
    let mut one: Vec<u8> = (0..=LENGTH).map(|index| (index % 251 + 1) as u8).collect();
    let mut two = one.split_off(0);
    one.extend_from_slice(&two);
    // From byte 1 on of the first file, and 0 of the second.
    two.rotate_left(1);
    one[1 + 512 * 7 + 511] ^= 1;
    two[512 * 8] ^= 0x80;
    for sector in [300, 301, 500] {
        one[1 + 512 * sector..][..512].fill(0);
    }
    two[512 * 301..][..512].fill(0);
    one[LENGTH] ^= 4;
    let files = [open(&scratch.file("one", &one)), open(&scratch.file("two", &two))];
    let sectors = LENGTH.div_ceil(512);
    let bytes = sectors.div_ceil(8);
    let devices = vec![input(&files[0], one.len() as u64), input(&files[1], LENGTH as u64 + 5000)];
    let outcome = run(devices, 1, |guest| {
        let compare = Descriptor {
            opcode: opcode::COMPARE,
            offset: 1,
            target_device: 1,
            length: LENGTH as u64,
            window: WINDOW,
            ..Descriptor::ZERO
        };
        guest.memory.write(WINDOW, &vec![0xee; 2 * bytes + 1]).unwrap();
        assert_eq!(guest.perform(&compare), Some(0));
        let mut answer = vec![0; 2 * bytes + 1];
        guest.memory.read(WINDOW, &mut answer).unwrap();
        let set = |from: usize| -> Vec<usize> {
            (0..bytes * 8).filter(|bit| answer[from + bit / 8] >> (bit % 8) & 1 != 0).collect()
        };
        assert_eq!(set(0), [7, 8, 300, 500, sectors - 1]);
        assert_eq!(set(bytes), [300, 301, 500]);
        assert_eq!(answer[2 * bytes], 0xee);
        // The second file ends before its device does.
        let behind = Descriptor { target_offset: 5000, ..compare };
        assert_eq!(guest.perform(&behind), Some(-libc::EIO));
        // A window that its answer would leave.
        let end = REGION_WINDOWS.start + REGION_WINDOWS.size;
        assert_eq!(guest.perform(&Descriptor { window: end - 2 * bytes as u64 + 1, ..compare }), None);
    });
    assert!(matches!(outcome, Outcome::BadDescriptor(text) if text.starts_with("COMPARE: window")));
}

#[test]
fn compare_tells_which_of_two_files_failed() {
    let scratch = Scratch::new();
    let path = scratch.file("whole", &[1; 8192]);
    let (whole, short) = (open(&path), open(&scratch.file("short", &[1; 1000])));
    let compare =
        Descriptor { opcode: opcode::COMPARE, target_device: 1, length: 4096, window: WINDOW, ..Descriptor::ZERO };
    let swapped = Descriptor { device: 1, offset: 128, target_device: 0, target_offset: 64, ..compare };
    for (compare, offset) in [(Descriptor { offset: 512, target_offset: 256, ..compare }, 256), (swapped, 128)] {
        let devices = vec![input(&whole, 8192), input(&short, 8192)];
        let left = remains(devices, 1, |guest| assert_eq!(guest.perform(&compare), Some(-libc::EIO)));
        assert_eq!(left.failures, [CommandFailure { device: 1, offset, errno: libc::EIO, write: false }]);
    }
}

#[test]
fn extent_tells_data_from_holes() {
    let scratch = Scratch::new();
    let path = scratch.file("sparse", b"");
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[1; 65536], 1 << 20).unwrap();
    if instar_vmm::files::extent(file.as_raw_fd(), 0, 4 << 20) == (true, 4 << 20) {
        return support::skip("the file system of the temporary directory does not tell of holes");
    }
    run(vec![input(&file, 4 << 20)], 1, |guest| {
        for (offset, data, length) in [(0, 0, 1 << 20), (1 << 20, 1, 65536), ((1 << 20) + 65536, 0, (3 << 20) - 65536)]
        {
            let extent = Descriptor {
                opcode: opcode::EXTENT,
                offset,
                length: (4 << 20) - offset,
                window: WINDOW,
                ..Descriptor::ZERO
            };
            assert_eq!(guest.perform(&extent), Some(0));
            let mut bytes = [0; FileExtent::SIZE];
            guest.memory.read(WINDOW, &mut bytes).unwrap();
            assert_eq!(FileExtent::from_bytes(&bytes), FileExtent { data, pad: 0, length });
        }
    });
}

/// A device of `bytes` that answers at once, and fails where there are none.
fn remote(bytes: Vec<u8>, access: Access, taken: Option<std::sync::mpsc::Sender<Vec<u8>>>) -> Device {
    let size = bytes.len() as u64;
    let taken = taken.map(std::sync::Mutex::new);
    let device = std::sync::Arc::new_cyclic(|me: &std::sync::Weak<RemoteDevice>| {
        let me = me.clone();
        let ask = move |number, question| {
            let (me, bytes) = (me.clone(), bytes.clone());
            let answer = match question {
                Question::Read { offset, length } => {
                    let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
                    bytes.get(range).map(<[u8]>::to_vec).ok_or(libc::ESTALE)
                }
                Question::Write { bytes, .. } => {
                    taken.as_ref().unwrap().lock().unwrap().send(bytes).unwrap();
                    Ok(Vec::new())
                }
            };
            std::thread::spawn(move || me.upgrade().unwrap().answer(number, answer));
            true
        };
        RemoteDevice::new(ask, std::time::Duration::from_secs(60))
    });
    Device { fd: -1, access, size: size.max(1 << 30), fresh: false, log: None, remote: Some(device) }
}

#[test]
fn a_device_that_is_no_file_is_read_and_copied_as_one() {
    let scratch = Scratch::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let target = scratch.file("out", &vec![0xee; bytes.len()]);
    let opened = open(&target);
    let size = bytes.len() as u64;
    let left = remains(vec![remote(bytes.clone(), Access::Input, None), output(&opened, size)], 2, |guest| {
        assert_eq!(guest.perform(&Descriptor { offset: 1000, ..read(5000) }), Some(0));
        assert_eq!(guest.perform(&write(5000)), Some(0));
        let far = Descriptor { offset: 5000, target_offset: 5000, ..copy(size - 5000) };
        assert_eq!(guest.perform(&far), Some(0));
        assert_eq!(guest.perform(&Descriptor { offset: size, ..read(1) }), Some(-libc::ESTALE));
        assert_eq!(guest.perform(&Descriptor { offset: size, ..copy(1) }), Some(-libc::ESTALE));
    });
    assert_eq!(left.outcome, Some(Outcome::Exit(0)));
    assert!(left.failures.iter().all(|failure| failure.device == 0 && !failure.write), "{:?}", left.failures);
    assert!(fs::read(target).unwrap() == [&bytes[1000..6000], &bytes[5000..]].concat());
}

#[test]
fn a_stream_that_is_no_file_takes_the_bytes_in_order() {
    let scratch = Scratch::new();
    let source = open(&scratch.file("in", &[7; 3000]));
    let (sender, taken) = std::sync::mpsc::channel();
    let outcome = run(vec![input(&source, 3000), remote(Vec::new(), Access::StreamOutput, Some(sender))], 1, |guest| {
        assert_eq!(guest.perform(&read(1000)), Some(0));
        assert_eq!(guest.perform(&write(1000)), Some(0));
        assert_eq!(guest.perform(&Descriptor { target_offset: 1000, ..copy(3000) }), Some(0));
        assert_eq!(guest.perform(&Descriptor { target_offset: 4000, ..zero(2) }), Some(0));
    });
    assert_eq!(outcome, Outcome::Exit(0));
    assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), [vec![7; 4000], vec![0; 2]].concat());
}
