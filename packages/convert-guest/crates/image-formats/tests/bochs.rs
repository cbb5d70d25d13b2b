//! Bochs growing disks, which qemu-img reads and does not write: built here from their structures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatImage, Within};
use support::promises::survives_changes;
use support::{Random, Workdir, assert_same_disk_as, judge, open_chain};

const EXTENT: usize = 64 << 10;
const EXTENTS: usize = 9;
const DISK: u64 = (EXTENT * EXTENTS - 512 * 5) as u64;
const HEADER: usize = 512;
/// Behind the catalog.
const DATA: usize = HEADER + 4 * EXTENTS;
/// A bitmap of 16 bytes fills a sector.
const STRIDE: usize = 512 + EXTENT;

fn header(version: u32) -> Vec<u8> {
    let mut bytes = vec![0; DATA];
    bytes[..22].copy_from_slice(b"Bochs Virtual HD Image");
    bytes[32..39].copy_from_slice(b"Redolog");
    bytes[48..55].copy_from_slice(b"Growing");
    for (at, value) in [
        (64, version),
        (68, HEADER as u32),
        (72, EXTENTS as u32),
        (76, 16),
        (80, EXTENT as u32),
    ] {
        put(&mut bytes, at, value);
    }
    let disk_at = if version == 0x2_0000 { 88 } else { 84 };
    bytes[disk_at..disk_at + 8].copy_from_slice(&DISK.to_le_bytes());
    bytes[HEADER..].fill(0xff);
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Extents in any order, with bits and sectors at random.
fn random_image(version: u32, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = header(version);
    let mut number = 0;
    for index in 0..EXTENTS {
        let index = (index * 5) % EXTENTS;
        if random.below(3) == 0 {
            continue;
        }
        put(&mut bytes, HEADER + 4 * index, number);
        number += 1;
        let mut bitmap = vec![0; 512];
        for byte in &mut bitmap[..16] {
            *byte = match random.below(3) {
                0 => 0,
                1 => 0xff,
                _ => random.next() as u8,
            };
        }
        bytes.extend(bitmap);
        bytes.extend(random.bytes(EXTENT));
    }
    bytes
}

#[test]
fn growing_disks_of_both_versions_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "growing_disks_of_both_versions") else {
        return;
    };
    for seed in 0..6 {
        let version = if seed % 2 == 0 { 0x1_0000 } else { 0x2_0000 };
        workdir.write("image", &random_image(version, seed));
        assert_same_disk_as(&judge, "image", Some(Format::Bochs));
    }
}

#[test]
fn an_image_that_is_cut_is_not_whole() {
    let workdir = Workdir::new();
    let mut bytes = header(0x2_0000);
    put(&mut bytes, HEADER + 4, 0);
    bytes.extend([0xff; STRIDE]);
    for (length, field) in [
        (bytes.len(), None),
        (bytes.len() - 1, Some("catalog entry")),
        (DATA + 200, Some("bitmap")),
        (DATA - 1, Some("catalog")),
    ] {
        workdir.write("image", &bytes[..length]);
        let mut chain = open_chain(&workdir.path("image"), None).unwrap();
        let found = chain.chain.layers_mut()[0].within_file(1 << 20).unwrap();
        let beyond = match found {
            Within::Whole(_) => None,
            Within::Beyond(beyond) => Some(beyond.field),
            other => panic!("{other:?}"),
        };
        assert_eq!(beyond, field, "{length}");
    }
}

#[test]
fn impossible_headers_are_refused_by_the_field() {
    let workdir = Workdir::new();
    let judge = judge(&workdir, "impossible_headers_of_bochs");
    let cases: &[(usize, u32, ErrorKind, &str)] = &[
        (64, 0x3_0000, ErrorKind::UnsupportedVersion, "version"),
        (72, 0, ErrorKind::BadTable, "catalog"),
        (72, EXTENTS as u32 - 1, ErrorKind::BadTable, "catalog"),
        (72, u32::MAX, ErrorKind::BadTable, "catalog"),
        (80, 0, ErrorKind::BadClusterSize, "extent"),
        (80, 511, ErrorKind::BadClusterSize, "extent"),
        (80, 65537, ErrorKind::BadClusterSize, "extent"),
        (80, 1 << 24, ErrorKind::BadClusterSize, "extent"),
        (48, 0x6c6f_5655, ErrorKind::UnsupportedVariant, "subtype"),
    ];
    for (at, value, kind, field) in cases {
        let mut bytes = header(0x2_0000);
        put(&mut bytes, *at, *value);
        workdir.write("image", &bytes);
        let error = open_chain(&workdir.path("image"), Some(Format::Bochs))
            .map(|_| ())
            .unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        if let Some(judge) = &judge {
            assert!(judge.try_disk("image", "-f bochs").is_err(), "{error}");
        }
    }
    // A bitmap that has no bit for some sectors: QEMU would take sectors of the disk for its rest.
    let mut bytes = header(0x2_0000);
    put(&mut bytes, 76, 15);
    workdir.write("image", &bytes);
    let error = open_chain(&workdir.path("image"), None)
        .map(|_| ())
        .unwrap_err();
    assert_eq!((error.kind, error.field), (ErrorKind::BadTable, "bitmap"));
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    // Bitmaps and sectors as they come; the header and the catalog are what changes.
    let mut bytes = header(0x2_0000);
    for number in 0..3 {
        put(&mut bytes, HEADER + 4 * number * 2, number as u32);
        bytes.extend([0x5a; STRIDE]);
    }
    survives_changes(&bytes, Format::Bochs, &[0x5a], 1);
}
