//! New images, judged by `qemu-img check` and read back by qemu-img.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use instar_image_formats::Image;
use instar_image_formats::qcow2::{DenseLayout, LayoutOptions};
use support::{Judge, Random, Workdir, judge};

/// Writes an image with guest data from `data` (an offset and bytes), sparse elsewhere.
fn write(path: &Path, layout: &DenseLayout, data: &[(u64, Vec<u8>)]) {
    let file = File::create(path).unwrap();
    let mut buffer = vec![0xee; 2 << 20];
    for (offset, length) in layout.pieces(buffer.len() as u64) {
        let piece = &mut buffer[..length as usize];
        layout.fill_metadata(offset, piece).unwrap();
        file.write_all_at(piece, offset).unwrap();
    }
    for (offset, bytes) in data {
        file.write_all_at(bytes, layout.data_offset(*offset).unwrap())
            .unwrap();
    }
    file.set_len(layout.file_length()).unwrap();
}

fn assert_clean(judge: &Judge, image: &str, size: u64) {
    judge.img(&format!("check -q -f qcow2 {image}"));
    let info = judge.img(&format!("info --output=json {image}"));
    assert!(
        info.contains(&format!("\"virtual-size\": {size},")),
        "{info}"
    );
}

#[test]
fn images_of_all_sizes_are_clean_and_hold_the_data() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "images_of_all_sizes_are_clean_and_hold_the_data") else {
        return;
    };
    for size in [0, 512, 65536, 66048, 1 << 20, (3 << 20) + 1024] {
        for cluster_bits in [9, 10, 12, 16, 21] {
            let options = LayoutOptions {
                cluster_bits,
                feature_names: size != 512,
                ..LayoutOptions::default()
            };
            let layout = DenseLayout::new(size, options).unwrap();
            let content = Random(size).bytes(size as usize);
            let data: Vec<_> = (size > 0)
                .then_some((0, content.clone()))
                .into_iter()
                .collect();
            write(&workdir.path("w.qcow2"), &layout, &data);
            assert_clean(&judge, "w.qcow2", size);
            assert!(judge.disk("w.qcow2") == content, "{size} {cluster_bits}");
            let mut chain = support::open_chain(&workdir.path("w.qcow2"), None).unwrap();
            assert!(chain.read_all(u64::MAX).unwrap() == content);
        }
    }
}

#[test]
fn large_images_are_clean() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "large_images_are_clean") else {
        return;
    };
    for size in [(1 << 30) + 512, 1 << 40] {
        let layout = DenseLayout::new(size, LayoutOptions::default()).unwrap();
        let ends = [
            (0, b"the first bytes".to_vec()),
            (size - 14, b"the last bytes".to_vec()),
        ];
        write(&workdir.path("l.qcow2"), &layout, &ends);
        assert_clean(&judge, "l.qcow2", size);
        for (offset, text) in ends {
            judge.img(&format!(
                "dd if=l.qcow2 of=part.raw bs=512 skip={} count={}",
                offset / 512,
                offset / 512 + 1
            ));
            let part = workdir.read("part.raw");
            let at = (offset % 512) as usize;
            assert_eq!(part[at..at + text.len()], text);
        }
        let mut chain = support::open_chain(&workdir.path("l.qcow2"), None).unwrap();
        assert!(chain.chain.map(0, u64::MAX).unwrap().length > 1 << 30);
    }
}

#[test]
fn an_empty_image_is_the_one_that_qemu_img_writes() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "an_empty_image") else {
        return;
    };
    judge.img("create -q -f qcow2 theirs.qcow2 0");
    let layout = DenseLayout::new(0, LayoutOptions::default()).unwrap();
    write(&workdir.path("ours.qcow2"), &layout, &[]);
    // Magic numbers and feature names among the rest.
    assert!(workdir.read("ours.qcow2") == workdir.read("theirs.qcow2"));
}
