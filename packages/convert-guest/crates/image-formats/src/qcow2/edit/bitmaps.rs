//! Persistent bitmaps: added, removed, cleared, enabled, disabled, merged (qcow2.txt "Bitmaps").

use alloc::vec::Vec;

use super::Editor;
use super::snapshots::Reads;
use crate::arith::{PowerOfTwo, SECTOR, to_u64, to_usize};
use crate::edit::{BitmapEdit, EditTarget, OtherBitmaps, Take};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::qcow2::bitmap_bits::{ALL_ONES, BitLayout, CLUSTER, ENTRY_BYTES};
use crate::qcow2::{Bitmap, bitmap, extensions, features};
use crate::structure::{Be, Built, Stored, put};
use crate::structures::qcow2::{bitmap_entry, bitmaps_extension, header};

const ALIGNMENT: PowerOfTwo = PowerOfTwo::from_bits(3);
const FLAG_AUTO: u32 = 1 << 1;
const TYPE_DIRTY_TRACKING: u8 = 1;
const MOST_NAME: usize = 1023;
const MOST_BITMAPS: usize = 65535;
/// Default granularity: that of the clusters, within these.
const GRANULARITIES: (u32, u32) = (12, 16);

const NOT_SAVED: &str = "the bitmap was not saved properly, and can only be removed";

/// A bitmap with the bytes of its entry.
pub(super) struct Entry {
    pub bitmap: Bitmap,
    pub bytes: Vec<u8>,
}

impl<T: EditTarget> Editor<T> {
    /// All bitmaps, in the order of the directory.
    pub(super) fn bitmap_entries(&mut self) -> Result<Vec<Entry>, FormatError> {
        let Some(directory) = self.extensions.bitmaps else {
            return Ok(Vec::new());
        };
        let device = self.file.device();
        let size = SECTOR.round_down(self.header.size);
        let mut cache = MetadataCache::new(Reads(&mut self.file), device, 4);
        let mut walk = bitmap::Walk::new(directory);
        let mut entries = Vec::new();
        loop {
            let start = walk.position();
            let Some(bitmap) = walk.next(&mut cache, &self.header, size, true)? else {
                return Ok(entries);
            };
            let length = walk.position().saturating_sub(start);
            let bytes = cache.read_vec(start, to_usize(length))?;
            entries.push(Entry { bitmap, bytes });
        }
    }

    /// Carries out what is asked of the bitmap `name`.
    pub(super) fn edit_bitmap(
        &mut self,
        name: &[u8],
        edit: BitmapEdit<'_>,
    ) -> Result<(), FormatError> {
        if self.header.version < 3 {
            return Err(self.unsupported("images of version 2 have no bitmaps"));
        }
        let mut entries = self.bitmap_entries()?;
        let index = entries.iter().position(|entry| entry.bitmap.name == name);
        if let BitmapEdit::Add { granularity_bits } = edit {
            if index.is_some() {
                return Err(self.bitmap_error(ErrorKind::BitmapExists, name));
            }
            let entry = self.new_bitmap(name, granularity_bits)?;
            entries.push(entry);
            return self.put_directory(&entries);
        }
        let Some(index) = index else {
            return Err(self.bitmap_error(ErrorKind::BitmapMissing, name));
        };
        let chosen = |entries: &[Entry]| entries.get(index).map(|entry| entry.bitmap.clone());
        let Some(bitmap) = chosen(&entries) else {
            return Err(self.bitmap_error(ErrorKind::BitmapMissing, name));
        };
        if bitmap.in_use && edit != BitmapEdit::Remove {
            return Err(self.unsupported(NOT_SAVED));
        }
        match edit {
            BitmapEdit::Remove => {
                entries.remove(index);
                self.put_directory(&entries)?;
                self.file.flush()?;
                self.free_bits(&bitmap)?;
                let table = u64::from(bitmap.table_entries).saturating_mul(ENTRY_BYTES);
                self.free(bitmap.table_offset, table)
            }
            BitmapEdit::Clear => {
                let table = u64::from(bitmap.table_entries).saturating_mul(ENTRY_BYTES);
                let old = self.file.read_vec(bitmap.table_offset, table)?;
                let zeros = crate::staged_file::zeros(self.file.device(), 0, table)?;
                self.file.write(bitmap.table_offset, &zeros)?;
                self.file.flush()?;
                self.free_entries(&old)
            }
            BitmapEdit::Record(records) => {
                if let Some(entry) = entries.get_mut(index) {
                    set_auto(&mut entry.bytes, records);
                }
                self.put_directory(&entries)
            }
            BitmapEdit::Merge(other) => {
                let other_index = entries.iter().position(|entry| entry.bitmap.name == other);
                let Some(source) = other_index.and_then(|index| entries.get(index)) else {
                    return Err(self.bitmap_error(ErrorKind::BitmapMissing, other));
                };
                let source = source.bitmap.clone();
                if source.in_use {
                    return Err(self.unsupported(NOT_SAVED));
                }
                self.merge_bits(&bitmap, &source)
            }
            BitmapEdit::Add { .. } => Ok(()),
        }
    }

    pub(super) fn bitmap_error(&self, kind: ErrorKind, name: &[u8]) -> FormatError {
        let expected = Expected::Sentence("another name");
        FormatError::new(kind, self.file.device(), "", 0, 0, expected).with_text(name)
    }

    fn new_bitmap(&mut self, name: &[u8], bits: Option<u8>) -> Result<Entry, FormatError> {
        if name.is_empty() || name.len() > MOST_NAME {
            return Err(self.unsupported("a bitmap has a name of 1 to 1023 bytes"));
        }
        let (least, most) = GRANULARITIES;
        let default = self.header.cluster.bits().clamp(least, most);
        let bits = bits.map_or(default, u32::from);
        if !(9..=31).contains(&bits) {
            return Err(self.unsupported("a bit stands for 512 bytes to 2 GiB"));
        }
        let size = SECTOR.round_down(self.header.size);
        let count = self.table_entries(size, bits);
        let table =
            crate::staged_file::zeros(self.file.device(), 0, count.saturating_mul(ENTRY_BYTES))?;
        let offset = self.new_table(&table)?;
        let count = u32::try_from(count)
            .map_err(|_| self.unsupported("a bitmap of this granularity would be too large"))?;
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&FLAG_AUTO.to_be_bytes());
        bytes.push(TYPE_DIRTY_TRACKING);
        bytes.push(u8::try_from(bits).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&0_u32.to_be_bytes());
        bytes.extend_from_slice(name);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let bitmap = Bitmap {
            name: name.to_vec(),
            granularity: PowerOfTwo::from_bits(bits).size(),
            in_use: false,
            auto: true,
            table_offset: offset,
            table_entries: count,
        };
        Ok(Entry { bitmap, bytes })
    }

    /// Entries of the table of a bitmap: one for each cluster of bits, at least one.
    pub(super) fn table_entries(&self, size: u64, granularity_bits: u32) -> u64 {
        let bits = PowerOfTwo::from_bits(granularity_bits).count_for(size);
        let bytes = PowerOfTwo::from_bits(3).count_for(bits);
        self.header.cluster.count_for(bytes).max(1)
    }

    /// Puts a directory into the place of the one that there is.
    pub(super) fn put_directory(&mut self, entries: &[Entry]) -> Result<(), FormatError> {
        if entries.len() > MOST_BITMAPS {
            return Err(self.unsupported("it has as many bitmaps as can be"));
        }
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.extend_from_slice(&entry.bytes);
            let padded = ALIGNMENT.round_up(to_u64(bytes.len())).unwrap_or(u64::MAX);
            bytes.resize(to_usize(padded), 0);
        }
        let offset = self.new_table(&bytes)?;
        self.file.flush()?;
        let mut cluster = self.read_header_cluster()?;
        let autoclear = self.header.autoclear.value;
        let (extension, autoclear) = if entries.is_empty() {
            (None, autoclear & !features::AUTOCLEAR_BITMAPS)
        } else {
            let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let extension = Built::new(bitmaps_extension::BYTES)
                .put(bitmaps_extension::NB_BITMAPS, count)
                .put(
                    bitmaps_extension::BITMAP_DIRECTORY_SIZE,
                    to_u64(bytes.len()),
                )
                .put(bitmaps_extension::BITMAP_DIRECTORY_OFFSET, offset)
                .done();
            (Some(extension), autoclear | features::AUTOCLEAR_BITMAPS)
        };
        cluster.set_extension(extensions::BITMAPS, extension);
        cluster.put(header::AUTOCLEAR_FEATURES, autoclear);
        self.write_header_cluster(cluster)?;
        self.header.autoclear.value = autoclear;
        self.file.flush()?;
        if let Some(old) = self.extensions.bitmaps.take() {
            self.free(old.offset, old.length.value)?;
        }
        self.reread_extensions()
    }

    /// Gives all bitmaps the length that a disk of `size` bytes needs. What is new of them is not set.
    pub(super) fn resize_bitmaps(&mut self, size: u64) -> Result<(), FormatError> {
        let mut entries = self.bitmap_entries()?;
        if entries.iter().any(|entry| entry.bitmap.in_use) {
            let what = "a bitmap was not saved properly; remove it first";
            return Err(self.unsupported(what));
        }
        let mut dropped = Vec::new();
        for entry in &mut entries {
            let bits = entry.bitmap.granularity.trailing_zeros();
            let count = self.table_entries(size, bits);
            let old_count = u64::from(entry.bitmap.table_entries);
            let old_offset = entry.bitmap.table_offset;
            let old_length = old_count.saturating_mul(ENTRY_BYTES);
            let mut table = self.file.read_vec(old_offset, old_length)?;
            let length = to_usize(count.saturating_mul(ENTRY_BYTES));
            if length < table.len() {
                dropped.push((0, 0, table.split_off(length)));
            }
            self.clear_behind(&table, PowerOfTwo::from_bits(bits).count_for(size))?;
            if count == old_count {
                continue;
            }
            table.resize(length, 0);
            let offset = self.new_table(&table)?;
            let count = u32::try_from(count)
                .map_err(|_| self.unsupported("its bitmaps would be too large"))?;
            let mut fields = Vec::from(offset.to_be_bytes());
            fields.extend_from_slice(&count.to_be_bytes());
            if let Some(place) = entry.bytes.get_mut(..fields.len()) {
                place.copy_from_slice(&fields);
            }
            dropped.push((old_offset, old_length, Vec::new()));
        }
        if dropped.is_empty() {
            return Ok(());
        }
        self.put_directory(&entries)?;
        self.file.flush()?;
        for (offset, length, table) in dropped {
            self.free(offset, length)?;
            self.free_entries(&table)?;
        }
        Ok(())
    }

    /// Clears what a table has of bits from the number `count` on.
    fn clear_behind(&mut self, table: &[u8], count: u64) -> Result<(), FormatError> {
        let cluster = self.header.cluster;
        let per_cluster = cluster.size().saturating_mul(8);
        let (entries, _) = table.as_chunks::<8>();
        let index = count.checked_div(per_cluster).unwrap_or(0);
        let entry = entries.get(to_usize(index)).copied().unwrap_or_default();
        let offset = u64::from_be_bytes(entry) & CLUSTER;
        if offset == 0 {
            return Ok(());
        }
        let first = count.saturating_sub(index.saturating_mul(per_cluster));
        let byte = first / 8;
        let place = offset.saturating_add(byte);
        let mut bits = self
            .file
            .read_vec(place, cluster.size().saturating_sub(byte))?;
        let kept = u32::try_from(first % 8).unwrap_or(0);
        for (index, bits) in bits.iter_mut().enumerate() {
            let mask = if index == 0 { kept } else { 0 };
            *bits &= 1_u8.wrapping_shl(mask).wrapping_sub(1);
        }
        self.file.write(place, &bits)
    }

    /// Takes over what the extensions say now.
    fn reread_extensions(&mut self) -> Result<(), FormatError> {
        let device = self.file.device();
        let mut cache = MetadataCache::new(Reads(&mut self.file), device, 2);
        self.extensions = extensions::Extensions::read(&mut cache, &self.header)?;
        Ok(())
    }

    fn free_bits(&mut self, bitmap: &Bitmap) -> Result<(), FormatError> {
        let length = u64::from(bitmap.table_entries).saturating_mul(ENTRY_BYTES);
        let table = self.file.read_vec(bitmap.table_offset, length)?;
        self.free_entries(&table)
    }

    fn free_entries(&mut self, table: &[u8]) -> Result<(), FormatError> {
        let (entries, _) = table.as_chunks::<8>();
        for entry in entries {
            let offset = u64::from_be_bytes(*entry) & CLUSTER;
            if offset != 0 {
                self.free(offset, self.header.cluster.size())?;
            }
        }
        Ok(())
    }

    /// Sets the bits of `target` that stand for what a bit of `source` stands for.
    fn merge_bits(&mut self, target: &Bitmap, source: &Bitmap) -> Result<(), FormatError> {
        let layout = BitLayout {
            cluster: self.header.cluster,
            size: SECTOR.round_down(self.header.size),
            device: self.file.device(),
        };
        for index in 0..u64::from(source.table_entries) {
            let Some(bits) = layout.bits(&mut Reads(&mut self.file), source, index)? else {
                continue;
            };
            layout.each_range(source, index, &bits, &mut |begin, end| {
                self.set_bits(target, begin, end)
            })?;
        }
        Ok(())
    }

    /// Takes what is wished of the bitmaps of another image.
    pub(super) fn take_bitmaps(
        &mut self,
        other: &mut dyn OtherBitmaps,
        take: Take<'_>,
    ) -> Result<(), FormatError> {
        if self.header.version < 3 {
            return Err(self.unsupported("images of version 2 have no bitmaps"));
        }
        let size = SECTOR.round_down(self.header.size);
        if matches!(take, Take::Bits { .. }) && other.virtual_size() != size {
            return Err(self.unsupported("bitmaps of disks of different sizes do not merge"));
        }
        let theirs = other.list()?;
        match take {
            Take::Bits { from, to } => {
                let Some(source) = theirs.iter().find(|bitmap| bitmap.name == from) else {
                    return Err(self.bitmap_error(ErrorKind::BitmapMissing, from));
                };
                let own = self.bitmap_entries()?;
                let Some(target) = own.iter().find(|entry| entry.bitmap.name == to) else {
                    return Err(self.bitmap_error(ErrorKind::BitmapMissing, to));
                };
                if source.in_use || target.bitmap.in_use {
                    return Err(self.unsupported(NOT_SAVED));
                }
                let target = target.bitmap.clone();
                other.each_range(source, &mut |begin, end| {
                    self.set_bits(&target, begin, end.min(size))
                })
            }
            Take::All { skip_broken } => {
                let mut entries = self.bitmap_entries()?;
                for source in &theirs {
                    if source.in_use && skip_broken {
                        continue;
                    }
                    if source.in_use {
                        return Err(self.unsupported(NOT_SAVED));
                    }
                    if entries.iter().any(|entry| entry.bitmap.name == source.name) {
                        return Err(self.bitmap_error(ErrorKind::BitmapExists, &source.name));
                    }
                    let bits = u8::try_from(source.granularity.trailing_zeros()).ok();
                    let mut entry = self.new_bitmap(&source.name, bits)?;
                    set_auto(&mut entry.bytes, source.auto);
                    let target = entry.bitmap.clone();
                    other.each_range(source, &mut |begin, end| {
                        self.set_bits(&target, begin, end.min(size))
                    })?;
                    entries.push(entry);
                }
                self.put_directory(&entries)
            }
        }
    }

    /// Sets the bits of a bitmap for a range of the disk.
    fn set_bits(&mut self, bitmap: &Bitmap, begin: u64, end: u64) -> Result<(), FormatError> {
        let granularity = PowerOfTwo::from_bits(bitmap.granularity.trailing_zeros());
        let cluster = self.header.cluster;
        let per_cluster = cluster.size().saturating_mul(8);
        let mut bit = granularity.index_of(begin);
        let last = granularity.index_of(end.saturating_sub(1));
        while bit <= last {
            let index = bit.checked_div(per_cluster).unwrap_or(0);
            let behind = index.saturating_add(1).saturating_mul(per_cluster);
            let until = behind.min(last.saturating_add(1));
            let at = bitmap
                .table_offset
                .saturating_add(index.saturating_mul(ENTRY_BYTES));
            let entry = self.file.be64(at)?;
            let mut offset = entry & CLUSTER;
            if offset == 0 && entry & ALL_ONES != 0 {
                bit = until;
                continue;
            }
            if offset == 0 {
                let zeros = crate::staged_file::zeros(self.file.device(), 0, cluster.size())?;
                offset = self.new_table(&zeros)?;
                self.put_be64(at, offset)?;
            }
            let start = index.saturating_mul(per_cluster);
            let (low, high) = (bit.saturating_sub(start), until.saturating_sub(start));
            let first = low / 8;
            let length = high.div_ceil(8).saturating_sub(first);
            let place = offset.saturating_add(first);
            let mut bits = self.file.read_vec(place, length)?;
            for number in low..high {
                let byte = bits.get_mut(to_usize((number / 8).saturating_sub(first)));
                if let Some(byte) = byte {
                    *byte |= 1_u8.wrapping_shl(u32::try_from(number % 8).unwrap_or(0));
                }
            }
            self.file.write(place, &bits)?;
            bit = until;
        }
        Ok(())
    }
}

fn set_auto(entry: &mut [u8], records: bool) {
    let flags = entry.get(bitmap_entry::FLAGS.offset()..);
    let Some(flags) = flags.and_then(<Be<u32> as Stored>::load) else {
        return;
    };
    let flags = if records {
        flags | FLAG_AUTO
    } else {
        flags & !FLAG_AUTO
    };
    put(entry, bitmap_entry::FLAGS, flags);
}
