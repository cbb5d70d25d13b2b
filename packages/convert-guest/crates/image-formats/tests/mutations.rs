//! Images of every format that qemu-img makes, with numbers of their headers and tables changed: none makes the reader
//! panic, loop, or answer with bytes outside the file. `INSTAR_CASES` takes another number of changes of each image.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::Format;
use support::promises::survives_changes;
use support::{Workdir, judge};

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
        // Data is all of one byte, and in the way.
        survives_changes(&good, *format, &[7, 8, 9], index as u64);
    }
}
