//! Whole disks, read through the maps and compared with what the real qemu-img reads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Judge, Random, Workdir, assert_same_disk, judge, scribble};

const KIB: u64 = 1024;

fn create(judge: &Judge, name: &str, options: &str, size: u64) {
    judge.img(&format!("create -q -f qcow2 -o {options} {name} {size}"));
}

#[test]
fn raw_files_of_every_odd_size() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "raw_files_of_every_odd_size") else {
        return;
    };
    for size in [0, 1, 511, 512, 513, 1000, 65535, 65536, 200_001] {
        workdir.write("odd.raw", &Random(size).bytes(size as usize));
        assert_same_disk(&judge, "odd.raw");
    }
}

#[test]
fn both_versions_with_every_cluster_size() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "both_versions_with_every_cluster_size") else {
        return;
    };
    for bits in 9..=21_u64 {
        for compat in ["0.10", "1.1"] {
            let cluster = 1 << bits;
            let size = (cluster * 5).clamp(600 * KIB, 9000 * KIB) + 512 * 3;
            let mut random = Random(bits);
            let name = format!("v{compat}-{bits}.qcow2");
            create(
                &judge,
                &name,
                &format!("compat={compat},cluster_size={cluster}"),
                size,
            );
            judge.io("", &name, &scribble(&mut random, size, 30, Some(cluster)));
            assert_same_disk(&judge, &name);
        }
    }
}

#[test]
fn extended_l2_entries_with_scattered_subclusters() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "extended_l2_entries_with_scattered_subclusters") else {
        return;
    };
    for bits in [14, 16, 18, 21_u64] {
        let mut random = Random(1000 + bits);
        let cluster = 1 << bits;
        let size = (cluster * 4).clamp(1000 * KIB, 9000 * KIB) + 512;
        let options = format!("extended_l2=on,cluster_size={cluster}");
        workdir.write("base.raw", &Random(bits).bytes(size as usize / 2 + 100));
        judge.img(&format!(
            "create -q -f qcow2 -b base.raw -F raw -o {options} top.qcow2 {size}"
        ));
        judge.io(
            "",
            "top.qcow2",
            &scribble(&mut random, size, 60, Some(cluster)),
        );
        assert_same_disk(&judge, "top.qcow2");
    }
}

#[test]
fn compressed_clusters_of_both_codecs() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "compressed_clusters_of_both_codecs") else {
        return;
    };
    // A part that compresses, a part that does not, zeros, and a last cluster that is not whole.
    let mut random = Random(7);
    let mut content = random.bytes(3_000_000);
    content.extend((0..300_000).map(|_| random.next() as u8));
    content.extend(std::iter::repeat_n(0, 500_000));
    content.extend(random.bytes(123_456));
    workdir.write("content.raw", &content);
    for codec in ["zlib", "zstd"] {
        for cluster in [512, 4096, 65536, 2 << 20] {
            let options = format!("compression_type={codec},cluster_size={cluster}");
            judge.img(&format!(
                "convert -c -f raw -O qcow2 -o {options} content.raw c.qcow2"
            ));
            assert_same_disk(&judge, "c.qcow2");
        }
    }
    judge.img("convert -c -f raw -O qcow2 -o extended_l2=on content.raw c.qcow2");
    assert_same_disk(&judge, "c.qcow2");
}

#[test]
fn chains_of_different_sizes_and_formats() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "chains_of_different_sizes_and_formats") else {
        return;
    };
    let mut random = Random(11);
    workdir.write("a.raw", &random.bytes(700_001));
    let layers = [
        ("b.qcow2", "a.raw", "raw", "cluster_size=512", 1200 * KIB),
        (
            "c.qcow2",
            "b.qcow2",
            "qcow2",
            "compat=0.10,cluster_size=4096",
            900 * KIB,
        ),
        ("d.qcow2", "c.qcow2", "qcow2", "extended_l2=on", 2000 * KIB),
        (
            "e.qcow2",
            "d.qcow2",
            "qcow2",
            "compression_type=zstd",
            1500 * KIB + 512,
        ),
    ];
    for (name, backing, format, options, size) in layers {
        judge.img(&format!(
            "create -q -f qcow2 -b {backing} -F {format} -o {options} {name} {size}"
        ));
        let unit = if options.starts_with("cluster_size") {
            512
        } else {
            65536
        };
        let unit = if options.starts_with("compat") {
            4096
        } else {
            unit
        };
        judge.io("", name, &scribble(&mut random, size, 20, Some(unit)));
        assert_same_disk(&judge, name);
    }
}

#[test]
fn a_chain_of_sixteen_is_read_and_one_of_seventeen_is_refused() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_chain_of_sixteen") else {
        return;
    };
    workdir.write("0.raw", &Random(1).bytes(300_000));
    let mut backing = ("0.raw".to_owned(), "raw");
    for depth in 1..17 {
        let name = format!("{depth}.qcow2");
        judge.img(&format!(
            "create -q -f qcow2 -b {} -F {} {name}",
            backing.0, backing.1
        ));
        judge.io(
            "",
            &name,
            &[format!("write -P {depth} {} 5k", depth * 16384)],
        );
        backing = (name, "qcow2");
    }
    assert_same_disk(&judge, "15.qcow2");
    let error = support::open_chain(&workdir.path("16.qcow2"), None)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind.name(), "chain-too-deep");
}

#[test]
fn external_data_files_raw_and_not() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "external_data_files_raw_and_not") else {
        return;
    };
    for raw in ["on", "off"] {
        for extended in ["on", "off"] {
            let mut random = Random(21);
            let size = 1500 * KIB;
            let options = format!("data_file=d.raw,data_file_raw={raw},extended_l2={extended}");
            judge.img(&format!("create -q -f qcow2 -o {options} d.qcow2 {size}"));
            judge.io("", "d.qcow2", &scribble(&mut random, size, 40, None));
            assert_same_disk(&judge, "d.qcow2");
            // A data file that has lost its end reads as zeros there.
            let bytes = workdir.read("d.raw");
            workdir.write("d.raw", &bytes[..700_777]);
            assert_same_disk(&judge, "d.qcow2");
        }
    }
}

#[test]
fn internal_snapshots_do_not_disturb_the_active_state() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "internal_snapshots") else {
        return;
    };
    let mut random = Random(31);
    let size = 800 * KIB;
    create(&judge, "s.qcow2", "cluster_size=4096", size);
    for (name, unit) in [("first", Some(4096)), ("second", None), ("third", None)] {
        judge.io("", "s.qcow2", &scribble(&mut random, size, 20, unit));
        judge.img(&format!("snapshot -c {name} s.qcow2"));
    }
    judge.io("", "s.qcow2", &scribble(&mut random, size, 20, None));
    assert_same_disk(&judge, "s.qcow2");
}

#[test]
fn preallocated_and_truncated_images() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "preallocated_and_truncated_images") else {
        return;
    };
    for preallocation in ["metadata", "falloc", "full"] {
        create(
            &judge,
            "p.qcow2",
            &format!("preallocation={preallocation}"),
            3000 * KIB,
        );
        judge.io("", "p.qcow2", &["write -P 3 100k 1M".to_owned()]);
        assert_same_disk(&judge, "p.qcow2");
    }
    // What lies beyond the end of the file is zero, data and tables alike.
    let bytes = workdir.read("p.qcow2");
    for length in [1 << 20, 700_000, 300_001, 262_144 + 8, 150] {
        workdir.write("cut.qcow2", &bytes[..length]);
        assert_same_disk(&judge, "cut.qcow2");
    }
}

#[test]
fn a_tiny_cache_reads_the_same_disk() {
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "a_tiny_cache_reads_the_same_disk") else {
        return;
    };
    let mut random = Random(41);
    let size = 6000 * KIB;
    create(&judge, "t.qcow2", "cluster_size=512", size);
    judge.io("", "t.qcow2", &scribble(&mut random, size, 200, Some(512)));
    let expected = judge.disk("t.qcow2");
    let options = instar_image_formats::OpenOptions {
        cache_blocks: 1,
        ..Default::default()
    };
    let mut chain = support::open_chain_with(&workdir.path("t.qcow2"), None, options).unwrap();
    assert!(chain.read_all(10_000).unwrap() == expected);
}

#[test]
fn neighbouring_clusters_come_as_one_extent() {
    use instar_image_formats::Image;
    let workdir = Workdir::new();
    let Some(judge) = judge(&workdir, "neighbouring_clusters_come_as_one_extent") else {
        return;
    };
    // Preallocated L2 tables of 64 entries lie between the data, so that runs end where they must.
    create(&judge, "n.qcow2", "preallocation=metadata", 100 << 20);
    let mut chain = support::open_chain(&workdir.path("n.qcow2"), None).unwrap();
    let extent = chain.chain.map(12_345, u64::MAX).unwrap();
    assert!(extent.length > 90 << 20, "{extent:?}");
    // Holes are merged over L1 entries, small clusters over L2 tables.
    create(&judge, "h.qcow2", "cluster_size=512", 1 << 30);
    let mut chain = support::open_chain(&workdir.path("h.qcow2"), None).unwrap();
    let extent = chain.chain.map(0, u64::MAX).unwrap();
    assert_eq!(extent.length, 1 << 30);
}
