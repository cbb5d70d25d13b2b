//! Internal snapshots: taken, gone back to, removed (qcow2.txt "Snapshots").

use alloc::vec::Vec;

use super::allocate::Change;
use super::{COPIED, Editor};
use crate::arith::{PowerOfTwo, SECTOR, to_u64, to_usize};
use crate::edit::{EditTarget, Time};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::qcow2::header::{MAX_L1_BYTES, MAX_SNAPSHOTS};
use crate::qcow2::{Snapshot, l1, snapshot};
use crate::source::{ByteSource, SourceError};
use crate::staged_file::StagedFile;
use crate::structure::Built;
use crate::structures::qcow2::{header, snapshot as fields, snapshot_extra};

/// Entries of the snapshot table begin at multiples of this.
const ALIGNMENT: PowerOfTwo = PowerOfTwo::from_bits(3);
/// QEMU's buffer for a name holds 256 bytes with the terminator.
const MAX_NAME: usize = 255;
/// Extra data of a new entry: size of the VM state, size of the disk, instructions.
const EXTRA_BYTES: u32 = 24;

/// A snapshot with the bytes of its entry.
pub(super) struct Entry {
    snapshot: Snapshot,
    bytes: Vec<u8>,
}

/// Reads of a file with changes.
pub(super) struct Reads<'a, T>(pub &'a mut StagedFile<T>);

impl<T: EditTarget> ByteSource for Reads<'_, T> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.0
            .read(offset, buffer)
            .map_err(|_| SourceError::Failed { code: 0 })
    }
}

impl<T: EditTarget> Editor<T> {
    /// All snapshots, in the order of the table.
    pub(super) fn entries(&mut self) -> Result<Vec<Entry>, FormatError> {
        let device = self.file.device();
        let mut cache = MetadataCache::new(Reads(&mut self.file), device, 4);
        let mut walk = snapshot::Walk::new(&self.header, SECTOR.round_down(self.header.size));
        let mut entries = Vec::new();
        loop {
            let start = ALIGNMENT.round_up(walk.position()).unwrap_or(u64::MAX);
            let Some(snapshot) = walk.next(&mut cache, true)? else {
                return Ok(entries);
            };
            let length = walk.position().saturating_sub(start);
            let bytes = cache.read_vec(start, to_usize(length))?;
            entries.push(Entry { snapshot, bytes });
        }
    }

    /// Bytes that the snapshot table takes.
    fn table_length(entries: &[Entry]) -> u64 {
        entries.iter().fold(0, |length, entry| {
            let start = ALIGNMENT.round_up(length).unwrap_or(u64::MAX);
            start.saturating_add(to_u64(entry.bytes.len()))
        })
    }

    /// Puts a snapshot table into the place of the one that there is; nothing of what they name is touched.
    fn put_table(&mut self, old: &[Entry], new: &[&[u8]]) -> Result<(), FormatError> {
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        if u64::from(count) > MAX_SNAPSHOTS {
            return Err(self.unsupported("it has as many snapshots as can be"));
        }
        let mut bytes = Vec::new();
        for entry in new {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes.extend_from_slice(entry);
        }
        let old_offset = self.header.snapshot_table_offset;
        let offset = self.new_table(&bytes)?;
        self.file.flush()?;
        // Both stand in one sector.
        let mut fields = Vec::from(count.to_be_bytes());
        fields.extend_from_slice(&offset.to_be_bytes());
        self.file.write(header::NB_SNAPSHOTS.place(0), &fields)?;
        self.header.snapshot_count.value = count;
        self.header.snapshot_table_offset = offset;
        self.file.flush()?;
        self.free(old_offset, Self::table_length(old))
    }

    fn refuse_data_file(&self) -> Result<(), FormatError> {
        if self.header.has_data_file() {
            let what = "an image with an external data file has no snapshots";
            return Err(self.unsupported(what));
        }
        Ok(())
    }

    /// Takes a snapshot of the disk.
    pub(super) fn create_snapshot(&mut self, name: &[u8], time: Time) -> Result<(), FormatError> {
        self.refuse_data_file()?;
        let entries = self.entries()?;
        let name = name.get(..MAX_NAME).unwrap_or(name);
        let active = self.read_l1(self.header.l1_table_offset, self.header.l1_entries)?;
        self.count_l1(&active, Change::More)?;
        let copy: Vec<u64> = active.iter().map(|entry| entry & !COPIED).collect();
        let l1_offset = self.new_l1(&copy)?;
        self.file.flush()?;
        self.mark_copied()?;
        self.file.flush()?;
        let id = alloc::format!("{}", next_id(&entries));
        let size = self.header.size;
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let head = Built::new(fields::BYTES)
            .put(fields::L1_TABLE_OFFSET, l1_offset)
            .put(
                fields::L1_SIZE,
                u32::try_from(copy.len()).unwrap_or(u32::MAX),
            )
            .put(fields::ID_STR_SIZE, length(id.as_bytes()))
            .put(fields::NAME_SIZE, length(name))
            .put(
                fields::DATE_SEC,
                u32::try_from(time.seconds).unwrap_or(u32::MAX),
            )
            .put(fields::DATE_NSEC, time.nanoseconds)
            .put(fields::EXTRA_DATA_SIZE, EXTRA_BYTES);
        let extra = Built::new(snapshot_extra::BYTES).put(snapshot_extra::DISK_SIZE, size);
        let entry = [&head.done(), &extra.done(), id.as_bytes(), name].concat();
        let mut table: Vec<&[u8]> = entries.iter().map(|known| &known.bytes[..]).collect();
        table.push(&entry);
        self.put_table(&entries, &table)
    }

    /// Removes the first snapshot of a name.
    pub(super) fn delete_snapshot(&mut self, name: &[u8]) -> Result<(), FormatError> {
        let entries = self.entries()?;
        let named = |entry: &Entry| entry.snapshot.name == name;
        let Some(index) = entries.iter().position(named) else {
            return Err(self.missing(name));
        };
        let (offset, l1) = self.l1_of(entries.get(index))?;
        let kept = entries.iter().enumerate();
        let kept = kept.filter(|(other, _)| *other != index);
        let table: Vec<&[u8]> = kept.map(|(_, entry)| &entry.bytes[..]).collect();
        self.put_table(&entries, &table)?;
        self.count_l1(&l1, Change::Less)?;
        self.free(offset, to_u64(l1.len()).saturating_mul(l1::ENTRY_BYTES))?;
        self.file.flush()?;
        self.mark_copied()
    }

    /// Makes the disk what it was when a snapshot was taken, its size included.
    pub(super) fn apply_snapshot(&mut self, name: &[u8]) -> Result<(), FormatError> {
        self.refuse_data_file()?;
        if self.extensions.bitmaps.is_some() {
            let what =
                "it has bitmaps, which would not be true of another content; remove them first";
            return Err(self.unsupported(what));
        }
        let entries = self.entries()?;
        let by_id = |entry: &&Entry| entry.snapshot.id == name;
        let by_name = |entry: &&Entry| entry.snapshot.name == name;
        let chosen = entries.iter().find(by_id);
        let chosen = chosen.or_else(|| entries.iter().find(by_name));
        let Some(Entry { snapshot, .. }) = chosen else {
            return Err(self.missing(name));
        };
        let size = snapshot.disk_size;
        let (_, mut l1) = self.l1_of(chosen)?;
        let needed = self.header.l1_span().count_for(size);
        if to_u64(l1.len()) < needed {
            let found = to_u64(l1.len());
            return Err(self.repair_first("snapshot's l1_size", 0, found));
        }
        self.count_l1(&l1, Change::More)?;
        l1.iter_mut().for_each(|entry| *entry &= !COPIED);
        let offset = self.new_l1(&l1)?;
        let old_offset = self.header.l1_table_offset;
        let old = self.read_l1(old_offset, self.header.l1_entries)?;
        self.file.flush()?;
        self.put_active_l1(offset, to_u64(l1.len()))?;
        self.put_size(size)?;
        self.file.flush()?;
        self.count_l1(&old, Change::Less)?;
        self.free(
            old_offset,
            to_u64(old.len()).saturating_mul(l1::ENTRY_BYTES),
        )?;
        self.file.flush()?;
        self.mark_copied()
    }

    /// Where the L1 table of a snapshot lies, and its entries.
    pub(super) fn l1_of(&mut self, entry: Option<&Entry>) -> Result<(u64, Vec<u64>), FormatError> {
        let found = entry.map(|entry| (entry.snapshot.l1_table_offset, entry.snapshot.l1_entries));
        let (offset, entries) = found.unwrap_or_default();
        let entries = u64::from(entries);
        let bytes = entries.saturating_mul(l1::ENTRY_BYTES);
        let cluster = self.header.cluster;
        let last = cluster.count_for(offset.saturating_add(bytes));
        if bytes > MAX_L1_BYTES || !cluster.is_aligned(offset) || last > self.end {
            return Err(self.repair_first("snapshot's l1_table_offset", 0, offset));
        }
        Ok((offset, self.read_l1(offset, entries)?))
    }

    fn missing(&self, name: &[u8]) -> FormatError {
        let expected = Expected::Sentence("the id or the name of a snapshot in the image");
        let device = self.file.device();
        FormatError::new(ErrorKind::SnapshotMissing, device, "", 0, 0, expected).with_text(name)
    }
}

/// One more than the largest id that is a number.
fn next_id(entries: &[Entry]) -> u64 {
    let number = |entry: &Entry| {
        let digits = entry.snapshot.id.iter();
        let digits = digits.take_while(|byte| byte.is_ascii_digit());
        digits.fold(0_u64, |value, digit| {
            let digit = u64::from(digit.wrapping_sub(b'0'));
            value.saturating_mul(10).saturating_add(digit)
        })
    };
    let largest = entries.iter().map(number).max().unwrap_or(0);
    largest.saturating_add(1)
}
