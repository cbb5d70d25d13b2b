//! Apple's sparse images, built here from what is known of them; the reader of dissect.hypervisor, in Python, judges.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use instar_image_formats::{ErrorKind, ExtentKind, Format, FormatImage, Image, Within};
use support::promises::survives_changes;
use support::{Random, Workdir, open_chain};

const CHUNK: usize = 64 << 10;
const SECTOR: usize = 512;
/// Data chunks of a group; with a bitmap's entry behind them.
const GROUP: usize = 4 * SECTOR;
const STRIDE: usize = 8 * (GROUP + 1);
/// Groups of a table.
const GROUPS: usize = CHUNK / STRIDE;
const TABLE_BYTES: u64 = (GROUPS * GROUP * CHUNK) as u64;
const DIRECTORIES: [usize; 2] = [512, 4096];

#[derive(Clone, Copy, PartialEq)]
enum State {
    Missing,
    Whole,
    /// Sectors by the bits of a number, again and again.
    Partly(u8),
}

struct Builder {
    bytes: Vec<u8>,
    random: Random,
}

impl Builder {
    fn new(sectors: u64, older: u64, newer: u64) -> Self {
        let mut bytes = vec![0; CHUNK];
        bytes[..4].copy_from_slice(b"shdw");
        for (at, value) in [(4, 1_u32), (8, 512), (64, CHUNK as u32)] {
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        for (at, value) in [
            (16, DIRECTORIES[0] as u64),
            (24, DIRECTORIES[1] as u64),
            (48, sectors),
            (56, sectors * 2),
        ] {
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        bytes[32..48].fill(0xa5);
        bytes[68..70].copy_from_slice(&(SECTOR as u16).to_be_bytes());
        let mut builder = Self {
            bytes,
            random: Random(sectors + newer),
        };
        builder.put(DIRECTORIES[0], older);
        builder.put(DIRECTORIES[1], newer);
        builder
    }

    fn put(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
    }

    fn chunk(&mut self, content: &[u8]) -> usize {
        let number = self.bytes.len() / CHUNK;
        self.bytes.extend(content);
        self.bytes.resize((number + 1) * CHUNK, 0);
        number
    }

    /// A table with these chunks at its beginning; what they hold.
    fn table(
        &mut self,
        directory: usize,
        index: usize,
        states: &[State],
        untouched: u8,
    ) -> Vec<u8> {
        let table = self.chunk(&[]);
        self.put(DIRECTORIES[directory] + 8 + 8 * index, table as u64);
        let mut disk = Vec::new();
        let bitmaps: Vec<usize> = (0..states.len().div_ceil(GROUP))
            .map(|group| {
                let bitmap = self.chunk(&[]);
                self.put(table * CHUNK + STRIDE * group + 8 * GROUP, bitmap as u64);
                bitmap
            })
            .collect();
        for (chunk, state) in states.iter().enumerate() {
            let entry = table * CHUNK + 8 * (chunk + chunk / GROUP);
            let mut content = self.random.bytes(CHUNK);
            let flags = match state {
                State::Missing => {
                    disk.extend(vec![0; CHUNK]);
                    continue;
                }
                State::Whole => 1,
                State::Partly(pattern) => {
                    let first = chunk % GROUP * (CHUNK / SECTOR);
                    for sector in 0..CHUNK / SECTOR {
                        let number = first + sector;
                        let place = bitmaps[chunk / GROUP] * CHUNK + number / 4;
                        if pattern >> (sector % 8) & 1 == 1 {
                            self.bytes[place] |= 1 << (2 * (number % 4));
                        } else {
                            content[sector * SECTOR..(sector + 1) * SECTOR].fill(untouched);
                        }
                    }
                    3
                }
            };
            let number = self.chunk(&content) as u64;
            self.put(entry, flags << 62 | number);
            if let State::Partly(pattern) = state {
                for (sector, bytes) in content.chunks_mut(SECTOR).enumerate() {
                    if pattern >> (sector % 8) & 1 == 0 {
                        bytes.fill(0);
                    }
                }
            }
            disk.extend(content);
        }
        disk
    }
}

fn random_states(seed: u64, count: usize) -> Vec<State> {
    let mut random = Random(seed);
    (0..count)
        .map(|_| match random.below(4) {
            0 => State::Missing,
            1 => State::Whole,
            2 => State::Partly([0xff, 0, 0x0f][random.below(3) as usize]),
            _ => State::Partly(random.next() as u8),
        })
        .collect()
}

/// A whole image with chunks at random: its bytes and its disk.
fn image(seed: u64, chunks: usize, untouched: u8) -> (Vec<u8>, Vec<u8>) {
    let cut = (seed % 3) as usize * 7;
    let sectors = chunks * (CHUNK / SECTOR) - cut;
    let (older, newer) = if seed.is_multiple_of(2) {
        (3, 4)
    } else {
        (9, 8)
    };
    let mut builder = Builder::new(sectors as u64, older, newer);
    let states = random_states(seed, chunks);
    let counts = usize::from(newer > older);
    // What the other directory leads to is old, and must not be read.
    builder.table(1 - counts, 0, &[State::Whole; 3], 0);
    let mut disk = builder.table(counts, 0, &states, untouched);
    disk.truncate(sectors * SECTOR);
    (builder.bytes, disk)
}

#[test]
fn images_of_one_table_read_as_they_were_built() {
    let workdir = Workdir::new();
    for seed in 0..6 {
        // Bytes of sectors that were never written may be anything.
        let (bytes, disk) = image(seed, 40, 0xee);
        let path = workdir.write("image.asif", &bytes);
        for step in [u64::MAX, 70_001] {
            let mut chain = open_chain(&path, None).unwrap();
            assert!(chain.read_all(step).unwrap() == disk, "seed {seed}");
        }
        let mut chain = open_chain(&path, None).unwrap();
        let within = chain.chain.layers_mut()[0].within_file(1 << 20);
        assert!(matches!(within, Ok(Within::Whole(tails)) if tails.is_empty()));
    }
}

/// Whether the second reader is there; without it, a loud word.
fn has_dissect() -> bool {
    let mut import = Command::new("python3");
    import.args(["-c", "import dissect.hypervisor.disk.asif"]);
    if import
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return true;
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "dissect.hypervisor must be installed in CI"
    );
    let notice =
        "SKIPPED a_second_reader: NOT TESTED, as Python's dissect.hypervisor is not installed\n";
    let _ = std::io::stderr().write_all(notice.as_bytes());
    false
}

const READ: &str = "
import sys
from dissect.hypervisor.disk.asif import ASIF
with open(sys.argv[1], 'rb') as file:
    image = ASIF(file)
    sys.stdout.buffer.write(image.open().read(image.size))
";

#[test]
fn a_second_reader_reads_the_same() {
    if !has_dissect() {
        return;
    }
    let workdir = Workdir::new();
    for seed in 10..14 {
        // It reads sectors that were never written as the file has them.
        let (bytes, _) = image(seed, 40, 0);
        let path = workdir.write("image.asif", &bytes);
        let output = Command::new("python3")
            .args(["-c", READ])
            .arg(&path)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let mut chain = open_chain(&path, None).unwrap();
        assert!(
            chain.read_all(u64::MAX).unwrap() == output.stdout,
            "seed {seed}"
        );
    }
}

#[test]
fn groups_and_tables_follow_each_other() {
    let workdir = Workdir::new();
    let disk_bytes = TABLE_BYTES * 3 + (CHUNK * 2) as u64;
    let mut builder = Builder::new(disk_bytes / SECTOR as u64, 1, 2);
    // The last chunk of a group and the first of the next; nothing in the second table; the last table is short.
    let mut first = vec![State::Missing; GROUP + 2];
    first[GROUP - 1] = State::Partly(0b0101_0101);
    first[GROUP] = State::Partly(0b0000_1111);
    let one = builder.table(1, 0, &first, 0x77);
    let four = builder.table(1, 3, &[State::Whole, State::Partly(0x80)], 0x77);
    let path = workdir.write("image.asif", &builder.bytes);
    let mut chain = open_chain(&path, None).unwrap();
    let image = &mut chain.chain.layers_mut()[0];
    assert_eq!(
        (image.format(), image.virtual_size()),
        (Format::Asif, disk_bytes)
    );
    let hole = image.map(one.len() as u64, u64::MAX).unwrap();
    assert_eq!(hole.kind, ExtentKind::Zero);
    let next = image.map(TABLE_BYTES, u64::MAX).unwrap();
    assert_eq!((next.kind, next.end()), (ExtentKind::Zero, TABLE_BYTES * 3));
    for (start, expected) in [
        (0, &one[..CHUNK]),
        (
            ((GROUP - 1) * CHUNK) as u64,
            &one[(GROUP - 1) * CHUNK..(GROUP + 1) * CHUNK],
        ),
        (TABLE_BYTES * 3, &four[..]),
    ] {
        let range = start..start + expected.len() as u64;
        let bytes = chain.read(range, u64::MAX).unwrap();
        assert!(bytes == expected, "at {start}");
    }
}

#[test]
fn what_nobody_has_seen_is_refused_where_it_is() {
    let workdir = Workdir::new();
    let sectors = (4 * CHUNK / SECTOR) as u64;
    let mut builder = Builder::new(sectors, 1, 2);
    builder.table(1, 0, &[State::Whole, State::Partly(0xf0)], 0);
    let good = builder.bytes;
    let table = CHUNK;
    let bitmap = 2 * CHUNK;
    let refused = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        let path = workdir.write("image.asif", &bytes);
        let opened = open_chain(&path, Some(Format::Asif));
        let error = opened
            .and_then(|mut chain| chain.read_all(u64::MAX))
            .unwrap_err();
        (error.kind, error.field, error.offset)
    };
    use ErrorKind::*;
    let number = |value: u64| value.to_be_bytes();
    let entry = table as u64;
    let bitmap_entry = table + 8 * GROUP;
    let cases: &[(usize, &[u8], ErrorKind, &str, u64)] = &[
        (0, b"shdv", NotThisFormat, "magic", 0),
        (4, &[0, 0, 0, 2], UnsupportedVersion, "version", 4),
        (16, &number(u64::MAX), BadTable, "first directory", 16),
        (24, &number(4097), BadTable, "second directory", 24),
        (
            24,
            &number(good.len() as u64 - 8),
            BadTable,
            "second directory",
            24,
        ),
        (
            48,
            &number(2 * sectors + 1),
            ImageTooBig,
            "sector count",
            48,
        ),
        (
            56,
            &number(u64::MAX),
            ImageTooBig,
            "maximum sector count",
            56,
        ),
        (64, &[0; 4], BadClusterSize, "chunk size", 64),
        (64, &[0, 1, 0, 1], BadClusterSize, "chunk size", 64),
        (64, &[0x80, 0, 0, 0], BadClusterSize, "chunk size", 64),
        (68, &[0, 0], BadClusterSize, "sector size", 68),
        (68, &[0x20, 0], BadClusterSize, "sector size", 68),
        // A bitmap of 64 KiB has no place for sectors of 4096 bytes.
        (68, &[0x10, 0], BadClusterSize, "chunk size", 64),
        (
            table,
            &number(2 << 62 | 3),
            UnsupportedVariant,
            "chunk entry",
            entry,
        ),
        (table, &number(5), UnsupportedVariant, "chunk entry", entry),
        (
            table,
            &number(1 << 62),
            UnsupportedVariant,
            "chunk entry",
            entry,
        ),
        (
            table,
            &number(1 << 62 | 1 << 55 | 3),
            UnsupportedVariant,
            "chunk entry",
            entry,
        ),
        (
            table,
            &number(1 << 62 | 5000),
            BadTableEntry,
            "chunk entry",
            entry,
        ),
        (
            bitmap_entry,
            &number(0),
            BadTableEntry,
            "bitmap entry of a chunk group",
            bitmap_entry as u64,
        ),
        (
            bitmap_entry,
            &number(6000),
            BadTableEntry,
            "bitmap entry of a chunk group",
            bitmap_entry as u64,
        ),
        (
            bitmap + CHUNK / SECTOR / 4,
            &[2],
            UnsupportedVariant,
            "state of a sector",
            (bitmap + CHUNK / SECTOR / 4) as u64,
        ),
    ];
    for (at, value, kind, field, offset) in cases {
        assert_eq!(refused(*at, value), (*kind, *field, *offset), "{at}");
    }
    for length in [CHUNK, good.len() - 1, 3 * CHUNK - 1] {
        let path = workdir.write("image.asif", &good[..length]);
        let mut chain = open_chain(&path, None).unwrap();
        let within = chain.chain.layers_mut()[0].within_file(1 << 20).unwrap();
        assert!(!matches!(within, Within::Whole(_)), "{length}: {within:?}");
    }
}

#[test]
fn no_change_of_a_number_breaks_a_promise() {
    let mut builder = Builder::new((6 * CHUNK / SECTOR) as u64, 1, 2);
    let states = [
        State::Whole,
        State::Partly(0x3c),
        State::Missing,
        State::Whole,
    ];
    builder.table(1, 0, &states, 0x5a);
    let mut bytes = builder.bytes;
    // Data is all of one byte, and in the way; tables and bitmaps are what changes.
    let data = bytes.len() - 3 * CHUNK;
    bytes[data..].fill(0x5a);
    survives_changes(&bytes, Format::Asif, &[0x5a], 21);
}
