//! Apple disk images, built here from their structures; qemu-img judges what it reads without a module of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::{Command, Stdio};

use instar_image_formats::{ErrorKind, Format, FormatImage, Within};
use miniz_oxide::deflate::compress_to_vec_zlib;
use support::promises::survives_changes;
use support::{Random, Workdir, assert_same_disk_as, judge, open_chain};

const SECTOR: usize = 512;
const RUN_SECTORS: usize = 512;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Zero,
    Ignore,
    Raw,
    Adc,
    Zlib,
    Bzip2,
    Xz,
    Lzfse,
    /// A compression that nobody has named.
    Unnamed,
}

fn code(kind: Kind) -> u32 {
    match kind {
        Kind::Zero => 0,
        Kind::Raw => 1,
        Kind::Ignore => 2,
        Kind::Adc => 0x8000_0004,
        Kind::Zlib => 0x8000_0005,
        Kind::Bzip2 => 0x8000_0006,
        Kind::Lzfse => 0x8000_0007,
        Kind::Unnamed => 0x8000_0009,
        Kind::Xz => 0x8000_0008,
    }
}

/// Literals only.
fn adc(bytes: &[u8]) -> Vec<u8> {
    bytes
        .chunks(128)
        .flat_map(|part| [&[0x80 | (part.len() - 1) as u8][..], part].concat())
        .collect()
}

/// What a program of the system makes of the bytes; `None` where there is none.
fn packed_by(program: &str, workdir: &Workdir, bytes: &[u8]) -> Option<Vec<u8>> {
    let path = workdir.write("plain", bytes);
    let output = Command::new(program)
        .arg("-c")
        .arg(path)
        .stderr(Stdio::null())
        .output();
    output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (number, part) in bytes.chunks(3).enumerate() {
        if number % 13 == 0 {
            text.push_str("\n\t\t\t");
        }
        let bits = part
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - part.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= part.len() {
                DIGITS[value as usize] as char
            } else {
                '='
            });
        }
    }
    text
}

struct Dmg {
    bytes: Vec<u8>,
    tables: Vec<Vec<u8>>,
    disk: Vec<u8>,
}

fn dmg(workdir: &Workdir, tables: &[&[Kind]]) -> Option<Dmg> {
    let mut random = Random(tables.len() as u64);
    let (mut bytes, mut disk) = (vec![0x11; 40], Vec::new());
    let mut listed = Vec::new();
    let mut plist = String::from(
        "<?xml version=\"1.0\"?>\n<plist><dict><key>resource-fork</key><dict><key>blkx</key><array>",
    );
    for kinds in tables {
        let first = (disk.len() / SECTOR) as u64;
        let mut table = vec![0; 204];
        table[..4].copy_from_slice(b"mish");
        table[8..16].copy_from_slice(&first.to_be_bytes());
        let mut runs = 0_u32;
        let mut sector = 0_u64;
        for kind in *kinds {
            let sectors = if *kind == Kind::Zero {
                RUN_SECTORS * 3
            } else {
                RUN_SECTORS - 7
            };
            let content = match kind {
                Kind::Zero | Kind::Ignore => vec![0; sectors * SECTOR],
                _ => random.bytes(sectors * SECTOR),
            };
            let stored = match kind {
                Kind::Zero | Kind::Ignore => Vec::new(),
                Kind::Raw | Kind::Unnamed => content.clone(),
                Kind::Lzfse => {
                    let mut packed = Vec::new();
                    lzfse_rust::encode_bytes(&content, &mut packed).unwrap();
                    packed
                }
                Kind::Adc => adc(&content),
                Kind::Zlib => compress_to_vec_zlib(&content, 6),
                Kind::Bzip2 => packed_by("bzip2", workdir, &content)?,
                Kind::Xz => packed_by("xz", workdir, &content)?,
            };
            table.extend(code(*kind).to_be_bytes());
            table.extend([0; 4]);
            for number in [
                sector,
                sectors as u64,
                bytes.len() as u64,
                stored.len() as u64,
            ] {
                table.extend(number.to_be_bytes());
            }
            sector += sectors as u64;
            runs += 1;
            bytes.extend(stored);
            disk.extend(content);
        }
        table.extend(0xffff_ffff_u32.to_be_bytes());
        table.extend([0; 4]);
        for number in [sector, 0, bytes.len() as u64, 0] {
            table.extend(number.to_be_bytes());
        }
        table[16..24].copy_from_slice(&sector.to_be_bytes());
        table[200..204].copy_from_slice(&(runs + 1).to_be_bytes());
        plist.push_str(&format!("<dict><key>Attributes</key><string>0x0050</string><key>Data</key>\n\t\t\t<data>{}\n\t\t\t</data></dict>", base64(&table)));
        listed.push(table);
    }
    plist.push_str("</array><key>plst</key><array><dict><key>Data</key><data>AAAA</data></dict></array></dict></dict></plist>");
    let at = bytes.len() as u64;
    bytes.extend(plist.as_bytes());
    let mut trailer = vec![0; SECTOR];
    trailer[..4].copy_from_slice(b"koly");
    trailer[4..8].copy_from_slice(&4_u32.to_be_bytes());
    trailer[8..12].copy_from_slice(&512_u32.to_be_bytes());
    trailer[32..40].copy_from_slice(&at.to_be_bytes());
    trailer[216..224].copy_from_slice(&at.to_be_bytes());
    trailer[224..232].copy_from_slice(&(plist.len() as u64).to_be_bytes());
    trailer[492..500].copy_from_slice(&((disk.len() / SECTOR) as u64).to_be_bytes());
    bytes.extend(trailer);
    Some(Dmg {
        bytes,
        tables: listed,
        disk,
    })
}

const TABLES: &[&[Kind]] = &[
    &[Kind::Raw, Kind::Zlib, Kind::Zero],
    &[Kind::Zlib, Kind::Ignore, Kind::Raw, Kind::Raw, Kind::Zlib],
];

#[test]
fn raw_zero_and_zlib_runs_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let made = dmg(&workdir, TABLES).unwrap();
    let path = workdir.write("image.dmg", &made.bytes);
    let mut chain = open_chain(&path, None).unwrap();
    assert!(chain.read_all(u64::MAX).unwrap() == made.disk);
    let within = chain.chain.layers_mut()[0].within_file(1 << 20);
    assert!(matches!(within, Ok(Within::Whole(tails)) if tails.is_empty()));
    if let Some(judge) = judge(&workdir, "raw_zero_and_zlib_runs") {
        assert_same_disk_as(&judge, "image.dmg", Some(Format::Dmg));
    }
}

/// The same image, with a resource fork instead of the property list.
fn with_fork(made: &Dmg) -> Vec<u8> {
    let trailer = made.bytes.len() - SECTOR;
    let mut pieces = vec![&b"no table of runs"[..]];
    pieces.extend(made.tables.iter().map(Vec::as_slice));
    pieces.push(b"more");
    let data: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| [&(piece.len() as u32).to_be_bytes(), *piece].concat())
        .collect();
    let mut fork = vec![0; 256];
    for (at, value) in [(0, 256), (4, 256 + data.len()), (8, data.len()), (12, 30)] {
        fork[at..at + 4].copy_from_slice(&(value as u32).to_be_bytes());
    }
    fork.extend(data);
    fork.extend([0; 30]);
    let mut bytes = made.bytes[..trailer].to_vec();
    let at = bytes.len() as u64;
    bytes.extend(&fork);
    let mut end = made.bytes[trailer..].to_vec();
    end[40..48].copy_from_slice(&at.to_be_bytes());
    end[48..56].copy_from_slice(&(fork.len() as u64).to_be_bytes());
    end[216..232].fill(0);
    bytes.extend(end);
    bytes
}

#[test]
fn tables_in_a_resource_fork_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let made = dmg(&workdir, TABLES).unwrap();
    let bytes = with_fork(&made);
    let path = workdir.write("image.dmg", &bytes);
    let mut chain = open_chain(&path, None).unwrap();
    assert!(chain.read_all(u64::MAX).unwrap() == made.disk);
    if let Some(judge) = judge(&workdir, "tables_in_a_resource_fork") {
        assert_same_disk_as(&judge, "image.dmg", Some(Format::Dmg));
    }
    let refused = |at: usize, number: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + number.len()].copy_from_slice(number);
        let path = workdir.write("image.dmg", &bytes);
        let error = open_chain(&path, Some(Format::Dmg))
            .map(|_| ())
            .unwrap_err();
        (error.kind, error.field)
    };
    use ErrorKind::*;
    let trailer = bytes.len() - SECTOR;
    let fork = made.bytes.len() - SECTOR;
    for (at, number, kind, field) in [
        (
            trailer + 40,
            &[0xff; 8][..],
            BadTable,
            "resource fork offset",
        ),
        (
            trailer + 48,
            &[0xff; 8],
            UnsupportedVariant,
            "resource fork length",
        ),
        (
            trailer + 48,
            &[0, 0, 0, 0, 0, 0, 0, 9],
            BadTable,
            "resource fork offset",
        ),
        (fork + 8, &[0xff; 4], BadTable, "length of resource data"),
        (fork + 256, &[0xff; 4], BadTable, "length of a resource"),
    ] {
        assert_eq!(refused(at, number), (kind, field), "{at}");
    }
}

#[test]
fn runs_of_adc_bzip2_xz_and_lzfse_are_decoded() {
    let workdir = Workdir::new();
    let kinds: &[&[Kind]] = &[
        &[Kind::Adc, Kind::Raw, Kind::Adc],
        &[Kind::Bzip2, Kind::Zero, Kind::Xz],
        &[Kind::Lzfse, Kind::Raw, Kind::Lzfse],
    ];
    let without: &[&[Kind]] = &[&[Kind::Adc, Kind::Raw, Kind::Lzfse]];
    let made = dmg(&workdir, kinds)
        .or_else(|| dmg(&workdir, without))
        .unwrap();
    let path = workdir.write("image.dmg", &made.bytes);
    for step in [u64::MAX, 70_001] {
        let mut chain = open_chain(&path, None).unwrap();
        assert!(chain.read_all(step).unwrap() == made.disk);
    }
}

#[test]
fn what_cannot_be_read_is_refused_where_it_is() {
    let workdir = Workdir::new();
    let refused = |bytes: &[u8]| {
        let path = workdir.write("image.dmg", bytes);
        let read =
            open_chain(&path, Some(Format::Dmg)).and_then(|mut chain| chain.read_all(u64::MAX));
        let error = read.unwrap_err();
        (error.kind, error.field)
    };
    let unnamed = dmg(&workdir, &[&[Kind::Unnamed]]).unwrap();
    assert_eq!(
        refused(&unnamed.bytes),
        (ErrorKind::UnsupportedVariant, "compression of a run")
    );
    let good = dmg(&workdir, TABLES).unwrap().bytes;
    let trailer = good.len() - SECTOR;
    let bent = |at: usize, number: &[u8]| {
        let mut bytes = good.clone();
        bytes[trailer + at..trailer + at + number.len()].copy_from_slice(number);
        bytes
    };
    use ErrorKind::*;
    assert_eq!(
        refused(&bent(0, b"koly!")[..trailer]),
        (NotThisFormat, "magic")
    );
    assert_eq!(
        refused(&bent(216, &[0xff; 8])),
        (BadTable, "property list offset")
    );
    assert_eq!(
        refused(&bent(224, &[0; 8])),
        (UnsupportedVariant, "property list length")
    );
    assert_eq!(
        refused(&bent(492, &[0xff; 8])),
        (ImageTooBig, "sector count")
    );
    // A disk of which no run holds the end.
    assert_eq!(
        refused(&bent(492, &100_000_u64.to_be_bytes())),
        (BadTableEntry, "runs")
    );
    // Both tables are about the same sectors: the second begins where the first does.
    let start = good.windows(5).position(|part| part == b"<?xml").unwrap();
    let plist = String::from_utf8(good[start..trailer].to_vec()).unwrap();
    let tables: Vec<_> = plist.match_indices("<data>").map(|(at, _)| at).collect();
    let ends: Vec<_> = plist.match_indices("</data>").map(|(at, _)| at).collect();
    let first = &plist[tables[0]..ends[0]];
    let doubled = plist.replace(&plist[tables[1]..ends[1]], first);
    let mut bytes = good[..start].to_vec();
    bytes.extend(doubled.as_bytes());
    bytes.extend(&good[trailer..]);
    let at = bytes.len() - SECTOR + 224;
    bytes[at..at + 8].copy_from_slice(&(doubled.len() as u64).to_be_bytes());
    assert_eq!(refused(&bytes), (BadTable, "property list offset"));
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let workdir = Workdir::new();
    let made = dmg(
        &workdir,
        &[&[Kind::Zlib, Kind::Zero], &[Kind::Ignore, Kind::Zlib]],
    )
    .unwrap();
    survives_changes(&made.bytes, Format::Dmg, &[], 1);
    survives_changes(&with_fork(&made), Format::Dmg, &[], 2);
}
