//! QEMU enhanced disks (QEMU's `interop/qed_spec.rst`).

mod check;
mod edit;
mod header;
mod write;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::blocks::{BlockSize, Entry, Layout, Piece, Place, Table, TableDisk, Width};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Facts;
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::structures;
use crate::within::Beyond;

pub use edit::edit;
use header::Header;
pub use write::open_writer;

/// Whether a file begins with the magic.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(&header::MAGIC)
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
    let header = Header::read(&mut cache)?;
    let backing_file = header.read_backing_name(&mut cache)?;
    let raw = header.is_backing_raw() && backing_file.is_some();
    let facts = Facts {
        cluster_size: header.cluster.bytes(),
        dirty: header.needs_check(),
        backing_format: raw.then(|| b"raw".to_vec()),
        backing_file,
        features: [header.features.value, header.compatible, header.autoclear],
        ..Facts::default()
    };
    let layout = QedTables {
        device,
        file_size: cache.file_size(),
        header,
    };
    Ok(Box::new(TableDisk {
        cache,
        size: layout.header.size,
        layout,
        facts,
    }))
}

struct QedTables {
    device: DeviceIndex,
    file_size: u64,
    header: Header,
}

impl QedTables {
    /// A table for the part of the disk from `start` on, whose entries stand for `block` each.
    fn table(&self, offset: u64, start: u64, block: BlockSize) -> Table {
        Table {
            offset,
            entries: self.header.entries,
            width: Width::Le64,
            start,
            block,
        }
    }

    /// The offset that an entry names: whole clusters, behind the header, inside the file.
    fn checked(&self, field: &'static str, entry: Entry) -> Result<u64, FormatError> {
        let refuse = |expected| {
            let kind = ErrorKind::BadTableEntry;
            FormatError::new(kind, self.device, field, entry.at, entry.value, expected)
        };
        let cluster = self.header.cluster;
        if cluster.within(entry.value) != 0 {
            return Err(refuse(Expected::MultipleOf(cluster.bytes())));
        }
        let first = self.header.header_bytes;
        if entry.value < first || entry.value >= self.file_size {
            let last = self.file_size.saturating_sub(1);
            return Err(refuse(Expected::Between(first, last)));
        }
        Ok(entry.value)
    }
}

impl Layout for QedTables {
    fn find<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError> {
        let upper = self.table(self.header.l1_table_offset, 0, self.header.l1_span);
        let entry = upper.read(cache, position)?;
        if entry.value == 0 {
            return Ok(Place::Hole { upper });
        }
        let offset = self.checked("L1 table entry", entry)?;
        let table = self.table(offset, entry.start, self.header.cluster);
        Ok(Place::Lower { table, upper })
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        match entry.value {
            0 => Ok(Piece::Unallocated),
            1 => Ok(Piece::Zero),
            _ => self.checked("L2 table entry", entry).map(Piece::Data),
        }
    }

    fn names(&self) -> [&'static str; 3] {
        ["L1 table entry", "L2 table", "L2 table entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        let l1 = self.table(self.header.l1_table_offset, 0, self.header.l1_span);
        vec![Beyond {
            field: "L1 table",
            at: structures::qed::header::L1_TABLE_OFFSET.place(0),
            end: l1.file_end(),
        }]
    }
}
