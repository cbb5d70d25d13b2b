//! qcow, version 1 (QEMU's `block/qcow` of 2004: a header, one L1 table, L2 tables, compressed clusters).

mod check;
mod header;
mod write;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::to_u64;
use crate::blocks::{
    BlockSize, Entry, Layout, Piece, Place, Stream, Table, TableDisk, TakePart, Width,
};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::encrypted::{ClusterKey, aes_key};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::Codec;
use crate::facts::{Encryption, Facts};
use crate::keys::Unlocking;
use crate::metadata_cache::MetadataCache;
use crate::probe::{Ends, qcow_version};
use crate::source::{ByteSource, DeviceIndex};
use crate::structures;
use crate::within::Beyond;

use header::Header;
pub use write::open_writer;

/// Set in an L2 entry whose cluster is compressed.
const COMPRESSED: u64 = 1 << 63;

/// Whether a file begins like qcow, version 1.
pub fn probe(ends: &Ends<'_>) -> bool {
    qcow_version(ends.head) == Some(header::VERSION)
}

/// Opens an image.
///
/// # Errors
/// What [`Header::read`] refuses. An encrypted image opens, for information, and is refused when it is mapped.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let layout = Header::read(&mut cache)?;
    let encryption = if layout.is_encrypted() {
        Encryption::Aes
    } else {
        Encryption::None
    };
    let facts = Facts {
        version: header::VERSION,
        cluster_size: layout.cluster.size(),
        encryption,
        backing_file: layout.read_backing_name(&mut cache)?,
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
    fn l1(&self) -> Table {
        Table {
            offset: self.l1_table_offset,
            entries: self.l1_span.count_for(self.size),
            width: Width::Be64,
            start: 0,
            block: self.l1_span,
        }
    }
}

impl Layout for Header {
    fn find<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
    ) -> Result<Place, FormatError> {
        let upper = self.l1();
        let entry = upper.read(cache, position)?;
        if entry.value == 0 {
            return Ok(Place::Hole { upper });
        }
        let block = BlockSize::new(self.cluster.size()).unwrap_or(self.l1_span);
        let table = Table {
            offset: entry.value,
            entries: block.index_of(self.l1_span.bytes()),
            width: Width::Be64,
            start: entry.start,
            block,
        };
        Ok(Place::Lower { table, upper })
    }

    /// A compressed cluster's entry holds the length of its stream (bytes) above the offset.
    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        if entry.value == 0 {
            return Ok(Piece::Unallocated);
        }
        if entry.value & COMPRESSED == 0 {
            return Ok(Piece::Data(entry.value));
        }
        let split = 63_u32.saturating_sub(self.cluster.bits());
        let low = 1_u64.wrapping_shl(split).wrapping_sub(1);
        let length = self.cluster.offset_within(entry.value.wrapping_shr(split));
        if length == 0 {
            let kind = ErrorKind::BadTableEntry;
            let expected = Expected::Sentence("a compressed cluster of at least one byte");
            let field = "L2 table entry";
            return Err(FormatError::new(
                kind,
                self.crypt_method.device,
                field,
                entry.at,
                entry.value,
                expected,
            ));
        }
        Ok(Piece::Compressed(Stream {
            codec: Codec::Deflate,
            offset: entry.value & low,
            max_length: length,
            start: entry.start,
            size: self.cluster.size(),
        }))
    }

    fn names(&self) -> [&'static str; 3] {
        ["L1 table entry", "L2 table", "L2 table entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "L1 table",
            at: structures::qcow::header::L1_TABLE_OFFSET.place(0),
            end: self.l1().file_end(),
        }]
    }

    fn refusal(&self) -> Option<FormatError> {
        let expected = Expected::Sentence("a passphrase that opens the image");
        (self.is_encrypted() && self.key.is_none())
            .then(|| self.crypt_method.refuse(ErrorKind::Encrypted, expected))
    }

    fn key(&self) -> Option<ClusterKey> {
        self.key
    }

    fn unlock(&mut self, with: &mut Unlocking<'_>) -> Result<bool, FormatError> {
        self.key = Some(aes_key(with, self.crypt_method.device)?);
        Ok(true)
    }

    fn each_part<S: ByteSource>(
        &self,
        _: &mut MetadataCache<S>,
        take: &mut TakePart<'_>,
    ) -> Result<(), FormatError> {
        take("header", 0, to_u64(structures::qcow::header::BYTES))?;
        if let Some((offset, length)) = self.backing_name_place() {
            take("name of the backing file", offset, length)?;
        }
        let l1 = self.l1();
        let length = l1.file_end().saturating_sub(l1.offset);
        take("L1 table", l1.offset, length)
    }
}
