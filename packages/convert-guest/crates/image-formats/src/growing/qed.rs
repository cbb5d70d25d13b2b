//! QEMU enhanced disks (QEMU, docs/interop/qed_spec): header, L1 table, L2 tables in front of the clusters that they
//! describe, clusters of 64 KiB. Numbers are little-endian.

use alloc::boxed::Box;

use super::blocks::{Allocated, Blocks, Group, Table};
use super::fields::{Fields, small};
use super::{Options, Part};
use crate::arith::to_usize;
use crate::qcow2::writer::LayoutError;

const CLUSTER: u64 = 64 << 10;
const TABLE_CLUSTERS: u32 = 4;
const TABLE_BYTES: u64 = CLUSTER * 4;
const ENTRIES: u64 = TABLE_BYTES / 8;
const HEADER_LENGTH: usize = 64;
/// 64 TiB: as many L2 tables as the L1 table has entries.
const MOST_BLOCKS: u64 = ENTRIES * ENTRIES;
const BACKING_FILE: u64 = 1;
const BACKING_RAW: u64 = 4;

pub(super) struct Qed {
    size: u64,
    header: Fields,
}

/// An image for `size` bytes.
///
/// # Errors
/// `TooBig`, `NoRoomForName`.
pub(super) fn layout(size: u64, options: &Options<'_>) -> Result<Blocks<Qed>, LayoutError> {
    let name = options.backing.map_or(&[][..], |backing| backing.name);
    let mut features = 0;
    if let Some(backing) = options.backing {
        features |= BACKING_FILE;
        // Of other formats there is no word: they are found by looking.
        features |= if backing.format == b"raw" {
            BACKING_RAW
        } else {
            0
        };
    }
    let (name_offset, name_length) = if name.is_empty() {
        (0, 0)
    } else {
        (
            small(crate::arith::to_u64(HEADER_LENGTH)),
            small(crate::arith::to_u64(name.len())),
        )
    };
    let header = Fields::default()
        .bytes(b"QED\0")
        .le32(small(CLUSTER))
        .le32(TABLE_CLUSTERS)
        // Clusters of the header.
        .le32(1)
        .le64(features)
        .le64(0)
        .le64(0)
        .le64(CLUSTER)
        .le64(size)
        .le32(name_offset)
        .le32(name_length)
        .up_to(HEADER_LENGTH)
        .bytes(name);
    if header.len() > to_usize(CLUSTER) {
        return Err(LayoutError::NoRoomForName);
    }
    Blocks::new(size, Qed { size, header })
}

impl Table for Qed {
    fn block(&self) -> u64 {
        CLUSTER
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        CLUSTER + TABLE_BYTES
    }

    fn group(&self) -> Option<Group> {
        Some(Group {
            describes: ENTRIES,
            length: TABLE_CLUSTERS,
        })
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let tables = self.size.div_ceil(CLUSTER).div_ceil(ENTRIES);
        let second = (0..tables).filter_map(move |number| {
            let offset = blocks.group(number)?;
            let first = number.saturating_mul(ENTRIES);
            let last = first.saturating_add(ENTRIES);
            Some(Part {
                offset,
                bytes: (first..last)
                    .fold(Fields::default(), |table, block| {
                        table.le64(blocks.offset(block).unwrap_or(0))
                    })
                    .done(),
            })
        });
        let first = core::iter::once_with(move || Part {
            offset: CLUSTER,
            bytes: (0..tables)
                .fold(Fields::default(), |table, number| {
                    table.le64(blocks.group(number).unwrap_or(0))
                })
                .up_to(to_usize(TABLE_BYTES))
                .done(),
        });
        let header = core::iter::once_with(|| Part {
            offset: 0,
            bytes: self.header.to_vec(),
        });
        Box::new(second.chain(first).chain(header))
    }
}
