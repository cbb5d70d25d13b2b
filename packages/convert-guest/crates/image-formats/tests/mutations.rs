//! Images of every format that qemu-img makes, with numbers of their headers and tables changed: none makes the reader
//! panic, loop, or answer with bytes outside the file. `INSTAR_CASES` takes another number of changes of each image.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::Format;
use support::promises::open_and_walk;
use support::{Random, Workdir, judge};

const IMAGES: &[(Format, &str)] = &[
    (Format::Vdi, ""),
    (Format::Vpc, ""),
    (Format::Vpc, "-o subformat=fixed"),
    (Format::Vhdx, "-o block_size=1M"),
    (Format::Qcow, ""),
    (Format::Qed, "-o cluster_size=4k,table_size=2"),
    (Format::Vmdk, ""),
    (Format::Vmdk, "-o zeroed_grain=on"),
    (Format::Vmdk, "-o subformat=streamOptimized"),
    (Format::Parallels, "-o cluster_size=64k"),
];

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

#[test]
fn no_change_of_a_number_makes_a_reader_break_its_promises() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "no_change_of_a_number") else {
        return;
    };
    for (index, (format, options)) in IMAGES.iter().enumerate() {
        let name = format.name();
        judge.img(&format!("create -q -f {name} {options} image 1M"));
        let writes = [
            "write -P 7 0 64k",
            "write -P 8 256k 128k",
            "write -P 9 960k 64k",
        ];
        judge.io(&format!("-f {name}"), "image", &writes.map(str::to_owned));
        let good = workdir.read("image");
        // What is not zero says something; data is all of one byte, and in the way.
        let places: Vec<usize> = (0..good.len())
            .filter(|at| !matches!(good[*at], 0 | 7 | 8 | 9) || *at < 128)
            .collect();
        let mut random = Random(index as u64);
        let mut bytes = good.clone();
        for _ in 0..cases() {
            bytes.copy_from_slice(&good);
            change(&mut bytes, &places, &mut random);
            open_and_walk(&bytes, Some(*format));
        }
        for cut in 0..40 {
            open_and_walk(&good[..good.len() * cut / 40], Some(*format));
        }
    }
}
