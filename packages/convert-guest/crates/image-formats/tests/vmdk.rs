//! Disks of VMware as other programs than qemu-img write them, built here from their structures: streams whose directory
//! comes last, copy-on-write and space-efficient disks of ESX, descriptors with extents of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatImage, Within};
use miniz_oxide::deflate::compress_to_vec_zlib;
use support::promises::survives_changes;
use support::{Random, Workdir, assert_same_disk_as, judge, open_chain};

const GRAIN: usize = 64 << 10;
const SECTOR: usize = 512;

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
}

/// A hosted sparse header.
fn header(version: u32, flags: u32, sectors: usize, directory: u64, compressed: bool) -> Vec<u8> {
    let mut bytes = vec![0; SECTOR];
    put(&mut bytes, 0, b"KDMV");
    put(&mut bytes, 4, &version.to_le_bytes());
    put(&mut bytes, 8, &flags.to_le_bytes());
    put(&mut bytes, 12, &(sectors as u64).to_le_bytes());
    put(&mut bytes, 20, &(GRAIN as u64 / 512).to_le_bytes());
    put(&mut bytes, 28, &1_u64.to_le_bytes());
    put(&mut bytes, 36, &20_u64.to_le_bytes());
    put(&mut bytes, 44, &512_u32.to_le_bytes());
    put(&mut bytes, 56, &directory.to_le_bytes());
    put(&mut bytes, 64, &128_u64.to_le_bytes());
    put(&mut bytes, 73, b"\n \r\n");
    put(&mut bytes, 77, &u16::from(compressed).to_le_bytes());
    bytes
}

fn marker(value: u64, size: u32, kind: u32) -> Vec<u8> {
    let mut bytes = vec![0; SECTOR];
    put(&mut bytes, 0, &value.to_le_bytes());
    put(&mut bytes, 8, &size.to_le_bytes());
    put(&mut bytes, 12, &kind.to_le_bytes());
    bytes
}

/// A streamOptimized file as exporters write it: grains behind markers, tables behind theirs, the directory, the footer.
fn stream(content: &[u8]) -> Vec<u8> {
    let sectors = content.len() / SECTOR;
    let mut bytes = header(3, 0x3_0001, sectors, u64::MAX, true);
    let text = b"# Disk DescriptorFile\nversion=1\nCID=1234abcd\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n";
    bytes.extend(text);
    bytes.resize(128 * SECTOR, 0);
    let mut tables = Vec::new();
    for (number, part) in content.chunks(512 * GRAIN).enumerate() {
        let mut table = vec![0_u8; 2048];
        for (index, grain) in part.chunks(GRAIN).enumerate() {
            if grain.iter().all(|byte| *byte == 0) {
                continue;
            }
            put(
                &mut table,
                4 * index,
                &((bytes.len() / SECTOR) as u32).to_le_bytes(),
            );
            // The last grain holds no more than the disk does.
            let packed = compress_to_vec_zlib(grain, (index % 7) as u8);
            let place = (number * 512 * GRAIN + index * GRAIN) / SECTOR;
            bytes.extend((place as u64).to_le_bytes());
            bytes.extend((packed.len() as u32).to_le_bytes());
            bytes.extend(packed);
            pad(&mut bytes);
        }
        bytes.extend(marker(4, 0, 1));
        tables.push((bytes.len() / SECTOR) as u32);
        bytes.extend(table);
    }
    bytes.extend(marker(1, 0, 2));
    let directory = (bytes.len() / SECTOR) as u64;
    for table in tables {
        bytes.extend(table.to_le_bytes());
    }
    pad(&mut bytes);
    bytes.extend(marker(1, 0, 3));
    bytes.extend(header(3, 0x3_0001, sectors, directory, true));
    bytes.extend(marker(0, 0, 0));
    bytes
}

/// Grains that compress, grains that do not, grains of zeros, and a last one that is not whole.
fn content(grains: usize, tail: usize) -> Vec<u8> {
    let mut random = Random(grains as u64);
    let mut bytes = Vec::new();
    for index in 0..grains {
        bytes.extend(match index % 3 {
            0 => random.bytes(GRAIN),
            1 => (0..GRAIN).map(|_| random.next() as u8).collect(),
            _ => vec![0; GRAIN],
        });
    }
    bytes.extend(random.bytes(tail));
    bytes
}

#[test]
fn streams_whose_directory_comes_last() {
    let workdir = Workdir::new();
    let judge = judge(&workdir, "streams_whose_directory_comes_last");
    for (grains, tail) in [(3, 0), (7, GRAIN), (5, 3 * SECTOR)] {
        let disk = content(grains, tail);
        workdir.write("image.vmdk", &stream(&disk));
        let path = workdir.path("image.vmdk");
        let mut chain = open_chain(&path, None).unwrap();
        assert!(chain.read_all(u64::MAX).unwrap() == disk);
        let layer = &mut chain.chain.layers_mut()[0];
        // Streams near the end of the file may reach behind it, for all that their bound tells.
        assert!(matches!(layer.within_file(1 << 20), Ok(Within::Whole(_))));
        // QEMU wants whole grains in a stream.
        if let Some(judge) = judge.as_ref().filter(|_| tail % GRAIN == 0) {
            assert_same_disk_as(judge, "image.vmdk", None);
        }
    }
}

#[test]
fn a_stream_that_lost_its_end_is_refused_by_the_field() {
    let workdir = Workdir::new();
    let whole = stream(&content(4, 0));
    for length in [whole.len() - 1, whole.len() - SECTOR, whole.len() / 2] {
        workdir.write("image.vmdk", &whole[..length]);
        let error = open_chain(&workdir.path("image.vmdk"), None)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(
            (error.kind, error.field),
            (ErrorKind::BadHeader, "gdOffset")
        );
    }
}

/// A copy-on-write disk of ESX with grains of one sector.
fn cowd(sectors: u32, stored: &[(u32, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * SECTOR];
    put(&mut bytes, 0, b"COWD");
    for (at, value) in [
        (4, 1),
        (8, 3),
        (12, sectors),
        (16, 1),
        (20, 4),
        (24, sectors.div_ceil(4096)),
    ] {
        put(&mut bytes, at, &value.to_le_bytes());
    }
    bytes.extend(vec![
        0;
        (4 * sectors.div_ceil(4096) as usize)
            .next_multiple_of(SECTOR)
    ]);
    for (sector, fill) in stored {
        let entry = 4 * SECTOR + 4 * (*sector as usize / 4096);
        let mut table = u32::from_le_bytes(bytes[entry..entry + 4].try_into().unwrap()) as usize;
        if table == 0 {
            table = bytes.len() / SECTOR;
            put(&mut bytes, entry, &(table as u32).to_le_bytes());
            bytes.extend(vec![0; 4 * 4096]);
        }
        let place = (bytes.len() / SECTOR) as u32;
        put(
            &mut bytes,
            table * SECTOR + 4 * (*sector as usize % 4096),
            &place.to_le_bytes(),
        );
        bytes.extend([*fill; SECTOR]);
    }
    bytes
}

/// A space-efficient disk of ESX: grains of 4 KiB, tables of 4096.
fn se_sparse(sectors: u64, grains: &[(usize, u64, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; 16 * SECTOR];
    let (directory, tables) = (16, 17);
    let grain_tables = sectors.div_ceil(8 * 4096) as usize;
    let data = tables + 64 * grain_tables as u64;
    let fields: &[(usize, u64)] = &[
        (0, 0xcafe_babe),
        (8, 0x2_0000_0001),
        (16, sectors),
        (24, 8),
        (32, 64),
        (80, 1),
        (88, 1),
        (128, directory),
        (136, 1),
        (144, tables),
        (152, 64 * grain_tables as u64),
        (192, data),
        (200, 8 * grains.len() as u64),
    ];
    for (at, value) in fields {
        put(&mut bytes, *at, &value.to_le_bytes());
    }
    put(&mut bytes, SECTOR, &0xcafe_cafe_u64.to_le_bytes());
    bytes.resize(data as usize * SECTOR, 0);
    let mut stored = 0_u64;
    for (index, kind, fill) in grains {
        let table = index / 4096;
        put(
            &mut bytes,
            directory as usize * SECTOR + 8 * table,
            &(0x1000_0000 << 32 | table as u64).to_le_bytes(),
        );
        let mut entry = kind << 60;
        if *kind == 3 {
            entry |= (stored & 0xfff) << 48 | stored >> 12;
            stored += 1;
            bytes.extend([*fill; 4096]);
        }
        let place = tables as usize * SECTOR + table * 4096 * 8 + 8 * (index % 4096);
        put(&mut bytes, place, &entry.to_le_bytes());
    }
    bytes
}

fn descriptor(variant: &str, extents: &str) -> String {
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=0000002a\nparentCID=ffffffff\ncreateType=\"{variant}\"\n{extents}\n"
    )
}

#[test]
fn extents_of_every_kind_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "extents_of_every_kind") else {
        return;
    };
    let mut random = Random(3);
    workdir.write("flat", &random.bytes(200 * SECTOR));
    workdir.write(
        "cow",
        &cowd(9000, &[(0, 1), (4095, 2), (4096, 3), (8999, 4), (1, 5)]),
    );
    let grains = [(0, 3, 7), (1, 3, 8), (2, 1, 0), (3, 2, 0), (4097, 3, 9)];
    workdir.write("efficient", &se_sparse(8 * 5000, &grains));
    for (variant, extents) in [
        ("vmfsSparse", "RW 9000 VMFSSPARSE \"cow\""),
        ("seSparse", "RW 40000 SESPARSE \"efficient\""),
        ("vmfs", "RW 200 VMFS \"flat\""),
        ("monolithicFlat", "RW 100 FLAT \"flat\" 50"),
        (
            "twoGbMaxExtentFlat",
            "RW 50 FLAT \"flat\" 150\nRW 70 FLAT \"flat\" 0",
        ),
    ] {
        workdir.write("image.vmdk", descriptor(variant, extents).as_bytes());
        assert_same_disk_as(&judge, "image.vmdk", Some(Format::Vmdk));
    }
}

#[test]
fn extents_of_zeros_and_those_that_may_only_be_read() {
    let workdir = Workdir::new();
    let data = Random(4).bytes(3 * SECTOR);
    workdir.write("flat", &data);
    let extents = "RW 2 ZERO\nRDONLY 3 FLAT \"flat\" 0\nRW 1 ZERO";
    workdir.write("image.vmdk", descriptor("custom", extents).as_bytes());
    let mut chain = open_chain(&workdir.path("image.vmdk"), None).unwrap();
    let expected = [vec![0; 2 * SECTOR], data, vec![0; SECTOR]].concat();
    assert!(chain.read_all(700).unwrap() == expected);
}

#[test]
fn impossible_descriptors_are_refused() {
    use ErrorKind::{BadDescriptor, UnsupportedVariant};
    let workdir = Workdir::new();
    workdir.write("flat", &[1; 4096]);
    let many = "RW 1 ZERO\n".repeat(61);
    let cases: &[(&str, &str, ErrorKind, &str)] = &[
        ("monolithicFlat", "", BadDescriptor, "extent"),
        (
            "monolithicFlat",
            "RW 0 FLAT \"flat\" 0",
            BadDescriptor,
            "extent",
        ),
        (
            "monolithicFlat",
            "RW -1 FLAT \"flat\" 0",
            BadDescriptor,
            "extent",
        ),
        (
            "monolithicFlat",
            "RW 99999999999999999999 FLAT \"flat\" 0",
            BadDescriptor,
            "extent",
        ),
        ("monolithicFlat", "RW 8 FLAT", BadDescriptor, "extent"),
        (
            "monolithicFlat",
            "RW 8 FLAT \"flat\" x",
            BadDescriptor,
            "extent",
        ),
        (
            "monolithicFlat",
            "RW 8 STRANGE \"flat\"",
            BadDescriptor,
            "extent",
        ),
        (
            "monolithicFlat",
            "NOACCESS 8 FLAT \"flat\" 0",
            BadDescriptor,
            "extent",
        ),
        ("monolithicFlat", &many, BadDescriptor, "extent"),
        (
            "fullDevice",
            "RW 8 FLAT \"/dev/sda\" 0",
            UnsupportedVariant,
            "createType",
        ),
        ("", "RW 8 FLAT \"flat\" 0", UnsupportedVariant, "createType"),
    ];
    for (variant, extents, kind, field) in cases {
        workdir.write("image.vmdk", descriptor(variant, extents).as_bytes());
        let error = open_chain(&workdir.path("image.vmdk"), None)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(
            (error.kind, error.field),
            (*kind, *field),
            "{extents}: {error}"
        );
    }
    let bytes =
        descriptor("monolithicFlat", "RW 8 FLAT \"flat\" 0").replace("CID=0000002a", "CID=xyz");
    workdir.write("image.vmdk", bytes.as_bytes());
    let error = open_chain(&workdir.path("image.vmdk"), None)
        .map(|_| ())
        .unwrap_err();
    assert_eq!((error.kind, error.field), (BadDescriptor, "CID"));
}

#[test]
fn impossible_headers_are_refused_by_the_field() {
    use ErrorKind::*;
    let workdir = Workdir::new();
    let judge = judge(&workdir, "impossible_headers_of_vmdk");
    let cases: &[(usize, &[u8], ErrorKind, &str)] = &[
        (4, &[4, 0, 0, 0], UnsupportedVersion, "version"),
        (12, &[0xff; 8], ImageTooBig, "capacity"),
        (20, &[0; 8], BadClusterSize, "grainSize"),
        (
            20,
            &[1, 0, 0x20, 0, 0, 0, 0, 0],
            BadClusterSize,
            "grainSize",
        ),
        (44, &[0; 4], BadTable, "numGTEsPerGT"),
        (44, &[1, 2, 0, 0], BadTable, "numGTEsPerGT"),
        (
            64,
            &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0],
            BadHeader,
            "overHead",
        ),
    ];
    for (at, number, kind, field) in cases {
        let mut bytes = header(1, 1, 2048, 21, false);
        bytes.resize(300 * SECTOR, 0);
        put(&mut bytes, *at, number);
        workdir.write("image.vmdk", &bytes);
        let error = open_chain(&workdir.path("image.vmdk"), None)
            .map(|_| ())
            .unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        if let Some(judge) = &judge {
            assert!(judge.try_disk("image.vmdk", "-f vmdk").is_err(), "{error}");
        }
    }
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let images = [
        stream(&content(4, 3 * SECTOR)),
        cowd(9000, &[(0, 9), (4096, 9)]),
        se_sparse(8 * 5000, &[(0, 3, 9), (2, 1, 0), (4097, 3, 9)]),
        descriptor("custom", "RW 8 ZERO\nRW 5 FLAT \"flat\" 3").into_bytes(),
    ];
    for (image, seed) in images.iter().zip(0..) {
        survives_changes(image, Format::Vmdk, &[9], seed);
    }
}
