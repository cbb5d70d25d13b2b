#![allow(clippy::unwrap_used)]

use instar_abi::{item, item_request, FwCfgVmCoreInfo, ItemMailbox, MEMORY_SIZE, REGION_HEAP};

use super::{ItemStore, VmCoreInfo};
use crate::memory::GuestMemory;

fn request(kind: u32, offset: u32, bytes: &[u8], length: u32) -> ItemMailbox {
    let mut mailbox = ItemMailbox { request: kind, selector: item::VMCOREINFO, offset, length, ..ItemMailbox::ZERO };
    mailbox.data[..bytes.len()].copy_from_slice(bytes);
    mailbox
}

fn put(store: &mut ItemStore, guest_format: u16, size: u32, paddr: u64) {
    let bytes = FwCfgVmCoreInfo { host_format: 7, guest_format, size, paddr }.to_bytes();
    let mut mailbox = request(item_request::WRITE, 0, &bytes, 16);
    store.answer(&mut mailbox);
    assert_eq!(mailbox.status, 16);
}

fn note(name: &[u8], descriptor: u32) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [u32::try_from(name.len()).unwrap(), descriptor, 0] {
        note.extend(word.to_le_bytes());
    }
    note.extend(name);
    note
}

fn checked(guest_format: u16, size: u32, paddr: u64, note: &[u8]) -> VmCoreInfo {
    let memory = GuestMemory::anonymous().unwrap();
    let _ = memory.write(paddr, note);
    let mut store = ItemStore::default();
    put(&mut store, guest_format, size, paddr);
    store.vmcoreinfo(&memory)
}

const NAME: &[u8] = b"VMCOREINFO\0";

#[test]
fn a_whole_write_is_read_back_but_for_the_host_format() {
    let mut store = ItemStore::default();
    put(&mut store, 1, 0x100, 0x20_0000);
    let mut mailbox = request(item_request::READ, 0, &[], 16);
    store.answer(&mut mailbox);
    assert_eq!(mailbox.status, 16);
    assert_eq!(mailbox.data[..16], [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0]);
}

#[test]
fn partial_writes_and_writes_elsewhere_are_ignored() {
    for (offset, length) in [(0, 15), (0, 0), (0, 17), (0, u32::MAX), (1, 16), (4, 4), (u32::MAX, 16)] {
        let mut store = ItemStore::default();
        let mut mailbox = request(item_request::WRITE, offset, &[0xff; 32], length);
        store.answer(&mut mailbox);
        assert_eq!(mailbox.status, 0);
        assert_eq!(store, ItemStore::default());
    }
}

#[test]
fn requests_that_make_no_sense_have_an_error() {
    let mut store = ItemStore::default();
    for (offset, length) in [(0, 17), (16, 1), (u32::MAX, u32::MAX), (1, 16)] {
        let mut mailbox = request(item_request::READ, offset, &[], length);
        store.answer(&mut mailbox);
        assert_eq!(mailbox.status, -libc::EINVAL);
    }
    let mut unknown = ItemMailbox { selector: 0x19, ..request(item_request::READ, 0, &[], 4) };
    store.answer(&mut unknown);
    assert_eq!(unknown.status, -libc::ENOENT);
    let mut odd = request(77, 0, &[], 4);
    store.answer(&mut odd);
    assert_eq!(odd.status, -libc::EINVAL);
}

#[test]
fn a_note_that_holds_what_it_claims_is_found() {
    let place = REGION_HEAP.start;
    let found = checked(1, 0x100, place, &note(NAME, 0x61));
    assert_eq!(found.note, Some((place, 12 + 12 + 0x64)));
    assert_eq!(found.warning, None);
    assert_eq!(checked(1, 1 << 20, place, &note(NAME, 4)).note, Some((place, 28)));
}

#[test]
fn a_note_that_does_not_is_a_warning() {
    let place = REGION_HEAP.start;
    for (format, size, paddr, bytes, says) in [
        (2, 0x100, place, note(NAME, 4), "format is 2"),
        (1, (1 << 20) + 1, place, note(NAME, 4), "size is 1048577"),
        (1, 11, place, note(NAME, 4), "size is 11"),
        (1, 0x100, u64::from(MEMORY_SIZE) - 0xff, Vec::new(), "not in guest memory"),
        (1, 0x100, u64::MAX, Vec::new(), "not in guest memory"),
        (1, 27, place, note(NAME, 4), "claims 28 bytes"),
        (1, 0x100, place, note(NAME, u32::MAX), "claims"),
        (1, 0x100, place, note(b"VMCOREINFX\0", 4), "not VMCOREINFO"),
        (1, 12, place, note(b"", 0), "not VMCOREINFO"),
    ] {
        let found = checked(format, size, paddr, &bytes);
        assert!(found.present);
        assert_eq!((found.note, found.guest_format, found.host_format), (None, format, 1));
        assert!(found.warning.as_deref().is_some_and(|text| text.contains(says)), "{:?}", found.warning);
    }
}

#[test]
fn format_zero_disables() {
    let found = checked(0, 0x100, REGION_HEAP.start, &note(NAME, 4));
    assert_eq!((found.present, found.note, found.warning), (false, None, None));
}
