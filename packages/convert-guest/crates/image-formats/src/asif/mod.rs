//! Apple's sparse images (ASIF, macOS 26): a directory of tables, tables of chunk groups, and for each group a chunk with
//! two bits a sector.
//!
//! Apple has not published the format. What is known was found out by others and agrees among them
//! (github.com/huven/asif-format, header version 1; and the reader in dissect.hypervisor). What they have not seen
//! in an image is refused.

mod header;
mod sector_states;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::blocks::{Check, Entry, Layout, Piece, Place, Run, Table, TableDisk, Width};
use crate::check::Teller;
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Facts;
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Beyond;

use header::Header;

/// A chunk entry: the number of a chunk, and flags above it.
const NUMBER: u64 = (1 << 55) - 1;
const STATE_SHIFT: u32 = 62;
/// All of the chunk's sectors were written.
const WHOLE: u64 = 1;
/// Some were; the group's bitmap says which.
const PARTLY: u64 = 3;
const ENTRY: &str = "chunk entry";

/// Whether a file begins like a sparse image of Apple.
pub fn probe(ends: &Ends<'_>) -> bool {
    // The version that there is: four letters alone are few.
    ends.head.starts_with(header::MAGIC) && ends.head.get(4..8) == Some(&[0, 0, 0, 1])
}

/// Opens an image.
///
/// # Errors
/// What [`Header::read`] refuses.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let layout = Header::read(&mut cache)?;
    let facts = Facts {
        version: 1,
        cluster_size: layout.chunk.bytes(),
        ..Facts::default()
    };
    Ok(Box::new(TableDisk {
        cache,
        size: layout.size,
        layout,
        facts,
    }))
}

impl Header {
    fn refuse(&self, entry: Entry, kind: ErrorKind, expected: &'static str) -> FormatError {
        let expected = Expected::Sentence(expected);
        FormatError::new(kind, self.device, ENTRY, entry.at, entry.value, expected)
    }

    /// The chunk group around `position`: a table of the group's data chunks, behind which the entry of its bitmap stands.
    fn group(&self, table: Entry, position: u64) -> Table {
        let chunks = self.group_chunks;
        let group_bytes = self.chunk.times(chunks);
        let number = position
            .saturating_sub(table.start)
            .checked_div(group_bytes)
            .unwrap_or(0);
        let stride = chunks.saturating_add(1).saturating_mul(Width::Be64.bytes());
        Table {
            offset: self
                .chunk
                .times(table.value)
                .saturating_add(stride.saturating_mul(number)),
            entries: chunks,
            width: Width::Be64,
            start: table
                .start
                .saturating_add(group_bytes.saturating_mul(number)),
            block: self.chunk,
        }
    }
}

impl Layout for Header {
    fn find<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError> {
        let upper = self.directory;
        let entry = upper.read(cache, position)?;
        if entry.value == 0 {
            return Ok(Place::Hole { upper });
        }
        let table = self.group(entry, position);
        Ok(Place::Lower { table, upper })
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        let number = entry.value & NUMBER;
        let flags = entry.value & !NUMBER;
        match flags.wrapping_shr(STATE_SHIFT) {
            0 if entry.value == 0 => Ok(Piece::Zero),
            state @ (WHOLE | PARTLY) if flags == state.wrapping_shl(STATE_SHIFT) && number != 0 => {
                Ok(Piece::Data(self.chunk.times(number)))
            }
            _ => {
                let expected = "0, or 1 or 3 in the highest two bits and a number in the lower 55";
                Err(self.refuse(entry, ErrorKind::UnsupportedVariant, expected))
            }
        }
    }

    fn hole(&self) -> Piece {
        Piece::Zero
    }

    /// Whole chunks as far as they go, or the sectors of one chunk that are in the same state.
    fn refine<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
        run: Run,
    ) -> Result<Run, FormatError> {
        let Place::Lower { table, .. } = self.find(cache, position)? else {
            return Ok(run);
        };
        let end = position.saturating_add(run.length).min(table.end());
        let mut at = position;
        while at < end && table.read(cache, at)?.value.wrapping_shr(STATE_SHIFT) == WHOLE {
            at = at
                .saturating_sub(self.chunk.within(at))
                .saturating_add(self.chunk.bytes());
        }
        if at > position {
            let length = at.min(end).saturating_sub(position);
            return Ok(Run { length, ..run });
        }
        sector_states::refine(self, cache, &table, position, run)
    }

    fn names(&self) -> [&'static str; 3] {
        ["directory entry", "table", ENTRY]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "directory",
            at: self.directory_field,
            end: self.directory.file_end(),
        }]
    }

    fn refuses_beyond(&self) -> bool {
        true
    }
}

impl Check for Header {
    const IS_CHECKED: bool = false;

    fn check<S: ByteSource>(
        _: &mut TableDisk<S, Self>,
        _: &mut Teller<'_>,
    ) -> Result<(), FormatError> {
        Ok(())
    }
}
