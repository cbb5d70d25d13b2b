//! Apple's sparse images before ASIF, built here from what is known of them; libyal's reader, in Python, judges.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use instar_image_formats::{ErrorKind, Format, FormatImage, Image, Within};
use support::promises::survives_changes;
use support::{Random, Workdir, open_chain};

const HEADER: usize = 4096;
const BAND: usize = 64 << 10;

fn header(sectors: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..4].copy_from_slice(b"sprs");
    for (at, value) in [(4, 3), (8, (BAND / 512) as u32), (12, 1), (16, sectors)] {
        put(&mut bytes, at, value);
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Bands of a disk in any order, and the disk.
fn image(seed: u64, sectors: u32) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(seed);
    let mut bytes = header(sectors);
    let mut disk = vec![0; sectors as usize * 512];
    let bands = disk.len().div_ceil(BAND);
    let mut order: Vec<usize> = (0..bands).filter(|_| random.below(3) > 0).collect();
    for index in (1..order.len()).rev() {
        order.swap(index, random.below(index as u64 + 1) as usize);
    }
    for (slot, band) in order.into_iter().enumerate() {
        put(&mut bytes, 64 + 4 * slot, band as u32 + 1);
        let content = random.bytes(BAND);
        let part = &mut disk[band * BAND..];
        let length = part.len().min(BAND);
        part[..length].copy_from_slice(&content[..length]);
        bytes.extend(content);
    }
    (bytes, disk)
}

const READ: &str = "
import sys, pymodi
image = pymodi.handle()
image.open(sys.argv[1])
sys.stdout.buffer.write(image.read_buffer_at_offset(image.get_media_size(), 0))
";

/// Whether the second reader is there; without it, a loud word.
fn has_pymodi() -> bool {
    let mut import = Command::new("python3");
    import.args(["-c", "import pymodi"]).stderr(Stdio::null());
    if import.status().is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "libmodi-python must be installed in CI"
    );
    let notice = "SKIPPED sparse images: NOT TESTED, as Python's libmodi-python is not installed\n";
    let _ = std::io::stderr().write_all(notice.as_bytes());
    false
}

#[test]
fn images_read_as_they_were_built_and_as_a_second_reader_reads_them() {
    let workdir = Workdir::new();
    let second = has_pymodi();
    for (seed, sectors) in (0..).zip([1, 127, 128, 129, 2000, 20_000]) {
        let (bytes, disk) = image(seed, sectors);
        let path = workdir.write("image.sparseimage", &bytes);
        for step in [u64::MAX, 70_001] {
            let mut chain = open_chain(&path, None).unwrap();
            assert!(chain.read_all(step).unwrap() == disk, "seed {seed}");
        }
        let mut chain = open_chain(&path, None).unwrap();
        let layer = &mut chain.chain.layers_mut()[0];
        assert_eq!(layer.format(), Format::Sparseimage);
        assert_eq!(layer.virtual_size(), u64::from(sectors) * 512);
        let within = layer.within_file(1 << 20);
        assert!(matches!(within, Ok(Within::Whole(tails)) if tails.is_empty()));
        if second {
            let python = Command::new("python3")
                .args(["-c", READ])
                .arg(&path)
                .output();
            let output = python.unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            assert!(output.stdout == disk, "seed {seed}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_where_it_is() {
    let workdir = Workdir::new();
    let mut good = header(1024);
    put(&mut good, 64, 8);
    put(&mut good, 68, 1);
    good.resize(HEADER + 2 * BAND, 7);
    use ErrorKind::*;
    for (at, value, kind, field, place) in [
        (0, 0x7370_7274, NotThisFormat, "magic", 0),
        (4, 4, UnsupportedVersion, "version", 4),
        (8, 0, BadClusterSize, "sectors_per_band", 8),
        (8, 1, UnsupportedVariant, "sector_count", 16),
        (16, u32::MAX, UnsupportedVariant, "sector_count", 16),
        (16, 896, BadTable, "band", 64),
        (64, 9, BadTable, "band", 64),
        (68, 8, BadTable, "band", 68),
        (4092, u32::MAX, BadTable, "band", 4092),
    ] {
        let mut bytes = good.clone();
        put(&mut bytes, at, value);
        let path = workdir.write("image", &bytes);
        let opened = open_chain(&path, Some(Format::Sparseimage));
        let error = opened.map(|_| ()).unwrap_err();
        assert_eq!(
            (error.kind, error.field, error.offset),
            (kind, field, place),
            "{at} {value}"
        );
    }
    // The last band is cut.
    for length in [HEADER + 2 * BAND - 1, HEADER + BAND, HEADER + 1] {
        let path = workdir.write("image", &good[..length]);
        let mut chain = open_chain(&path, None).unwrap();
        let within = chain.chain.layers_mut()[0].within_file(1 << 20).unwrap();
        assert!(
            !matches!(&within, Within::Whole(tails) if tails.is_empty()),
            "{length}: {within:?}"
        );
    }
    let path = workdir.write("image", &good[..HEADER - 1]);
    assert!(open_chain(&path, None).is_err());
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let mut bytes = header(1024);
    for (slot, band) in [3, 1, 8].into_iter().enumerate() {
        put(&mut bytes, 64 + 4 * slot, band);
    }
    bytes.resize(HEADER + 3 * BAND, 0x5a);
    survives_changes(&bytes, Format::Sparseimage, &[0x5a], 23);
}
