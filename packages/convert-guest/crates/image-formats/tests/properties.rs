//! Whatever bytes an image holds: `map` answers or refuses, in bounded time, and what it answers
//! covers the disk without gaps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::Format;
use proptest::prelude::*;
use support::builder::{Builder, CLUSTER, L1_TABLE, L2_TABLE, at};
use support::promises::open_and_walk;

fn table_entry() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        Just(0),
        Just(1),
        (0..40_u64).prop_map(|cluster| cluster << 16),
        (0..40_u64).prop_map(|cluster| 1 << 63 | cluster << 16),
        (any::<u64>()).prop_map(|entry| entry & ((1 << 62) - 1) | 1 << 62),
        (0..40_u64, 0..4_u64)
            .prop_map(|(cluster, sectors)| 1 << 62 | sectors << 54 | cluster << 16 | 77),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_behind_a_qcow2_magic(mut bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let magic = b"QFI\xfb\0\0\0\x03";
        let length = bytes.len().min(magic.len());
        bytes[..length].copy_from_slice(&magic[..length]);
        open_and_walk(&bytes, Some(Format::Qcow2));
        open_and_walk(&bytes, None);
    }

    #[test]
    fn a_good_image_with_some_bytes_of_its_header_changed(
        changes in prop::collection::vec((0..130_usize, any::<u8>()), 1..6),
        extended in any::<bool>(),
    ) {
        let mut image = if extended { Builder::extended_l2() } else { Builder::new() };
        for (at, byte) in changes {
            image.bytes[at] = byte;
        }
        open_and_walk(&image.bytes, Some(Format::Qcow2));
    }

    #[test]
    fn any_tables(
        l1 in prop::collection::vec(table_entry(), 1..6),
        l2 in prop::collection::vec(table_entry(), 16..64),
        size in 0..5_u64 << 29,
        flavour in 0..4,
    ) {
        let mut image = match flavour {
            0 => Builder::new(),
            1 => Builder::version_2(),
            2 => Builder::extended_l2(),
            _ => Builder::data_file(),
        };
        image.u64(at::SIZE, size).u32(at::L1_SIZE, 10);
        image.bytes[L2_TABLE..L2_TABLE + CLUSTER].fill(0);
        for (index, entry) in l1.iter().enumerate() {
            // Half of them lead to the L2 table, the others wherever they like.
            let entry = if entry % 2 == 0 { L2_TABLE as u64 } else { *entry };
            image.u64(L1_TABLE + 8 * index, entry);
        }
        for (index, entry) in l2.iter().enumerate() {
            image.l2(index, *entry);
        }
        open_and_walk(&image.bytes, Some(Format::Qcow2));
    }

    // Many tables of 64 entries side by side in one cache block, in any order.
    #[test]
    fn any_tables_of_small_clusters(
        l1 in prop::collection::vec(0..8_u64, 40),
        runs in prop::collection::vec((table_entry(), 1..100_usize), 1..20),
        version in 2..4_u32,
    ) {
        let mut image = Builder::new();
        image.u32(at::CLUSTER_BITS, 9).u32(at::VERSION, version).u32(at::L1_SIZE, 40);
        for (index, table) in l1.iter().enumerate() {
            image.u64(L1_TABLE + 8 * index, L2_TABLE as u64 + 512 * table);
        }
        let entries = runs.iter().flat_map(|(entry, count)| {
            let stride = if *entry % 2 == 0 && *entry != 0 { 512 } else { 0 };
            (0..*count as u64).map(move |index| entry.wrapping_add(stride * index))
        });
        for (index, entry) in entries.take(8 * 64).enumerate() {
            image.l2(index, entry);
        }
        open_and_walk(&image.bytes, Some(Format::Qcow2));
    }

    #[test]
    fn any_snapshot_table(
        table in prop::collection::vec(any::<u8>(), 200),
        count in 0..70_000_u32,
    ) {
        let mut image = Builder::new();
        image.snapshot(0, &[], "", "").u32(at::SNAPSHOT_COUNT, count);
        image.bytes(support::builder::SPARE, &table);
        open_and_walk(&image.bytes, Some(Format::Qcow2));
    }
}
