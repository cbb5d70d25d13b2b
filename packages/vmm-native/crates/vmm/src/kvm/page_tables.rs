//! Builds the guest's page tables (Intel SDM volume 3, 4.5 "4-level paging"). Identity-mapped, W^X, everything that is
//! not listed is unmapped; the tables themselves are not mapped at all.

use std::collections::BTreeMap;

use instar_abi::{Protection, LARGE_PAGE_SIZE, MEMORY_MAP};

use super::layout::{DESCRIPTORS, FAULT_STACK, IDT, KERNEL_STACK, PAGE, PAGE_TABLES, STUBS, SYSTEM_END};
use crate::guest_image::GuestImage;
use crate::memory::GuestMemory;

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Preset, so that the CPU (or a shadow MMU) never has to write an entry back: it makes first touches many times cheaper.
const ACCESSED_DIRTY: u64 = 1 << 5 | 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ENTRIES: u64 = 512;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rights {
    user: bool,
    write: bool,
    execute: bool,
}

impl Rights {
    fn bits(self) -> u64 {
        let mut bits = PRESENT | ACCESSED_DIRTY;
        if self.user {
            bits |= USER;
        }
        if self.write {
            bits |= WRITE;
        }
        if !self.execute {
            bits |= NO_EXECUTE;
        }
        bits
    }
}

struct Builder {
    /// Tables by the address of their page.
    tables: BTreeMap<u64, Vec<u64>>,
    next: u64,
}

impl Builder {
    fn new() -> Self {
        let mut builder = Self { tables: BTreeMap::new(), next: PAGE_TABLES };
        builder.allocate();
        builder
    }

    fn allocate(&mut self) -> u64 {
        let address = self.next;
        self.next = self.next.saturating_add(PAGE);
        self.tables.insert(address, vec![0; 512]);
        address
    }

    /// The table one level below `table` for `address`, made where it is missing.
    fn descend(&mut self, table: u64, level: u32, address: u64) -> u64 {
        let index = index_at(level, address);
        let found = self.entry(table, index);
        if found & PRESENT != 0 {
            return found & !(NO_EXECUTE | (PAGE - 1));
        }
        let below = self.allocate();
        self.set(table, index, below | PRESENT | WRITE | USER | ACCESSED_DIRTY & !(1 << 6));
        below
    }

    fn entry(&self, table: u64, index: usize) -> u64 {
        self.tables.get(&table).and_then(|entries| entries.get(index)).copied().unwrap_or(0)
    }

    fn set(&mut self, table: u64, index: usize, value: u64) {
        if let Some(slot) = self.tables.get_mut(&table).and_then(|entries| entries.get_mut(index)) {
            *slot = value;
        }
    }

    fn map(&mut self, start: u64, size: u64, rights: Rights) {
        let large = u64::from(LARGE_PAGE_SIZE);
        let end = start.saturating_add(size);
        let mut address = start;
        while address < end {
            let pdpt = self.descend(PAGE_TABLES, 3, address);
            let directory = self.descend(pdpt, 2, address);
            if address.is_multiple_of(large) && end.saturating_sub(address) >= large {
                self.set(directory, index_at(1, address), address | rights.bits() | LARGE);
                address = address.saturating_add(large);
            } else {
                let table = self.descend(directory, 1, address);
                self.set(table, index_at(0, address), address | rights.bits());
                address = address.saturating_add(PAGE);
            }
        }
    }
}

fn index_at(level: u32, address: u64) -> usize {
    let shift = level.saturating_mul(9).saturating_add(12);
    usize::try_from((address >> shift) % ENTRIES).unwrap_or(0)
}

/// Writes page tables for the memory map and the segments of an image. Returns the value for CR3.
pub fn build(memory: &GuestMemory, image: &GuestImage<'_>) -> Result<u64, String> {
    let mut builder = Builder::new();
    let supervisor = |write, execute| Rights { user: false, write, execute };
    builder.map(DESCRIPTORS, PAGE, supervisor(false, false));
    builder.map(IDT, PAGE, supervisor(false, false));
    builder.map(STUBS, PAGE, supervisor(false, true));
    builder.map(KERNEL_STACK, PAGE, supervisor(true, false));
    builder.map(FAULT_STACK, PAGE, supervisor(true, false));
    for region in &MEMORY_MAP {
        let (write, execute) = match region.protection {
            Protection::Read => (false, false),
            Protection::ReadWrite => (true, false),
            Protection::ReadExecute => (false, true),
            Protection::None | Protection::Supervisor | Protection::Image => continue,
        };
        builder.map(region.start, memory.region_size(region), Rights { user: true, write, execute });
    }
    for segment in image.segments() {
        let rights = Rights { user: true, write: segment.write, execute: segment.execute };
        builder.map(segment.address, segment.size, rights);
    }
    if builder.next > SYSTEM_END {
        return Err(format!("page tables end at {:#x}, beyond the system region", builder.next));
    }
    for (address, entries) in &builder.tables {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        memory.write(*address, &bytes).map_err(|range| format!("page table outside memory: {range:?}"))?;
    }
    Ok(PAGE_TABLES)
}

#[cfg(test)]
mod tests;
