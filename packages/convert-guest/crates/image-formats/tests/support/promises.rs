//! What every image promises, whatever bytes it is made of: `map` answers or refuses, in bounded time, and what it answers
//! covers the disk without gaps and lies inside the file.

use instar_image_formats::{
    Chain, DeviceIndex, DiskImage, Extent, ExtentKind, Format, FormatImage, Image, ListLimits,
    OpenOptions,
};

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
        ExtentKind::Data { device, offset } => {
            let end = offset.checked_add(extent.length).unwrap();
            assert!(end <= file_sizes[device.0 as usize], "{extent:?}");
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

const LIMITS: ListLimits = ListLimits {
    snapshots: 100,
    bitmaps: 100,
};

/// Opens a file, if it can be, and compares what it says with what every image promises.
pub fn open_and_walk(bytes: &[u8], format: Option<Format>) {
    let sizes = [bytes.len() as u64, 3 << 20];
    let options = OpenOptions { cache_blocks: 3 };
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
    let mut chain = Chain::new(2);
    chain.push(image, DeviceIndex(0)).unwrap();
    let base = DiskImage::open(bytes, DeviceIndex(0), Some(Format::Raw), options).unwrap();
    chain.push(base, DeviceIndex(0)).unwrap();
    walk(&mut chain, &sizes, false);
}
