//! Disks of blocks are written to: what a block has bytes for is overwritten, and what it has none for gets a place behind all
//! else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Layout, Piece, Place, Table};
use crate::arith::to_u64;
use crate::edit::{DiskWriter, EditTarget, Edited, too_small, unsupported};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Identity;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, SourceError};
use crate::staged_file::{StagedFile, zeros};

/// Most bytes that are written at once (a power of two).
const MOST_UNIT: u64 = 1 << 20;

/// A part of a block that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Virtual offset of the block.
    pub block: u64,
    /// Where the block's data begin (byte offset in the file).
    pub data: u64,
    /// Where the part begins in the block, and its length (bytes).
    pub within: u64,
    pub length: u64,
    /// The block has just got its place, where everything reads as zeros but what a file ended with.
    pub fresh: bool,
}

/// What a format says of blocks that are written.
pub(crate) trait Writable: Layout {
    /// Bytes in front of a block's data that belong to it.
    fn front(&self) -> u64 {
        0
    }

    /// Where the next block begins, with what stands in front of it, in a file that is used up to `end` (byte offsets).
    fn place(&self, end: u64) -> Option<u64>;

    /// The entry of the block that begins there; `None` where none can name it.
    fn name(&self, place: u64) -> Option<u64>;

    /// The entry of a block that reads as zeros, whatever lies below the image.
    fn zeros(&self) -> Option<u64> {
        None
    }

    /// Bytes of a new lower table, and the entry of the upper table for one at `place`; `None` for formats whose tables are
    /// always there.
    fn new_table(&self, _place: u64) -> Option<(u64, u64)> {
        None
    }

    /// Where the same entry stands a second time (byte offset in the file).
    ///
    /// # Errors
    /// What the file refuses; so for all the others.
    fn second<S: ByteSource>(
        &self,
        _: &mut MetadataCache<S>,
        _position: u64,
    ) -> Result<Option<u64>, FormatError> {
        Ok(None)
    }

    /// Whether bitmaps say which sectors of a block the image holds: a part of a block can be written then, and what is
    /// below the image shows beside it.
    fn has_bitmaps(&self) -> bool {
        false
    }

    /// The file reaches to here now (byte offset).
    fn reach(&mut self, _end: u64) {}

    /// Says in bitmaps what was written. `end` is where the file is used up to.
    ///
    /// # Errors
    /// See [`second`](Self::second).
    fn mark<T: EditTarget>(
        &mut self,
        _: &mut StagedFile<T>,
        _: Part,
        _end: &mut u64,
    ) -> Result<(), FormatError> {
        Ok(())
    }

    /// Names another parent, by its name and what it is known by. `end` is where the file is used up to.
    ///
    /// # Errors
    /// `UnsupportedEdit`, and see [`second`](Self::second).
    fn set_parent<T: EditTarget>(
        &mut self,
        file: &mut StagedFile<T>,
        _parent: (&[u8], Option<Identity>),
        _end: &mut u64,
    ) -> Result<(), FormatError> {
        let what = "images of its format do not get another backing file";
        Err(unsupported(file.device(), what))
    }

    /// Says in the rest of the metadata what was written: so many blocks were added, and the file is used up to `end`.
    ///
    /// # Errors
    /// See [`second`](Self::second).
    fn finish<T: EditTarget>(
        &mut self,
        _: &mut StagedFile<T>,
        _added: u64,
        _end: u64,
    ) -> Result<(), FormatError> {
        Ok(())
    }
}

/// What is read of a file whose changes are not written yet.
struct Changed<'a, T>(&'a mut StagedFile<T>);

impl<T: EditTarget> ByteSource for Changed<'_, T> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let read = self.0.read(offset, buffer);
        // The host knows what failed; here it only must not pass for bytes.
        read.map_err(|error| match u32::try_from(error.value) {
            Ok(code) if code > 0 => SourceError::Failed { code },
            _ => SourceError::OutOfRange,
        })
    }
}

struct Writer<T, L> {
    file: StagedFile<T>,
    layout: L,
    /// Bytes of the disk, and of what is written at once.
    size: u64,
    unit: u64,
    /// Something lies below the image.
    is_above: bool,
    /// Where the file is used up to (byte offset).
    end: u64,
    added: u64,
    /// What is kept of the content already (byte offsets in the file).
    kept: (u64, u64),
}

/// Opens a disk of blocks for writing. Everything about it was checked.
///
/// # Errors
/// None but those of its methods; `end` is where the file is used up to (byte offset).
pub(crate) fn open_blocks<'a, T: EditTarget + 'a, L: Writable + 'a>(
    file: StagedFile<T>,
    layout: L,
    (size, block): (u64, u64),
    is_above: bool,
    end: u64,
) -> Box<dyn DiskWriter + 'a> {
    let part = 1_u64.wrapping_shl(block.trailing_zeros()).min(MOST_UNIT);
    // Without bitmaps a block hides all of what lies below it.
    let unit = if block <= MOST_UNIT || (is_above && !layout.has_bitmaps()) {
        block
    } else {
        part
    };
    Box::new(Writer {
        file,
        layout,
        size,
        unit,
        is_above,
        end,
        added: 0,
        kept: (0, 0),
    })
}

impl<T: EditTarget, L: Writable> Writer<T, L> {
    fn full(&self, at: u64) -> FormatError {
        let expected = Expected::Sentence("a place that an entry can name");
        let device = self.file.device();
        FormatError::new(ErrorKind::ImageTooBig, device, "", at, self.end, expected)
    }

    /// The table with the entry for `position`, which is made where there is none.
    fn table(&mut self, position: u64) -> Result<Table, FormatError> {
        let upper = match self.find(position)? {
            Place::Table(table) | Place::Lower { table, .. } => {
                return if position < table.end() {
                    Ok(table)
                } else {
                    Err(self.full(table.file_end()))
                };
            }
            Place::Hole { upper } => upper,
        };
        let at = upper.place_of(position);
        let place = self.layout.place(self.end);
        let place = place.ok_or_else(|| self.full(at))?;
        let (bytes, entry) = self.layout.new_table(place).ok_or_else(|| {
            let what = "one of its tables is not there";
            unsupported(self.file.device(), what)
        })?;
        let entry = upper.width.encode(entry).ok_or_else(|| self.full(at))?;
        let table = zeros(self.file.device(), place, bytes)?;
        self.take_place(place.saturating_add(bytes));
        self.file.write(place, &table)?;
        self.file.write(at, &entry)?;
        match self.find(position)? {
            Place::Table(table) | Place::Lower { table, .. } => Ok(table),
            Place::Hole { .. } => Err(self.full(at)),
        }
    }

    fn find(&mut self, position: u64) -> Result<Place, FormatError> {
        let device = self.file.device();
        let mut cache = MetadataCache::new(Changed(&mut self.file), device, 2);
        self.layout.find(&mut cache, position)
    }

    fn take_place(&mut self, end: u64) {
        self.end = end;
        self.file.reach(end);
        self.layout.reach(end);
    }

    /// What the block around `position` is, where its entry stands in `table`, and its virtual offset.
    fn look(&mut self, table: &Table, position: u64) -> Result<(Piece, u64, u64), FormatError> {
        let device = self.file.device();
        let mut cache = MetadataCache::new(Changed(&mut self.file), device, 2);
        let entry = table.read(&mut cache, position)?;
        Ok((self.layout.decode(entry)?, entry.at, entry.start))
    }

    /// What the block around `position` is, without making a table for it.
    fn piece(&mut self, position: u64) -> Result<(Piece, u64), FormatError> {
        match self.find(position)? {
            Place::Table(table) | Place::Lower { table, .. } => {
                let (piece, _, start) = self.look(&table, position)?;
                Ok((piece, start))
            }
            Place::Hole { .. } => Ok((self.layout.hole(), position)),
        }
    }

    fn put_entry(
        &mut self,
        table: &Table,
        at: u64,
        position: u64,
        value: u64,
    ) -> Result<(), FormatError> {
        let bytes = table.width.encode(value).ok_or_else(|| self.full(at))?;
        self.file.write(at, &bytes)?;
        let device = self.file.device();
        let mut cache = MetadataCache::new(Changed(&mut self.file), device, 2);
        let second = self.layout.second(&mut cache, position)?;
        drop(cache);
        match second {
            Some(second) => self.file.write(second, &bytes),
            None => Ok(()),
        }
    }

    /// Has all of a block kept before a part of it is overwritten: that is one sync for many parts.
    fn keep(&mut self, data: u64, block: u64, (start, end): (u64, u64)) -> Result<(), FormatError> {
        if self.kept.0 <= start && end <= self.kept.1 {
            return Ok(());
        }
        let until = data.saturating_add(block).min(self.file.size());
        self.file.preserve(data, until.saturating_sub(data))?;
        self.kept = (data, until);
        Ok(())
    }
}

impl<T: EditTarget, L: Writable> DiskWriter for Writer<T, L> {
    fn unit(&self) -> u64 {
        self.unit
    }

    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let table = self.table(offset)?;
        let (piece, at, start) = self.look(&table, offset)?;
        let within = offset.saturating_sub(start);
        let block = table.block.bytes();
        let (data, fresh) = match piece {
            Piece::Data(data) => (data, None),
            _ => {
                let place = self.layout.place(self.end).ok_or_else(|| self.full(at))?;
                let entry = self.layout.name(place).ok_or_else(|| self.full(at))?;
                let data = place.saturating_add(self.layout.front());
                self.take_place(data.saturating_add(block));
                self.added = self.added.saturating_add(1);
                (data, Some(entry))
            }
        };
        let host = data.saturating_add(within);
        let length = to_u64(bytes.len());
        if fresh.is_none() {
            self.keep(data, block, (host, host.saturating_add(length)))?;
        }
        self.file.write_through(host, bytes)?;
        let part = Part {
            block: start,
            data,
            within,
            length,
            fresh: fresh.is_some(),
        };
        let mut end = self.end;
        self.layout.mark(&mut self.file, part, &mut end)?;
        if end != self.end {
            self.take_place(end);
        }
        match fresh {
            Some(entry) => self.put_entry(&table, at, offset, entry),
            None => Ok(()),
        }
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, FormatError> {
        let (piece, start) = self.piece(offset)?;
        let Piece::Data(data) = piece else {
            return Ok(false);
        };
        if self.is_above && self.layout.has_bitmaps() {
            return Ok(false);
        }
        let host = data.saturating_add(offset.saturating_sub(start));
        let end = host.saturating_add(to_u64(bytes.len()));
        self.keep(data, self.unit, (host, end))?;
        self.file.write_through(host, bytes)?;
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        self.file.flush()
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let (piece, _) = self.piece(offset)?;
        match piece {
            Piece::Zero => return Ok(()),
            Piece::Unallocated if !self.is_above => return Ok(()),
            Piece::Unallocated => {
                if let Some(entry) = self.layout.zeros() {
                    let table = self.table(offset)?;
                    let at = table.place_of(offset);
                    return self.put_entry(&table, at, offset, entry);
                }
            }
            Piece::Data(_) | Piece::Compressed(_) => {}
        }
        let bytes: Vec<u8> = zeros(self.file.device(), offset, length)?;
        self.write(offset, &bytes)
    }

    fn set_backing(
        &mut self,
        name: &[u8],
        _: &[u8],
        parent: Option<Identity>,
    ) -> Result<(), FormatError> {
        let mut end = self.end;
        self.layout
            .set_parent(&mut self.file, (name, parent), &mut end)?;
        self.take_place(end);
        Ok(())
    }

    fn grow(&mut self, _: u64, _: bool) -> Result<(), FormatError> {
        Err(too_small(self.file.device()))
    }

    fn finish(&mut self) -> Result<Edited, FormatError> {
        let (added, end) = (self.added, self.end);
        self.layout.finish(&mut self.file, added, end)?;
        self.file.flush()?;
        Ok(Edited {
            file_length: u64::MAX,
            virtual_size: self.size,
            ..Edited::default()
        })
    }
}
