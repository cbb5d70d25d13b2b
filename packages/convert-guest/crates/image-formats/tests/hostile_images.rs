//! Images that bend one rule each: refused with the kind that names it, or read as qemu-img reads
//! them. Every verdict is compared with that of the real qemu-img.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use instar_image_formats::{ErrorKind, Format, FormatError};
use support::builder::{
    BitmapEntry, Builder, CLUSTER, COMPRESSED, COPIED, DATA, DISK_SIZE, L1_TABLE, SPARE, at,
};
use support::{Judge, Workdir, judge, open_chain};

fn read_ours(workdir: &Workdir, image: &str) -> Result<Vec<u8>, FormatError> {
    open_chain(&workdir.path(image), Some(Format::Qcow2))?.read_all(u64::MAX)
}

struct Judges<'a> {
    workdir: &'a Workdir,
    judge: Option<Judge<'a>>,
}

impl<'a> Judges<'a> {
    fn new(workdir: &'a Workdir, test: &str) -> Self {
        workdir.write("data", &[0x33; 2 * CLUSTER]);
        Self {
            workdir,
            judge: judge(workdir, test),
        }
    }

    /// Both we and qemu-img refuse the image, we with `kind` and a field of the name `field`.
    fn refuses(&self, image: &Builder, kind: ErrorKind, field: &str) {
        let error = self.our_error(image);
        assert_eq!((error.kind, error.field), (kind, field), "{error}");
        if let Some(judge) = &self.judge {
            let theirs = judge.try_disk("image.qcow2", "-f qcow2");
            assert!(theirs.is_err(), "{error}: qemu-img reads it");
        }
    }

    /// We read what qemu-img refuses; `reason` says why that is right.
    fn accepts_alone(&self, image: &Builder, reason: &str) {
        self.workdir.write("image.qcow2", &image.bytes);
        read_ours(self.workdir, "image.qcow2").unwrap_or_else(|error| panic!("{error}"));
        if let Some(judge) = &self.judge {
            let theirs = judge.try_disk("image.qcow2", "-f qcow2");
            assert!(
                theirs.is_err(),
                "no difference to explain any more: {reason}"
            );
        }
    }

    fn our_error(&self, image: &Builder) -> FormatError {
        self.workdir.write("image.qcow2", &image.bytes);
        read_ours(self.workdir, "image.qcow2").expect_err("the image is refused")
    }

    /// Both read the image, and read the same.
    fn accepts(&self, image: &Builder) -> Vec<u8> {
        self.workdir.write("image.qcow2", &image.bytes);
        let ours = read_ours(self.workdir, "image.qcow2").unwrap_or_else(|error| panic!("{error}"));
        if let Some(judge) = &self.judge {
            let theirs = judge.try_disk("image.qcow2", "-f qcow2").unwrap();
            assert!(ours == theirs, "qemu-img reads other bytes");
        }
        ours
    }
}

/// An image with one thing changed.
fn bent(change: impl FnOnce(&mut Builder)) -> Builder {
    let mut image = Builder::new();
    change(&mut image);
    image
}

#[test]
fn the_unbent_images_are_fine() {
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "the_unbent_images_are_fine");
    for image in [Builder::new(), Builder::version_2(), Builder::extended_l2()] {
        let disk = judges.accepts(&image);
        assert_eq!(disk.len() as u64, DISK_SIZE);
        assert!(disk[..CLUSTER].iter().all(|byte| *byte == 0x11));
        assert!(disk[CLUSTER..2 * CLUSTER].iter().all(|byte| *byte == 0x22));
    }
    assert!(judges.accepts(&Builder::data_file())[..2 * CLUSTER] == [0x33; 2 * CLUSTER]);
}

#[test]
fn headers_with_one_impossible_number_are_refused() {
    use ErrorKind::*;
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "headers_with_one_impossible_number_are_refused");
    let numbers: &[(usize, u32, ErrorKind, &str)] = &[
        (0, 0x5146_49fa, NotThisFormat, "magic"),
        (at::VERSION, 0, UnsupportedVersion, "version"),
        (at::VERSION, 1, UnsupportedVersion, "version"),
        (at::VERSION, 4, UnsupportedVersion, "version"),
        (at::VERSION, u32::MAX, UnsupportedVersion, "version"),
        (at::CLUSTER_BITS, 0, BadClusterSize, "cluster_bits"),
        (at::CLUSTER_BITS, 8, BadClusterSize, "cluster_bits"),
        (at::CLUSTER_BITS, 22, BadClusterSize, "cluster_bits"),
        (at::CLUSTER_BITS, 64, BadClusterSize, "cluster_bits"),
        (at::HEADER_LENGTH, 72, BadHeaderLength, "header_length"),
        (at::HEADER_LENGTH, 103, BadHeaderLength, "header_length"),
        (at::HEADER_LENGTH, 65537, BadHeaderLength, "header_length"),
        (
            at::HEADER_LENGTH,
            u32::MAX,
            BadHeaderLength,
            "header_length",
        ),
        (at::REFCOUNT_ORDER, 7, BadRefcountWidth, "refcount_order"),
        (
            at::REFCOUNT_ORDER,
            u32::MAX,
            BadRefcountWidth,
            "refcount_order",
        ),
        (
            at::REFCOUNT_CLUSTERS,
            0,
            BadRefcountTable,
            "refcount_table_clusters",
        ),
        (
            at::REFCOUNT_CLUSTERS,
            129,
            BadRefcountTable,
            "refcount_table_clusters",
        ),
        (
            at::REFCOUNT_CLUSTERS,
            u32::MAX,
            BadRefcountTable,
            "refcount_table_clusters",
        ),
        (at::SNAPSHOT_COUNT, 65537, BadSnapshotTable, "nb_snapshots"),
        (
            at::SNAPSHOT_COUNT,
            u32::MAX,
            BadSnapshotTable,
            "nb_snapshots",
        ),
        (at::L1_SIZE, (4 << 20) + 1, BadL1Table, "l1_size"),
        (at::L1_SIZE, u32::MAX, BadL1Table, "l1_size"),
        (at::L1_SIZE, 0, L1TableTooSmall, "l1_size"),
        (at::CRYPT_METHOD, 3, UnsupportedEncryption, "crypt_method"),
        (at::CRYPT_METHOD, 1, Encrypted, "crypt_method"),
        (at::CRYPT_METHOD, 2, Encrypted, "crypt_method"),
        (
            at::COMPRESSION,
            0x0100_0000,
            BadCompressionType,
            "compression_type",
        ),
        (
            at::COMPRESSION,
            0x0200_0000,
            BadCompressionType,
            "compression_type",
        ),
        (
            at::INCOMPATIBLE + 4,
            1 << 3,
            BadCompressionType,
            "compression_type",
        ),
        (
            at::BACKING_OFFSET + 4,
            65537,
            BadBackingName,
            "backing_file_offset",
        ),
        (at::BACKING_OFFSET, 1, BadBackingName, "backing_file_offset"),
        (
            at::AUTOCLEAR + 4,
            2,
            DataFileUnexpected,
            "autoclear_features",
        ),
    ];
    for (at, number, kind, field) in numbers {
        judges.refuses(
            &bent(|image| {
                image.u32(*at, *number);
            }),
            *kind,
            field,
        );
    }
    let offsets: &[(usize, ErrorKind, &str)] = &[
        (
            at::REFCOUNT_OFFSET,
            BadRefcountTable,
            "refcount_table_offset",
        ),
        (at::SNAPSHOT_OFFSET, BadSnapshotTable, "snapshots_offset"),
        (at::L1_OFFSET, BadL1Table, "l1_table_offset"),
    ];
    for (at, kind, field) in offsets {
        for offset in [1, 512, 65535, 1 << 63, u64::MAX, u64::MAX << 16] {
            judges.refuses(
                &bent(|image| {
                    image.u64(*at, offset);
                }),
                *kind,
                field,
            );
        }
    }
}

#[test]
fn sizes_at_the_edges() {
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "sizes_at_the_edges");
    let sized = |size: u64| {
        bent(|image| {
            image.u64(at::SIZE, size);
        })
    };
    let table = 512 << 20;
    judges.refuses(&sized(table + 1), ErrorKind::L1TableTooSmall, "l1_size");
    judges.refuses(&sized(1 << 62), ErrorKind::ImageTooBig, "size");
    for size in [1 << 63, u64::MAX, u64::MAX - 511, (1 << 63) - 1] {
        judges.refuses(&sized(size), ErrorKind::ImageTooBig, "size");
    }
    // A part of a sector at the end is not part of the disk.
    for (size, expected) in [
        (0, 0),
        (1, 0),
        (511, 0),
        (512, 512),
        (1000, 512),
        (70001, 69632),
    ] {
        assert_eq!(judges.accepts(&sized(size)).len(), expected);
    }
    assert_eq!(judges.accepts(&sized(8 << 20)).len(), 8 << 20);
}

#[test]
fn unknown_incompatible_features_are_refused_by_name() {
    let workdir = Workdir::new();
    let judges = Judges::new(
        &workdir,
        "unknown_incompatible_features_are_refused_by_name",
    );
    let text_of = |image: &Builder| {
        judges.refuses(image, ErrorKind::UnknownFeature, "incompatible_features");
        let error = read_ours(&workdir, "image.qcow2").unwrap_err();
        String::from_utf8(error.text.to_vec()).unwrap()
    };
    let mut image = Builder::new();
    image.u64(at::INCOMPATIBLE, (1 << 5) | (1 << 63) | 1);
    assert_eq!(text_of(&image), "incompatible bit 5, incompatible bit 63");

    let mut names = vec![0; 3 * 48];
    // A compatible feature of the same number must not lend its name.
    names[..8].copy_from_slice(b"\x01\x05wrong\0");
    names[48..][..14].copy_from_slice(b"\0\x05quantum disk");
    names[96..][..48].copy_from_slice(&[b'x'; 48]);
    names[96..98].copy_from_slice(&[0, 63]);
    image.extension(at::EXTENSIONS, 0x6803_f857, &names);
    assert_eq!(text_of(&image), format!("quantum disk, {}", "x".repeat(46)));

    // Unknown bits of the other two kinds are harmless.
    judges.accepts(&bent(|image| {
        image.u64(at::COMPATIBLE, u64::MAX);
    }));
    judges.accepts(&bent(|image| {
        image.u64(at::AUTOCLEAR, u64::MAX << 2);
    }));
    // And version 2 has no such bits: an empty extension of an unknown kind lies there.
    let mut image = Builder::version_2();
    judges.accepts(image.u64(at::INCOMPATIBLE, 0x80 << 32));
}

#[test]
fn dirty_and_corrupt_images_are_still_read() {
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "dirty_and_corrupt_images_are_still_read");
    for bits in [1, 2, 3] {
        judges.accepts(&bent(|image| {
            image.u64(at::INCOMPATIBLE, bits);
        }));
    }
}

#[test]
fn longer_headers_and_unknown_extensions_are_skipped() {
    let workdir = Workdir::new();
    let judges = Judges::new(
        &workdir,
        "longer_headers_and_unknown_extensions_are_skipped",
    );
    judges.accepts(&bent(|image| {
        image.u32(at::HEADER_LENGTH, 104).u64(104, 0);
    }));
    judges.accepts(&bent(|image| {
        image.u32(at::HEADER_LENGTH, 65536);
    }));
    judges.accepts(&bent(|image| {
        image.u32(at::HEADER_LENGTH, 200).u32(112, 0xdead_beef);
    }));
    // 13 bytes are padded to 16; the extension behind them must be found, and is too long.
    let mut image = Builder::new();
    image.extension(at::EXTENSIONS, 0x1234_5678, b"thirteen byte");
    judges.accepts(&image);
    image.extension(at::EXTENSIONS + 24, 0xe279_2aca, b"sixteen bytes...");
    judges.refuses(&image, ErrorKind::BadExtension, "header extension length");
}

#[test]
fn extensions_that_leave_their_room_are_refused() {
    use ErrorKind::BadExtension;
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "extensions_that_leave_their_room_are_refused");
    for length in [65536, 65536 - 112 - 7, u32::MAX] {
        let image = bent(|image| {
            image
                .u32(at::EXTENSIONS, 0x1234_5678)
                .u32(at::EXTENSIONS + 4, length);
        });
        judges.refuses(&image, BadExtension, "header extension length");
    }
    // No end mark: the last whole tag begins before the backing name, and its length after it.
    let image = bent(|image| {
        image
            .u64(at::BACKING_OFFSET, 116)
            .u32(at::BACKING_LENGTH, 0);
        image.u32(at::EXTENSIONS, 0x1234_5678);
    });
    judges.refuses(&image, BadExtension, "header extension type");
    let image = bent(|image| {
        image.extension(at::EXTENSIONS, 0x0537_be77, &[0; 16]);
    });
    judges.refuses(&image, BadExtension, "header extension type");
    let image = bent(|image| {
        image
            .u32(at::CRYPT_METHOD, 2)
            .extension(at::EXTENSIONS, 0x0537_be77, &[0; 15]);
    });
    judges.refuses(&image, BadExtension, "header extension length");
    let image = bent(|image| {
        image
            .u32(at::CRYPT_METHOD, 2)
            .extension(at::EXTENSIONS, 0x0537_be77, &[1; 16]);
    });
    judges.refuses(&image, BadExtension, "encryption header offset");
}

#[test]
fn backing_names_must_fit_where_they_lie() {
    use ErrorKind::BadBackingName;
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "backing_names_must_fit_where_they_lie");
    workdir.write("base", &[0x44; 3 * CLUSTER]);
    let named = |offset: u64, length: u32| {
        bent(|image| {
            image
                .u64(at::BACKING_OFFSET, offset)
                .u32(at::BACKING_LENGTH, length);
            image
                .extension(at::EXTENSIONS, 0xe279_2aca, b"raw")
                .bytes(1024, b"base\0/etc/shadow");
        })
    };
    let disk = judges.accepts(&named(1024, 4));
    assert!(
        disk[2 * CLUSTER..3 * CLUSTER]
            .iter()
            .all(|byte| *byte == 0x44)
    );
    assert!(disk[3 * CLUSTER..].iter().all(|byte| *byte == 0));
    // The name ends at its first zero byte.
    judges.accepts(&named(1024, 16));
    judges.refuses(&named(1024, 1024), BadBackingName, "backing_file_size");
    judges.refuses(&named(65530, 7), BadBackingName, "backing_file_size");
    judges.refuses(&named(65536, 1), BadBackingName, "backing_file_size");
    judges.refuses(&named(1024, u32::MAX), BadBackingName, "backing_file_size");
    // No bytes, no name.
    judges.accepts(&named(1024, 0));
}

#[test]
fn l1_and_l2_entries_that_point_nowhere_sensible() {
    use ErrorKind::{BadL1Entry, BadL2Entry};
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "l1_and_l2_entries_that_point_nowhere_sensible");
    let l2 = |entry: u64| {
        bent(|image| {
            image.l2(1, entry);
        })
    };

    let image = bent(|image| {
        image.u64(L1_TABLE, COPIED | 0x200);
    });
    judges.refuses(&image, BadL1Entry, "L2 table offset");
    judges.refuses(
        &l2(COPIED | (DATA as u64 + 512)),
        BadL2Entry,
        "host cluster offset",
    );
    // Zero clusters with a host cluster need a sensible one all the same.
    judges.refuses(&l2(1 | 512), BadL2Entry, "host cluster offset");
    // Reserved bits do not matter to a reader.
    judges.accepts(&bent(|image| {
        image.u64(L1_TABLE, 0xff00_0000_0000_01ff | 4 << 16);
    }));
    judges.accepts(&l2(0x3f00_0000_0000_01fe | DATA as u64));
    // Beyond the end of the file everything is zero.
    let beyond = 0x00ff_ffff_ffff_0000;
    assert!(
        judges.accepts(&l2(beyond))[CLUSTER..2 * CLUSTER]
            .iter()
            .all(|byte| *byte == 0)
    );
    judges.accepts(&bent(|image| {
        image.u64(L1_TABLE, beyond);
    }));
    judges.accepts(&bent(|image| {
        image.u64(at::L1_OFFSET, 1 << 55);
    }));
    judges.accepts(&bent(|image| {
        image.u64(at::REFCOUNT_OFFSET, 1 << 55);
    }));
    // Tables may point at the header or at themselves; that is data like any other.
    judges.accepts(&bent(|image| {
        image.u64(L1_TABLE, L1_TABLE as u64);
    }));
    judges.accepts(&l2(L1_TABLE as u64));
    // Zero clusters, with and without a host cluster, and what they are in version 2.
    judges.accepts(&l2(1));
    judges.accepts(&l2(1 | DATA as u64));
    let mut image = Builder::version_2();
    judges.refuses(image.l2(1, 1), BadL2Entry, "L2 entry");
}

#[test]
fn subcluster_bitmaps_that_contradict_themselves() {
    use ErrorKind::{BadClusterSize, BadL2Entry};
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "subcluster_bitmaps_that_contradict_themselves");
    let host = COPIED | DATA as u64;
    let entry = |entry: u64, bitmap: u64| {
        let mut image = Builder::extended_l2();
        image.extended(0, entry, bitmap);
        image
    };
    let field = "L2 entry's subcluster bitmap";
    judges.refuses(&entry(host, 1 << 32 | 1), BadL2Entry, field);
    judges.refuses(&entry(host, 1 << 63 | 1 << 31), BadL2Entry, field);
    judges.refuses(&entry(0, 1), BadL2Entry, field);
    judges.refuses(&entry(0, 1 << 31), BadL2Entry, field);
    judges.refuses(&entry(COPIED | 512, 0), BadL2Entry, "host cluster offset");
    for bitmap in [
        0,
        1,
        1 << 32,
        0x5555_5555_aaaa_aaaa,
        0x0f0f_0f0f_f0f0_f0f0,
        0xffff_ffff << 32,
    ] {
        judges.accepts(&entry(host, bitmap));
        judges.accepts(&entry(0, bitmap & (0xffff_ffff << 32)));
    }
    // Bit 0 is no zero flag here.
    judges.accepts(&entry(host | 1, 0xffff_ffff));
    let mut image = Builder::extended_l2();
    image.u32(at::CLUSTER_BITS, 13);
    judges.refuses(&image, BadClusterSize, "incompatible_features");
}

#[test]
fn data_file_clusters_must_lie_where_the_disk_has_them() {
    use ErrorKind::BadL2Entry;
    let workdir = Workdir::new();
    let judges = Judges::new(
        &workdir,
        "data_file_clusters_must_lie_where_the_disk_has_them",
    );
    let l2 = |entry: u64| {
        let mut image = Builder::data_file();
        image.l2(1, entry);
        image
    };
    judges.refuses(&l2(COPIED | 2 << 16), BadL2Entry, "host cluster offset");
    judges.refuses(&l2(COPIED), BadL2Entry, "host cluster offset");
    judges.refuses(&l2(2 << 16 | 1), BadL2Entry, "host cluster offset");
    judges.refuses(&l2(COMPRESSED | DATA as u64), BadL2Entry, "L2 entry");
    // Without the copied bit an offset of 0 means "not allocated", with it it is an offset.
    let mut image = Builder::data_file();
    assert!(
        judges.accepts(image.l2(0, 0))[..CLUSTER]
            .iter()
            .all(|byte| *byte == 0)
    );
    judges.accepts(&l2(1 << 16));
    judges.accepts(&l2(1 << 16 | 1));
    // The bit without a name, and a name without the bit.
    let image = bent(|image| {
        image.u64(at::INCOMPATIBLE, 1 << 2);
    });
    judges.refuses(&image, ErrorKind::DataFileMissing, "incompatible_features");
    judges.accepts(&bent(|image| {
        image.extension(at::EXTENSIONS, 0x4441_5441, b"data");
    }));
}

#[test]
fn snapshot_tables_that_do_not_end() {
    use ErrorKind::BadSnapshotTable;
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "snapshot_tables_that_do_not_end");
    judges.accepts(&bent(|image| {
        image.snapshot(16, &[0; 16], "1", "name");
    }));
    judges.accepts(&bent(|image| {
        image.snapshot(0, &[], "1", "name");
    }));
    judges.accepts(&bent(|image| {
        image.snapshot(1024, &[0; 1024], "1", "name");
    }));
    let image = bent(|image| {
        image.snapshot(1025, &[0; 1025], "1", "name");
    });
    judges.refuses(&image, BadSnapshotTable, "snapshot's extra_data_size");
    let image = bent(|image| {
        image.snapshot(u32::MAX, &[], "1", "name");
    });
    judges.refuses(&image, BadSnapshotTable, "snapshot's extra_data_size");
    // More entries than the file has bytes for are entries of zeros, as everything beyond its end.
    let image = bent(|image| {
        image
            .snapshot(0, &[], "1", "n")
            .u32(at::SNAPSHOT_COUNT, 60_000);
    });
    judges.accepts(&image);
    // Entries of 128 KiB each make a table that is too large before their number is.
    let image = bent(|image| {
        image
            .u32(at::SNAPSHOT_COUNT, 600)
            .u64(at::SNAPSHOT_OFFSET, SPARE as u64);
        image.bytes.resize(SPARE + (80 << 20), 0);
        let stride = 40_usize + 2 * 65535;
        for at in (0..600).map(|index| SPARE + index * stride.next_multiple_of(8)) {
            image.u64(at + 8, 0xffff_ffff);
        }
    });
    judges.refuses(&image, BadSnapshotTable, "nb_snapshots");
}

#[test]
fn bitmap_directories_that_lie() {
    use ErrorKind::{BadBitmapDirectory, BadExtension};
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "bitmap_directories_that_lie");
    judges.accepts(&bent(|image| {
        image.bitmap(&BitmapEntry::default());
    }));
    let spare = SPARE as u64;
    let extensions: &[(u32, u32, u64, u64, &str)] = &[
        (0, 0, 32, spare, "nb_bitmaps"),
        (65536, 0, 32, spare, "nb_bitmaps"),
        (1, 1, 32, spare, "bitmaps extension, reserved"),
        (1, 0, 32, spare + 512, "bitmap_directory_offset"),
        (1, 0, (64 << 20) + 1, spare, "bitmap_directory_size"),
    ];
    for (count, reserved, length, offset, field) in extensions {
        let image = bent(|image| {
            image.bitmap(&BitmapEntry::default());
            image.bitmaps_extension(*count, *reserved, *length, *offset);
        });
        judges.refuses(&image, BadExtension, field);
        // Without the autoclear bit the extension says nothing.
        let mut image = image;
        judges.accepts(image.u64(at::AUTOCLEAR, 0));
    }
    for (count, length, field) in [
        (2, 32, "nb_bitmaps"),
        (1, 40, "bitmap_directory_size"),
        (1, 0, "nb_bitmaps"),
    ] {
        let image = bent(|image| {
            image
                .bitmap(&BitmapEntry::default())
                .bitmaps_extension(count, 0, length, spare);
        });
        judges.refuses(&image, BadBitmapDirectory, field);
    }
    let good = BitmapEntry::default;
    let entries: Vec<(BitmapEntry, &str)> = vec![
        (
            BitmapEntry {
                table_offset: 0,
                ..good()
            },
            "bitmap_table_offset",
        ),
        (
            BitmapEntry {
                table_offset: 512,
                ..good()
            },
            "bitmap_table_offset",
        ),
        (
            BitmapEntry {
                table_entries: 0,
                ..good()
            },
            "bitmap_table_size",
        ),
        (
            BitmapEntry {
                table_entries: u32::MAX,
                ..good()
            },
            "bitmap_table_size",
        ),
        (
            BitmapEntry {
                table_entries: 8193,
                ..good()
            },
            "bitmap_table_size",
        ),
        (BitmapEntry { flags: 4, ..good() }, "bitmap flags"),
        (BitmapEntry { kind: 0, ..good() }, "bitmap type"),
        (
            BitmapEntry {
                granularity_bits: 8,
                ..good()
            },
            "bitmap granularity_bits",
        ),
        (
            BitmapEntry {
                granularity_bits: 32,
                ..good()
            },
            "bitmap granularity_bits",
        ),
        (
            BitmapEntry {
                extra_length: 8,
                ..good()
            },
            "bitmap extra_data_size",
        ),
        (
            BitmapEntry {
                name: vec![b'n'; 1024],
                ..good()
            },
            "bitmap name_size",
        ),
    ];
    for (entry, field) in entries {
        let image = bent(|image| {
            image.bitmap(&entry);
        });
        judges.refuses(&image, BadBitmapDirectory, field);
    }
    let nameless = BitmapEntry {
        name: Vec::new(),
        ..good()
    };
    judges.accepts(&bent(|image| {
        image.bitmap(&nameless);
    }));
    let broken_table = BitmapEntry {
        table_offset: DATA as u64,
        ..good()
    };
    let image = bent(|image| {
        image.bitmap(&broken_table);
    });
    judges.accepts_alone(
        &image,
        "what is in a bitmap does not matter to who reads the disk",
    );
    // A bitmap that was in use says nothing and need not cover the disk.
    let stale = BitmapEntry { flags: 1, ..good() };
    judges.accepts(&bent(|image| {
        image.bitmap(&stale);
    }));
}

#[test]
fn files_of_every_short_length() {
    let workdir = Workdir::new();
    let judges = Judges::new(&workdir, "files_of_every_short_length");
    let image = Builder::new();
    for length in [
        0, 1, 3, 4, 8, 24, 71, 72, 96, 103, 104, 105, 112, 113, 500, 65536,
    ] {
        let short = Builder {
            bytes: image.bytes[..length].to_vec(),
        };
        workdir.write("image.qcow2", &short.bytes);
        let ours = read_ours(&workdir, "image.qcow2");
        if let Some(judge) = &judges.judge {
            let theirs = judge.try_disk("image.qcow2", "-f qcow2");
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{length} bytes: {ours:?}");
            assert!(ours.ok() == theirs.ok());
        }
    }
}
