//! Images of VDI, VHD, qcow 1, QED and Parallels that bend one rule each: refused with the kind that names it, as the real
//! qemu-img refuses them, or read as it reads them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatError, FormatImage, Within};
use support::{Judge, Workdir, judge, open_chain};

const MIB: usize = 1 << 20;

struct Judges<'a> {
    judge: Judge<'a>,
    workdir: &'a Workdir,
}

impl Judges<'_> {
    /// An image that holds something at its beginning and its end.
    fn image(&self, format: Format, options: &str) -> Vec<u8> {
        let name = format.name();
        self.judge
            .img(&format!("create -q -f {name} {options} image 5M"));
        let writes = ["write -P 1 0 64k", "write -P 2 3M 64k"].map(str::to_owned);
        self.judge.io(&format!("-f {name}"), "image", &writes);
        self.workdir.read("image")
    }

    fn read(&self, format: Format, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
        let path = self.workdir.write("image", bytes);
        open_chain(&path, Some(format))?.read_all(u64::MAX)
    }

    fn judged(&self, format: Format) -> Result<Vec<u8>, String> {
        self.judge
            .try_disk("image", &format!("-f {}", format.name()))
    }
}

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

/// Where, what, and what is said of it.
type Bend<'a> = (usize, &'a [u8], ErrorKind, &'a str);

fn both_refuse(format: Format, bends: &[Bend]) {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, format.name()) else {
        return;
    };
    let judges = Judges {
        judge,
        workdir: &workdir,
    };
    let good = judges.image(format, "");
    assert!(judges.read(format, &good).unwrap() == judges.judged(format).unwrap());
    for (at, number, kind, field) in bends {
        let mut bytes = good.clone();
        put(&mut bytes, *at, number);
        let error = judges.read(format, &bytes).unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        assert!(judges.judged(format).is_err(), "{error}: qemu-img reads it");
    }
}

#[test]
fn vdi() {
    use ErrorKind::*;
    both_refuse(
        Format::Vdi,
        &[
            (64, &[0; 4], NotThisFormat, "signature"),
            (68, &[0, 0, 2, 0], UnsupportedVersion, "version"),
            (340, &[1, 2, 0, 0], BadHeader, "offset_bmap"),
            (344, &[1, 8, 0, 0], BadHeader, "offset_data"),
            (360, &[0, 4, 0, 0], UnsupportedVariant, "sector_size"),
            (368, &[0xff; 8], ImageTooBig, "disk_size"),
            (368, &[0, 0, 0, 0, 1, 0, 0, 0], BadTable, "blocks_in_image"),
            (376, &[0, 0, 8, 0], BadClusterSize, "block_size"),
            (384, &[4, 0, 0, 0], BadTable, "blocks_in_image"),
            (384, &[0xff; 4], BadTable, "blocks_in_image"),
            (424, &[1], UnsupportedVariant, "uuid_link"),
            (440, &[1], UnsupportedVariant, "uuid_parent"),
        ],
    );
}

#[test]
fn qcow() {
    use ErrorKind::*;
    both_refuse(
        Format::Qcow,
        &[
            (0, b"QFJ", NotThisFormat, "magic"),
            (4, &[0, 0, 0, 2], UnsupportedVersion, "version"),
            (24, &[0; 8], BadHeader, "size"),
            (24, &[0xff; 8], ImageTooBig, "size"),
            (32, &[8], BadClusterSize, "cluster_bits"),
            (32, &[17], BadClusterSize, "cluster_bits"),
            (33, &[5], BadClusterSize, "l2_bits"),
            (33, &[14], BadClusterSize, "l2_bits"),
            (36, &[0, 0, 0, 2], UnsupportedEncryption, "crypt_method"),
            (36, &[0, 0, 0, 1], Encrypted, "crypt_method"),
            (
                8,
                &[0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 4, 0],
                BadBackingName,
                "backing_file_size",
            ),
        ],
    );
}

#[test]
fn qed() {
    use ErrorKind::*;
    both_refuse(
        Format::Qed,
        &[
            (0, b"QEE", NotThisFormat, "magic"),
            (4, &[0, 8, 0, 0], BadClusterSize, "cluster_size"),
            (4, &[0, 0, 0, 8], BadClusterSize, "cluster_size"),
            (4, &[0, 0, 3, 0], BadClusterSize, "cluster_size"),
            (8, &[0; 4], BadTable, "table_size"),
            (8, &[3, 0, 0, 0], BadTable, "table_size"),
            (8, &[32, 0, 0, 0], BadTable, "table_size"),
            (12, &[0, 0, 1, 0], BadHeaderLength, "header_size"),
            (16, &[8], UnknownFeature, "features"),
            (40, &[0; 8], BadTable, "l1_table_offset"),
            (40, &[1], BadTable, "l1_table_offset"),
            (40, &[0, 0, 0, 0, 1, 0, 0, 0], BadTable, "l1_table_offset"),
            (48, &[1], ImageTooBig, "image_size"),
            (48, &[0, 0, 0, 0, 0, 0, 0, 0x80], ImageTooBig, "image_size"),
        ],
    );
}

#[test]
fn parallels() {
    use ErrorKind::*;
    both_refuse(
        Format::Parallels,
        &[
            (0, b"X", NotThisFormat, "magic"),
            (16, &[3], UnsupportedVersion, "version"),
            (28, &[0; 4], BadClusterSize, "tracks"),
            (28, &[0xff; 4], BadClusterSize, "tracks"),
            (32, &[0xff; 4], BadTable, "bat_entries"),
        ],
    );
}

/// The other magic: entries count sectors, and the upper half of the size means nothing.
#[test]
fn parallels_of_the_first_layout() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "parallels_of_the_first_layout") else {
        return;
    };
    let judges = Judges {
        judge,
        workdir: &workdir,
    };
    let mut bytes = judges.image(Format::Parallels, "");
    let tracks = u32::from_le_bytes(bytes[28..32].try_into().unwrap());
    put(&mut bytes, 0, b"WithoutFreeSpace");
    put(&mut bytes, 40, &[0xff; 4]);
    for at in (64..64 + 4 * 5).step_by(4) {
        let entry = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        put(&mut bytes, at, &(entry * tracks).to_le_bytes());
    }
    let ours = judges.read(Format::Parallels, &bytes).unwrap();
    assert_eq!((ours[0], ours[3 * MIB]), (1, 2));
    assert!(ours == judges.judged(Format::Parallels).unwrap());
}

/// Puts the checksum of a footer right.
fn seal(footer: &mut [u8]) {
    footer[64..68].fill(0);
    let sum = footer
        .iter()
        .fold(0_u32, |sum, byte| sum + u32::from(*byte));
    put(footer, 64, &(!sum).to_be_bytes());
}

/// A dynamic disk with fields of both footers changed.
fn with_footer(good: &[u8], at: usize, number: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let last = bytes.len() - 512;
    for footer in [0, last] {
        put(&mut bytes, footer + at, number);
        seal(&mut bytes[footer..footer + 512]);
    }
    bytes
}

#[test]
fn sizes_of_vhd_follow_the_program_that_wrote_it() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "sizes_of_vhd") else {
        return;
    };
    let judges = Judges {
        judge,
        workdir: &workdir,
    };
    let good = judges.image(Format::Vpc, "");
    // A current size that is not that of the geometry.
    let good = with_footer(&good, 48, &(5_u64 << 20).to_be_bytes());
    let mut sizes = Vec::new();
    for creator in [
        b"vpc ", b"qemu", b"qem2", b"win ", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0", b"vs  ", b"VBox",
    ] {
        let bytes = with_footer(&good, 28, creator);
        let ours = judges.read(Format::Vpc, &bytes).unwrap();
        let theirs = judges.judged(Format::Vpc).unwrap();
        assert!(
            ours == theirs,
            "{creator:?}: {} of {}",
            ours.len(),
            theirs.len()
        );
        sizes.push(ours.len());
    }
    assert!(sizes.iter().any(|size| *size != sizes[0]));
}

#[test]
fn vhd_that_bends_a_rule_is_refused() {
    use ErrorKind::*;
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "vhd_that_bends_a_rule") else {
        return;
    };
    let judges = Judges {
        judge,
        workdir: &workdir,
    };
    let good = judges.image(Format::Vpc, "");
    let bends: &[Bend] = &[
        (512, b"x", BadHeader, "data offset"),
        (512 + 28, &[0, 0, 0, 1], BadTable, "max table entries"),
        (512 + 28, &[0xff; 4], BadTable, "max table entries"),
        (512 + 32, &[0; 4], BadClusterSize, "block size"),
        (512 + 32, &[0, 0x30, 0, 0], BadClusterSize, "block size"),
        (512 + 32, &[0, 0, 1, 0], BadClusterSize, "block size"),
        (40, &[9], ChecksumMismatch, "checksum"),
    ];
    for (at, number, kind, field) in bends {
        let mut bytes = good.clone();
        put(&mut bytes, *at, number);
        let error = judges.read(Format::Vpc, &bytes).unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        assert!(
            judges.judged(Format::Vpc).is_err(),
            "{error}: qemu-img reads it"
        );
    }
    // QEMU takes a differencing disk for a dynamic one, and reads zeros for what its parent holds.
    let differencing = with_footer(&good, 60, &[0, 0, 0, 4]);
    let error = judges.read(Format::Vpc, &differencing).unwrap_err();
    assert_eq!(
        (error.kind, error.field),
        (BadBackingName, "parent locator")
    );
    // A block behind the end of the file is no hole.
    let cut = &good[..good.len() - MIB];
    let error = judges.read(Format::Vpc, cut).unwrap_err();
    assert_eq!((error.kind, error.field), (BadTableEntry, "BAT entry"));
    assert!(judges.judged(Format::Vpc).is_err());
}

#[test]
fn images_that_lost_their_end_are_not_whole() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "images_that_lost_their_end") else {
        return;
    };
    let judges = Judges {
        judge,
        workdir: &workdir,
    };
    for (format, lost) in [
        (Format::Vdi, 1),
        (Format::Vpc, 513),
        (Format::Vhdx, 4 * MIB),
        (Format::Vmdk, 1),
        (Format::Qcow, 1),
        (Format::Qed, 1),
        (Format::Parallels, 1),
    ] {
        let whole = judges.image(format, "");
        for (length, expected) in [(whole.len(), true), (whole.len() - lost, false)] {
            let path = workdir.write("image", &whole[..length]);
            let mut chain = open_chain(&path, Some(format)).unwrap();
            let found = chain.chain.layers_mut()[0].within_file(1 << 24).unwrap();
            let all_inside = matches!(&found, Within::Whole(_));
            assert_eq!(
                all_inside,
                expected,
                "{} of {length} bytes: {found:?}",
                format.name()
            );
        }
    }
}
