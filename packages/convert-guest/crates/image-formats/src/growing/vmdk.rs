//! VMware disks, monolithicSparse (Virtual Disk Format 5.0): header, descriptor, two copies of grain directory and grain
//! tables, grains of 64 KiB.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::blocks::{Allocated, Table};
use super::fields::{Fields, small};
use super::{Given, Options, Part, Subformat};
use crate::arith::{SECTOR, to_usize};
use crate::structure::Built;
use crate::structures::vmdk::sparse_header;

pub(super) const GRAIN: u64 = 64 << 10;
pub(super) const ENTRIES_OF_TABLE: u64 = 512;
/// Sectors.
const DESCRIPTOR: u64 = 1;
const DESCRIPTOR_LENGTH: u64 = 20;
const TABLE_LENGTH: u64 = 4;
/// A flag of the header: an entry of 1 says that its grain is zeros.
pub(super) const ZERO_GRAINS: u32 = 4;
/// What stands for tools that nobody manages.
const UNMANAGED_TOOLS: u32 = 0x7fff_ffff;
/// 2 TiB: the sectors of the file must fit an entry.
const MOST_BLOCKS: u64 = (2 << 40) / GRAIN - 1024;

pub(super) struct Vmdk {
    size: u64,
    tables: u64,
    /// Sectors of one grain directory.
    directory: u64,
    data: u64,
    /// Entries may say that a grain is zeros.
    zeroed_grains: bool,
    /// None for a part of a disk that another file describes.
    descriptor: Option<Descriptor>,
}

impl Vmdk {
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>) -> Self {
        let grains = size.div_ceil(GRAIN);
        let tables = grains.div_ceil(ENTRIES_OF_TABLE);
        let directory = tables.saturating_mul(4).div_ceil(SECTOR.size());
        let copy = directory.saturating_add(tables.saturating_mul(TABLE_LENGTH));
        let sectors = copy
            .saturating_mul(2)
            .saturating_add(DESCRIPTOR + DESCRIPTOR_LENGTH);
        let data = SECTOR.times(sectors).unwrap_or(u64::MAX);
        Self {
            size,
            tables,
            directory,
            data: data.div_ceil(GRAIN).saturating_mul(GRAIN),
            zeroed_grains: options.zeroed_grains,
            descriptor: (options.subformat != Subformat::Extent)
                .then(|| Descriptor::new(size, given, options, Kind::Sparse)),
        }
    }

    /// The first sector of a copy of directory and tables.
    fn copy(&self, number: u64) -> u64 {
        let length = self
            .directory
            .saturating_add(self.tables.saturating_mul(TABLE_LENGTH));
        length
            .saturating_mul(number)
            .saturating_add(DESCRIPTOR + DESCRIPTOR_LENGTH)
    }

    fn header(&self) -> Vec<u8> {
        let (descriptor, length) = match &self.descriptor {
            Some(_) => (DESCRIPTOR, DESCRIPTOR_LENGTH),
            None => (0, 0),
        };
        let (version, zeros) = if self.zeroed_grains {
            (2, ZERO_GRAINS)
        } else {
            (1, 0)
        };
        // The line ends are to be looked at, and there are redundant tables.
        with_line_ends(Built::new(sparse_header::BYTES))
            .put(sparse_header::VERSION, version)
            .put(sparse_header::FLAGS, 3 | zeros)
            .put(sparse_header::CAPACITY, SECTOR.index_of(self.size))
            .put(sparse_header::GRAIN_SIZE, SECTOR.index_of(GRAIN))
            .put(sparse_header::DESCRIPTOR_OFFSET, descriptor)
            .put(sparse_header::DESCRIPTOR_SIZE, length)
            .put(sparse_header::NUM_GTES_PER_GT, small(ENTRIES_OF_TABLE))
            .put(sparse_header::RGD_OFFSET, self.copy(0))
            .put(sparse_header::GD_OFFSET, self.copy(1))
            .put(sparse_header::OVER_HEAD, SECTOR.index_of(self.data))
            .done()
    }
}

/// What tells a header that went through a program which changes line ends.
pub(super) fn with_line_ends(header: Built) -> Built {
    header
        .put_bytes(sparse_header::MAGIC_NUMBER, b"KDMV")
        .put(sparse_header::SINGLE_END_LINE_CHAR, b'\n')
        .put(sparse_header::NON_END_LINE_CHAR, b' ')
        .put(sparse_header::DOUBLE_END_LINE_CHAR1, b'\r')
        .put(sparse_header::DOUBLE_END_LINE_CHAR2, b'\n')
}

/// Kinds of disk by the name in their descriptor.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Sparse,
    StreamOptimized,
}

/// The text that describes a disk ("The Descriptor File").
pub(super) struct Descriptor {
    kind: Kind,
    sectors: u64,
    content_id: u32,
    name: Vec<u8>,
    adapter: Vec<u8>,
    hardware_version: u32,
    tools_version: u32,
}

impl Descriptor {
    pub fn new(size: u64, given: Given<'_>, options: &Options<'_>, kind: Kind) -> Self {
        let [a, b, c, d, ..] = *given.random;
        let adapter = match options.adapter {
            [] => &b"ide"[..],
            adapter => adapter,
        };
        Self {
            kind,
            sectors: SECTOR.index_of(size),
            // All ones mean that there is no parent.
            content_id: u32::from_le_bytes([a, b, c, d]).min(u32::MAX - 1),
            // What would end the text that it stands in.
            name: given
                .name
                .iter()
                .map(|byte| match byte {
                    b'"' | 0..b' ' | 0x7f => b'_',
                    byte => *byte,
                })
                .collect(),
            adapter: adapter.to_vec(),
            hardware_version: match options.hardware_version {
                0 => 4,
                version => version,
            },
            tools_version: match options.tools_version {
                0 => UNMANAGED_TOOLS,
                version => version,
            },
        }
    }

    /// The text, in so many sectors.
    pub fn bytes(&self, sectors: u64) -> Vec<u8> {
        // What is no IDE disk has more heads.
        let heads: u64 = if self.adapter == b"ide" { 16 } else { 255 };
        let cylinders = self
            .sectors
            .checked_div(heads.saturating_mul(63))
            .unwrap_or(0);
        let kind = match self.kind {
            Kind::Sparse => "monolithicSparse",
            Kind::StreamOptimized => "streamOptimized",
        };
        let head = format!(
            "# Disk DescriptorFile\nversion=1\nCID={:08x}\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n# Extent \
             description\nRW {} SPARSE \"",
            self.content_id, self.sectors
        );
        let middle = format!(
            "\"\n\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"{}\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"{heads}\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"",
            self.hardware_version
        );
        Fields::default()
            .bytes(head.as_bytes())
            .bytes(&self.name)
            .bytes(middle.as_bytes())
            .bytes(&self.adapter)
            .bytes(format!("\"\nddb.toolsVersion = \"{}\"\n", self.tools_version).as_bytes())
            .up_to(to_usize(sectors.saturating_mul(SECTOR.size())))
            .done()
    }
}

impl Table for Vmdk {
    fn block(&self) -> u64 {
        GRAIN
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        self.data
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let tables = [0, 1].into_iter().flat_map(move |number| {
            let start = self.copy(number);
            let first = start.saturating_add(self.directory);
            let place = move |table: u64| first.saturating_add(table.saturating_mul(TABLE_LENGTH));
            let directory = move || {
                (0..self.tables).fold(Fields::default(), |directory, table| {
                    directory.le32(small(place(table)))
                })
            };
            let directory = core::iter::once_with(move || Part {
                offset: SECTOR.times(start).unwrap_or(u64::MAX),
                bytes: directory().done(),
            });
            directory.chain((0..self.tables).map(move |table| {
                let grain = table.saturating_mul(ENTRIES_OF_TABLE);
                let entries = (0..ENTRIES_OF_TABLE).fold(Fields::default(), |entries, entry| {
                    let offset = blocks.offset(grain.saturating_add(entry));
                    entries.le32(offset.map_or(0, |offset| small(SECTOR.index_of(offset))))
                });
                Part {
                    offset: SECTOR.times(place(table)).unwrap_or(u64::MAX),
                    bytes: entries.done(),
                }
            }))
        });
        let descriptor = self.descriptor.iter().map(|descriptor| Part {
            offset: SECTOR.times(DESCRIPTOR).unwrap_or(u64::MAX),
            bytes: descriptor.bytes(DESCRIPTOR_LENGTH),
        });
        let header = core::iter::once_with(|| Part {
            offset: 0,
            bytes: self.header(),
        });
        Box::new(tables.chain(descriptor).chain(header))
    }
}
