//! What an image says of itself, compared with `qemu-img info --output=json`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::File;

use instar_image_formats::{
    Codec, Content, DeviceIndex, DiskImage, Facts, Format, FormatImage, Image, ListLimits,
    OpenOptions, Qcow2Image,
};
use support::file_source::FileSource;
use support::{Judge, Workdir, judge};

fn open(workdir: &Workdir, image: &str) -> Qcow2Image<FileSource> {
    let source = FileSource::new(File::open(workdir.path(image)).unwrap()).unwrap();
    Qcow2Image::open(source, DeviceIndex(0), 4).unwrap()
}

/// Whether the judge's JSON has this member; the text is compared, so that no parser is needed.
fn assert_says(judge: &Judge, image: &str, members: &[String]) {
    let info = judge.img(&format!("info --output=json {image}"));
    for member in members {
        assert!(info.contains(member), "{image}: {member} is not in {info}");
    }
}

const LIMITS: ListLimits = ListLimits {
    snapshots: 64,
    bitmaps: 16,
};

fn members_of(image: &mut Qcow2Image<FileSource>) -> Vec<String> {
    let said = image.facts(LIMITS).unwrap();
    let codec = match said.compression {
        Some(Codec::Zstd) => "zstd",
        _ => "zlib",
    };
    let mut members = vec![
        format!("\"virtual-size\": {},", image.virtual_size()),
        format!("\"cluster-size\": {},", said.cluster_size),
        format!(
            "\"compat\": \"{}\"",
            if said.version == 2 { "0.10" } else { "1.1" }
        ),
        format!("\"refcount-bits\": {}", said.refcount_bits),
        format!("\"dirty-flag\": {}", said.dirty),
        format!("\"compression-type\": \"{codec}\""),
    ];
    if said.version == 3 {
        members.push(format!("\"lazy-refcounts\": {}", said.lazy_refcounts));
        members.push(format!("\"extended-l2\": {}", said.extended_l2));
        members.push(format!("\"corrupt\": {}", said.corrupt));
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if let Some(name) = said.backing_file {
        members.push(format!("\"backing-filename\": \"{}\"", text(name)));
    }
    if let Some(format) = said.backing_format {
        members.push(format!("\"backing-filename-format\": \"{}\"", text(format)));
    }
    if let Some(name) = said.data_file {
        assert!(said.has_data_file);
        members.push(format!("\"data-file\": \"{}\"", text(name)));
        members.push(format!("\"data-file-raw\": {}", said.data_file_raw));
    }
    members
}

#[test]
fn images_describe_themselves_as_qemu_img_describes_them() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "images_describe_themselves") else {
        return;
    };
    workdir.write("base.raw", &[0; 5000]);
    for (options, size) in [
        ("-o compat=0.10", "1M"),
        ("-o compat=1.1,lazy_refcounts=on,refcount_bits=1", "10G"),
        (
            "-o compression_type=zstd,cluster_size=2M,refcount_bits=64",
            "3T",
        ),
        ("-o extended_l2=on,cluster_size=128k", "1536"),
        ("-b base.raw -F raw", ""),
        ("-o data_file=data.raw,data_file_raw=on", "512k"),
        ("-o data_file=data.raw", "512k"),
    ] {
        judge.img(&format!("create -q -f qcow2 {options} i.qcow2 {size}"));
        assert_says(
            &judge,
            "i.qcow2",
            &members_of(&mut open(&workdir, "i.qcow2")),
        );
    }
    let dirty = &mut support::builder::Builder::new();
    workdir.write("flags.qcow2", &dirty.u64(72, 3).u64(80, 1).bytes);
    assert_says(
        &judge,
        "flags.qcow2",
        &members_of(&mut open(&workdir, "flags.qcow2")),
    );
}

#[test]
fn an_image_without_its_data_file_can_be_described_but_not_read() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "an_image_without_its_data_file") else {
        return;
    };
    judge.img("create -q -f qcow2 -o data_file=data.raw i.qcow2 1M");
    let mut image = open(&workdir, "i.qcow2");
    assert!(image.lacks_data_file());
    assert_eq!(
        image.map(0, 1).unwrap_err().kind.name(),
        "data-file-missing"
    );
    image.attach_data_file(DeviceIndex(1), 1 << 20).unwrap();
    image.map(0, 1).unwrap();
    let plain = support::builder::Builder::new();
    let mut image = Qcow2Image::open(plain.bytes, DeviceIndex(0), 4).unwrap();
    let error = image.attach_data_file(DeviceIndex(1), 1 << 20).unwrap_err();
    assert_eq!(error.kind.name(), "data-file-unexpected");
}

#[test]
fn snapshots_and_bitmaps_are_listed() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "snapshots_and_bitmaps_are_listed") else {
        return;
    };
    judge.img("create -q -f qcow2 i.qcow2 2M");
    for name in ["one", "zwei", "\u{4e09}"] {
        judge.io("", "i.qcow2", &["write -P 1 0 64k".to_owned()]);
        judge.img(&format!("snapshot -c {name} i.qcow2"));
    }
    judge.img("bitmap --add -g 65536 i.qcow2 first");
    judge.img("bitmap --add -g 512 --disable i.qcow2 second");
    let mut image = open(&workdir, "i.qcow2");
    assert_eq!(
        (
            image.facts(LIMITS).unwrap().snapshots.len(),
            image.facts(LIMITS).unwrap().bitmaps.len()
        ),
        (3, 2)
    );
    let snapshots = image.snapshots(usize::MAX).unwrap();
    let names: Vec<_> = snapshots
        .iter()
        .map(|one| (&one.id[..], &one.name[..]))
        .collect();
    assert_eq!(
        names,
        [
            (&b"1"[..], &b"one"[..]),
            (b"2", b"zwei"),
            (b"3", "\u{4e09}".as_bytes())
        ]
    );
    let members: Vec<_> = snapshots
        .iter()
        .flat_map(|one| {
            assert_eq!(one.disk_size, 2 << 20);
            [
                format!("\"date-sec\": {}", one.date_seconds),
                format!("\"date-nsec\": {}", one.date_nanoseconds),
                format!(
                    "\"vm-clock-sec\": {}",
                    one.vm_clock_nanoseconds / 1_000_000_000
                ),
                format!("\"vm-state-size\": {}", one.vm_state_size),
                format!("\"icount\": {}", one.instruction_count.unwrap()),
            ]
        })
        .collect();
    assert_says(&judge, "i.qcow2", &members);
    let bitmaps = image.bitmaps(usize::MAX).unwrap();
    let bitmaps: Vec<_> = bitmaps
        .iter()
        .map(|one| (&one.name[..], one.granularity, one.in_use, one.auto))
        .collect();
    assert_eq!(
        bitmaps,
        [
            (&b"first"[..], 65536, false, true),
            (b"second", 512, false, false)
        ]
    );
    assert_eq!(image.snapshots(2).unwrap().len(), 2);
    assert_eq!(image.bitmaps(1).unwrap().len(), 1);
}

#[test]
fn raw_images_have_little_to_say() {
    let image = DiskImage::open(
        &[0_u8; 700][..],
        DeviceIndex(0),
        None,
        OpenOptions::default(),
    );
    let mut image = image.unwrap();
    assert_eq!((image.format(), image.virtual_size()), (Format::Raw, 1024));
    let expected = Facts {
        content: Some(Content::Unknown),
        ..Facts::default()
    };
    assert_eq!(image.facts(LIMITS).unwrap(), expected);
}
