//! Whatever bytes an image holds: `map` answers or refuses, in bounded time, and what it answers
//! covers the disk without gaps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{
    Chain, DeviceIndex, DiskImage, Extent, ExtentKind, Format, FormatImage, Image, ListLimits,
    OpenOptions,
};
use proptest::prelude::*;
use support::builder::{Builder, CLUSTER, L1_TABLE, L2_TABLE, at};

/// A few extents from a few places on, each checked against what [`Image::map`] promises.
fn walk(image: &mut impl Image, file_sizes: &[u64], falls_through: bool) {
    let size = image.virtual_size();
    assert_eq!(size % 512, 0);
    for start in [0, size / 3, size.saturating_sub(1)] {
        let mut offset = start;
        for step in [
            1,
            511,
            70_000,
            u64::MAX,
            u64::MAX,
            5,
            u64::MAX,
            9999,
            u64::MAX,
        ] {
            if offset >= size {
                assert!(image.map(offset, step).is_err());
                break;
            }
            let Ok(extent) = image.map(offset, step) else {
                break;
            };
            check(&extent, offset, step.min(size - offset), file_sizes);
            assert!(falls_through || extent.kind != ExtentKind::Unallocated);
            check_inside(image, &extent);
            offset = extent.end();
        }
    }
}

/// A long extent says of each of its bytes what the byte says of itself.
fn check_inside(image: &mut impl Image, extent: &Extent) {
    for part in 0..=40 {
        let delta = (extent.length - 1) / 40 * part;
        let single = image.map(extent.start + delta, 1).unwrap();
        let expected = match extent.kind {
            ExtentKind::Data { device, offset } => ExtentKind::Data {
                device,
                offset: offset + delta,
            },
            same => same,
        };
        assert_eq!(single.kind, expected, "{delta} bytes into {extent:?}");
    }
}

fn check(extent: &Extent, offset: u64, most: u64, file_sizes: &[u64]) {
    assert_eq!(extent.start, offset);
    assert!(extent.length >= 1 && extent.length <= most, "{extent:?}");
    match extent.kind {
        ExtentKind::Zero | ExtentKind::Unallocated => {}
        ExtentKind::Data { device, offset } => {
            let end = offset.checked_add(extent.length).unwrap();
            assert!(end <= file_sizes[device.0 as usize], "{extent:?}");
        }
        ExtentKind::Compressed {
            device,
            offset,
            max_length,
            cluster_start,
            cluster_size,
            ..
        } => {
            assert!(max_length == 0 || offset + max_length <= file_sizes[device.0 as usize]);
            assert!(max_length <= 2 * cluster_size);
            assert!(cluster_start <= extent.start && cluster_start % cluster_size == 0);
            assert!(extent.end() <= cluster_start + cluster_size, "{extent:?}");
        }
    }
}

const LIMITS: ListLimits = ListLimits {
    snapshots: 100,
    bitmaps: 100,
};

fn open_and_walk(bytes: &[u8], format: Option<Format>) {
    let sizes = [bytes.len() as u64, 3 << 20];
    let options = OpenOptions { cache_blocks: 3 };
    let Ok(mut image) = DiskImage::open(bytes, DeviceIndex(0), format, options) else {
        return;
    };
    let _ = image.attach_data_file(DeviceIndex(1), sizes[1]);
    let _ = image.facts(LIMITS);
    let _ = image.within_file(1 << 20);
    walk(&mut image, &sizes, true);
    let mut chain = Chain::new(2);
    chain.push(image, DeviceIndex(0)).unwrap();
    let base = DiskImage::open(bytes, DeviceIndex(0), Some(Format::Raw), options).unwrap();
    chain.push(base, DeviceIndex(0)).unwrap();
    walk(&mut chain, &sizes, false);
}

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
