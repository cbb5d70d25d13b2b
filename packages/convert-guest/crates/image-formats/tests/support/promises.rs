//! What every image promises, whatever bytes it is made of: `map` answers or refuses, in bounded time, and what it answers
//! covers the disk without gaps and lies inside the file.

use instar_image_formats::{
    Chain, DeviceIndex, DiskImage, ErrorKind, Extent, ExtentKind, FilePart, Finding, Findings,
    Format, FormatError, FormatImage, Image, ListLimits, OpenOptions,
};

use super::Random;

/// A few extents from a few places on, each checked against what [`Image::map`] promises.
fn walk(image: &mut impl Image, file_sizes: &[u64], falls_through: bool) {
    let size = image.virtual_size();
    assert_eq!(size % 512, 0);
    for start in [0, size / 3, size.saturating_sub(1)] {
        let mut offset = start;
        for step in [
            1,
            511,
            70_000,
            u64::MAX,
            u64::MAX,
            5,
            u64::MAX,
            9999,
            u64::MAX,
        ] {
            if offset >= size {
                assert!(image.map(offset, step).is_err());
                break;
            }
            let Ok(extent) = image.map(offset, step) else {
                break;
            };
            check(&extent, offset, step.min(size - offset), file_sizes);
            assert!(falls_through || extent.kind != ExtentKind::Unallocated);
            check_inside(image, &extent);
            offset = extent.end();
        }
    }
}

/// A long extent says of each of its bytes what the byte says of itself.
fn check_inside(image: &mut impl Image, extent: &Extent) {
    for part in 0..=40 {
        let delta = (extent.length - 1) / 40 * part;
        let single = image.map(extent.start + delta, 1).unwrap();
        let expected = match extent.kind {
            ExtentKind::Data { device, offset } => ExtentKind::Data {
                device,
                offset: offset + delta,
            },
            same => same,
        };
        assert_eq!(single.kind, expected, "{delta} bytes into {extent:?}");
    }
}

fn check(extent: &Extent, offset: u64, most: u64, file_sizes: &[u64]) {
    assert_eq!(extent.start, offset);
    assert!(extent.length >= 1 && extent.length <= most, "{extent:?}");
    match extent.kind {
        ExtentKind::Zero | ExtentKind::Unallocated => {}
        ExtentKind::Packed {
            device,
            file_size,
            unpacked,
            ..
        } => {
            assert_eq!(file_size, file_sizes[device.0 as usize]);
            assert!(extent.end() <= unpacked, "{extent:?}");
        }
        ExtentKind::Data { device, offset } => {
            let end = offset.checked_add(extent.length).unwrap();
            assert!(end <= file_sizes[device.0 as usize], "{extent:?}");
        }
        ExtentKind::Encrypted {
            device,
            offset,
            skip,
            ..
        } => {
            let end = offset + (skip + extent.length).next_multiple_of(512);
            assert!(skip < 4096 && end <= file_sizes[device.0 as usize]);
        }
        ExtentKind::Compressed {
            device,
            offset,
            max_length,
            cluster_start,
            cluster_size,
            ..
        } => {
            assert!(max_length == 0 || offset + max_length <= file_sizes[device.0 as usize]);
            // A stream is at most twice as long as its cluster, which at the end of a disk may be cut.
            assert!(max_length <= 2 * cluster_size.max(4096) || max_length <= 2 << 20);
            assert!(cluster_start <= extent.start && cluster_start % 512 == 0);
            assert!(extent.end() <= cluster_start + cluster_size, "{extent:?}");
        }
    }
}

/// Findings, at most so many.
struct Told(u64);

impl Findings for Told {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        assert!(finding.text.len() < 400, "{finding:?}");
        self.0 = self.0.checked_sub(1).expect("not so many findings");
        Ok(())
    }

    fn parts(&self) -> u32 {
        PARTS
    }

    fn take_part(&mut self, part: &FilePart) -> Result<(), FormatError> {
        assert!(part.number < PARTS, "{part:?}");
        Ok(())
    }
}

/// Parts of the file whose uses a check tells.
const PARTS: u32 = 7;

const LIMITS: ListLimits = ListLimits {
    snapshots: 100,
    bitmaps: 100,
};

/// Opens a file, if it can be, and compares what it says with what every image promises.
pub fn open_and_walk(bytes: &[u8], format: Option<Format>) {
    let sizes = [bytes.len() as u64, 3 << 20];
    let options = OpenOptions {
        cache_blocks: 3,
        ..OpenOptions::default()
    };
    let Ok(mut image) = DiskImage::open(bytes, DeviceIndex(0), format, options) else {
        return;
    };
    let _ = image.attach_data_file(DeviceIndex(1), sizes[1]);
    let _ = image.facts(LIMITS);
    let within = image.within_file(1 << 20);
    assert!(
        within.is_ok(),
        "what the image is to blame for is a finding: {within:?}"
    );
    walk(&mut image, &sizes, true);
    if image.format() != Format::Qcow2 {
        // Each entry of a table is told of, and each table once.
        let mut told = Told(4 * sizes[0] + 100);
        if let Err(error) = image.check(&mut told) {
            // Extent files are not opened here; whatever else it finds, it tells.
            assert_eq!(error.kind, ErrorKind::ExtentMissing, "{error}");
        }
    }
    let mut chain = Chain::new(2);
    chain.push(image, DeviceIndex(0)).unwrap();
    let base = DiskImage::open(bytes, DeviceIndex(0), Some(Format::Raw), options).unwrap();
    chain.push(base, DeviceIndex(0)).unwrap();
    walk(&mut chain, &sizes, false);
}

/// `INSTAR_CASES`, or a number that tests can afford.
fn cases() -> u64 {
    let text = std::env::var("INSTAR_CASES").unwrap_or_default();
    text.parse().unwrap_or(150)
}

/// A number that arithmetic may stumble over, or that leads somewhere inside the file.
fn number(random: &mut Random, length: u64) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u64::MAX >> random.below(64),
        4 => 1 << random.below(64),
        5 => random.below(length),
        6 => random.below(length) & !0x1ff,
        _ => random.next(),
    }
}

/// Changes numbers, most of them where something other than zero stands in the first pages or at the end.
fn change(bytes: &mut [u8], places: &[usize], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let place = places[random.below(places.len() as u64) as usize] & !3;
        let value = number(random, bytes.len() as u64);
        let width = [1, 2, 4, 8][random.below(4) as usize];
        let number = if random.below(2) == 0 {
            value.to_le_bytes()[..width].to_vec()
        } else {
            value.to_be_bytes()[8 - width..].to_vec()
        };
        let end = (place + width).min(bytes.len());
        bytes[place..end].copy_from_slice(&number[..end - place]);
    }
}

/// Changes numbers of a good image, and cuts it, at random: no reader breaks its promises. Bytes of `data`, and zeros, say
/// nothing and are changed only in the first 128 bytes.
pub fn survives_changes(good: &[u8], format: Format, data: &[u8], seed: u64) {
    let places: Vec<usize> = (0..good.len())
        .filter(|at| *at < 128 || (good[*at] != 0 && !data.contains(&good[*at])))
        .collect();
    let mut random = Random(seed);
    let mut bytes = good.to_vec();
    for _ in 0..cases() {
        bytes.copy_from_slice(good);
        change(&mut bytes, &places, &mut random);
        open_and_walk(&bytes, Some(format));
    }
    for cut in 0..40 {
        open_and_walk(&good[..good.len() * cut / 40], Some(format));
    }
}
