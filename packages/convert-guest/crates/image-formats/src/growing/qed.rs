//! QEMU enhanced disks (QEMU, docs/interop/qed_spec): header, L1 table, L2 tables in front of the clusters that they
//! describe, clusters. Numbers are little-endian.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::blocks::{Allocated, Blocks, Group, Table};
use super::fields::{Fields, small};
use super::{Options, Part};
use crate::arith::to_usize;
use crate::qcow2::writer::LayoutError;
use crate::structure::Built;
use crate::structures::qed::header;

/// Bytes of a cluster, and clusters of a table, where nobody chooses.
const CLUSTER: u32 = 64 << 10;
const TABLE_CLUSTERS: u32 = 4;
/// Bytes of the largest table.
const LARGEST_TABLE: u64 = 8 << 20;
const BACKING_FILE: u64 = 1;
const BACKING_RAW: u64 = 4;

pub(super) struct Qed {
    size: u64,
    /// Bytes.
    cluster: u64,
    /// Clusters of a table.
    table_clusters: u32,
    header: Vec<u8>,
}

/// An image for `size` bytes.
///
/// # Errors
/// `BadClusterSize`, `TooBig`, `NoRoomForName`.
pub(super) fn layout(size: u64, options: &Options<'_>) -> Result<Blocks<Qed>, LayoutError> {
    let or_default = |chosen, default| if chosen == 0 { default } else { chosen };
    let cluster = or_default(options.block_size, CLUSTER);
    let table_clusters = or_default(options.table_clusters, TABLE_CLUSTERS);
    if !cluster.is_power_of_two()
        || !(4096..=64 << 20).contains(&cluster)
        || !table_clusters.is_power_of_two()
        || !(2..=16).contains(&table_clusters)
    {
        return Err(LayoutError::BadClusterSize);
    }
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
            small(crate::arith::to_u64(header::BYTES)),
            small(crate::arith::to_u64(name.len())),
        )
    };
    let mut header = Built::new(header::BYTES)
        .put(header::MAGIC, u32::from_le_bytes(*b"QED\0"))
        .put(header::CLUSTER_SIZE, cluster)
        .put(header::TABLE_SIZE, table_clusters)
        .put(header::HEADER_SIZE, 1)
        .put(header::FEATURES, features)
        .put(header::L1_TABLE_OFFSET, u64::from(cluster))
        .put(header::IMAGE_SIZE, size)
        .put(header::BACKING_FILENAME_OFFSET, name_offset)
        .put(header::BACKING_FILENAME_SIZE, name_length)
        .done();
    header.extend_from_slice(name);
    let cluster = u64::from(cluster);
    if header.len() > to_usize(cluster) {
        return Err(LayoutError::NoRoomForName);
    }
    let qed = Qed {
        size,
        cluster,
        table_clusters,
        header,
    };
    // A table is in memory as a whole.
    if qed.table() > LARGEST_TABLE {
        return Err(LayoutError::BadClusterSize);
    }
    // QEMU opens none whose tables could describe more than 2^64 bytes.
    if qed.most_blocks().checked_mul(cluster).is_none() {
        return Err(LayoutError::TooBig { safe_size: 0 });
    }
    Blocks::new(size, qed)
}

impl Qed {
    /// Bytes of a table.
    fn table(&self) -> u64 {
        self.cluster.saturating_mul(u64::from(self.table_clusters))
    }

    /// Entries of a table.
    fn entries(&self) -> u64 {
        self.table() / 8
    }
}

impl Table for Qed {
    fn block(&self) -> u64 {
        self.cluster
    }

    /// As many L2 tables as the L1 table has entries.
    fn most_blocks(&self) -> u64 {
        self.entries().saturating_mul(self.entries())
    }

    fn data(&self) -> u64 {
        self.cluster.saturating_add(self.table())
    }

    fn group(&self) -> Option<Group> {
        Some(Group {
            describes: self.entries(),
            length: self.table_clusters,
        })
    }

    fn parts<'a>(&'a self, blocks: &'a dyn Allocated) -> Box<dyn Iterator<Item = Part> + 'a> {
        let entries = self.entries().max(1);
        let tables = self.size.div_ceil(self.cluster).div_ceil(entries);
        let second = (0..tables).filter_map(move |number| {
            let offset = blocks.group(number)?;
            let first = number.saturating_mul(entries);
            let last = first.saturating_add(entries);
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
            offset: self.cluster,
            bytes: (0..tables)
                .fold(Fields::default(), |table, number| {
                    table.le64(blocks.group(number).unwrap_or(0))
                })
                .up_to(to_usize(self.table()))
                .done(),
        });
        let header = core::iter::once_with(|| Part {
            offset: 0,
            bytes: self.header.clone(),
        });
        Box::new(second.chain(first).chain(header))
    }
}
