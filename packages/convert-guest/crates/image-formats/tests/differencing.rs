//! Differencing disks of Virtual PC and Hyper-V, which qemu-img does not make: built from the structures of the
//! specifications over parents that qemu-img reads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatError};
use support::promises::survives_changes;
use support::{Random, Workdir, judge, open_chain};

const SECTOR: usize = 512;
const MIB: usize = 1 << 20;
/// Block of the VHDs.
const BLOCK: usize = 64 << 10;
/// What lies in sectors that the parent holds.
const JUNK: u8 = 0xee;

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// A disk, the sectors that it holds (the others are its parent's), and the blocks that it does not have at all.
struct Layer {
    disk: Vec<u8>,
    held: Vec<bool>,
}

impl Layer {
    fn random(random: &mut Random, size: usize, block: usize) -> Self {
        let disk = random.bytes(size);
        let mut held = vec![false; size / SECTOR];
        for part in held.chunks_mut(block / SECTOR) {
            match random.below(4) {
                0 => {}
                1 => part.fill(true),
                _ => {
                    let mut at = 0;
                    while at < part.len() {
                        let length = 1 + random.below(20) as usize;
                        let end = (at + length).min(part.len());
                        part[at..end].fill(random.below(2) == 0);
                        at = end;
                    }
                }
            }
        }
        Self { disk, held }
    }

    fn over(&self, parent: &[u8]) -> Vec<u8> {
        let mut disk = parent.to_vec();
        for (number, _) in self.held.iter().enumerate().filter(|(_, held)| **held) {
            let sector = number * SECTOR..(number + 1) * SECTOR;
            disk[sector.clone()].copy_from_slice(&self.disk[sector]);
        }
        disk
    }

    /// A block as it is stored, and its sectors.
    fn block(&self, number: usize, block: usize) -> (Vec<u8>, &[bool]) {
        let sectors = block / SECTOR;
        let end = ((number + 1) * sectors).min(self.held.len());
        let held = &self.held[number * sectors..end];
        let mut bytes = vec![JUNK; block];
        for (index, _) in held.iter().enumerate().filter(|(_, held)| **held) {
            let from = number * block + index * SECTOR;
            put(&mut bytes, index * SECTOR, &self.disk[from..from + SECTOR]);
        }
        (bytes, held)
    }
}

/// What a differencing VHD says of its parent.
#[derive(Default)]
struct Parent<'a> {
    id: [u8; 16],
    /// `parent unicode name`.
    name: &'a str,
    locators: &'a [(&'a [u8; 4], &'a str)],
}

/// The ones' complement of the sum of all bytes.
fn seal(bytes: &mut [u8], at: usize) {
    bytes[at..at + 4].fill(0);
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    put(bytes, at, &(!sum).to_be_bytes());
}

/// A dynamic VHD, or a differencing one.
fn vhd(layer: &Layer, id: [u8; 16], parent: Option<&Parent<'_>>) -> Vec<u8> {
    let size = layer.disk.len();
    let blocks = size.div_ceil(BLOCK);
    let mut footer = [0; SECTOR];
    put(&mut footer, 0, b"conectix");
    put(&mut footer, 8, &2_u32.to_be_bytes());
    put(&mut footer, 12, &0x1_0000_u32.to_be_bytes());
    put(&mut footer, 16, &512_u64.to_be_bytes());
    put(&mut footer, 28, b"win ");
    put(&mut footer, 40, &(size as u64).to_be_bytes());
    put(&mut footer, 48, &(size as u64).to_be_bytes());
    put(
        &mut footer,
        60,
        &(if parent.is_some() { 4_u32 } else { 3 }).to_be_bytes(),
    );
    put(&mut footer, 68, &id);
    seal(&mut footer, 64);
    let mut header = [0; 1024];
    put(&mut header, 0, b"cxsparse");
    put(&mut header, 8, &[0xff; 8]);
    put(&mut header, 16, &1536_u64.to_be_bytes());
    put(&mut header, 24, &0x1_0000_u32.to_be_bytes());
    put(&mut header, 28, &(blocks as u32).to_be_bytes());
    put(&mut header, 32, &(BLOCK as u32).to_be_bytes());
    let table = 1536;
    let mut body = vec![0xff; (blocks * 4).next_multiple_of(SECTOR)];
    if let Some(parent) = parent {
        put(&mut header, 40, &parent.id);
        put(&mut header, 64, &utf16(parent.name, u16::to_be_bytes));
        for (number, (code, path)) in parent.locators.iter().enumerate() {
            let path = utf16(path, u16::to_le_bytes);
            let entry = 576 + 24 * number;
            put(&mut header, entry, *code);
            put(&mut header, entry + 4, &512_u32.to_be_bytes());
            put(&mut header, entry + 8, &(path.len() as u32).to_be_bytes());
            put(
                &mut header,
                entry + 16,
                &((table + body.len()) as u64).to_be_bytes(),
            );
            body.extend(path);
            body.resize(body.len().next_multiple_of(SECTOR), 0);
        }
    }
    seal(&mut header, 36);
    for number in 0..blocks {
        let (bytes, held) = layer.block(number, BLOCK);
        if !held.contains(&true) {
            continue;
        }
        let place = ((table + body.len()) / SECTOR) as u32;
        put(&mut body, number * 4, &place.to_be_bytes());
        let mut bitmap = [0; SECTOR];
        for (bit, _) in held.iter().enumerate().filter(|(_, held)| **held) {
            bitmap[bit / 8] |= 0x80 >> (bit % 8);
        }
        body.extend(bitmap);
        body.extend(bytes);
    }
    [&footer[..], &header, &body, &footer].concat()
}

fn read(workdir: &Workdir, name: &str, format: Format, step: u64) -> Result<Vec<u8>, FormatError> {
    open_chain(&workdir.path(name), Some(format))?.read_all(step)
}

#[test]
fn a_differencing_vhd_holds_the_sectors_of_its_bitmaps() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_differencing_vhd_holds") else {
        return;
    };
    let mut random = Random(61);
    for round in 0..6 {
        let size = BLOCK * 9 + SECTOR * (1 + 5 * round);
        let mut base = Layer::random(&mut random, size, BLOCK);
        // All sectors of a dynamic disk's block are the disk's.
        for part in base.held.chunks_mut(BLOCK / SECTOR) {
            let held = part.contains(&true);
            part.fill(held);
        }
        workdir.write("base.vhd", &vhd(&base, [1; 16], None));
        let bottom = judge.try_disk("base.vhd", "-f vpc").unwrap();
        assert!(bottom == base.over(&vec![0; size]));
        let middle = Layer::random(&mut random, size, BLOCK);
        let parent = Parent {
            id: [1; 16],
            locators: &[(b"W2ku", "D:\\gone\\other.vhd"), (b"W2ru", ".\\base.vhd")],
            ..Parent::default()
        };
        workdir.write("middle.vhd", &vhd(&middle, [2; 16], Some(&parent)));
        let top = Layer::random(&mut random, size, BLOCK);
        let parent = Parent {
            id: [2; 16],
            locators: &[(b"W2ku", "C:\\Virtual Disks\\middle.vhd")],
            ..Parent::default()
        };
        workdir.write("top.vhd", &vhd(&top, [3; 16], Some(&parent)));
        let expected = top.over(&middle.over(&bottom));
        for step in [u64::MAX, 700, 40_000] {
            let ours = read(&workdir, "top.vhd", Format::Vpc, step).unwrap();
            assert!(ours == expected, "round {round}, step {step}");
        }
        if round == 0 {
            survives_changes(&workdir.read("top.vhd"), Format::Vpc, &[JUNK], 4);
        }
    }
}

#[test]
fn a_parent_of_a_vhd_is_named_and_known_by_its_id() {
    let workdir = Workdir::new();
    let mut random = Random(62);
    let base = Layer::random(&mut random, BLOCK * 2, BLOCK);
    let top = Layer::random(&mut random, BLOCK * 2, BLOCK);
    workdir.write("b\u{e4}se.vhd", &vhd(&base, [1; 16], None));
    let child = |parent: &Parent<'_>| {
        workdir.write("top.vhd", &vhd(&top, [3; 16], Some(parent)));
        read(&workdir, "top.vhd", Format::Vpc, u64::MAX)
    };
    let by_name = Parent {
        id: [1; 16],
        name: "C:\\b\u{e4}se.vhd",
        locators: &[(b"MacX", "file:///x"), (b"Wi2k", "y")],
    };
    assert!(child(&by_name).is_ok());
    let another = child(&Parent {
        id: [9; 16],
        ..by_name
    })
    .unwrap_err();
    assert_eq!(
        (another.kind, another.field),
        (ErrorKind::BadHeader, "unique id")
    );
    let nameless = child(&Parent::default()).unwrap_err();
    assert_eq!(nameless.kind, ErrorKind::BadBackingName);
    // A path behind the end of the file.
    let mut bytes = vhd(
        &top,
        [3; 16],
        Some(&Parent {
            locators: &[(b"W2ru", "a")],
            ..by_name
        }),
    );
    put(&mut bytes, 512 + 576 + 16, &u64::MAX.to_be_bytes());
    workdir.write("top.vhd", &bytes);
    let beyond = read(&workdir, "top.vhd", Format::Vpc, 1).unwrap_err();
    assert_eq!(
        (beyond.kind, beyond.field),
        (ErrorKind::BadBackingName, "platform data offset")
    );
}

const BAT: [u8; 16] = *b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
const METADATA: [u8; 16] = *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
const PARAMETERS: [u8; 16] = *b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
const LOCATOR_ITEM: [u8; 16] = *b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";
const LOCATOR_TYPE: [u8; 16] = *b"\xb7\xef\x4a\xb0\x9e\xd1\x81\x4a\xb7\x89\x25\xb8\xe9\x44\x59\x13";
/// Blocks of a chunk, where blocks have 1 MiB and sectors 512 bytes.
const CHUNK: usize = 4096;

fn find(bytes: &[u8], wanted: &[u8; 16]) -> usize {
    let place = bytes.windows(16).position(|window| window == wanted);
    place.unwrap()
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where the regions of the allocation table and the metadata begin.
fn regions(image: &[u8]) -> [usize; 2] {
    let table = &image[192 << 10..256 << 10];
    [BAT, METADATA].map(|id| number(table, find(table, &id) + 16))
}

fn guid_text(guid: &[u8]) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let turned = |part: &[u8]| hex(&part.iter().rev().copied().collect::<Vec<_>>());
    let (a, b, c) = (turned(&guid[..4]), turned(&guid[4..6]), turned(&guid[6..8]));
    format!("{{{a}-{b}-{c}-{}-{}}}", hex(&guid[8..10]), hex(&guid[10..]))
}

/// What parents are known by: the content GUID of the header that counts.
fn data_write_guid(image: &[u8]) -> String {
    let sequence = |at: usize| u64::from_le_bytes(image[at + 8..at + 16].try_into().unwrap());
    let (one, two) = (64 << 10, 128 << 10);
    let at = if sequence(one) > sequence(two) {
        one
    } else {
        two
    };
    guid_text(&image[at + 32..at + 48])
}

/// Makes an image that qemu-img made without blocks a differencing one.
fn vhdx(empty: &[u8], layer: &Layer, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut image = empty.to_vec();
    let [bat, metadata] = regions(&image);
    let table = &image[metadata..metadata + (64 << 10)];
    let parameters = number(table, find(table, &PARAMETERS) + 16);
    let count = u16::from_le_bytes([table[10], table[11]]);
    image[metadata + parameters + 4] |= 2;
    put(&mut image, metadata + 10, &(count + 1).to_le_bytes());
    let mut item = LOCATOR_TYPE.to_vec();
    item.extend([0, 0]);
    item.extend((pairs.len() as u16).to_le_bytes());
    let mut texts = Vec::new();
    let start = 20 + 12 * pairs.len();
    for (key, value) in pairs {
        let (key, value) = (utf16(key, u16::to_le_bytes), utf16(value, u16::to_le_bytes));
        item.extend(((start + texts.len()) as u32).to_le_bytes());
        item.extend(((start + texts.len() + key.len()) as u32).to_le_bytes());
        item.extend((key.len() as u16).to_le_bytes());
        item.extend((value.len() as u16).to_le_bytes());
        texts.extend(key);
        texts.extend(value);
    }
    item.extend(texts);
    let place = 128 << 10;
    let entry = metadata + 32 + 32 * usize::from(count);
    put(&mut image, entry, &LOCATOR_ITEM);
    put(&mut image, entry + 16, &(place as u32).to_le_bytes());
    put(&mut image, entry + 20, &(item.len() as u32).to_le_bytes());
    put(&mut image, entry + 24, &4_u32.to_le_bytes());
    put(&mut image, metadata + place, &item);
    image.resize(image.len().next_multiple_of(MIB), 0);
    let bitmaps = image.len();
    image.resize(bitmaps + MIB, 0);
    put(
        &mut image,
        bat + 8 * CHUNK,
        &(bitmaps as u64 | 6).to_le_bytes(),
    );
    for number in 0..layer.disk.len().div_ceil(MIB) {
        let (bytes, held) = layer.block(number, MIB);
        // qemu-img says that blocks without bytes are zeros; here the parent has them.
        put(&mut image, bat + 8 * number, &[0; 8]);
        let state = match (held.contains(&true), held.contains(&false)) {
            (false, _) => continue,
            (true, false) => 6,
            (true, true) => 7,
        };
        let at = image.len();
        put(
            &mut image,
            bat + 8 * number,
            &(at as u64 | state).to_le_bytes(),
        );
        image.extend(bytes);
        for (index, _) in held
            .iter()
            .enumerate()
            .filter(|(_, held)| state == 7 && **held)
        {
            let bit = number * (MIB / SECTOR) + index;
            image[bitmaps + bit / 8] |= 1 << (bit % 8);
        }
    }
    image
}

#[test]
fn a_differencing_vhdx_holds_the_sectors_of_its_bitmaps() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_differencing_vhdx_holds") else {
        return;
    };
    let mut random = Random(63);
    let size = 5 * MIB + 300 * SECTOR;
    let options = "create -q -f vhdx -o block_size=1M";
    judge.img(&format!("{options} base.vhdx {size}"));
    let writes = ["write -P 1 0 3M", "write -P 2 3500k 700k"];
    judge.io("-f vhdx", "base.vhdx", &writes.map(str::to_owned));
    let bottom = judge.try_disk("base.vhdx", "-f vhdx").unwrap();
    let base = data_write_guid(&workdir.read("base.vhdx"));
    judge.img(&format!("{options} empty.vhdx {size}"));
    let empty = workdir.read("empty.vhdx");
    for round in 0..4 {
        let top = Layer::random(&mut random, size, MIB);
        let names = [
            ("parent_linkage", &*base),
            ("relative_path", ".\\base.vhdx"),
            ("absolute_win32_path", "X:\\no.vhdx"),
        ];
        let image = vhdx(&empty, &top, &names);
        workdir.write("top.vhdx", &image);
        let expected = top.over(&bottom);
        for step in [u64::MAX, 1300, 300_000] {
            let ours = read(&workdir, "top.vhdx", Format::Vhdx, step).unwrap();
            assert!(ours == expected, "round {round}, step {step}");
        }
        if round == 0 {
            survives_changes(&image[..4 * MIB], Format::Vhdx, &[JUNK], 5);
        }
    }
    let top = Layer::random(&mut random, size, MIB);
    let other = guid_text(&[5; 16]);
    let cases: &[(&[(&str, &str)], ErrorKind)] = &[
        (
            &[("parent_linkage", &other), ("relative_path", "base.vhdx")],
            ErrorKind::BadHeader,
        ),
        (&[("parent_linkage", &base)], ErrorKind::BadBackingName),
        (&[("relative_path", "base.vhdx")], ErrorKind::BadBackingName),
    ];
    for (pairs, kind) in cases {
        workdir.write("top.vhdx", &vhdx(&empty, &top, pairs));
        let error = read(&workdir, "top.vhdx", Format::Vhdx, 9).unwrap_err();
        assert_eq!(error.kind, *kind, "{error}");
    }
    let merged = [
        ("parent_linkage", &*other),
        ("parent_linkage2", &*base),
        ("absolute_win32_path", "\\\\?\\C:\\base.vhdx"),
    ];
    workdir.write("top.vhdx", &vhdx(&empty, &top, &merged));
    let ours = read(&workdir, "top.vhdx", Format::Vhdx, u64::MAX).unwrap();
    assert!(ours == top.over(&bottom));
}

#[test]
fn a_block_that_needs_a_bitmap_has_one() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_block_that_needs_a_bitmap") else {
        return;
    };
    judge.img("create -q -f vhdx -o block_size=1M base.vhdx 1M");
    let empty = workdir.read("base.vhdx");
    let held = (0..MIB / SECTOR).map(|sector| sector % 3 == 0).collect();
    let layer = Layer {
        disk: vec![4; MIB],
        held,
    };
    let guid = data_write_guid(&empty);
    let names = [("parent_linkage", &*guid), ("relative_path", "base.vhdx")];
    let good = vhdx(&empty, &layer, &names);
    let [bat, _] = regions(&good);
    for entry in [0_u64, 6, 6 | (1 << 20), 6 | (1 << 43)] {
        let mut bytes = good.clone();
        put(&mut bytes, bat + 8 * CHUNK, &entry.to_le_bytes());
        workdir.write("top.vhdx", &bytes);
        let error = read(&workdir, "top.vhdx", Format::Vhdx, u64::MAX).unwrap_err();
        assert_eq!(error.field, "BAT entry of sector bitmaps", "{error}");
    }
}
