//! Compressed loop images, which qemu-img reads and does not write: built here from their structures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatImage, Within};
use miniz_oxide::deflate::compress_to_vec_zlib;
use support::promises::survives_changes;
use support::{Random, Workdir, assert_same_disk_as, judge, open_chain};

const TABLE: usize = 136;

fn cloop(block: usize, content: &[u8]) -> Vec<u8> {
    let streams: Vec<_> = content
        .chunks(block)
        .enumerate()
        .map(|(index, part)| compress_to_vec_zlib(part, (index % 10) as u8))
        .collect();
    let script =
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";
    let mut bytes = script.to_vec();
    bytes.resize(128, 0);
    bytes.extend((block as u32).to_be_bytes());
    bytes.extend((streams.len() as u32).to_be_bytes());
    let mut at = (TABLE + 8 * (streams.len() + 1)) as u64;
    for length in streams.iter().map(Vec::len).chain([0]) {
        bytes.extend(at.to_be_bytes());
        at += length as u64;
    }
    bytes.extend(streams.concat());
    bytes
}

fn content(blocks: usize, block: usize) -> Vec<u8> {
    let mut random = Random(block as u64);
    let mut bytes = random.bytes(block * (blocks - 1));
    bytes.extend((0..block).map(|_| random.next() as u8));
    bytes
}

#[test]
fn images_of_every_size_of_blocks_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "cloop_images_of_every_size_of_blocks") else {
        return;
    };
    for block in [512, 1536, 65536, 2 << 20] {
        workdir.write("image", &cloop(block, &content(3, block)));
        assert_same_disk_as(&judge, "image", Some(Format::Cloop));
    }
}

#[test]
fn an_image_that_is_cut_is_not_whole() {
    let workdir = Workdir::new();
    let bytes = cloop(65536, &content(3, 65536));
    let within = |length: usize| {
        workdir.write("image", &bytes[..length]);
        let mut chain = open_chain(&workdir.path("image"), None).unwrap();
        chain.chain.layers_mut()[0].within_file(1 << 20).unwrap()
    };
    assert_eq!(within(bytes.len()), Within::Whole(Vec::new()));
    // Only decoding tells whether a stream that is cut lacks something.
    let Within::Whole(tails) = within(bytes.len() - 1) else {
        panic!("a tail was expected");
    };
    assert_eq!(tails.len(), 1);
    assert_eq!(tails[0].end, bytes.len() as u64);
    assert!(
        matches!(within(TABLE + 31), Within::Beyond(beyond) if beyond.field == "table of offsets")
    );
    assert!(
        matches!(within(TABLE + 40), Within::Beyond(beyond) if beyond.field == "offset of a block")
    );
}

#[test]
fn impossible_tables_are_refused_by_the_field() {
    let workdir = Workdir::new();
    let judge = judge(&workdir, "impossible_tables_of_cloop");
    let good = cloop(65536, &content(3, 65536));
    let cases: &[(usize, &[u8], ErrorKind, &str)] = &[
        (0, b"#!/bin/ksh", ErrorKind::NotThisFormat, "script"),
        (128, &[0; 4], ErrorKind::BadClusterSize, "block_size"),
        (128, &[0, 0, 2, 1], ErrorKind::BadClusterSize, "block_size"),
        (
            128,
            &[0xff, 0xff, 0xfe, 0],
            ErrorKind::BadClusterSize,
            "block_size",
        ),
        (132, &[0xff; 4], ErrorKind::BadTable, "n_blocks"),
        (
            TABLE + 8,
            &[0; 8],
            ErrorKind::BadTableEntry,
            "offset of a block",
        ),
        (
            TABLE + 8,
            &[0xff; 8],
            ErrorKind::BadTableEntry,
            "offset of a block",
        ),
    ];
    for (at, value, kind, field) in cases {
        let mut bytes = good.clone();
        bytes[*at..*at + value.len()].copy_from_slice(value);
        workdir.write("image", &bytes);
        let path = workdir.path("image");
        let read =
            open_chain(&path, Some(Format::Cloop)).and_then(|mut chain| chain.read_all(u64::MAX));
        let error = read.unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        // QEMU does not look at the script of an image that is said to be one.
        if let Some(judge) = judge.as_ref().filter(|_| *at > 0) {
            assert!(judge.try_disk("image", "-f cloop").is_err(), "{error}");
        }
    }
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let bytes = cloop(65536, &[0x5a; 65536 * 6]);
    survives_changes(&bytes, Format::Cloop, &[], 1);
}
