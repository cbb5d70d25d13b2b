//! Appliances in one file, as tar makes them in each of its formats: the disk inside is the disk.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;

use instar_image_formats::{DeviceIndex, DiskImage, ErrorKind, Format, FormatError, OpenOptions};
use support::promises::survives_changes;
use support::{Judge, Workdir, judge, open_chain};

const DISK: &str = "box-disk001.vmdk";

/// The archive of these files, the description first.
fn pack(workdir: &Workdir, options: &[&str], files: &[&str]) -> Vec<u8> {
    workdir.write("box.ovf", b"<?xml version=\"1.0\"?><Envelope/>");
    let packed = Command::new("tar")
        .current_dir(workdir.path("."))
        .args(["-cf", "box.ova"])
        .args(options)
        .arg("box.ovf")
        .args(files)
        .status();
    assert!(packed.unwrap().success());
    workdir.read("box.ova")
}

fn disk(judge: &Judge<'_>, options: &str) -> Vec<u8> {
    judge.img(&format!("create -q -f vmdk {options} source.vmdk 3M"));
    let writes = [
        "write -P 7 0 64k",
        "write -P 8 1M 200k",
        "write -P 9 2900k 64k",
    ];
    if options.contains("streamOptimized") {
        judge.img("create -q -f raw source.raw 3M");
        judge.io("-f raw", "source.raw", &writes.map(str::to_owned));
        judge.img(&format!(
            "convert -f raw -O vmdk {options} source.raw {DISK}"
        ));
    } else {
        judge.io("-f vmdk", "source.vmdk", &writes.map(str::to_owned));
        let bytes = judge.workdir().read("source.vmdk");
        judge.workdir().write(DISK, &bytes);
    }
    judge.try_disk(DISK, "-f vmdk").unwrap()
}

fn open(bytes: &[u8]) -> Result<Format, FormatError> {
    let image = DiskImage::open(bytes, DeviceIndex(0), None, OpenOptions::default())?;
    Ok(image.format())
}

#[test]
fn the_disk_of_an_appliance_is_read_where_it_lies() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "the_disk_of_an_appliance") else {
        return;
    };
    let long = format!("{}/{DISK}", "d".repeat(120));
    for options in ["-o subformat=streamOptimized", "", "-o zeroed_grain=on"] {
        let expected = disk(&judge, options);
        std::fs::create_dir_all(workdir.path(&long).parent().unwrap()).unwrap();
        workdir.write(&long, &workdir.read(DISK));
        workdir.write("box.mf", b"SHA256(box.ovf)= 0");
        for format in ["--format=ustar", "--format=gnu", "--format=pax"] {
            for files in [&[DISK, "box.mf"][..], &["box.mf", DISK], &[&*long]] {
                let archive = pack(&workdir, &[format], files);
                assert_eq!(open(&archive), Ok(Format::Vmdk));
                let mut chain = open_chain(&workdir.path("box.ova"), None).unwrap();
                assert!(
                    chain.read_all(u64::MAX).unwrap() == expected,
                    "{options} {format} {files:?}"
                );
            }
        }
        let archive = pack(&workdir, &["--format=ustar"], &[DISK]);
        survives_changes(&archive, Format::Vmdk, &[7, 8, 9], 3);
    }
}

#[test]
fn an_appliance_without_one_disk_is_refused() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "an_appliance_without_one_disk") else {
        return;
    };
    disk(&judge, "-o subformat=streamOptimized");
    workdir.write("box-disk002.vmdk", &workdir.read(DISK));
    workdir.write("readme", b"hello");
    let two = open(&pack(&workdir, &[], &[DISK, "readme", "box-disk002.vmdk"])).unwrap_err();
    assert_eq!(two.kind, ErrorKind::UnsupportedVariant);
    assert_eq!(&*two.text, b"box-disk001.vmdk, box-disk002.vmdk");
    let none = open(&pack(&workdir, &[], &["readme"])).unwrap_err();
    assert_eq!((none.kind, none.value), (ErrorKind::UnsupportedVariant, 0));
    // A disk that is something else is refused as what it is not.
    workdir.write("other.vdi", &[1; 4096]);
    let other = open(&pack(&workdir, &[], &["other.vdi"])).unwrap_err();
    assert_eq!(other.kind, ErrorKind::NotThisFormat);
    // An archive without a description is not taken for an appliance.
    let good = pack(&workdir, &["--format=ustar"], &[DISK]);
    assert_eq!(open(&good[1024..]), Ok(Format::Raw));
}

/// Changes the header of the disk's file, and mends its checksum.
fn bent(good: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut archive = good.to_vec();
    let header = &mut archive[1024..1536];
    assert!(header.starts_with(DISK.as_bytes()));
    header[at..at + bytes.len()].copy_from_slice(bytes);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive
}

#[test]
fn headers_of_the_archive_are_believed_as_far_as_they_can_be() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "headers_of_the_archive") else {
        return;
    };
    let expected = disk(&judge, "-o subformat=streamOptimized");
    let good = pack(&workdir, &["--format=ustar"], &[DISK]);
    let length = workdir.read(DISK).len() as u64;
    // A size as GNU writes it where octal digits do not do.
    let mut size = [0; 12];
    size[0] = 0x80;
    size[4..].copy_from_slice(&length.to_be_bytes());
    workdir.write("box.ova", &bent(&good, 124, &size));
    let mut chain = open_chain(&workdir.path("box.ova"), None).unwrap();
    assert!(chain.read_all(70_000).unwrap() == expected);
    let cases: &[(&str, Vec<u8>, &str)] = &[
        (
            "a size behind the end",
            bent(&good, 124, b"77777777777\0"),
            "tar size",
        ),
        ("a huge size", bent(&good, 124, &[0xff; 12]), "tar size"),
        ("no number", bent(&good, 124, b"12345678xyz\0"), "tar size"),
        ("no magic", bent(&good, 257, b"USTAR"), "tar magic"),
        ("a cut archive", good[..good.len() / 4].to_vec(), "tar size"),
        (
            "a record behind the end",
            bent(&good, 156, b"x"),
            "tar size",
        ),
    ];
    for (what, bytes, field) in cases {
        let error = open(bytes).unwrap_err();
        assert_eq!(
            (error.kind, error.field),
            (ErrorKind::BadHeader, *field),
            "{what}: {error}"
        );
        assert!((1024..1536).contains(&error.offset), "{what}: {error}");
    }
    let mut sum = good.clone();
    sum[1024] = b'B';
    assert_eq!(open(&sum).unwrap_err().field, "tar checksum");
    // What is wrong with the disk is told by its place in the archive.
    let mut version = good.clone();
    version[1536 + 4] = 9;
    assert_eq!(open(&version).unwrap_err().offset, 1540);
}
