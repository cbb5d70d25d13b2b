//! Parallels disks, both layouts (QEMU's `interop/parallels.txt`). The format extension (bitmaps) says nothing that a
//! reader of the disk needs.

mod check;
mod edit;
mod header;
mod write;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64};
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

/// Whether a file begins with one of the two magics and the one version.
pub fn probe(ends: &Ends<'_>) -> bool {
    let magic = [header::MAGIC, header::MAGIC_EXT];
    magic.iter().any(|magic| ends.head.starts_with(*magic)) && has(ends.head, 16, &[2, 0, 0, 0])
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
        cluster_size: layout.cluster.bytes(),
        dirty: layout.in_use,
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
    /// Where the cluster lies that an entry names (byte offset in the file).
    pub(super) fn offset_of(&self, entry: u64) -> u64 {
        let unit = SECTOR.size().saturating_mul(self.sectors_of_entry);
        entry.saturating_mul(unit)
    }

    pub(super) fn allocation_table(&self) -> Table {
        Table {
            offset: to_u64(structures::parallels::header::BYTES),
            entries: self.entries,
            width: Width::Le32,
            start: 0,
            block: self.cluster,
        }
    }
}

impl Layout for Header {
    fn find<S: ByteSource>(&self, _: &mut MetadataCache<S>, _: u64) -> Result<Place, FormatError> {
        one_table(self.allocation_table())
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        if entry.value == 0 {
            return Ok(Piece::Unallocated);
        }
        Ok(Piece::Data(self.offset_of(entry.value)))
    }

    fn names(&self) -> [&'static str; 3] {
        ["", "", "BAT entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "BAT",
            at: structures::parallels::header::BAT_ENTRIES.place(0),
            end: self.allocation_table().file_end(),
        }]
    }
}
