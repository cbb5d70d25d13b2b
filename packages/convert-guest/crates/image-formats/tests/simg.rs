//! Android sparse images: chunks of every kind, built from their specification, and headers that bend one rule each.
//! (What `img2simg` makes is read by the tests of the finished command.)

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{
    ErrorKind, ExtentKind, Format, FormatError, FormatImage, Image, Within,
};
use support::promises::survives_changes;
use support::{Workdir, open_chain};

const BLOCK: u32 = 4096;

enum Chunk {
    Raw(Vec<u8>),
    Fill([u8; 4], u32),
    DontCare(u32),
    Crc32,
}

/// CRC-32 bit by bit, as RFC 1952 describes it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 0 { 0 } else { 0xedb8_8320 };
        }
    }
    !crc
}

/// An image of these chunks, and its disk.
fn build(chunks: &[Chunk]) -> (Vec<u8>, Vec<u8>) {
    let mut body = Vec::new();
    let mut disk = Vec::new();
    for chunk in chunks {
        let (kind, blocks, data) = match chunk {
            Chunk::Raw(bytes) => {
                disk.extend(bytes);
                (0xcac1_u16, bytes.len() as u32 / BLOCK, bytes.clone())
            }
            Chunk::Fill(word, blocks) => {
                disk.extend(word.repeat((blocks * BLOCK / 4) as usize));
                (0xcac2, *blocks, word.to_vec())
            }
            Chunk::DontCare(blocks) => {
                disk.resize(disk.len() + (blocks * BLOCK) as usize, 0);
                (0xcac3, *blocks, vec![])
            }
            Chunk::Crc32 => (0xcac4, 0, crc32(&disk).to_le_bytes().to_vec()),
        };
        body.extend(kind.to_le_bytes());
        body.extend([0; 2]);
        body.extend(blocks.to_le_bytes());
        body.extend((12 + data.len() as u32).to_le_bytes());
        body.extend(data);
    }
    let mut image = 0xed26_ff3a_u32.to_le_bytes().to_vec();
    for half in [1_u16, 0, 28, 12] {
        image.extend(half.to_le_bytes());
    }
    let blocks = disk.len() as u32 / BLOCK;
    for word in [BLOCK, blocks, chunks.len() as u32, 0] {
        image.extend(word.to_le_bytes());
    }
    image.extend(body);
    (image, disk)
}

fn noise(blocks: u32, seed: u8) -> Vec<u8> {
    (0..blocks * BLOCK)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed)
        .collect()
}

fn sample() -> (Vec<u8>, Vec<u8>) {
    build(&[
        Chunk::DontCare(3),
        Chunk::Raw(noise(5, 1)),
        Chunk::Fill([1, 2, 3, 4], 700),
        Chunk::Fill([0; 4], 2),
        Chunk::Crc32,
        Chunk::Raw(noise(1, 2)),
        Chunk::Raw(noise(2, 3)),
        Chunk::DontCare(1),
    ])
}

fn read(bytes: &[u8], step: u64) -> Result<Vec<u8>, FormatError> {
    let workdir = Workdir::new();
    let path = workdir.write("image", bytes);
    open_chain(&path, Some(Format::Simg))?.read_all(step)
}

#[test]
fn chunks_of_every_kind_are_read_in_any_steps() {
    let (image, disk) = sample();
    for step in [u64::MAX, 100_001, 1_000_003] {
        assert!(read(&image, step).unwrap() == disk, "{step}");
    }
}

#[test]
fn more_chunks_than_are_remembered_are_found() {
    let chunks: Vec<_> = (0..70_000_u32)
        .map(|number| Chunk::Fill((number + 1).to_le_bytes(), 1))
        .collect();
    let (image, _) = build(&chunks);
    let workdir = Workdir::new();
    let path = workdir.write("image", &image);
    let mut chain = open_chain(&path, Some(Format::Simg)).unwrap();
    for number in [0, 1, 2, 35_001, 69_998, 69_999, 7, 65_536, 65_537] {
        let extent = chain.chain.map(number * 4096 + 5, u64::MAX).unwrap();
        let ExtentKind::Compressed {
            offset,
            cluster_start,
            ..
        } = extent.kind
        else {
            panic!("{extent:?}");
        };
        assert_eq!((extent.length, cluster_start), (4091, number * 4096));
        assert_eq!(offset, 28 + number * 16 + 12);
    }
}

#[test]
fn bent_numbers_are_refused_by_name() {
    use ErrorKind::*;
    let (good, _) = sample();
    let second = 28 + 12;
    let bends: &[(usize, &[u8], ErrorKind, &str)] = &[
        (0, &[0], NotThisFormat, "magic"),
        (4, &[2, 0], UnsupportedVersion, "major_version"),
        (8, &[27, 0], BadHeader, "file_hdr_sz"),
        (10, &[11, 0], BadHeader, "chunk_hdr_sz"),
        (12, &[0; 4], BadHeader, "blk_sz"),
        (12, &[2, 0, 0, 0], BadHeader, "blk_sz"),
        (16, &[0xff; 4], BadTable, "total_blks"),
        (20, &[7, 0, 0, 0], BadTable, "total_blks"),
        (20, &[0xff; 4], BadTable, "chunk"),
        (second, &[0xc5, 0xca], BadTableEntry, "chunk_type"),
        (second + 4, &[0xff; 4], BadTableEntry, "total_sz"),
        (second + 8, &[0; 4], BadTableEntry, "total_sz"),
        (32, &[0xff; 4], BadTableEntry, "chunk_sz"),
    ];
    for (at, bytes, kind, field) in bends {
        let mut image = good.clone();
        image[*at..*at + bytes.len()].copy_from_slice(bytes);
        let error = read(&image, u64::MAX).unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
    }
}

#[test]
fn a_cut_file_is_told() {
    let (image, disk) = sample();
    for length in [0, 27] {
        assert_eq!(
            read(&image[..length], 512).unwrap_err().kind,
            ErrorKind::BadHeader
        );
    }
    let error = read(&image[..30], 512).unwrap_err();
    assert_eq!((error.kind, error.field), (ErrorKind::BadTable, "chunk"));
    // Only the last chunk's data is cut, so that every header is there.
    let (whole, _) = build(&[Chunk::Raw(noise(4, 1))]);
    let cut = &whole[..whole.len() - 5000];
    let workdir = Workdir::new();
    let path = workdir.write("image", cut);
    let mut chain = open_chain(&path, Some(Format::Simg)).unwrap();
    assert_eq!(chain.chain.virtual_size(), 4 * u64::from(BLOCK));
    let within = chain.chain.layers_mut()[0].within_file(u64::MAX).unwrap();
    let Within::Beyond(beyond) = within else {
        panic!("{within:?}");
    };
    assert_eq!(
        (beyond.field, beyond.at, beyond.end),
        ("total_sz", 36, whole.len() as u64)
    );
    assert!(!disk.is_empty());
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let (image, _) = build(&[
        Chunk::Raw(vec![7; 8192]),
        Chunk::Fill([1, 2, 3, 4], 30),
        Chunk::DontCare(9),
        Chunk::Raw(vec![8; 4096]),
    ]);
    survives_changes(&image, Format::Simg, &[7, 8], 11);
}

#[test]
fn checksums_are_compared() {
    let (image, disk) = sample();
    let fifth = image
        .windows(2)
        .rposition(|bytes| bytes == 0xcac4_u16.to_le_bytes())
        .unwrap();
    let chunk = fifth + 12;
    for (what, at) in [("data", 28 + 12 + 12 + 5), ("the checksum", chunk)] {
        let mut bent = image.clone();
        bent[at] ^= 1;
        let error = read(&bent, 512).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ChecksumMismatch, "{what}");
        assert_eq!((error.field, error.offset), ("CRC32 chunk", chunk as u64));
    }
    // AOSP does not count blocks of which nothing is said where it writes.
    let mut other = image.clone();
    let counted = &disk[3 * BLOCK as usize..(3 + 5 + 700 + 2) * BLOCK as usize];
    other[chunk..chunk + 4].copy_from_slice(&crc32(counted).to_le_bytes());
    assert_eq!(read(&other, u64::MAX), Ok(disk.clone()));
    let mut whole = image.clone();
    whole[24..28].copy_from_slice(&crc32(&disk).to_le_bytes());
    assert_eq!(read(&whole, u64::MAX), Ok(disk));
    whole[24] ^= 1;
    let error = read(&whole, 512).unwrap_err();
    assert_eq!(
        (error.kind, error.field),
        (ErrorKind::ChecksumMismatch, "image_checksum")
    );
}
