//! Walks the tables that were built, as the processor would, and compares every page with the memory map.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use instar_abi::{
    segment_flag, GuestImageHeader, GuestSegment, ProcessRecord, ABI_VERSION_MAJOR, ABI_VERSION_MINOR, FINGERPRINT,
    GUEST_IMAGE_MAGIC, GUEST_IMAGE_VERSION, REGION_IMAGE, REGION_SYSTEM,
};

use super::*;
use crate::kvm::layout::SYSTEM_END;
use crate::memory::memory_size;

/// Text of three pages, one page of constants, data of two pages.
fn image_file() -> Vec<u8> {
    let segment = |page: u64, pages: u64, flags: u32| GuestSegment {
        flags: flags | segment_flag::READ,
        address: REGION_IMAGE.start + page * PAGE,
        memory_size: pages * PAGE - 1,
        ..GuestSegment::ZERO
    };
    let segments = [segment(0, 3, segment_flag::EXECUTE), segment(3, 1, 0), segment(700, 2, segment_flag::WRITE)]
        .map(|s| s.to_bytes());
    let record_offset = GuestImageHeader::SIZE + segments.concat().len();
    let header = GuestImageHeader {
        magic: GUEST_IMAGE_MAGIC,
        header_version: GUEST_IMAGE_VERSION,
        abi_major: ABI_VERSION_MAJOR,
        abi_minor: ABI_VERSION_MINOR,
        segment_count: 3,
        segments_offset: GuestImageHeader::SIZE as u64,
        process_record_offset: record_offset as u64,
        process_record_size: ProcessRecord::SIZE as u64,
        fingerprint: FINGERPRINT,
        file_size: (record_offset + ProcessRecord::SIZE) as u64,
        ..GuestImageHeader::ZERO
    };
    [&header.to_bytes()[..], &segments.concat(), &ProcessRecord::ZERO.to_bytes()].concat()
}

/// A page as the walk found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    physical: u64,
    rights: Rights,
    accessed_dirty: bool,
}

struct Walk<'a> {
    memory: &'a GuestMemory,
    pages: BTreeMap<u64, Page>,
    tables: Vec<u64>,
}

impl Walk<'_> {
    fn entry(&self, table: u64, index: u64) -> u64 {
        let mut bytes = [0; 8];
        self.memory.read(table + index * 8, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn table(&mut self, table: u64, level: u32, base: u64, above: Rights) {
        self.tables.push(table);
        for index in 0..ENTRIES {
            let entry = self.entry(table, index);
            if entry & PRESENT == 0 {
                assert_eq!(entry, 0, "an absent entry says nothing");
                continue;
            }
            let rights = Rights {
                user: above.user && entry & USER != 0,
                write: above.write && entry & WRITE != 0,
                execute: above.execute && entry & NO_EXECUTE == 0,
            };
            let size = PAGE << (9 * level);
            let address = base + index * size;
            let target = entry & 0x000f_ffff_ffff_f000;
            if level > 0 && entry & LARGE == 0 {
                self.table(target, level - 1, address, rights);
                continue;
            }
            assert!(level <= 1, "no page of 1 GiB");
            let accessed_dirty = entry & ACCESSED_DIRTY == ACCESSED_DIRTY;
            for by in (0..size).step_by(usize::try_from(PAGE).unwrap()) {
                let page = Page { physical: (target & !(size - 1)) + by, rights, accessed_dirty };
                assert_eq!(self.pages.insert(address + by, page), None);
            }
        }
    }
}

fn walk(check: impl FnOnce(&BTreeMap<u64, Page>, &[u64])) {
    let bytes = image_file();
    let image = GuestImage::parse(&bytes).unwrap();
    let memory = GuestMemory::anonymous().unwrap();
    let root = build(&memory, &image).unwrap();
    let mut walk = Walk { memory: &memory, pages: BTreeMap::new(), tables: Vec::new() };
    walk.table(root, 3, 0, Rights { user: true, write: true, execute: true });
    check(&walk.pages, &walk.tables);
}

/// What CPL 3 may do with a page, by the map and the image: `None` where there must be none.
fn promised(address: u64) -> Option<(bool, bool)> {
    let image_page = address.wrapping_sub(REGION_IMAGE.start) / PAGE;
    let region = MEMORY_MAP.iter().find(|region| address >= region.start && address < region.start + region.size)?;
    match region.protection {
        Protection::None | Protection::Supervisor => None,
        Protection::Read => Some((false, false)),
        Protection::ReadWrite => Some((true, false)),
        Protection::ReadExecute => Some((false, true)),
        Protection::Image => match image_page {
            0..=2 => Some((false, true)),
            3 => Some((false, false)),
            700..=701 => Some((true, false)),
            _ => None,
        },
    }
}

#[test]
fn maps_for_cpl_3_exactly_what_the_memory_map_promises() {
    walk(|pages, _| {
        for address in (0..memory_size()).step_by(usize::try_from(PAGE).unwrap()) {
            let user = pages.get(&address).filter(|page| page.rights.user);
            let found = user.map(|page| (page.rights.write, page.rights.execute));
            assert_eq!(found, promised(address), "page {address:#x}");
        }
        let last = pages.keys().next_back().unwrap();
        assert!(*last < memory_size(), "{last:#x} is outside guest memory");
    });
}

#[test]
fn no_page_is_both_writable_and_executable() {
    walk(|pages, _| {
        let both: Vec<_> = pages.iter().filter(|(_, page)| page.rights.write && page.rights.execute).collect();
        assert_eq!(both, []);
    });
}

#[test]
fn maps_every_page_to_itself_with_accessed_and_dirty_set() {
    walk(|pages, _| {
        for (address, page) in pages {
            assert_eq!(page.physical, *address);
            assert!(page.accessed_dirty, "page {address:#x}");
        }
    });
}

#[test]
fn hides_its_tables_and_page_0() {
    walk(|pages, tables| {
        assert!(!pages.contains_key(&0));
        assert!(tables.len() >= 4);
        for table in tables {
            assert!(!pages.contains_key(table), "table {table:#x} is mapped");
            assert!(*table >= PAGE_TABLES && *table + PAGE <= SYSTEM_END, "table {table:#x} is outside its room");
        }
    });
}

#[test]
fn maps_five_supervisor_pages_and_only_the_stubs_are_code() {
    walk(|pages, _| {
        let system = REGION_SYSTEM.start..REGION_SYSTEM.start + REGION_SYSTEM.size;
        let supervisor: Vec<(u64, bool, bool)> = pages
            .iter()
            .filter(|(_, page)| !page.rights.user)
            .map(|(address, page)| (*address, page.rights.write, page.rights.execute))
            .collect();
        assert!(supervisor.iter().all(|(address, ..)| system.contains(address)));
        assert_eq!(
            supervisor,
            [
                (DESCRIPTORS, false, false),
                (IDT, false, false),
                (STUBS, false, true),
                (KERNEL_STACK, true, false),
                (FAULT_STACK, true, false),
            ]
        );
    });
}

#[test]
fn large_regions_have_large_pages() {
    let bytes = image_file();
    let image = GuestImage::parse(&bytes).unwrap();
    let memory = GuestMemory::anonymous().unwrap();
    build(&memory, &image).unwrap();
    let mut builder_tables = 0;
    walk(|_, tables| builder_tables = tables.len());
    // Top, one below it, one directory, and tables for the first 2 MiB and the two of the image.
    assert!(builder_tables <= 6, "{builder_tables} tables: the heap and the windows are not mapped by large pages");
}
