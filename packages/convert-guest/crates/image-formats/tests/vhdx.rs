//! Disks of Hyper-V with what qemu-img does not write: logs that were left, sectors of 4 KiB, a damaged header.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{DeviceIndex, ErrorKind, ExtentKind, Format, FormatError, Image};
use support::promises::open_and_walk;
use support::{Judge, Random, Workdir, judge, open_chain};

const MIB: usize = 1 << 20;
const SECTOR: usize = 4096;
const HEADERS: [usize; 2] = [64 << 10, 128 << 10];
const LOG: usize = MIB;
const LOG_GUID: [u8; 16] = [7; 16];

fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

/// Puts the checksum of a structure at its offset 4.
fn seal(structure: &mut [u8]) {
    structure[4..8].fill(0);
    let sum = crc32c(structure);
    structure[4..8].copy_from_slice(&sum.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

/// Changes a field of both headers.
fn set_headers(bytes: &mut [u8], at: usize, number: &[u8]) {
    for header in HEADERS {
        put(bytes, header + at, number);
        seal(&mut bytes[header..header + SECTOR]);
    }
}

/// What a log entry changes.
enum Change<'a> {
    Sector { at: usize, bytes: &'a [u8] },
    Zeros { at: usize, length: usize },
}

fn entry(sequence: u64, tail: usize, file_size: usize, changes: &[Change]) -> Vec<u8> {
    let mut bytes = vec![0; (64 + 32 * changes.len()).next_multiple_of(SECTOR)];
    put(&mut bytes, 0, b"loge");
    put(&mut bytes, 12, &(tail as u32).to_le_bytes());
    put(&mut bytes, 16, &sequence.to_le_bytes());
    put(&mut bytes, 24, &(changes.len() as u32).to_le_bytes());
    put(&mut bytes, 32, &LOG_GUID);
    put(&mut bytes, 48, &(file_size as u64).to_le_bytes());
    put(&mut bytes, 56, &(file_size as u64).to_le_bytes());
    for (index, change) in changes.iter().enumerate() {
        let place = 64 + 32 * index;
        let at = match change {
            Change::Zeros { at, length } => {
                put(&mut bytes, place, b"zero");
                put(&mut bytes, place + 8, &(*length as u64).to_le_bytes());
                at
            }
            Change::Sector { at, bytes: sector } => {
                put(&mut bytes, place, b"desc");
                put(&mut bytes, place + 4, &sector[SECTOR - 4..]);
                put(&mut bytes, place + 8, &sector[..8]);
                let mut data = sector.to_vec();
                put(&mut data, 0, b"data");
                put(&mut data, 4, &((sequence >> 32) as u32).to_le_bytes());
                put(&mut data, SECTOR - 4, &(sequence as u32).to_le_bytes());
                bytes.extend(data);
                at
            }
        };
        put(&mut bytes, place + 16, &(*at as u64).to_le_bytes());
        put(&mut bytes, place + 24, &sequence.to_le_bytes());
    }
    let length = bytes.len() as u32;
    put(&mut bytes, 8, &length.to_le_bytes());
    seal(&mut bytes);
    bytes
}

/// Writes entries into the log, one behind the other from `at` on, around its end.
fn write_log(image: &mut [u8], at: usize, entries: &[Vec<u8>]) {
    for (index, byte) in entries.concat().into_iter().enumerate() {
        image[LOG + (at + index) % MIB] = byte;
    }
}

/// An image before and after writes that changed its tables, and the sectors in which the tables differ.
struct Interrupted {
    before: Vec<u8>,
    after: Vec<u8>,
    changed: Vec<usize>,
}

impl Interrupted {
    fn new(judge: &Judge) -> Self {
        judge.img("create -q -f vhdx -o block_size=1M image.vhdx 9M");
        judge.io("-f vhdx", "image.vhdx", &["write -P 1 0 64k".to_owned()]);
        let before = judge.workdir().read("image.vhdx");
        let writes = ["write -P 2 2M 3M", "write -P 3 7M 1000k"];
        judge.io("-f vhdx", "image.vhdx", &writes.map(str::to_owned));
        let after = judge.workdir().read("image.vhdx");
        let tables = 2 * MIB..4 * MIB;
        let changed = tables
            .step_by(SECTOR)
            .filter(|at| before[*at..at + SECTOR] != after[*at..at + SECTOR])
            .collect();
        Self {
            before,
            after,
            changed,
        }
    }

    /// The image as it is when the payload is written, and the tables are in the log only.
    fn image(&self) -> Vec<u8> {
        let mut image = self.after.clone();
        image[2 * MIB..4 * MIB].copy_from_slice(&self.before[2 * MIB..4 * MIB]);
        set_headers(&mut image, 48, &LOG_GUID);
        image
    }

    fn changes(&self) -> Vec<Change<'_>> {
        self.changed
            .iter()
            .map(|at| Change::Sector {
                at: *at,
                bytes: &self.after[*at..at + SECTOR],
            })
            .collect()
    }
}

fn read(workdir: &Workdir, image: &[u8]) -> Result<Vec<u8>, FormatError> {
    let path = workdir.write("left.vhdx", image);
    open_chain(&path, Some(Format::Vhdx))?.read_all(u64::MAX)
}

#[test]
fn a_log_that_was_left_is_replayed_in_memory() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_log_that_was_left") else {
        return;
    };
    let interrupted = Interrupted::new(&judge);
    assert!(!interrupted.changed.is_empty());
    let expected = judge.try_disk("image.vhdx", "-f vhdx").unwrap();
    let size = interrupted.after.len();
    let changes = interrupted.changes();
    // What is zeroed first and written then holds what was written.
    let zeroed = [Change::Zeros {
        at: interrupted.changed[0],
        length: SECTOR,
    }];
    let one = |sequence, tail| entry(sequence, tail, size, &changes);
    let cases: &[(&str, usize, Vec<Vec<u8>>)] = &[
        ("one entry", 0, vec![one(5, 0)]),
        ("around the end", MIB - SECTOR, vec![one(9, MIB - SECTOR)]),
        (
            "two in a row",
            SECTOR * 3,
            vec![entry(7, SECTOR * 3, size, &zeroed), one(8, SECTOR * 3)],
        ),
        (
            "an older one that is done with",
            0,
            vec![entry(7, 0, size, &zeroed), one(8, SECTOR)],
        ),
    ];
    for (what, at, entries) in cases {
        let mut image = interrupted.image();
        write_log(&mut image, *at, entries);
        assert!(read(&workdir, &image).unwrap() == expected, "{what}");
        // QEMU replays into the file.
        judge.img("check -q -r all -f vhdx left.vhdx");
        assert!(
            judge.try_disk("left.vhdx", "-f vhdx").unwrap() == expected,
            "{what}: the judge"
        );
    }
    // An older sequence with another change, behind the one that counts.
    let mut image = interrupted.image();
    write_log(&mut image, 0, &[one(20, 0)]);
    write_log(&mut image, MIB / 2, &[entry(3, MIB / 2, size, &zeroed)]);
    assert!(read(&workdir, &image).unwrap() == expected);
}

#[test]
fn a_log_that_cannot_be_replayed_is_refused() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_log_that_cannot_be_replayed") else {
        return;
    };
    let interrupted = Interrupted::new(&judge);
    let size = interrupted.after.len();
    let good = entry(5, 0, size, &interrupted.changes());
    type Bend = fn(&mut Vec<u8>);
    let cases: &[(&str, Bend)] = &[
        ("log", |entry| entry.clear()),
        ("log", |entry| entry[40] ^= 1),
        ("log", |entry| entry[SECTOR + 9] ^= 1),
        ("log", |entry| {
            put(entry, 12, &(8 * SECTOR as u32).to_le_bytes());
            seal(entry);
        }),
        ("data sector", |entry| {
            put(entry, SECTOR, b"datb");
            seal(entry);
        }),
        ("SequenceNumber", |entry| {
            put(entry, 64 + 24, &6_u64.to_le_bytes());
            seal(entry);
        }),
        ("FileOffset", |entry| {
            put(entry, 64 + 16, &77_u64.to_le_bytes());
            seal(entry);
        }),
        ("FlushedFileOffset", |entry| {
            put(entry, 48, &(1_u64 << 40).to_le_bytes());
            seal(entry);
        }),
    ];
    for (field, bend) in cases {
        let mut entry = good.clone();
        bend(&mut entry);
        let mut image = interrupted.image();
        write_log(&mut image, 0, &[entry]);
        let error = read(&workdir, &image).unwrap_err();
        assert_eq!(
            (error.kind, error.field),
            (ErrorKind::BadLog, *field),
            "{error}"
        );
    }
    // A log that changes what a payload block holds: its bytes cannot be had from the file.
    let payload = [Change::Zeros {
        at: size - MIB,
        length: SECTOR,
    }];
    let mut image = interrupted.after.clone();
    set_headers(&mut image, 48, &LOG_GUID);
    write_log(&mut image, 0, &[entry(5, 0, size, &payload)]);
    let error = read(&workdir, &image).unwrap_err();
    assert_eq!(
        (error.kind, error.field),
        (ErrorKind::BadTableEntry, "BAT entry")
    );
    // A log of entries that all claim its whole length costs no more than one look at each.
    let mut image = interrupted.image();
    for at in (0..MIB).step_by(SECTOR) {
        let mut whole = good[..SECTOR].to_vec();
        put(&mut whole, 8, &(MIB as u32).to_le_bytes());
        put(&mut image, LOG + at, &whole);
    }
    let error = read(&workdir, &image).unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadLog);
}

#[test]
fn the_newer_of_two_valid_headers_counts() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "the_newer_of_two_valid_headers") else {
        return;
    };
    let whole = Interrupted::new(&judge).after;
    let expected = judge.try_disk("image.vhdx", "-f vhdx").unwrap();
    for damaged in HEADERS {
        let mut image = whole.clone();
        image[damaged + 20] ^= 1;
        assert!(read(&workdir, &image).unwrap() == expected);
    }
    let mut image = whole.clone();
    for damaged in HEADERS {
        image[damaged + 20] ^= 1;
    }
    let error = read(&workdir, &image).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ChecksumMismatch);
    // The second region table stands in for the first.
    let mut image = whole.clone();
    image[192 * 1024 + 40] ^= 1;
    assert!(read(&workdir, &image).unwrap() == expected);
    image[256 * 1024 + 40] ^= 1;
    assert_eq!(
        read(&workdir, &image).unwrap_err().field,
        "region table checksum"
    );
}

/// Where a metadata item lies, by the beginning of its GUID.
fn item(image: &[u8], id: [u8; 4]) -> usize {
    let table = image
        .windows(8)
        .position(|bytes| bytes == b"metadata")
        .unwrap();
    let entry = (0..2047)
        .map(|index| table + 32 + 32 * index)
        .find(|at| image[*at..at + 4] == id)
        .unwrap();
    table + u32::from_le_bytes(image[entry + 16..entry + 20].try_into().unwrap()) as usize
}

const FILE_PARAMETERS: [u8; 4] = [0x37, 0x67, 0xa1, 0xca];
const VIRTUAL_SIZE: [u8; 4] = [0x24, 0x42, 0xa5, 0x2f];
const LOGICAL_SECTOR: [u8; 4] = [0x1d, 0xbf, 0x41, 0x81];

#[test]
fn impossible_items_are_refused_by_the_field() {
    use ErrorKind::*;
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "impossible_items_of_vhdx") else {
        return;
    };
    let whole = Interrupted::new(&judge).after;
    let cases: &[([u8; 4], usize, u64, ErrorKind, &str)] = &[
        (FILE_PARAMETERS, 0, 1 << 19, BadClusterSize, "BlockSize"),
        (FILE_PARAMETERS, 0, 1 << 29, BadClusterSize, "BlockSize"),
        (FILE_PARAMETERS, 0, 3 << 20, BadClusterSize, "BlockSize"),
        (
            FILE_PARAMETERS,
            0,
            1 << 20 | 2 << 32,
            BadTable,
            "parent locator",
        ),
        (
            VIRTUAL_SIZE,
            0,
            (64 << 40) + 512,
            ImageTooBig,
            "VirtualDiskSize",
        ),
        (VIRTUAL_SIZE, 0, 1000, BadHeader, "VirtualDiskSize"),
        (VIRTUAL_SIZE, 0, 1 << 40, BadTable, "BAT region"),
    ];
    for (id, at, value, kind, field) in cases {
        let mut image = whole.clone();
        let place = item(&image, *id) + at;
        put(&mut image, place, &value.to_le_bytes());
        let error = read(&workdir, &image).unwrap_err();
        assert_eq!((error.kind, error.field), (*kind, *field), "{error}");
        // QEMU cuts a size that is no whole number of sectors; the specification has no such disks.
        if *value != 1000 {
            assert!(judge.try_disk("left.vhdx", "-f vhdx").is_err(), "{error}");
        }
    }
}

/// The bytes behind a virtual offset: 0 for a hole.
fn byte_at(image: &mut impl Image, file: &[u8], offset: u64) -> u8 {
    match image.map(offset, 1).unwrap().kind {
        ExtentKind::Data { device, offset } => {
            assert_eq!(device, DeviceIndex(0));
            file[offset as usize]
        }
        _ => 0,
    }
}

#[test]
fn chunks_are_counted_in_logical_sectors() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "chunks_are_counted_in_logical_sectors") else {
        return;
    };
    let gib = 1_u64 << 30;
    judge.img("create -q -f vhdx -o block_size=1M image.vhdx 9G");
    let places = [0, 4 * gib - 1, 4 * gib, 5 * gib, 8 * gib, 9 * gib - 1];
    let writes: Vec<_> = places
        .iter()
        .zip(1..)
        .map(|(place, fill)| format!("write -P {fill} {} 64k", place & !0xffff))
        .collect();
    judge.io("-f vhdx", "image.vhdx", &writes);
    let mut file = workdir.read("image.vhdx");
    let mut chain = open_chain(&workdir.path("image.vhdx"), None).unwrap();
    for (place, fill) in places.iter().zip(1..) {
        assert_eq!(byte_at(&mut chain.chain, &file, *place), fill);
        assert_eq!(
            byte_at(
                &mut chain.chain,
                &file,
                (place + gib / 2).min(9 * gib - MIB as u64 * 2)
            ),
            0
        );
    }
    // In sectors of 4 KiB a chunk is eight times as long, so that the entries behind the first chunk move: by one place
    // at 4 GiB, by two at 8 GiB. QEMU does not read such disks.
    let place = item(&file, LOGICAL_SECTOR);
    put(&mut file, place, &4096_u32.to_le_bytes());
    let bat = 2 * MIB;
    let moved: Vec<u8> = [0..4096, 4097..8193, 8194..9218]
        .into_iter()
        .flat_map(|entries| file[bat + 8 * entries.start..bat + 8 * entries.end].to_vec())
        .collect();
    put(&mut file, bat, &moved);
    let path = workdir.write("large.vhdx", &file);
    let mut chain = open_chain(&path, None).unwrap();
    for (place, fill) in places.iter().zip(1..) {
        assert_eq!(byte_at(&mut chain.chain, &file, *place), fill, "{place}");
    }
}

#[test]
fn no_change_of_a_number_in_a_log_breaks_a_promise() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "no_change_of_a_number_in_a_log") else {
        return;
    };
    let interrupted = Interrupted::new(&judge);
    let size = interrupted.after.len();
    let whole = entry(5, 0, size, &interrupted.changes());
    let mut random = Random(1);
    for _ in 0..60 {
        let mut entry = whole.clone();
        for _ in 0..1 + random.below(3) {
            let anywhere = random.below(4) == 0;
            let end = if anywhere { entry.len() as u64 } else { 200 };
            let at = random.below(end) as usize;
            entry[at] = random.next() as u8;
        }
        seal(&mut entry);
        let mut image = interrupted.image();
        write_log(&mut image, 0, &[entry]);
        open_and_walk(&image, Some(Format::Vhdx));
    }
}
