//! LUKS headers that bend one rule each, and headers with numbers changed; real images are read by the tests of the
//! finished command.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{
    DeviceIndex, DiskImage, ErrorKind, Format, FormatImage, Image, KeyRing, ListLimits,
    OpenOptions, Unlocking, Within,
};
use support::promises::survives_changes;
use support::{Judge, Workdir, judge};

const LIMITS: ListLimits = ListLimits {
    snapshots: 1,
    bitmaps: 1,
};

fn image(judge: &Judge<'_>, workdir: &Workdir) -> Vec<u8> {
    let options = "-o key-secret=s,iter-time=10,hash-alg=sha1";
    judge.img(&format!(
        "create -q -f luks --object secret,id=s,data=word {options} image 1M"
    ));
    workdir.read("image")
}

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

fn open(bytes: &[u8]) -> Result<DiskImage<'_>, instar_image_formats::FormatError> {
    let format = Some(Format::Luks);
    DiskImage::open(bytes, DeviceIndex(0), format, OpenOptions::default())
}

#[test]
fn bent_headers_are_refused_by_name() {
    use ErrorKind::*;
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "luks") else {
        return;
    };
    let good = image(&judge, &workdir);
    assert_eq!(open(&good).unwrap().virtual_size(), 1 << 20);
    let bends: &[(usize, &[u8], ErrorKind, &str)] = &[
        (0, &[0], NotThisFormat, "magic"),
        (6, &[0, 3], UnsupportedVersion, "version"),
        (104, &[0xff; 4], BadHeader, "payload offset"),
        (104, &[0; 4], BadHeader, "payload offset"),
        (108, &[0; 4], BadHeader, "key bytes"),
        (108, &[0xff; 4], BadHeader, "key bytes"),
        (164, &[0; 4], BadHeader, "mk digest iterations"),
        (208, &[1, 2, 3, 4], BadHeader, "key slot state"),
        (212, &[0; 4], BadHeader, "key slot iterations"),
        (252, &[0xff; 4], BadHeader, "key slot stripes"),
    ];
    for (at, bytes, kind, field) in bends {
        let mut image = good.clone();
        put(&mut image, *at, bytes);
        let error = open(&image).map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        workdir.write("image", &image);
        let theirs = judge.try_img("info -f luks image");
        assert!(
            !theirs.status.success() || *field == "payload offset",
            "{error}: qemu-img reads it"
        );
    }
}

/// Opens with a passphrase; few iterations only, so that a test has an end.
fn unlock(bytes: &[u8]) -> Result<bool, ErrorKind> {
    let mut image = open(bytes).map_err(|error| error.kind)?;
    let facts = image.facts(LIMITS).map_err(|error| error.kind)?;
    let luks = facts.luks.unwrap();
    let most = luks.slots.iter().map(|slot| slot.iterations).max();
    assert!(most.unwrap_or(0) < 1_000_000 && luks.master_key_iterations < 1_000_000);
    let mut keys = KeyRing::new();
    let mut with = Unlocking {
        passphrase: b"word",
        keys: &mut keys,
        memory: 1 << 20,
    };
    image.unlock(&mut with).map_err(|error| error.kind)
}

#[test]
fn ciphers_and_hashes_that_are_not_known_are_refused_when_they_are_needed() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "luks") else {
        return;
    };
    let good = image(&judge, &workdir);
    assert_eq!(unlock(&good), Ok(true));
    let bends: &[(usize, &[u8])] = &[
        (8, b"serpent\0"),
        (8, &[0xff; 32]),
        (40, b"lrw-plain64\0"),
        (40, b"xts-essiv:sha1\0"),
        (40, b"xts\0"),
        (72, b"whirlpool\0"),
        (108, &[0, 0, 0, 20]),
    ];
    for (at, bytes) in bends {
        let mut image = good.clone();
        put(&mut image, *at, bytes);
        assert_eq!(
            unlock(&image),
            Err(ErrorKind::UnsupportedEncryption),
            "{at}"
        );
        let facts = open(&image).unwrap().facts(LIMITS).unwrap();
        assert_eq!(facts.luks.unwrap().slots.len(), 8);
    }
    for at in [112, 132, 216, 4096, 200_000] {
        let mut image = good.clone();
        image[at] ^= 1;
        assert_eq!(unlock(&image), Ok(false), "a bit at {at}");
    }
}

#[test]
fn a_slot_behind_the_end_of_the_file_is_told() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "luks") else {
        return;
    };
    let mut image = image(&judge, &workdir);
    put(&mut image, 248, &[0xff; 4]);
    let within = open(&image).unwrap().within_file(1 << 20).unwrap();
    let Within::Beyond(beyond) = within else {
        panic!("{within:?}");
    };
    let end = u64::from(u32::MAX) * 512 + 64 * 4000;
    assert_eq!(
        (beyond.field, beyond.at, beyond.end),
        ("key slot", 208, end)
    );
    assert_eq!(unlock(&image), Ok(false));
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "luks") else {
        return;
    };
    let mut bytes = image(&judge, &workdir);
    // Key material says nothing, and is in the way.
    bytes[4096..].fill(0);
    survives_changes(&bytes, Format::Luks, &[], 12);
}
