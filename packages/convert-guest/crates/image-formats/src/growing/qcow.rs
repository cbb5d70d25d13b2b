//! QEMU copy-on-write disks, version 1 (`block/qcow.c`): header, L1 table, L2 tables in front of the clusters that they
//! describe. Numbers are big-endian. Clusters have 4 KiB, over a backing file 512 bytes, so that none is filled from below.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Part;
use super::blocks::{Allocated, Blocks, Group, Table};
use super::fields::{Fields, small};
use crate::arith::{PowerOfTwo, to_u64};
use crate::qcow2::writer::{Backing, LayoutError};
use crate::structure::Built;
use crate::structures::qcow::header;

/// Bits of an offset within a table and within a cluster, together: 2 MiB.
const SPAN_BITS: u32 = 21;
/// What the places of blocks are counted in has 32 bits.
const MOST_BLOCKS: u64 = 0x7fff_ffff;

pub(super) struct Qcow {
    cluster: PowerOfTwo,
    tables: u64,
    l1_offset: u64,
    header: Vec<u8>,
}

/// An image for `size` bytes.
///
/// # Errors
/// `Empty`, `TooBig`.
pub(super) fn layout(size: u64, backing: Option<Backing<'_>>) -> Result<Blocks<Qcow>, LayoutError> {
    if size == 0 {
        return Err(LayoutError::Empty);
    }
    let (cluster_bits, l2_bits) = if backing.is_some() { (9, 12) } else { (12, 9) };
    let name = backing.map_or(&[][..], |backing| backing.name);
    let name_offset = if name.is_empty() {
        0
    } else {
        to_u64(header::BYTES)
    };
    let end = to_u64(header::BYTES.saturating_add(name.len()));
    let l1_offset = end.next_multiple_of(8);
    // The time of the backing file is zero: nobody compares it.
    let mut header = Built::new(header::BYTES)
        .put(header::MAGIC, u32::from_be_bytes(*b"QFI\xfb"))
        .put(header::VERSION, 1)
        .put(header::BACKING_FILE_OFFSET, name_offset)
        .put(header::BACKING_FILE_SIZE, small(to_u64(name.len())))
        .put(header::SIZE, size)
        .put(header::CLUSTER_BITS, cluster_bits)
        .put(header::L2_BITS, l2_bits)
        .put(header::L1_TABLE_OFFSET, l1_offset)
        .done();
    header.extend_from_slice(name);
    let table = Qcow {
        cluster: PowerOfTwo::from_bits(cluster_bits.into()),
        tables: PowerOfTwo::from_bits(SPAN_BITS).count_for(size),
        l1_offset,
        header,
    };
    Blocks::new(size, table)
}

impl Qcow {
    /// Entries of an L2 table.
    fn entries(&self) -> u64 {
        1_u64.wrapping_shl(SPAN_BITS.saturating_sub(self.cluster.bits()))
    }
}

impl Table for Qcow {
    fn block(&self) -> u64 {
        self.cluster.size()
    }

    fn most_blocks(&self) -> u64 {
        MOST_BLOCKS
    }

    fn data(&self) -> u64 {
        let end = self.l1_offset.saturating_add(self.tables.saturating_mul(8));
        self.cluster.round_up(end).unwrap_or(u64::MAX)
    }

    fn group(&self) -> Option<Group> {
        let bytes = self.entries().saturating_mul(8);
        Some(Group {
            describes: self.entries(),
            length: small(self.cluster.count_for(bytes)),
        })
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let entries = self.entries();
        let second = (0..self.tables).filter_map(move |number| {
            let offset = blocks.group(number)?;
            let first = number.saturating_mul(entries);
            let last = first.saturating_add(entries);
            Some(Part {
                offset,
                bytes: (first..last)
                    .fold(Fields::default(), |table, block| {
                        table.be64(blocks.offset(block).unwrap_or(0))
                    })
                    .done(),
            })
        });
        // In pieces: the table of a large disk is larger than the memory of whoever writes it.
        let first = (0..self.tables).step_by(PIECE).map(move |from| {
            let behind = from.saturating_add(to_u64(PIECE)).min(self.tables);
            Part {
                offset: self.l1_offset.saturating_add(from.saturating_mul(8)),
                bytes: (from..behind)
                    .fold(Fields::default(), |table, number| {
                        table.be64(blocks.group(number).unwrap_or(0))
                    })
                    .done(),
            }
        });
        let header = core::iter::once_with(|| Part {
            offset: 0,
            bytes: self.header.clone(),
        });
        Box::new(second.chain(first).chain(header))
    }
}

/// Entries of the L1 table that are put together at once.
const PIECE: usize = 16 << 10;
