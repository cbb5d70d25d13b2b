//! Formats recognised by what other programs wrote, and files with two faces.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{
    DeviceIndex, DiskImage, ErrorKind, Format, Image, OpenOptions, Probe, probe,
};
use support::builder::Builder;
use support::{Workdir, judge};

fn probe_bytes(bytes: &[u8]) -> Probe {
    let mut source = bytes;
    probe(&mut source).unwrap()
}

/// A file of 64 KiB with some bytes in it.
fn with(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 65536];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

const TRAILER: usize = 65536 - 512;
const ISO: (usize, &[u8]) = (32769, b"CD001");

#[test]
fn images_that_qemu_img_makes_are_recognised() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "images_that_qemu_img_makes_are_recognised") else {
        return;
    };
    let cases: &[(&str, &str, Format)] = &[
        ("qcow2", "", Format::Qcow2),
        ("qcow2", "-o compat=0.10", Format::Qcow2),
        ("qcow", "", Format::Qcow),
        ("vmdk", "", Format::Vmdk),
        ("vmdk", "-o subformat=streamOptimized", Format::Vmdk),
        ("vmdk", "-o subformat=monolithicFlat", Format::Vmdk),
        ("vpc", "", Format::Vpc),
        ("vpc", "-o subformat=fixed", Format::Vpc),
        ("vhdx", "", Format::Vhdx),
        ("vdi", "", Format::Vdi),
        ("qed", "", Format::Qed),
        ("parallels", "", Format::Parallels),
        (
            "luks",
            "--object secret,id=s,data=x -o key-secret=s,iter-time=10",
            Format::Luks,
        ),
    ];
    for (name, options, format) in cases {
        judge.img(&format!("create -q -f {name} {options} image 4M"));
        assert_eq!(
            probe_bytes(&workdir.read("image")),
            Probe::Known(*format),
            "{name} {options}"
        );
        assert_eq!(Format::from_name(name.as_bytes()), Some(*format));
    }
}

#[test]
fn formats_that_nothing_here_can_make_are_recognised() {
    let bochs = with(&[
        (0, b"Bochs Virtual HD Image"),
        (32, b"Redolog"),
        (48, b"Growing"),
    ]);
    assert_eq!(probe_bytes(&bochs), Probe::Known(Format::Bochs));
    let cloop = with(&[(
        0,
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n",
    )]);
    assert_eq!(probe_bytes(&cloop), Probe::Known(Format::Cloop));
    assert_eq!(
        probe_bytes(&with(&[(TRAILER, b"koly")])),
        Probe::Known(Format::Dmg)
    );
    // Either end of a dynamic VHD is enough, for a file that has lost the other.
    for at in [0, TRAILER] {
        assert_eq!(
            probe_bytes(&with(&[(at, b"conectix")])),
            Probe::Known(Format::Vpc)
        );
    }
    let cowd = with(&[(0, b"COWD\x01\0\0\0")]);
    assert_eq!(probe_bytes(&cowd), Probe::Known(Format::Vmdk));
    for version in [1, 2] {
        let luks = with(&[(0, &[b'L', b'U', b'K', b'S', 0xba, 0xbe, 0, version])]);
        assert_eq!(probe_bytes(&luks), Probe::Known(Format::Luks));
    }
    for text in [
        "# Disk DescriptorFile\nversion=1\n",
        "\n# anything\r\n\nversion=3\r\n",
    ] {
        assert_eq!(probe_bytes(text.as_bytes()), Probe::Known(Format::Vmdk));
    }
}

#[test]
fn what_only_resembles_an_image_is_raw() {
    let raw = Probe::Raw { iso: false };
    for bytes in [
        Vec::new(),
        b"Q".to_vec(),
        b"QFI\xfb\0\0\0".to_vec(),
        with(&[(0, b"QFI\xfb\0\0\0\0")]),
        with(&[(1, b"QFI\xfb\0\0\0\x03")]),
        with(&[(0, b"LUKS\xba\xbe\0\x03")]),
        with(&[(0, b"WithoutFreeSpace\x01")]),
        with(&[(0, b"Bochs Virtual HD Image")]),
        with(&[(TRAILER + 1, b"conectix")]),
        b"version=4\n".to_vec(),
        b"# a comment\ntext\nversion=1\n".to_vec(),
    ] {
        assert_eq!(
            probe_bytes(&bytes),
            raw,
            "{:?}",
            &bytes[..bytes.len().min(24)]
        );
    }
}

#[test]
fn an_optical_disc_is_a_raw_image_with_a_hint() {
    assert_eq!(probe_bytes(&with(&[ISO])), Probe::Raw { iso: true });
}

#[test]
fn files_with_two_faces_are_refused_and_both_are_named() {
    let qcow2: (usize, &[u8]) = (0, b"QFI\xfb\0\0\0\x03");
    let cases: &[(Vec<u8>, Format, Format, &str)] = &[
        (
            with(&[qcow2, ISO]),
            Format::Qcow2,
            Format::Iso9660,
            "qcow2 and iso9660",
        ),
        (
            with(&[(0, b"KDMV"), ISO]),
            Format::Vmdk,
            Format::Iso9660,
            "vmdk and iso9660",
        ),
        (
            with(&[qcow2, (TRAILER, b"conectix")]),
            Format::Qcow2,
            Format::Vpc,
            "qcow2 and vpc",
        ),
        (
            with(&[(64, &[0x7f, 0x10, 0xda, 0xbe]), (0, b"vhdxfile"), ISO]),
            Format::Vdi,
            Format::Vhdx,
            "vdi and vhdx",
        ),
    ];
    for (bytes, first, second, text) in cases {
        assert_eq!(probe_bytes(bytes), Probe::Ambiguous(*first, *second));
        let opened = DiskImage::open(&bytes[..], DeviceIndex(0), None, OpenOptions::default());
        let error = opened.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::AmbiguousFormat);
        assert_eq!(&*error.text, text.as_bytes());
    }
}

#[test]
fn a_format_that_was_named_is_never_probed() {
    let mut image = Builder::new().bytes;
    image[ISO.0..ISO.0 + 5].copy_from_slice(ISO.1);
    let open = |format| {
        DiskImage::open(
            &image[..],
            DeviceIndex(0),
            Some(format),
            OpenOptions::default(),
        )
    };
    assert_eq!(
        open(Format::Raw).unwrap().virtual_size(),
        image.len() as u64
    );
    assert_eq!(open(Format::Qcow2).unwrap().virtual_size(), 1 << 20);
    let error = open(Format::Luks).map(|_| ()).unwrap_err();
    assert_eq!(
        (error.kind, error.field),
        (ErrorKind::NotThisFormat, "magic")
    );
}

#[test]
fn codes_and_names_of_formats_are_reversible() {
    for format in Format::ALL {
        assert_eq!(Format::from_code(format.code()), Some(*format));
        assert_eq!(Format::from_name(format.name().as_bytes()), Some(*format));
    }
    assert_eq!(Format::from_code(0), None);
    assert_eq!(Format::from_name(b"file"), None);
}
