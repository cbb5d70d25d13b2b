//! Dynamic disks: a header of 1024 bytes (big-endian), a block allocation table, and blocks behind bitmaps of their
//! sectors. All sectors of a dynamic disk's allocated block are read, whatever its bitmap says, as QEMU and Virtual PC do; of
//! a differencing disk's those whose bit is set.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, SECTOR, to_u64};
use crate::blocks::{
    BlockSize, Entry, Layout, Piece, Place, Run, Table, TableDisk, TakePart, Width, one_table,
    read_header,
};
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Facts;
use crate::metadata_cache::MetadataCache;
use crate::sector_bits::SectorBits;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::vpc::{dynamic_header, footer};
use crate::within::Beyond;

use super::footer::{DiskType, Footer};
use super::parent;

const COOKIE: &[u8; 8] = b"cxsparse";
/// An entry of a block that is not there.
const UNUSED: u64 = 0xffff_ffff;
/// What a byte of a block's bitmap stands for: 8 sectors. Bitmaps fill whole sectors.
const SECTORS_OF_BITMAP_BYTE: PowerOfTwo = PowerOfTwo::from_bits(12);
/// QEMU's limit: the bytes of the table fit 31 bits.
const MOST_ENTRIES: u32 = 0x7fff_ffff / 4;

pub(super) struct DynamicDisk {
    /// Where the dynamic header stands (byte offset in the file).
    pub header: u64,
    pub table: Table,
    table_field: u64,
    /// What the disk does not hold, its parent holds; bitmaps say that for each sector.
    pub differencing: bool,
    /// Bytes of the bitmap in front of each block.
    pub bitmap: u64,
    /// What the file ends with, once it is read for writing.
    pub footer: Vec<u8>,
    /// It must be written anew.
    pub moved: bool,
}

/// Opens the disk behind the footer.
///
/// # Errors
/// `BadHeader`, `BadClusterSize` or `BadTable`.
pub(super) fn open<'a, S: ByteSource + 'a>(
    mut cache: MetadataCache<S>,
    footer: &Footer,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let layout = read(&mut cache, footer)?;
    let (parent, parent_id) = if layout.differencing {
        let parent = parent::read(&mut cache, layout.header)?;
        (Some(parent.name), alloc::vec![parent.unique_id])
    } else {
        (None, Vec::new())
    };
    let facts = Facts {
        cluster_size: layout.table.block.bytes(),
        backing_format: parent.is_some().then(|| b"vpc".to_vec()),
        backing_file: parent,
        identity: Some(footer.unique_id),
        parent_identities: parent_id,
        ..Facts::default()
    };
    Ok(Box::new(TableDisk {
        cache,
        layout,
        size: footer.size,
        facts,
    }))
}

/// Reads where the blocks are.
///
/// # Errors
/// As for [`open`].
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    footer: &Footer,
) -> Result<DynamicDisk, FormatError> {
    let device = cache.device();
    let at = footer.data_offset.value;
    let bytes = read_header(cache, at, dynamic_header::BYTES)?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
    if head.bytes(dynamic_header::COOKIE)? != COOKIE {
        let expected = Expected::Sentence("the offset of a dynamic header (\"cxsparse\")");
        return Err(footer.data_offset.refuse(ErrorKind::BadHeader, expected));
    }
    let offset = head.get(dynamic_header::TABLE_OFFSET)?;
    let entries = head.get(dynamic_header::MAX_TABLE_ENTRIES)?;
    let block_size = head.get(dynamic_header::BLOCK_SIZE)?;
    let block = BlockSize::new(block_size.value.into())
        .filter(|block| block.bytes().is_power_of_two() && block.bytes() >= SECTOR.size());
    let Some(block) = block else {
        let expected = Expected::Sentence("a power of two of at least 512");
        return Err(block_size.refuse(ErrorKind::BadClusterSize, expected));
    };
    let needed = block.count_for(footer.size);
    if u64::from(entries.value) < needed || entries.value > MOST_ENTRIES {
        let expected = Expected::Between(needed, MOST_ENTRIES.into());
        return Err(entries.refuse(ErrorKind::BadTable, expected));
    }
    let bitmap = SECTOR
        .round_up(block.bytes() >> SECTORS_OF_BITMAP_BYTE.bits())
        .unwrap_or(0);
    Ok(DynamicDisk {
        differencing: footer.disk_type == DiskType::Differencing,
        header: at,
        table: Table {
            offset: offset.value,
            entries: entries.value.into(),
            width: Width::Be32,
            start: 0,
            block,
        },
        table_field: offset.offset,
        bitmap,
        footer: Vec::new(),
        moved: false,
    })
}

impl Layout for DynamicDisk {
    fn find<S: ByteSource>(&self, _: &mut MetadataCache<S>, _: u64) -> Result<Place, FormatError> {
        one_table(self.table)
    }

    fn decode(&self, entry: Entry) -> Result<Piece, FormatError> {
        if entry.value == UNUSED {
            return Ok(if self.differencing {
                Piece::Unallocated
            } else {
                Piece::Zero
            });
        }
        let bitmap = SECTOR.times(entry.value).unwrap_or(u64::MAX);
        Ok(Piece::Data(bitmap.saturating_add(self.bitmap)))
    }

    fn refine<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        position: u64,
        run: Run,
    ) -> Result<Run, FormatError> {
        let Piece::Data(host) = run.piece else {
            return Ok(run);
        };
        if !self.differencing {
            return Ok(run);
        }
        let block = self.table.block;
        let within = block.within(position);
        let data = host.saturating_sub(within);
        let bits = SectorBits {
            offset: data.saturating_sub(self.bitmap),
            first: 0,
            lowest_first: false,
            sector: BlockSize::SECTOR,
        };
        let left = run.length.min(block.bytes().saturating_sub(within));
        bits.refine(cache, within, left, run)
    }

    fn names(&self) -> [&'static str; 3] {
        ["", "", "BAT entry"]
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "BAT",
            at: self.table_field,
            end: self.table.file_end(),
        }]
    }

    fn refuses_beyond(&self) -> bool {
        true
    }

    fn each_part<S: ByteSource>(
        &self,
        cache: &mut MetadataCache<S>,
        take: &mut TakePart<'_>,
    ) -> Result<(), FormatError> {
        take("copy of the footer", 0, to_u64(footer::BYTES))?;
        let bytes = to_u64(dynamic_header::BYTES);
        take("dynamic header", self.header, bytes)?;
        let length = self.table.file_end().saturating_sub(self.table.offset);
        take("BAT", self.table.offset, length)?;
        if self.differencing {
            for (offset, length) in parent::paths(cache, self.header)? {
                take("path of the parent", offset, length)?;
            }
        }
        Ok(())
    }
}
