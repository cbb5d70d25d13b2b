//! VirtualBox disk images, dynamic and fixed (`VDICore.h`, version 1.1). Differencing images are refused: their parent
//! is named by a UUID alone.

mod check;
mod edit;
mod header;
mod write;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::blocks::{Entry, Layout, Piece, Place, Table, TableDisk, Width, one_table};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::facts::Facts;
use crate::metadata_cache::MetadataCache;
use crate::probe::{Ends, has};
use crate::source::{ByteSource, DeviceIndex};
use crate::structures;
use crate::within::Beyond;

pub use edit::edit;
use header::Header;
pub use write::open_writer;

/// From this value on an entry of the block map names no block: 0xffffffff was never written, 0xfffffffe was discarded.
const LEAST_UNALLOCATED: u64 = 0xffff_fffe;

/// Whether a file has the signature behind its text.
pub fn probe(ends: &Ends<'_>) -> bool {
    has(
        ends.head,
        structures::vdi::header::SIGNATURE.offset(),
        &header::SIGNATURE,
    )
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
        version: layout.version,
        cluster_size: layout.block.bytes(),
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
    /// Where the block of a number lies (byte offset in the file).
    pub(super) fn offset_of(&self, number: u64) -> u64 {
        self.data_offset.saturating_add(self.block.times(number))
    }

    pub(super) fn block_map(&self) -> Table {
        Table {
            offset: self.block_map_offset,
            entries: self.blocks,
            width: Width::Le32,
            start: 0,
            block: self.block,
        }
    }
}

impl Layout for Header {
    fn find<S: ByteSource>(&self, _: &mut MetadataCache<S>, _: u64) -> Result<Place, FormatError> {
        one_table(self.block_map())
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        if entry.value >= LEAST_UNALLOCATED {
            return Ok(Piece::Zero);
        }
        Ok(Piece::Data(self.offset_of(entry.value)))
    }

    fn keeps_holes(&self) -> bool {
        self.fixed
    }

    fn names(&self) -> [&'static str; 3] {
        ["", "", "block map entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "block map",
            at: structures::vdi::header::OFFSET_BMAP.place(0),
            end: self.block_map().file_end(),
        }]
    }
}
