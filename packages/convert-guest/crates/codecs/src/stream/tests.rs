//! Against the tools that pack: what they write is read back, and what is damaged is refused.

use std::io::Write;
use std::process::{Command, Stdio};
use std::vec::Vec;

use super::*;

/// Bytes that come in pieces of one size.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl PackedBytes for Pieces {
    fn peek(&mut self) -> Result<&[u8], ReadFailed> {
        let end = (self.at + self.piece).min(self.bytes.len());
        Ok(&self.bytes[self.at..end])
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.piece);
        self.at += count;
    }
}

fn unpack_in_pieces(
    packing: Packing,
    bytes: &[u8],
    piece: usize,
    room: usize,
    window: u64,
) -> Result<Vec<u8>, UnpackError> {
    let bytes = bytes.to_vec();
    let mut unpacker = Unpacker::new(
        packing,
        Pieces {
            bytes,
            at: 0,
            piece,
        },
        window,
    )?;
    let mut all = Vec::new();
    let mut output = std::vec![0; room];
    loop {
        match unpacker.read(&mut output)? {
            0 => return Ok(all),
            length => all.extend_from_slice(&output[..length]),
        }
    }
}

fn unpack(packing: Packing, bytes: &[u8]) -> Result<Vec<u8>, UnpackError> {
    unpack_in_pieces(packing, bytes, 4096, 8192, SMALL_WINDOW)
}

/// Noise, zeros and text: what is stored, what shrinks to nothing, and what lies between.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..length)
        .map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match index / 30_000 % 3 {
                0 => (state >> 24) as u8,
                1 => 0,
                _ => b"the quick brown fox "[index % 20],
            }
        })
        .collect()
}

const PACKINGS: [(Packing, &[&str]); 4] = [
    (Packing::Gzip, &["gzip", "-c"]),
    (Packing::Xz, &["xz", "-c"]),
    (Packing::Zstd, &["zstd", "-qc"]),
    (Packing::Bzip2, &["bzip2", "-c"]),
];

/// What a tool makes of bytes; `None` where it is not installed, which goes to the log of skipped tests.
fn pack(command: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        if let Ok(log) = std::env::var("INSTAR_SKIP_LOG") {
            let mut log = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(log)
                .unwrap();
            writeln!(log, "codecs: {} is not installed", command[0]).unwrap();
        }
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{command:?}");
    Some(output.stdout)
}

#[test]
fn what_tools_pack_is_unpacked_whatever_the_pieces() {
    let plain = content(200_000);
    for (packing, command) in PACKINGS {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        for (piece, room) in [(1, 70_000), (7, 1), (4096, 512), (1 << 20, 1 << 20)] {
            assert_eq!(
                unpack_in_pieces(packing, &packed, piece, room, SMALL_WINDOW),
                Ok(plain.clone())
            );
        }
    }
}

#[test]
fn every_level_and_check_is_read() {
    let plain = content(100_000);
    let commands: [(Packing, &[&str]); 12] = [
        (Packing::Gzip, &["gzip", "-1c"]),
        (Packing::Gzip, &["gzip", "-9c"]),
        (Packing::Xz, &["xz", "-0c", "--check=none"]),
        (Packing::Xz, &["xz", "-7c", "--check=crc32"]),
        (Packing::Xz, &["xz", "-c", "--check=sha256"]),
        (Packing::Xz, &["xz", "-c", "--block-size=20000"]),
        (Packing::Xz, &["xz", "-c", "--x86", "--lzma2"]),
        (Packing::Zstd, &["zstd", "-qc", "-1", "--no-check"]),
        (Packing::Zstd, &["zstd", "-qc", "-19"]),
        (Packing::Zstd, &["zstd", "-qc", "--fast=5"]),
        (Packing::Bzip2, &["bzip2", "-1c"]),
        (Packing::Bzip2, &["bzip2", "-9c"]),
    ];
    for (packing, command) in commands {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        assert_eq!(unpack(packing, &packed), Ok(plain.clone()), "{command:?}");
    }
}

#[test]
fn streams_one_after_the_other_are_one_disk() {
    let plain = content(70_000);
    for (packing, command) in PACKINGS {
        let (first, second) = plain.split_at(31_234);
        let Some(mut packed) = pack(command, first) else {
            continue;
        };
        packed.extend(pack(command, &[]).unwrap());
        packed.extend(pack(command, second).unwrap());
        assert_eq!(unpack(packing, &packed), Ok(plain.clone()), "{packing:?}");
    }
}

#[test]
fn a_file_that_is_cut_is_refused_wherever_it_is_cut() {
    let plain = content(3000);
    for (packing, command) in PACKINGS {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        for length in 0..packed.len() {
            let found = unpack(packing, &packed[..length]);
            assert!(
                matches!(found, Err(UnpackError::Damaged(_))),
                "{packing:?} {length}"
            );
        }
    }
}

#[test]
fn a_changed_bit_never_gives_another_disk() {
    let plain = content(2000);
    for (packing, command) in PACKINGS {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        for at in 0..packed.len() {
            let bit = at % 8;
            let mut changed = packed.clone();
            changed[at] ^= 1 << bit;
            // Some bits say nothing of the content: gzip's time and name.
            if let Ok(found) = unpack(packing, &changed) {
                assert_eq!(found, plain, "{packing:?}: bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn what_follows_must_be_what_the_format_allows() {
    let plain = content(1000);
    for (packing, command) in PACKINGS {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        let with = |behind: &[u8]| unpack(packing, &[&packed[..], behind].concat());
        for garbage in [&b"x"[..], b"garbage behind", &packed[..9]] {
            assert!(
                matches!(with(garbage), Err(UnpackError::Damaged(_))),
                "{packing:?}"
            );
        }
        let padded = matches!(packing, Packing::Gzip | Packing::Xz);
        assert_eq!(with(&[0; 512]).is_ok(), padded, "{packing:?}");
    }
    if let Some(packed) = pack(&["xz", "-c"], &plain) {
        // xz pads in words of four bytes.
        assert!(unpack(Packing::Xz, &[&packed[..], &[0; 3]].concat()).is_err());
    }
    // A skippable frame (RFC 8878, 3.1.2) is no content.
    if let Some(packed) = pack(&["zstd", "-qc"], &plain) {
        let frame = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        assert_eq!(
            unpack(Packing::Zstd, &[frame, &packed[..], frame].concat()),
            Ok(plain)
        );
    }
}

#[test]
fn a_dictionary_is_bounded_by_what_the_caller_allows() {
    let plain = content(1000);
    for (packing, command, small, large) in [
        (Packing::Xz, &["xz", "-7c"][..], true, true),
        (Packing::Xz, &["xz", "-9c"], false, true),
        (
            Packing::Xz,
            &["xz", "-c", "--lzma2=dict=128MiB"],
            false,
            true,
        ),
        (
            Packing::Xz,
            &["xz", "-c", "--lzma2=dict=192MiB"],
            false,
            false,
        ),
        (Packing::Zstd, &["zstd", "-qc", "--long=24"], true, true),
        (Packing::Zstd, &["zstd", "-qc", "--long=27"], false, true),
        (Packing::Zstd, &["zstd", "-qc", "--long=28"], false, false),
    ] {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        for (window, fits) in [(SMALL_WINDOW, small), (LARGE_WINDOW, large)] {
            let expected = if fits {
                Ok(plain.clone())
            } else {
                Err(UnpackError::WindowTooLarge)
            };
            let found = unpack_in_pieces(packing, &packed, 4096, 8192, window);
            assert_eq!(found, expected, "{command:?} in {window}");
        }
    }
}

#[test]
fn every_field_of_a_gzip_header_is_passed_over_and_its_checksum_compared() {
    let Some(packed) = pack(&["gzip", "-nc"], b"disk") else {
        return;
    };
    let mut header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x03\0xyzname\0comment\0".to_vec();
    let crc = crate::libdeflate::crc32(0, &header).to_le_bytes();
    header.extend_from_slice(&crc[..2]);
    let body = &packed[10..];
    assert_eq!(
        unpack(Packing::Gzip, &[&header, body].concat()),
        Ok(b"disk".to_vec())
    );
    header[12] ^= 1;
    assert!(unpack(Packing::Gzip, &[&header, body].concat()).is_err());
}
