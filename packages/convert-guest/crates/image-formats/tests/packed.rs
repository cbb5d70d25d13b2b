//! Packed raw disks: what the files say of their size, what is refused, and that no change of a byte does worse. (Decoding is
//! tested beside the codecs, and against the finished command.)

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use instar_image_formats::{ErrorKind, Format, FormatError, Image, OpenOptions};
use support::promises::survives_changes;
use support::{Workdir, open_chain, open_chain_with};

const PACKERS: [(Format, &[&str]); 4] = [
    (Format::Gzip, &["gzip", "-nc"]),
    (Format::Xz, &["xz", "-c"]),
    (Format::Zstd, &["zstd", "-qc"]),
    (Format::Bzip2, &["bzip2", "-c"]),
];

/// What a tool makes of bytes that it is given through a pipe; `None` where it is not installed.
fn pack(command: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{} must be installed in CI",
            command[0]
        );
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {} is not installed",
            command[0]
        );
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

fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn disk_of(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let workdir = Workdir::new();
    let path = workdir.write("packed", bytes);
    let mut chain = open_chain(&path, None)?;
    chain.read_all(u64::MAX)
}

#[test]
fn the_size_is_found_whatever_says_it() {
    let plain = content(150_000);
    let (first, second) = plain.split_at(70_001);
    let commands: [(Format, &[&str]); 8] = [
        (Format::Gzip, &["gzip", "-c"]),
        (Format::Bzip2, &["bzip2", "-c"]),
        (Format::Xz, &["xz", "-c"]),
        (Format::Xz, &["xz", "-c", "--block-size=1000"]),
        // Through a pipe no size is known.
        (Format::Zstd, &["zstd", "-qc"]),
        (Format::Zstd, &["zstd", "-qc", "--stream-size=70001"]),
        (
            Format::Zstd,
            &["zstd", "-qc", "--stream-size=70001", "--no-check"],
        ),
        (Format::Zstd, &["zstd", "-qc", "-B1000", "-T2"]),
    ];
    for (format, command) in commands {
        let Some(one) = pack(command, first) else {
            continue;
        };
        let other: Vec<_> = command
            .iter()
            .copied()
            .filter(|part| !part.starts_with("--stream"))
            .collect();
        let two = pack(&other, second).unwrap();
        let mut expected = plain.clone();
        expected.resize(150_016, 0);
        let both = [&one[..], &two[..]].concat();
        assert_eq!(disk_of(&both), Ok(expected.clone()), "{command:?}");
        if format == Format::Xz {
            let padded = [&one[..], &[0; 8196], &two[..], &[0; 5000]].concat();
            assert_eq!(disk_of(&padded), Ok(expected), "{command:?}");
        }
    }
}

#[test]
fn a_size_that_is_a_lie_is_told() {
    // A frame of one raw block of 5 bytes, in a single segment: the size is one byte.
    let frame = |size: u8| [&b"\x28\xb5\x2f\xfd\x20"[..], &[size, 0x29, 0, 0], b"hello"].concat();
    assert_eq!(disk_of(&frame(5)).unwrap()[..5], *b"hello");
    for size in [0, 4, 6, 255] {
        let error = disk_of(&frame(size)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    }
    let Some(mut packed) = pack(&["xz", "-c"], &content(1000)) else {
        return;
    };
    // The index lies before the footer: its checksum no longer agrees.
    let at = packed.len() - 12 - 4 - 4;
    packed[at] ^= 1;
    let error = disk_of(&packed).unwrap_err();
    assert_eq!((error.kind, error.field), (ErrorKind::Damaged, "index"));
}

#[test]
fn what_unpacks_to_more_than_is_allowed_is_refused_before_it_is_unpacked() {
    let plain = vec![0; 3_000_000];
    for (format, command) in PACKERS {
        let Some(packed) = pack(command, &plain) else {
            continue;
        };
        let workdir = Workdir::new();
        let path = workdir.write("packed", &packed);
        let open = |most_unpacked| {
            let options = OpenOptions {
                most_unpacked,
                ..OpenOptions::default()
            };
            open_chain_with(&path, None, options).map(|chain| chain.chain.virtual_size())
        };
        assert_eq!(open(3_000_000), Ok(3_000_320), "{format:?}");
        let error = open(2_999_999).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnpackedTooBig, "{error}");
    }
}

#[test]
fn archives_and_images_inside_are_refused_by_name() {
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let qcow = [&b"QFI\xfb\0\0\0\x03"[..], &[0; 1000]].concat();
    for (inside, name) in [(tar, "archive"), (qcow, "qcow2")] {
        for (format, command) in PACKERS {
            let Some(packed) = pack(command, &inside) else {
                continue;
            };
            let error = disk_of(&packed).unwrap_err();
            assert_eq!(error.kind, ErrorKind::PackedContent, "{format:?}: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_no_packed_one_is_not_forced() {
    let workdir = Workdir::new();
    let path = workdir.write("plain", &content(3000));
    for (format, _) in PACKERS {
        let error = open_chain(&path, Some(format)).err().unwrap();
        assert_eq!(error.kind, ErrorKind::NotThisFormat);
    }
}

#[test]
fn no_change_of_a_byte_breaks_a_promise() {
    for (format, command) in PACKERS {
        let Some(packed) = pack(command, &content(600)) else {
            continue;
        };
        survives_changes(&packed, format, &[], 17);
    }
}
