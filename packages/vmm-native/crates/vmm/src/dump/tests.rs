#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use instar_abi::{ConvertConfig, CONVERT_CONFIG_MAGIC, MEMORY_SIZE, REGION_HEAP, REGION_KEYS, REGION_OPERATION_CONFIG};

use super::{secret, write_memory, DumpRequests, PIECE};
use crate::memory::GuestMemory;

fn file() -> File {
    // SAFETY: the name is a NUL-terminated literal, and the descriptor is owned by nothing else.
    unsafe {
        use std::os::fd::FromRawFd;
        File::from_raw_fd(libc::memfd_create(c"dump".as_ptr(), libc::MFD_CLOEXEC))
    }
}

fn config(passphrase: &[u8]) -> Vec<u8> {
    let mut config = ConvertConfig { magic: CONVERT_CONFIG_MAGIC, ..ConvertConfig::ZERO };
    config.passphrase[..passphrase.len()].copy_from_slice(passphrase);
    config.passphrase_len = u32::try_from(passphrase.len()).unwrap();
    config.to_bytes().to_vec()
}

#[test]
fn the_file_holds_memory_at_its_addresses_and_holes_elsewhere() {
    let memory = GuestMemory::anonymous().unwrap();
    memory.write(REGION_HEAP.start + 5, b"here").unwrap();
    memory.write(u64::from(MEMORY_SIZE) - 1, b"!").unwrap();
    let target = file();
    target.write_all_at(b"what was there", 0x3000).unwrap();
    assert_eq!(write_memory(&memory, target.as_raw_fd(), &[]).unwrap(), 2 * 4096);
    assert_eq!(target.metadata().unwrap().len(), u64::from(MEMORY_SIZE));
    let mut found = [0; 4];
    target.read_exact_at(&mut found, REGION_HEAP.start + 5).unwrap();
    assert_eq!(&found, b"here");
    target.read_exact_at(&mut found, 0x3000).unwrap();
    assert_eq!(found, [0; 4]);
    let mut last = [0];
    target.read_exact_at(&mut last, u64::from(MEMORY_SIZE) - 1).unwrap();
    assert_eq!(&last, b"!");
}

#[test]
fn a_memory_file_is_only_read_where_it_was_touched() {
    let memory = GuestMemory::shared().unwrap();
    let places = [0x3000, REGION_HEAP.start + 5, REGION_HEAP.start + 3 * PIECE as u64 - 2, u64::from(MEMORY_SIZE) - 4];
    for place in places {
        memory.write(place, b"here").unwrap();
    }
    let target = file();
    assert_eq!(write_memory(&memory, target.as_raw_fd(), &[]).unwrap(), 5 * 4096);
    for place in places {
        let mut found = [0; 4];
        target.read_exact_at(&mut found, place).unwrap();
        assert_eq!(&found, b"here", "{place:#x}");
    }
    assert_eq!(memory.next_touched(u64::from(MEMORY_SIZE) - 2 * 4096), Some(u64::from(MEMORY_SIZE) - 4096));
}

#[test]
fn keys_are_in_no_dump() {
    let more = REGION_KEYS.start + 2 * REGION_KEYS.size;
    for memory in [GuestMemory::anonymous_of(more).unwrap(), GuestMemory::shared_of(more).unwrap()] {
        memory.write(REGION_KEYS.start, b"key").unwrap();
        memory.write(REGION_KEYS.start + REGION_KEYS.size, b"key").unwrap();
        let target = file();
        assert_eq!(write_memory(&memory, target.as_raw_fd(), &[]).unwrap(), 0);
        assert_eq!(target.metadata().unwrap().len(), u64::from(MEMORY_SIZE));
    }
}

#[test]
fn the_passphrase_is_nowhere() {
    let memory = GuestMemory::anonymous().unwrap();
    let passphrase = b"open sesame";
    let config = config(passphrase);
    memory.write(REGION_OPERATION_CONFIG.start, &config).unwrap();
    let border = REGION_HEAP.start.next_multiple_of(PIECE as u64) + PIECE as u64;
    for place in [REGION_HEAP.start, border - 1, border - 10, border + 3 * 4096] {
        memory.write(place - 1, b"<").unwrap();
        memory.write(place, passphrase).unwrap();
        memory.write(place + passphrase.len() as u64, b">").unwrap();
        let target = file();
        write_memory(&memory, target.as_raw_fd(), &secret(&config)).unwrap();
        let mut all = vec![0; usize::try_from(u64::from(MEMORY_SIZE)).unwrap()];
        target.read_exact_at(&mut all, 0).unwrap();
        assert!(!all.windows(passphrase.len()).any(|bytes| bytes == passphrase), "{place:#x}");
        let at = usize::try_from(place).unwrap();
        assert_eq!((all[at - 1], all[at + passphrase.len()]), (b'<', b'>'));
    }
}

#[test]
fn only_a_convert_config_has_a_secret() {
    assert_eq!(secret(&config(b"x")), b"x");
    assert_eq!(secret(&[0; 4096]), b"");
    assert_eq!(secret(b"short"), b"");
}

#[test]
fn a_closed_desk_takes_no_requests_and_lets_nobody_wait() {
    let desk = DumpRequests::default();
    assert!(desk.request(0).is_none());
    desk.open();
    let waiting = desk.request(0).unwrap();
    assert!(desk.request(0).is_none());
    desk.close();
    assert!(waiting.recv().is_err());
}
