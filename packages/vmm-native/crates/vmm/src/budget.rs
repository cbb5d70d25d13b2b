//! What a run may still do that counts as getting on. A guest in an attacker's hands can keep the host busy with commands
//! that lead nowhere; only bytes that a working guest could still need buy it time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::descriptor::Command;
use crate::device::{Device, DeviceTable};
use crate::files;

/// What one command costs at least (bytes): it takes the host's time even if it moves one byte.
const LEAST_COST: u64 = 4096;
/// Bytes that any run may move: metadata is read in small pieces, some of them more than once.
const BASE: u64 = 16 << 20;
/// How often a working guest reads a byte of an input, at most: as metadata, as a part of two neighbouring reads, as data.
const READS: u64 = 4;
/// A file that a file system compresses holds more than it takes; more than so many times is not believed.
const DENSITY: u64 = 16;

/// Bytes that a run may still move usefully.
pub struct Budget {
    /// The caller says how many bytes may be read, whatever is asked.
    fixed: bool,
    reads: AtomicU64,
    writes: AtomicU64,
    unsynced: AtomicBool,
    /// Bytes that counted so far.
    earned: AtomicU64,
}

/// Bytes that can really be read from a file: a hole costs nothing to its maker.
fn weight(device: &Device) -> u64 {
    if device.remote.is_some() {
        return device.size;
    }
    let stored = files::allocated(device.fd).unwrap_or(device.size).saturating_mul(DENSITY);
    device.size.min(stored.saturating_add(1 << 20))
}

impl Budget {
    /// The budget of a run on these devices, whose outputs receive at most `output` bytes.
    pub fn new(devices: &DeviceTable, output: Option<u64>, reads: Option<u64>) -> Self {
        let budget = Self {
            fixed: reads.is_some(),
            reads: AtomicU64::new(reads.unwrap_or(0)),
            writes: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            earned: AtomicU64::new(0),
        };
        budget.grow(devices, output);
        budget
    }

    /// Adds what one more operation on these devices may need.
    pub fn grow(&self, devices: &DeviceTable, output: Option<u64>) {
        let devices = devices.all();
        let inputs = devices
            .iter()
            .filter(|device| device.access.reads())
            .fold(0_u64, |sum, device| sum.saturating_add(weight(device)));
        let output = output.unwrap_or_else(|| {
            let outputs = devices.iter().filter(|device| device.access.writes());
            outputs.fold(0_u64, |sum, device| sum.saturating_add(device.size))
        });
        let twice = output.saturating_mul(2);
        let add = |to: &AtomicU64, more: u64| {
            let _ = to.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_add(more)));
        };
        if !self.fixed {
            add(&self.reads, inputs.saturating_mul(READS).saturating_add(twice).saturating_add(BASE));
        }
        add(&self.writes, twice.saturating_add(BASE));
    }

    /// Takes the cost of a command. Returns whether the command is one that a working guest could need.
    pub fn charge(&self, command: &Command) -> bool {
        let taken = |left: &AtomicU64, length: u64| {
            let cost = length.max(LEAST_COST);
            let take = |left: u64| left.checked_sub(cost);
            let useful = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
            if useful {
                self.earned.fetch_add(cost, Ordering::Relaxed);
            }
            useful
        };
        match command {
            Command::Read { source, .. } => taken(&self.reads, source.length),
            Command::Compare { source, .. } => taken(&self.reads, source.length.saturating_mul(2)),
            Command::Extent { .. } => taken(&self.reads, LEAST_COST),
            Command::Write { target, .. }
            | Command::Copy { target, .. }
            | Command::Zero { target, .. }
            | Command::Preserve { target } => {
                self.unsynced.store(true, Ordering::Relaxed);
                taken(&self.writes, target.length)
            }
            Command::Flush { .. } => self.unsynced.swap(false, Ordering::Relaxed),
            // It moves nothing; each one takes room in the log.
            Command::Release { .. } => taken(&self.writes, LEAST_COST),
            Command::Log { .. } | Command::Progress { .. } | Command::Next => false,
        }
    }

    /// Bytes that counted so far.
    pub fn earned(&self) -> u64 {
        self.earned.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::DeviceRange;

    fn read(length: u64) -> Command {
        Command::Read { source: DeviceRange { device: 0, offset: 0, length }, window: 0 }
    }

    fn write(length: u64) -> Command {
        Command::Write { target: DeviceRange { device: 0, offset: 0, length }, window: 0 }
    }

    fn budget(reads: u64, output: u64) -> Budget {
        Budget::new(&DeviceTable::default(), Some(output), Some(reads))
    }

    #[test]
    fn reads_count_until_the_budget_is_used_up() {
        let budget = budget(13_000, 0);
        assert!(budget.charge(&read(6000)));
        assert!(budget.charge(&read(100)), "a smaller command fits, and costs a page");
        assert!(!budget.charge(&read(6000)));
        assert!(!budget.charge(&read(1)), "one byte costs a page, and less than one is left");
        assert_eq!(budget.earned(), 6000 + 4096, "what the budget does not cover earns nothing");
    }

    #[test]
    fn log_lines_and_progress_never_count() {
        let budget = budget(1 << 30, 1 << 30);
        assert!(!budget.charge(&Command::Log { window: 0, length: 1 }));
        assert!(!budget.charge(&Command::Progress { done: 1, total: 2 }));
        assert_eq!(budget.earned(), 0);
    }

    #[test]
    fn a_sync_counts_once_after_a_write() {
        let budget = budget(0, 1 << 20);
        assert!(!budget.charge(&Command::Flush { device: 0 }));
        assert!(budget.charge(&write(512)));
        assert!(budget.charge(&Command::Flush { device: 0 }));
        assert!(!budget.charge(&Command::Flush { device: 0 }));
    }

    #[test]
    fn writes_count_up_to_twice_the_output_and_some_metadata() {
        let budget = budget(0, 1 << 20);
        assert!(budget.charge(&write((2 << 20) + BASE)));
        assert!(!budget.charge(&write(1)));
    }
}
