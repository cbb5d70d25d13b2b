//! Content of the disk that is written, a cluster at a time.

use alloc::vec::Vec;

use super::allocate::Change;
use super::references::descriptor;
use super::replace::Replaced;
use super::{COMPRESSED, COPIED, Editor, OFFSET, ZERO, keep_of};
use crate::arith::{SECTOR, to_u64};
use crate::edit::{DiskWriter, EditTarget, Edited};
use crate::error::FormatError;
use crate::extent::Codec;
use crate::facts::Identity;
use crate::qcow2::{Encryption, compressed, l1};
use crate::source::DeviceIndex;

/// Subclusters of an extended L2 entry that are all in the file, and that all read as zeros.
pub(super) const ALL_ALLOCATED: u64 = 0x0000_0000_ffff_ffff;
const ALL_ZERO: u64 = 0xffff_ffff_0000_0000;

/// Where a cluster of the disk is written.
struct Place {
    host: u64,
    /// Where its entry stands, and what that was.
    at: u64,
    entry: u64,
    /// It was taken for this.
    is_new: bool,
}

impl<T: EditTarget> Editor<T> {
    /// The L2 table of a cluster of the disk, of which nothing but the active state knows.
    fn own_table(&mut self, number: u64) -> Result<u64, FormatError> {
        let cluster = self.header.cluster;
        let start = cluster.times(number).unwrap_or(u64::MAX);
        let index = self.header.l1_span().index_of(start);
        if index >= self.header.l1_entries {
            return Err(self.repair_first("l1_size", 36, self.header.l1_entries));
        }
        let at = index.saturating_mul(l1::ENTRY_BYTES);
        let at = self.header.l1_table_offset.saturating_add(at);
        let entry = self.file.be64(at)?;
        let old = self.table_in(at, entry)?;
        if let Some(table) = old
            && self.refcount(cluster.index_of(table))? == 1
        {
            return Ok(table);
        }
        let bytes = match old {
            Some(table) => self.file.read_vec(table, cluster.size())?,
            None => crate::staged_file::zeros(self.file.device(), at, cluster.size())?,
        };
        let mut bytes = bytes;
        // What both tables name from now on is nobody's own.
        for chunk in bytes.chunks_exact_mut(self.header.l2_entry().in_memory()) {
            let entry = descriptor(chunk);
            // In a data file the mark says that there is a place.
            if entry & COMPRESSED == 0
                && !self.header.has_data_file()
                && let Some(place) = chunk.first_chunk_mut()
            {
                *place = (entry & !COPIED).to_be_bytes();
            }
        }
        let table = self.new_table(&bytes)?;
        if let Some(old) = old {
            // The reference of the active state to what is named goes from the old table to the new one.
            self.free(old, cluster.size())?;
        }
        self.put_be64(at, table | COPIED)?;
        Ok(table)
    }

    /// Where the entry of a cluster stands, and what it is.
    pub(super) fn own_entry(&mut self, number: u64) -> Result<(u64, u64), FormatError> {
        let table = self.own_table(number)?;
        let size = to_u64(self.entry_size());
        let per_table = self
            .header
            .cluster
            .size()
            .wrapping_shr(self.header.l2_entry().bits());
        let within = number.checked_rem(per_table).unwrap_or(0);
        let at = table.saturating_add(within.saturating_mul(size));
        Ok((at, self.file.be64(at)?))
    }

    fn put_entry(&mut self, at: u64, entry: u64, bitmap: u64) -> Result<(), FormatError> {
        self.put_be64(at, entry)?;
        if self.header.has_extended_l2() {
            self.put_be64(at.saturating_add(8), bitmap)?;
        }
        Ok(())
    }

    /// Where what an entry names lies, if nothing else lies there.
    pub(super) fn place_alone(&mut self, entry: u64) -> Result<Option<u64>, FormatError> {
        let cluster = self.header.cluster;
        let host = entry & OFFSET;
        let alone = entry & COMPRESSED == 0
            && host != 0
            && cluster.is_aligned(host)
            && self.refcount(cluster.index_of(host))? == 1;
        Ok(alone.then_some(host))
    }

    /// Where a cluster of the disk lies as a whole, if nothing else lies there.
    fn own_place(&mut self, number: u64) -> Result<Option<u64>, FormatError> {
        let (at, entry) = self.own_entry(number)?;
        let whole = if self.header.has_extended_l2() {
            self.file.be64(at.saturating_add(8))? == ALL_ALLOCATED
        } else {
            entry & ZERO == 0
        };
        if whole {
            self.place_alone(entry)
        } else {
            Ok(None)
        }
    }

    /// Writes the content of a cluster of the disk.
    fn write_cluster(&mut self, number: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let (at, entry) = self.own_entry(number)?;
        if self.data.is_some() {
            let place = self.write_in_data((at, entry), number, bytes)?;
            return self.put_entry(at, place | COPIED, ALL_ALLOCATED);
        }
        if let Some(host) = self.place_to_overwrite(entry)? {
            self.write_content(host, number, bytes)?;
            return self.put_entry(at, host | COPIED, ALL_ALLOCATED);
        }
        let place = self.allocate(1)?;
        self.write_content(place, number, bytes)?;
        self.put_entry(at, place | COPIED, ALL_ALLOCATED)?;
        self.leave(at, entry)
    }

    /// Copies the content of whole clusters, the first of which is `number`, from another file: of those at the beginning that lie, or
    /// come to lie, one behind the other. Returns how many bytes these are; 0 where nothing can be copied.
    fn copy_clusters(
        &mut self,
        number: u64,
        length: u64,
        from: (DeviceIndex, u64),
    ) -> Result<u64, FormatError> {
        let cluster = self.header.cluster;
        let mut places: Vec<Place> = Vec::new();
        let mut done = 0_u64;
        while done.saturating_add(cluster.size()) <= length {
            let (at, entry) = self.own_entry(number.saturating_add(cluster.index_of(done)))?;
            let alone = self.place_to_overwrite(entry)?;
            let next = places
                .last()
                .map(|place| place.host.saturating_add(cluster.size()));
            if alone.is_some_and(|host| next.is_some_and(|next| host != next)) {
                break;
            }
            let host = match alone {
                Some(host) => host,
                None => self.allocate(1)?,
            };
            if next.is_some_and(|next| host != next) {
                self.free(host, cluster.size())?;
                break;
            }
            let is_new = alone.is_none();
            places.push(Place {
                host,
                at,
                entry,
                is_new,
            });
            done = done.saturating_add(cluster.size());
        }
        let Some(first) = places.first() else {
            return Ok(0);
        };
        let copied = self.file.copy_through(first.host, done, from)?;
        for place in &places {
            if copied {
                self.put_entry(place.at, place.host | COPIED, ALL_ALLOCATED)?;
                if place.is_new {
                    self.leave(place.at, place.entry)?;
                }
            } else if place.is_new {
                self.free(place.host, cluster.size())?;
            }
        }
        Ok(if copied { done } else { 0 })
    }

    /// Writes content of a cluster of the disk to its place, encrypted where the image is.
    fn write_content(&mut self, host: u64, number: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let disk = self.header.cluster.times(number).unwrap_or(u64::MAX);
        let encrypted = self.encrypted(host, disk, bytes)?;
        self.file
            .write_through(host, encrypted.as_deref().unwrap_or(bytes))
    }

    /// Makes a cluster of the disk read as zeros.
    pub(super) fn zero_cluster(&mut self, number: u64) -> Result<(), FormatError> {
        let has_backing = self.header.backing_name_offset.value != 0;
        if self.header.version < 3 && has_backing {
            let size = self.header.cluster.size();
            let zeros = crate::staged_file::zeros(self.file.device(), 0, size)?;
            return self.write_cluster(number, &zeros);
        }
        let (at, entry) = self.own_entry(number)?;
        let zero = match (self.header.version, self.header.has_extended_l2()) {
            (3, false) => ZERO,
            _ => 0,
        };
        if self.data.is_some() {
            // The last one may reach behind the disk.
            let start = self.offset_of(number)?;
            let length = self.header.size.saturating_sub(start);
            let length = length.min(self.header.cluster.size());
            self.zero_in_data(at, number, entry, length)?;
        }
        self.put_entry(at, zero, ALL_ZERO)?;
        self.leave(at, entry)
    }
}

impl<T: EditTarget> Editor<T> {
    /// Gives every cluster of a part of the disk that has no place in the file one; it reads as zeros.
    pub(super) fn preallocate(&mut self, from: u64, to: u64) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        for number in cluster.index_of(from)..cluster.count_for(to) {
            let (at, entry) = self.own_entry(number)?;
            // In a data file offset 0 is a place like others.
            let is_empty = entry & (COMPRESSED | OFFSET) == 0
                && !(self.header.has_data_file() && entry & COPIED != 0);
            let starts_behind = cluster.times(number).is_some_and(|start| start >= from);
            if !is_empty || !starts_behind {
                continue;
            }
            if self.header.has_data_file() {
                self.place_in_data_file(at, number)?;
                continue;
            }
            if self.header.version < 3 {
                let zeros = crate::staged_file::zeros(self.file.device(), at, cluster.size())?;
                self.write_cluster(number, &zeros)?;
                continue;
            }
            let place = self.allocate(1)?;
            let zero = if self.header.has_extended_l2() {
                0
            } else {
                ZERO
            };
            self.put_entry(at, place | COPIED | zero, ALL_ZERO)?;
        }
        // Zeros behind the end of the file are in it as well.
        let last = self.offset_of(self.end)?.saturating_sub(1);
        if last >= self.file.size() {
            self.file.write(last, &[0])?;
        }
        self.file.flush()
    }

    /// Gives a cluster whose entry stands at `at` its place in the data file, which is the one that it has on the disk. A raw data
    /// file is the disk, so that it shows what is there; any other cluster reads as zeros.
    fn place_in_data_file(&mut self, at: u64, number: u64) -> Result<(), FormatError> {
        let place = self.offset_of(number)?;
        let shows = self.header.is_data_file_raw() && self.header.encryption == Encryption::None;
        let zero = if shows || self.header.has_extended_l2() {
            0
        } else {
            ZERO
        };
        let subclusters = if shows { ALL_ALLOCATED } else { ALL_ZERO };
        self.put_entry(at, place | COPIED | zero, subclusters)
    }
}

/// Where the next compressed cluster may begin, and the end of the cluster of the file in which that is (byte offsets).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packed {
    next: u64,
    end: u64,
}

/// Writes the disk of a qcow2 image.
pub(super) struct Writer<T> {
    pub editor: Editor<T>,
    pub packed: Packed,
    /// Where the cluster lies that was kept last, before a part of it was written.
    pub kept: Option<u64>,
}

impl<T: EditTarget> Writer<T> {
    /// Takes room for a stream behind the last one. Returns its offset.
    fn room_for(&mut self, length: u64) -> Result<u64, FormatError> {
        let cluster = self.editor.header.cluster;
        let Packed { next, end } = self.packed;
        let room = end.saturating_sub(next);
        // A cluster whose refcount can count no further stream is left.
        let shared = room > 0 && self.editor.can_count_more(cluster.index_of(next))?;
        if shared && length <= room {
            self.editor.count(0, next, length, Change::More)?;
            self.packed.next = next.saturating_add(length);
            return Ok(next);
        }
        let place = self.editor.allocate(1)?;
        let offset = if shared && place == end {
            self.editor.count(0, next, room, Change::More)?;
            next
        } else {
            place
        };
        self.packed = Packed {
            next: offset.saturating_add(length),
            end: place.saturating_add(cluster.size()),
        };
        Ok(offset)
    }
}

impl<T: EditTarget> DiskWriter for Writer<T> {
    fn unit(&self) -> u64 {
        self.editor.header.cluster.size()
    }

    fn virtual_size(&self) -> u64 {
        SECTOR.round_down(self.editor.header.size)
    }

    fn replace(&mut self) {
        // What lies in a data file has the places of the disk, or of none that is counted.
        if !self.editor.header.has_data_file() {
            self.editor.replaced = Some(Replaced::default());
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let cluster = self.editor.header.cluster;
        let number = cluster.index_of(offset);
        if bytes.len() == cluster.in_memory() {
            return self.editor.write_cluster(number, bytes);
        }
        // The disk ends within its last cluster.
        let size = cluster.size();
        let mut whole = crate::staged_file::zeros(self.editor.file.device(), offset, size)?;
        if let Some(head) = whole.get_mut(..bytes.len()) {
            head.copy_from_slice(bytes);
        }
        self.editor.write_cluster(number, &whole)?;
        self.editor.padded = Some(number);
        Ok(())
    }

    fn copy(
        &mut self,
        offset: u64,
        length: u64,
        from: (DeviceIndex, u64),
    ) -> Result<u64, FormatError> {
        if self.editor.header.encryption != Encryption::None || self.editor.header.has_data_file() {
            return Ok(0);
        }
        let number = self.editor.header.cluster.index_of(offset);
        self.editor.copy_clusters(number, length, from)
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, FormatError> {
        let cluster = self.editor.header.cluster;
        let within = cluster.offset_within(offset);
        let ends = [offset, offset.saturating_add(to_u64(bytes.len()))];
        if self.editor.header.encryption != Encryption::None
            && ends.iter().any(|end| !SECTOR.is_aligned(*end))
        {
            let what = "parts of the sectors of an encrypted image are not written";
            return Err(self.editor.unsupported(what));
        }
        let number = cluster.index_of(offset);
        let place = match self.editor.data {
            Some(_) => self.editor.whole_in_data(number)?,
            None => self.editor.own_place(number)?,
        };
        let Some(place) = place else {
            return Ok(false);
        };
        if self.kept != Some(place) {
            match &mut self.editor.data {
                Some(data) => data.preserve(place, cluster.size())?,
                None => self.editor.file.preserve(place, cluster.size())?,
            }
            self.kept = Some(place);
        }
        let at = place.saturating_add(within);
        let encrypted = self.editor.encrypted(at, offset, bytes)?;
        let bytes = encrypted.as_deref().unwrap_or(bytes);
        match &mut self.editor.data {
            Some(data) => data.write(at, bytes)?,
            None => self.editor.file.write_through(at, bytes)?,
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        self.editor.flush_all()
    }

    fn codec(&self) -> Option<Codec> {
        // What is compressed in an encrypted image is in the clear, and a data file has no compressed clusters.
        let takes_streams =
            self.editor.header.encryption == Encryption::None && self.editor.data.is_none();
        takes_streams.then_some(self.editor.header.compression)
    }

    fn write_packed(&mut self, offset: u64, stream: &[u8]) -> Result<bool, FormatError> {
        let cluster = self.editor.header.cluster;
        let length = to_u64(stream.len());
        if self.codec().is_none() || length == 0 || length >= cluster.size() {
            return Ok(false);
        }
        // Wherever it lies, its length fits; how far it may lie, the entry says.
        let (at, old) = self.editor.own_entry(cluster.index_of(offset))?;
        let most = self.editor.offset_of(self.editor.end.saturating_add(2))?;
        if compressed::encode(most, length, cluster).is_none() {
            return Ok(false);
        }
        let place = self.room_for(length)?;
        let Some(entry) = compressed::encode(place, length, cluster) else {
            return Err(self.editor.repair_first("compressed cluster", at, place));
        };
        self.editor.file.write_through(place, stream)?;
        self.editor.put_entry(at, entry, 0)?;
        self.editor.leave(at, old)?;
        Ok(true)
    }

    fn zero(&mut self, offset: u64, _: u64) -> Result<(), FormatError> {
        let number = self.editor.header.cluster.index_of(offset);
        self.editor.zero_cluster(number)?;
        self.editor.padded = Some(number);
        Ok(())
    }

    fn set_backing(
        &mut self,
        name: &[u8],
        format: &[u8],
        _: Option<Identity>,
    ) -> Result<(), FormatError> {
        self.editor.flush_all()?;
        self.editor.set_backing(name, format)
    }

    fn grow(&mut self, size: u64, preallocate: bool) -> Result<(), FormatError> {
        let before = self.editor.header.size;
        if let Some(data) = &mut self.editor.data {
            data.reach(size)?;
        }
        self.editor.resize(size, false)?;
        // What a raw data file gets is the disk's at once: with no place in it that would read as zeros, whatever it holds.
        if preallocate || self.editor.header.is_data_file_raw() {
            self.editor.preallocate(before, size)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Edited, FormatError> {
        // Whole sectors belong to the last stream.
        let end = SECTOR.round_up(self.packed.next).unwrap_or(0);
        if end > self.editor.file.size() {
            self.editor.file.write(end.saturating_sub(1), &[0])?;
        }
        self.editor.flush_all()?;
        self.editor.free_replaced()?;
        Ok(Edited {
            file_length: keep_of(&self.editor),
            virtual_size: self.virtual_size(),
            ..Edited::default()
        })
    }
}
