//! Disks of the formats other than qcow2: random images that qemu-img and qemu-io made, read through the maps and
//! compared with what qemu-img reads. `INSTAR_CASES` takes another number of random images of each variant, `INSTAR_ONLY`
//! the beginning of a format's name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{Format, FormatImage, Image, Within};
use support::{Judge, Random, Workdir, assert_same_disk_as, judge, open_chain, scribble};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn cases() -> u64 {
    let text = std::env::var("INSTAR_CASES").unwrap_or_default();
    text.parse().unwrap_or(2)
}

/// A variant that qemu-img makes.
struct Variant {
    format: Format,
    options: &'static str,
    /// Bytes of a block, and whether qemu-io can write compressed ones.
    block: u64,
    compressed: bool,
    /// A size that is not a whole number of blocks, where that may be.
    size: u64,
}

const fn variant(format: Format, options: &'static str, block: u64, size: u64) -> Variant {
    Variant {
        format,
        options,
        block,
        compressed: false,
        size,
    }
}

const VARIANTS: &[Variant] = &[
    variant(Format::Vdi, "", MIB, 7 * MIB + 512 * 3),
    variant(Format::Vdi, "-o static=on", MIB, 5 * MIB + 512),
    variant(Format::Vpc, "", 2 * MIB, 9 * MIB + 512 * 5),
    variant(Format::Vpc, "-o force_size=on", 2 * MIB, 9 * MIB + 512 * 5),
    variant(Format::Vpc, "-o subformat=fixed", MIB, 3 * MIB + 512),
    variant(
        Format::Vpc,
        "-o subformat=fixed,force_size=on",
        MIB,
        3 * MIB + 512,
    ),
    variant(Format::Vhdx, "", 8 * MIB, 19 * MIB + 512 * 5),
    variant(Format::Vhdx, "-o block_size=1M", MIB, 9 * MIB + 512 * 5),
    variant(
        Format::Vhdx,
        "-o subformat=fixed,block_size=2M",
        2 * MIB,
        7 * MIB + 512,
    ),
    variant(Format::Qed, "", 64 * KIB, 5 * MIB + 512 * 7),
    variant(
        Format::Qed,
        "-o cluster_size=4k,table_size=4",
        4 * KIB,
        5 * MIB + 512 * 7,
    ),
    variant(
        Format::Qed,
        "-o cluster_size=1M,table_size=16",
        MIB,
        9 * MIB + 512,
    ),
    variant(Format::Vmdk, "", 64 * KIB, 5 * MIB + 512 * 7),
    variant(
        Format::Vmdk,
        "-o zeroed_grain=on",
        64 * KIB,
        5 * MIB + 512 * 7,
    ),
    variant(
        Format::Vmdk,
        "-o subformat=monolithicFlat",
        MIB,
        3 * MIB + 512,
    ),
    variant(
        Format::Vmdk,
        "-o subformat=twoGbMaxExtentSparse",
        64 * KIB,
        5 * MIB + 512 * 7,
    ),
    variant(
        Format::Vmdk,
        "-o subformat=twoGbMaxExtentFlat",
        MIB,
        3 * MIB + 512,
    ),
    Variant {
        compressed: true,
        ..variant(
            Format::Vmdk,
            "-o subformat=streamOptimized",
            64 * KIB,
            3 * MIB + 512 * 7,
        )
    },
    variant(Format::Parallels, "", MIB, 6 * MIB + 512),
    variant(
        Format::Parallels,
        "-o cluster_size=64k",
        64 * KIB,
        4 * MIB + 512 * 9,
    ),
    Variant {
        compressed: true,
        ..variant(Format::Qcow, "", 4 * KIB, 3 * MIB + 512 * 3)
    },
];

#[test]
fn random_images_of_every_variant_read_as_qemu_img_reads_them() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "random_images_of_every_variant") else {
        return;
    };
    let only = std::env::var("INSTAR_ONLY").unwrap_or_default();
    for (number, variant) in VARIANTS.iter().enumerate() {
        if !variant.format.name().starts_with(only.as_str()) {
            continue;
        }
        for case in 0..cases() {
            let seed = 100 * number as u64 + case;
            compare_random_image(&judge, variant, seed);
        }
    }
}

fn compare_random_image(judge: &Judge, variant: &Variant, seed: u64) {
    let Variant {
        format, options, ..
    } = variant;
    let (name, mut random) = (format.name(), Random(seed));
    println!("{name} {options} seed {seed}");
    judge.img(&format!(
        "create -q -f {name} {options} image {}",
        variant.size
    ));
    let unit = variant.compressed.then_some(variant.block);
    let mut writes = scribble(&mut random, variant.size, 12, unit);
    if options.contains("streamOptimized") {
        // Nothing else can be written there.
        writes.retain(|write| write.starts_with("write -c"));
    }
    // Not every format can discard or has zero blocks; qemu-io says so and goes on to the next command.
    judge.io(&format!("-f {name}"), "image", &writes);
    assert_same_disk_as(judge, "image", Some(*format));
    let mut chain = open_chain(&judge.workdir().path("image"), Some(*format)).unwrap();
    let layer = &mut chain.chain.layers_mut()[0];
    assert!(
        matches!(layer.within_file(1 << 20).unwrap(), Within::Whole(_)),
        "{name} {options}"
    );
}

#[test]
fn disks_of_nothing_come_as_one_extent() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "disks_of_nothing_come_as_one_extent") else {
        return;
    };
    for variant in VARIANTS {
        let name = variant.format.name();
        judge.img(&format!("create -q -f {name} {} image 8G", variant.options));
        let path = workdir.path("image");
        let mut chain = open_chain(&path, Some(variant.format)).unwrap();
        let size = chain.chain.virtual_size();
        let extent = chain.chain.map(0, u64::MAX).unwrap();
        let (options, least) = (variant.options, size.min(1 << 30));
        assert!(
            extent.length >= least,
            "{name} {options}: {extent:?} of {size}"
        );
    }
}
