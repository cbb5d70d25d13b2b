//! VHD disks (Virtual Hard Disk Image Format Specification 1.0). Dynamic ones: a copy of the footer, the dynamic header, the
//! block allocation table, blocks of 2 MiB behind bitmaps of their sectors, the footer. Fixed ones: the disk, the footer. All
//! numbers are big-endian.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::blocks::{Allocated, Table, entries};
use super::fields::{Fields, small};
use super::{Given, Options, Part};
use crate::arith::{SECTOR, to_u64, to_usize};
use crate::qcow2::writer::LayoutError;
use crate::structure::{Be, Built, Number, put};
use crate::structures::vpc::{dynamic_header, footer};
use crate::vpc::{Parent, checksum};

const BLOCK: u64 = 2 << 20;
const DYNAMIC_HEADER: u64 = 512;
const TABLE: u64 = 1536;
const FOOTER: u64 = 512;
const KIND_FIXED: u32 = 2;
const KIND_DYNAMIC: u32 = 3;
const KIND_DIFFERENCING: u32 = 4;
/// A bitmap of the 4,096 sectors of a block.
const BITMAP: u64 = 512;
const UNUSED: u32 = u32::MAX;
/// 2040 GiB.
const MOST_BLOCKS: u64 = (2040 << 30) / BLOCK;
/// 2000-01-01 in seconds since 1970.
const EPOCH: u64 = 946_684_800;

/// Sectors of the largest geometry: 65535 cylinders, 16 heads, 255 sectors.
const MOST_OF_GEOMETRY: u64 = 65535 * 16 * 255;

/// Cylinders, heads and sectors of a track.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub cylinders: u64,
    pub heads: u64,
    pub sectors: u64,
}

/// Most bytes that a disk has: 2040 GiB.
pub(crate) const MOST_BYTES: u64 = MOST_BLOCKS * BLOCK;

/// The geometry of a disk of at least `wanted` bytes, and the bytes that it then has: those of the geometry where that counts,
/// up to the largest one.
pub(crate) fn geometry(wanted: u64, counts: bool) -> (Geometry, u64) {
    let sectors = SECTOR.index_of(wanted);
    let mut geometry = Geometry::of(sectors);
    if !counts {
        return (geometry, wanted);
    }
    // The smallest geometry that has room, found as QEMU finds it; above the largest one the size counts.
    let mut more = 0_u64;
    while geometry.total() < sectors.min(MOST_OF_GEOMETRY) {
        more = more.saturating_add(1);
        geometry = Geometry::of(sectors.saturating_add(more));
    }
    let size = if geometry.total() < MOST_OF_GEOMETRY {
        SECTOR.times(geometry.total()).unwrap_or(u64::MAX)
    } else {
        wanted
    };
    (geometry, size)
}

impl Geometry {
    /// What the specification computes for so many sectors (appendix "CHS Calculation").
    fn of(sectors: u64) -> Self {
        let total = sectors.min(MOST_OF_GEOMETRY);
        let with = |heads: u64, sectors: u64| Self {
            cylinders: total
                .checked_div(heads.saturating_mul(sectors))
                .unwrap_or(0),
            heads,
            sectors,
        };
        if total >= 65535 * 16 * 63 {
            return with(16, 255);
        }
        let by_seventeen = total / 17;
        let heads = by_seventeen.div_ceil(1024).max(4);
        if by_seventeen < heads.saturating_mul(1024) && heads <= 16 {
            return with(heads, 17);
        }
        if total / 31 < 16 * 1024 {
            return with(16, 31);
        }
        with(16, 63)
    }

    fn total(self) -> u64 {
        self.cylinders
            .saturating_mul(self.heads)
            .saturating_mul(self.sectors)
    }
}

/// What both kinds of disk have.
struct Common {
    size: u64,
    geometry: Geometry,
    /// By `qem2` QEMU takes the size as it stands there, by `qemu` what the geometry comes to.
    creator: &'static [u8; 4],
    id: [u8; 16],
    now: u64,
}

impl Common {
    /// # Errors
    /// `TooBig`.
    fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        // A differencing disk has exactly the size of its parent.
        let counts = options.geometry && options.backing.is_none();
        let (geometry, size) = geometry(size, counts);
        let safe_size = MOST_BYTES;
        if size > safe_size {
            return Err(LayoutError::TooBig { safe_size });
        }
        Ok(Self {
            size,
            geometry,
            creator: if counts { b"qemu" } else { b"qem2" },
            id: given.uuid(0),
            now: given.now,
        })
    }

    fn footer(&self, kind: u32, header: u64) -> Vec<u8> {
        let Geometry {
            cylinders,
            heads,
            sectors,
        } = self.geometry;
        let byte = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
        let footer = Built::new(footer::BYTES)
            .put_bytes(footer::COOKIE, b"conectix")
            .put(footer::FEATURES, 2)
            .put(footer::FILE_FORMAT_VERSION, 0x0001_0000)
            .put(footer::DATA_OFFSET, header)
            .put(footer::TIME_STAMP, small(self.now.saturating_sub(EPOCH)))
            .put_bytes(footer::CREATOR_APPLICATION, self.creator)
            .put(footer::CREATOR_VERSION, 0x0005_0003)
            .put_bytes(footer::CREATOR_HOST_OS, b"Wi2k")
            .put(footer::ORIGINAL_SIZE, self.size)
            .put(footer::CURRENT_SIZE, self.size)
            .put(
                footer::CYLINDERS,
                u16::try_from(cylinders).unwrap_or(u16::MAX),
            )
            .put(footer::HEADS, byte(heads))
            .put(footer::SECTORS_PER_TRACK, byte(sectors))
            .put(footer::DISK_TYPE, kind)
            .put_bytes(footer::UNIQUE_ID, &self.id);
        with_checksum(footer.done(), footer::CHECKSUM)
    }
}

/// A disk that grows.
pub(super) struct Vpc {
    common: Common,
    blocks: u64,
    data: u64,
    /// What a differencing disk lies above.
    parent: Option<Parent>,
}

impl Vpc {
    /// # Errors
    /// `TooBig`.
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        let common = Common::new(size, given, options)?;
        let blocks = common.size.div_ceil(BLOCK);
        let table = SECTOR
            .round_up(blocks.saturating_mul(4))
            .unwrap_or(u64::MAX);
        let parent = match (options.backing, options.parent) {
            (None, _) => None,
            (Some(backing), Some(identity)) => {
                Some(Parent::new(identity, backing.name).ok_or(LayoutError::NotBeside)?)
            }
            (Some(_), None) => return Err(LayoutError::BadOptions),
        };
        let locator = parent
            .as_ref()
            .map_or(0, |parent| to_u64(parent.locator().len()));
        Ok(Self {
            common,
            blocks,
            data: TABLE.saturating_add(table).saturating_add(locator),
            parent,
        })
    }
}

/// A disk that lies in the file as it is.
pub(super) struct Fixed(Common);

impl Fixed {
    /// # Errors
    /// `TooBig`.
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Result<Self, LayoutError> {
        Ok(Self(Common::new(size, given, options)?))
    }
}

impl Table for Fixed {
    fn size(&self, _wanted: u64) -> u64 {
        self.0.size
    }

    fn block(&self) -> u64 {
        SECTOR.size()
    }

    fn most_blocks(&self) -> u64 {
        SECTOR.index_of(MOST_BLOCKS.saturating_mul(BLOCK))
    }

    fn data(&self) -> u64 {
        0
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        Box::new(core::iter::once_with(|| Part {
            offset: blocks.end(),
            bytes: self.0.footer(KIND_FIXED, u64::MAX),
        }))
    }

    fn footer(&self) -> u64 {
        FOOTER
    }
}

/// Puts the checksum into its place.
fn with_checksum(mut bytes: Vec<u8>, field: Number<Be<u32>>) -> Vec<u8> {
    let sum = checksum(&bytes, field);
    put(&mut bytes, field, sum);
    bytes
}

impl Table for Vpc {
    fn size(&self, _wanted: u64) -> u64 {
        self.common.size
    }

    fn block(&self) -> u64 {
        BLOCK
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        self.data
    }

    fn prefix(&self) -> u64 {
        BITMAP
    }

    fn settled(&self, offset: u64) -> Option<Part> {
        // All sectors are there: those that were not written read as zeros.
        Some(Part {
            offset,
            bytes: vec![0xff; to_usize(BITMAP)],
        })
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let table = entries(blocks).fold(Fields::default(), |table, offset| {
            table.be32(offset.map_or(UNUSED, |offset| small(SECTOR.index_of(offset))))
        });
        let mut table = table.done();
        let locator = self
            .parent
            .as_ref()
            .map(Parent::locator)
            .unwrap_or_default();
        let path = self.data.saturating_sub(to_u64(locator.len()));
        table.resize(to_usize(path.saturating_sub(TABLE)), 0xff);
        table.extend(locator);
        let header = Built::new(dynamic_header::BYTES)
            .put_bytes(dynamic_header::COOKIE, b"cxsparse")
            .put(dynamic_header::DATA_OFFSET, u64::MAX)
            .put(dynamic_header::TABLE_OFFSET, TABLE)
            .put(dynamic_header::HEADER_VERSION, 0x0001_0000)
            .put(dynamic_header::MAX_TABLE_ENTRIES, small(self.blocks))
            .put(dynamic_header::BLOCK_SIZE, small(BLOCK));
        let mut header = header.done();
        let kind = match &self.parent {
            Some(parent) => {
                parent.put_into(&mut header, path);
                KIND_DIFFERENCING
            }
            None => KIND_DYNAMIC,
        };
        let footer = self.common.footer(kind, DYNAMIC_HEADER);
        Box::new(
            vec![
                Part {
                    offset: TABLE,
                    bytes: table,
                },
                Part {
                    offset: DYNAMIC_HEADER,
                    bytes: with_checksum(header, dynamic_header::CHECKSUM),
                },
                Part {
                    offset: blocks.end(),
                    bytes: footer.clone(),
                },
                Part {
                    offset: 0,
                    bytes: footer,
                },
            ]
            .into_iter(),
        )
    }

    fn footer(&self) -> u64 {
        FOOTER
    }
}
