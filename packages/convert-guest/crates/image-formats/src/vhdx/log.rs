//! The log ([MS-VHDX] 2.3): what was about to be written when the image was left. It is replayed in memory, the file stays
//! as it is.

use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::{ByteSource, DeviceIndex, SourceError};
use crate::structure::{Structure, put};
use crate::structures::vhdx::{log_descriptor, log_entry, log_sector};

use super::crc32c::Crc32c;
use super::header::Header;

/// Unit of the log, of what it changes, and of its entries.
const SECTOR: PowerOfTwo = PowerOfTwo::from_bits(12);
const MEGABYTE: PowerOfTwo = PowerOfTwo::from_bits(20);
/// Longest log that is looked at (bytes); they have 1 MiB as a rule.
const MOST_LENGTH: u64 = 256 << 20;
/// Bytes over which checksums are taken in the search for the entries that count, at most.
const MOST_SUMMED: u64 = 512 << 20;
/// Most changes that are kept.
const MOST_PATCHES: usize = 65536;

/// One change of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Byte offset in the file.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    content: Content,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    Zeros,
    /// A sector, whose first and last bytes are kept in the descriptor.
    Sector {
        /// Byte offset of the data sector in the file.
        at: u64,
        leading: [u8; 8],
        trailing: [u8; 4],
    },
}

impl Patch {
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The bytes of a sector; `None` for zeros.
    pub fn sector<S: ByteSource>(&self, source: &mut S) -> Result<Option<[u8; 4096]>, SourceError> {
        let Content::Sector {
            at,
            leading,
            trailing,
        } = self.content
        else {
            return Ok(None);
        };
        let mut sector = [0; 4096];
        source.read_exact_at(at, &mut sector)?;
        if let Some(first) = sector.first_chunk_mut() {
            *first = leading;
        }
        if let Some(last) = sector.last_chunk_mut() {
            *last = trailing;
        }
        Ok(Some(sector))
    }
}

/// A file with the changes of its log.
#[derive(Debug)]
pub(super) struct Replayed<S> {
    source: S,
    patches: Vec<Patch>,
    length: u64,
}

impl<S: ByteSource> ByteSource for Replayed<S> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.source.read_exact_at(offset, buffer)?;
        let end = offset.saturating_add(to_u64(buffer.len()));
        let Self {
            source, patches, ..
        } = self;
        for patch in patches {
            let (from, to) = (patch.start.max(offset), patch.end().min(end));
            if from >= to {
                continue;
            }
            let place = to_usize(from.saturating_sub(offset))..to_usize(to.saturating_sub(offset));
            let Some(target) = buffer.get_mut(place) else {
                continue;
            };
            match patch.content {
                Content::Zeros => target.fill(0),
                Content::Sector { .. } => {
                    let sector = patch.sector(source)?.unwrap_or([0; 4096]);
                    let skip = to_usize(from.saturating_sub(patch.start));
                    let wanted = sector.get(skip..skip.saturating_add(target.len()));
                    target.copy_from_slice(wanted.ok_or(SourceError::OutOfRange)?);
                }
            }
        }
        Ok(())
    }
}

impl<S> Replayed<S> {
    /// What the log changes, in its order.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Bytes that the file must have at least.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// One valid entry of the log.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Byte offset in the log.
    at: u64,
    length: u64,
    /// Where the sequence begins that was still needed (byte offset in the log).
    tail: u64,
    sequence: u64,
    descriptors: u64,
    flushed: u64,
    /// Bytes that the file must have at least.
    last: u64,
}

/// The ring of the log.
struct Ring<'a, S> {
    source: &'a mut S,
    device: DeviceIndex,
    header: Header,
    left_to_sum: u64,
}

/// Opens a file with the changes of its log.
///
/// # Errors
/// `BadLog`, and what the source reports.
pub(super) fn replay<S: ByteSource>(
    mut source: S,
    device: DeviceIndex,
    header: &Header,
) -> Result<Replayed<S>, FormatError> {
    let mut patches = Vec::new();
    let mut length = 0;
    if header.log_guid != [0; 16] {
        let file_size = source.size();
        let mut ring = Ring {
            source: &mut source,
            device,
            header: *header,
            left_to_sum: MOST_SUMMED,
        };
        ring.check_place(file_size)?;
        let entries = ring.active_sequence()?;
        for entry in &entries {
            if entry.flushed > file_size {
                let expected = Expected::AtMost(file_size);
                return Err(ring.refuse("FlushedFileOffset", entry.at, entry.flushed, expected));
            }
            ring.collect(entry, &mut patches)?;
            length = entry.last.max(length);
        }
    }
    Ok(Replayed {
        source,
        patches,
        length,
    })
}

impl<S: ByteSource> Ring<'_, S> {
    fn refuse(&self, field: &'static str, at: u64, value: u64, expected: Expected) -> FormatError {
        let offset = self.header.log_offset.saturating_add(at);
        FormatError::new(
            ErrorKind::BadLog,
            self.device,
            field,
            offset,
            value,
            expected,
        )
    }

    fn check_place(&self, file_size: u64) -> Result<(), FormatError> {
        let Header {
            log_offset,
            log_length,
            ..
        } = self.header;
        let end = log_offset.saturating_add(log_length);
        let whole = MEGABYTE.is_aligned(log_offset) && MEGABYTE.is_aligned(log_length);
        let inside = log_offset >= MEGABYTE.size() && end <= file_size;
        if !whole || !inside || log_length == 0 || log_length > MOST_LENGTH {
            let expected = Expected::Sentence("a log of 1 to 256 MiB inside the file");
            return Err(self.refuse("LogLength", 0, log_length, expected));
        }
        Ok(())
    }

    /// Where an offset in the ring lies in the file.
    fn place(&self, at: u64) -> u64 {
        let within = at.checked_rem(self.header.log_length).unwrap_or(0);
        self.header.log_offset.saturating_add(within)
    }

    /// Reads inside one sector of the ring.
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        let offset = self.place(at);
        let device = self.device;
        self.source
            .read_exact_at(offset, buffer)
            .map_err(|error| FormatError::of_source(device, offset, error))
    }

    /// The entry at `at`, if it is one; a place that holds none is no fault.
    fn entry(&mut self, at: u64) -> Result<Option<Entry>, FormatError> {
        let mut bytes = [0; log_entry::BYTES];
        self.read(at, &mut bytes)?;
        let kind = ErrorKind::BadLog;
        let head = Structure::new(&bytes, self.place(at), self.device, kind);
        let signature = head.bytes(log_entry::SIGNATURE)?;
        let checksum = head.get(log_entry::CHECKSUM)?.value;
        let length = u64::from(head.get(log_entry::ENTRY_LENGTH)?.value);
        let tail = u64::from(head.get(log_entry::TAIL)?.value);
        let sequence = head.get(log_entry::SEQUENCE_NUMBER)?.value;
        let descriptors = u64::from(head.get(log_entry::DESCRIPTOR_COUNT)?.value);
        let guid = head.bytes(log_entry::LOG_GUID)?;
        let flushed = head.get(log_entry::FLUSHED_FILE_OFFSET)?.value;
        let last = head.get(log_entry::LAST_FILE_OFFSET)?.value;
        let entry = Entry {
            at,
            length,
            tail,
            sequence,
            descriptors,
            flushed,
            last,
        };
        let sectors = entry.descriptor_sectors();
        let possible = signature == b"loge"
            && guid == self.header.log_guid
            && SECTOR.is_aligned(length)
            && (SECTOR.size()..=self.header.log_length).contains(&length)
            && SECTOR.is_aligned(tail)
            && tail < self.header.log_length
            && sequence > 0
            && SECTOR.times(sectors).is_some_and(|bytes| bytes <= length);
        if !possible || self.sum(&entry)? != checksum {
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// The checksum over a whole entry.
    fn sum(&mut self, entry: &Entry) -> Result<u32, FormatError> {
        let Some(left) = self.left_to_sum.checked_sub(entry.length) else {
            let expected = Expected::Sentence("a log whose entries do not overlap");
            return Err(self.refuse("EntryLength", entry.at, entry.length, expected));
        };
        self.left_to_sum = left;
        let mut sum = Crc32c::new();
        let mut sector = [0; 4096];
        for number in 0..SECTOR.count_for(entry.length) {
            let distance = SECTOR.times(number).unwrap_or(0);
            self.read(entry.at.saturating_add(distance), &mut sector)?;
            if number == 0 {
                put(&mut sector, log_entry::CHECKSUM, 0);
            }
            sum = sum.add(&sector);
        }
        Ok(sum.value())
    }

    /// The entries that count: of all sequences whose last entry says where it begins, the one with the highest number.
    fn active_sequence(&mut self) -> Result<Vec<Entry>, FormatError> {
        let mut best: Vec<Entry> = Vec::new();
        let mut start = 0_u64;
        while start < self.header.log_length {
            let (entries, end) = self.sequence_from(start)?;
            let newer = entries.last().map(|entry| entry.sequence)
                > best.last().map(|entry| entry.sequence);
            let tail = entries.last().map(|entry| entry.tail);
            let first = entries.iter().position(|entry| Some(entry.at) == tail);
            if let Some(first) = first.filter(|_| newer) {
                best = entries.get(first..).unwrap_or(&[]).to_vec();
            }
            start = end.max(start.saturating_add(SECTOR.size()));
        }
        if best.is_empty() {
            let expected =
                Expected::Sentence("a sequence of valid entries, as the header promises");
            return Err(self.refuse("log", 0, 0, expected));
        }
        Ok(best)
    }

    /// Valid entries one behind the other with numbers in a row, and where they end (not wrapped).
    fn sequence_from(&mut self, start: u64) -> Result<(Vec<Entry>, u64), FormatError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at = start;
        let end = start.saturating_add(self.header.log_length);
        while at < end {
            let wrapped = at.checked_rem(self.header.log_length).unwrap_or(0);
            let Some(entry) = self.entry(wrapped)? else {
                break;
            };
            let before = entries.last().map(|entry| entry.sequence);
            if before.is_some_and(|before| before.checked_add(1) != Some(entry.sequence)) {
                break;
            }
            at = at.saturating_add(entry.length);
            if at > end {
                break;
            }
            entries.push(entry);
        }
        Ok((entries, at))
    }

    /// Adds what one entry changes.
    fn collect(&mut self, entry: &Entry, patches: &mut Vec<Patch>) -> Result<(), FormatError> {
        let mut data = SECTOR.times(entry.descriptor_sectors()).unwrap_or(0);
        for number in 0..entry.descriptors {
            let distance = number
                .saturating_mul(to_u64(log_descriptor::BYTES))
                .saturating_add(to_u64(log_entry::BYTES));
            let at = entry.at.saturating_add(distance);
            let mut bytes = [0; log_descriptor::BYTES];
            self.read(at, &mut bytes)?;
            let place = self.place(at);
            let head = Structure::new(&bytes, place, self.device, ErrorKind::BadLog);
            let signature = head.bytes(log_descriptor::SIGNATURE)?;
            let trailing = head.array(log_descriptor::TRAILING_BYTES)?;
            let leading = head.array(log_descriptor::LEADING_BYTES)?;
            let start = head.get(log_descriptor::FILE_OFFSET)?;
            let sequence = head.get(log_descriptor::SEQUENCE_NUMBER)?;
            if sequence.value != entry.sequence {
                return Err(sequence.refuse(ErrorKind::BadLog, Expected::Value(entry.sequence)));
            }
            if !SECTOR.is_aligned(start.value) {
                let expected = Expected::MultipleOf(SECTOR.size());
                return Err(start.refuse(ErrorKind::BadLog, expected));
            }
            let (length, content) = match signature {
                b"zero" => (u64::from_le_bytes(leading), Content::Zeros),
                b"desc" => {
                    let sector = entry.at.saturating_add(data);
                    data = data.saturating_add(SECTOR.size());
                    self.check_sector(entry, sector, data)?;
                    let at = self.place(sector);
                    let content = Content::Sector {
                        at,
                        leading,
                        trailing,
                    };
                    (SECTOR.size(), content)
                }
                _ => {
                    let expected = Expected::Sentence("\"zero\" or \"desc\"");
                    return Err(self.refuse("descriptor signature", at, 0, expected));
                }
            };
            if patches.len() >= MOST_PATCHES {
                let expected = Expected::AtMost(to_u64(MOST_PATCHES));
                return Err(self.refuse("changes", entry.at, entry.descriptors, expected));
            }
            patches.push(Patch {
                start: start.value,
                length,
                content,
            });
        }
        Ok(())
    }

    /// Whether a data sector belongs to its entry.
    fn check_sector(&mut self, entry: &Entry, at: u64, end: u64) -> Result<(), FormatError> {
        let mut sector = [0; 4096];
        self.read(at, &mut sector)?;
        let head = Structure::new(&sector, self.place(at), self.device, ErrorKind::BadLog);
        let [high, low] = [
            head.get(log_sector::SEQUENCE_HIGH)?,
            head.get(log_sector::SEQUENCE_LOW)?,
        ];
        let sequence = u64::from(high.value) << 32 | u64::from(low.value);
        if end > entry.length || !sector.starts_with(b"data") || sequence != entry.sequence {
            let expected = Expected::Value(entry.sequence);
            return Err(self.refuse("data sector", at, sequence, expected));
        }
        Ok(())
    }
}

impl Entry {
    /// Sectors that the entry's header and descriptors fill.
    fn descriptor_sectors(&self) -> u64 {
        let bytes = self
            .descriptors
            .saturating_mul(to_u64(log_descriptor::BYTES));
        SECTOR.count_for(bytes.saturating_add(to_u64(log_entry::BYTES)))
    }
}
