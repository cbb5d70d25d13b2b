//! Bochs growing disks ("Redolog", subtype "Growing"; `iodev/hdimage/hdimage.h`): a catalog names extents, each a bitmap
//! of its sectors and the sectors themselves.

mod header;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::{self, BlockDisk, Piece, Run, Table, Width};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::extent::{Extent, Image};
use crate::facts::{Facts, ListLimits};
use crate::metadata_cache::MetadataCache;
use crate::probe::{Ends, has};
use crate::source::{ByteSource, DeviceIndex};
use crate::structures;
use crate::within::{Beyond, Within};

use header::Header;

/// A catalog entry of an extent that is not there.
const UNUSED: u64 = 0xffff_ffff;

/// Whether a file begins like a growing disk.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(header::MAGIC)
        && has(
            ends.head,
            structures::bochs::header::TYPE.offset(),
            header::TYPE,
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
    let header = Header::read(&mut cache)?;
    Ok(Box::new(BochsDisk { cache, header }))
}

struct BochsDisk<S> {
    cache: MetadataCache<S>,
    header: Header,
}

impl<S: ByteSource> BochsDisk<S> {
    fn catalog(&self) -> Table {
        Table {
            offset: self.header.catalog_offset,
            entries: self.header.catalog_entries,
            width: Width::Le32,
            start: 0,
            block: self.header.extent,
        }
    }

    /// Where the bitmap of an extent lies (byte offset in the file).
    fn bitmap(&self, number: u64) -> u64 {
        let stride = self
            .header
            .bitmap_bytes
            .saturating_add(self.header.extent.bytes());
        self.catalog()
            .file_end()
            .saturating_add(stride.saturating_mul(number))
    }
}

impl<S: ByteSource> BlockDisk for BochsDisk<S> {
    fn size(&self) -> u64 {
        self.header.size
    }

    fn file(&self) -> (DeviceIndex, u64) {
        (self.cache.device(), self.cache.file_size())
    }

    /// Sectors of one extent whose bits are the same, or extents in a row that are not there.
    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let catalog = self.catalog();
        let entry = catalog.read(&mut self.cache, position)?;
        if entry.value == UNUSED {
            let run = blocks::scan(&mut self.cache, &catalog, position, limit, |entry| {
                Ok(if entry.value == UNUSED {
                    Piece::Zero
                } else {
                    Piece::Data(entry.value)
                })
            })?;
            return Ok(run);
        }
        let bitmap = self.bitmap(entry.value);
        let extent = self.header.extent;
        let limit = limit.min(entry.start.saturating_add(extent.bytes()));
        let within = position.saturating_sub(entry.start);
        let first = SECTOR.index_of(within);
        let wanted = SECTOR
            .count_for(limit.saturating_sub(entry.start))
            .saturating_sub(first);
        let at = bitmap.saturating_add(first >> 3);
        let bytes = self
            .cache
            .view(at, to_usize((wanted >> 3).saturating_add(2)))?;
        let cost = to_u64(bytes.len());
        let mut bits = bytes
            .iter()
            .flat_map(|byte| (0..8_u32).map(move |bit| byte.wrapping_shr(bit) & 1 != 0))
            .skip(to_usize(first & 7))
            .take(to_usize(wanted));
        let stored = bits.next().unwrap_or(false);
        let same = to_u64(bits.take_while(|bit| *bit == stored).count()).saturating_add(1);
        let length = SECTOR
            .times(same)
            .unwrap_or(u64::MAX)
            .saturating_sub(SECTOR.offset_within(within))
            .min(limit.saturating_sub(position));
        let data = bitmap
            .saturating_add(self.header.bitmap_bytes)
            .saturating_add(within);
        Ok(Run {
            piece: if stored {
                Piece::Data(data)
            } else {
                Piece::Zero
            },
            length,
            cost,
        })
    }

    fn entry(&mut self, position: u64) -> Result<(&'static str, u64), FormatError> {
        Ok(("catalog entry", self.catalog().place_of(position)))
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "catalog",
            at: structures::bochs::header::CATALOG.place(0),
            end: self.catalog().file_end(),
        }]
    }

    fn lower_table(&mut self, position: u64) -> Result<Option<Beyond>, FormatError> {
        let catalog = self.catalog();
        let entry = catalog.read(&mut self.cache, position)?;
        let bitmap = self.bitmap(entry.value);
        Ok((entry.value != UNUSED).then(|| Beyond {
            field: "bitmap",
            at: entry.at,
            end: bitmap.saturating_add(self.header.bitmap_bytes),
        }))
    }
}

impl<S: ByteSource> Image for BochsDisk<S> {
    fn virtual_size(&self) -> u64 {
        self.header.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        blocks::map(self, offset, max_length)
    }
}

impl<S: ByteSource> FormatImage for BochsDisk<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            version: self.header.version,
            ..Facts::default()
        })
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        blocks::within_file(self, budget)
    }
}
