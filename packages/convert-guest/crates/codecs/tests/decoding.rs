//! Streams as images hold them: padded, cut, too long, in several frames, damaged.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use instar_codecs::{Codec, CodecError, Decoder};

const CLUSTER: usize = 65536;

fn content(seed: u8) -> Vec<u8> {
    (0..CLUSTER)
        .map(|index| (index / 13) as u8 ^ (index % 7) as u8 ^ seed)
        .collect()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(bytes, 6)
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 6)
}

fn zstd_frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; zstd_safe::compress_bound(bytes.len())];
    let length = zstd_safe::compress(&mut frame[..], bytes, 3).unwrap();
    frame.truncate(length);
    frame
}

fn decode(codec: Codec, input: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    let mut output = vec![0xee; length];
    Decoder::new()
        .decode_cluster(codec, input, &mut output)
        .map(|()| output)
}

#[test]
fn a_cluster_is_decoded_whatever_follows_its_stream() {
    let bytes = content(0);
    for (codec, mut input) in [
        (Codec::Deflate, deflated(&bytes)),
        (Codec::Zlib, zlib(&bytes)),
        (Codec::Zstd, zstd_frame(&bytes)),
    ] {
        assert!(decode(codec, &input, CLUSTER).unwrap() == bytes);
        input.extend([0; 300]);
        assert!(
            decode(codec, &input, CLUSTER).unwrap() == bytes,
            "zeros behind {codec:?}"
        );
        input.extend([0xff; 300]);
        assert!(
            decode(codec, &input, CLUSTER).unwrap() == bytes,
            "garbage behind {codec:?}"
        );
    }
}

#[test]
fn one_decoder_serves_many_clusters_and_survives_bad_ones() {
    let mut decoder = Decoder::new();
    let mut output = vec![0; CLUSTER];
    for seed in 0..20 {
        let bytes = content(seed);
        decoder
            .decode_cluster(Codec::Deflate, &deflated(&bytes), &mut output)
            .unwrap();
        assert!(output == bytes);
        assert!(
            decoder
                .decode_cluster(Codec::Deflate, &[0xff; 50], &mut output)
                .is_err()
        );
        decoder
            .decode_cluster(Codec::Zstd, &zstd_frame(&bytes), &mut output)
            .unwrap();
        assert!(output == bytes);
        assert!(
            decoder
                .decode_cluster(Codec::Zstd, &[0xff; 50], &mut output)
                .is_err()
        );
    }
}

#[test]
fn a_deflate_stream_may_hold_more_than_the_cluster() {
    let bytes = content(1);
    let input = deflated(&bytes);
    for length in [1, 512, CLUSTER - 1] {
        assert!(decode(Codec::Deflate, &input, length).unwrap() == bytes[..length]);
    }
}

#[test]
fn a_deflate_stream_may_lack_its_end_when_the_cluster_is_full() {
    let bytes = content(2);
    // A stored block that is not the last one, and nothing after it.
    let mut input = vec![0, 0, 16, 0xff, 0xef];
    input.extend(&bytes[..4096]);
    assert!(decode(Codec::Deflate, &input, 4096).unwrap() == bytes[..4096]);
    assert_eq!(
        decode(Codec::Deflate, &input, 4097),
        Err(CodecError::ShortOutput)
    );
}

#[test]
fn short_streams_are_refused() {
    let bytes = content(3);
    let half = &bytes[..CLUSTER / 2];
    assert_eq!(
        decode(Codec::Deflate, &deflated(half), CLUSTER),
        Err(CodecError::ShortOutput)
    );
    assert_eq!(
        decode(Codec::Zstd, &zstd_frame(half), CLUSTER),
        Err(CodecError::ShortOutput)
    );
    for codec in [Codec::Deflate, Codec::Zlib, Codec::Zstd] {
        assert!(decode(codec, &[], CLUSTER).is_err());
    }
    let cut = deflated(&bytes);
    assert!(decode(Codec::Deflate, &cut[..cut.len() / 2], CLUSTER).is_err());
    let cut = zstd_frame(&bytes);
    assert!(decode(Codec::Zstd, &cut[..cut.len() / 2], CLUSTER).is_err());
}

#[test]
fn a_zlib_wrapper_must_be_one_and_its_checksum_must_match() {
    let bytes = content(7);
    let good = zlib(&bytes);
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let mut wrong_method = good.clone();
    wrong_method[0] = 0x79;
    for damaged in [wrong_sum, wrong_method, deflated(&bytes)] {
        assert!(decode(Codec::Zlib, &damaged, CLUSTER).is_err());
    }
    // The last cluster of a disk is cut by its end.
    assert!(decode(Codec::Zlib, &good, 5000).unwrap() == bytes[..5000]);
    assert_eq!(
        decode(Codec::Zlib, &good, CLUSTER + 1),
        Err(CodecError::ShortOutput)
    );
}

/// What bzip2 1.0.8 makes of the 600 bytes of `squares`.
#[rustfmt::skip]
const BZIP2: &[u8] = &[
    0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x8b, 0xb1, 0x99, 0x84, 0x00, 0x00,
    0x15, 0xc1, 0x00, 0x60, 0x00, 0x3d, 0xf8, 0x30, 0x00, 0xd8, 0x22, 0x06, 0x81, 0xa0, 0x40, 0xd0,
    0x34, 0x02, 0x95, 0x44, 0xf4, 0x7a, 0x2a, 0x7a, 0x9c, 0x1f, 0x8a, 0xd5, 0x77, 0xdb, 0xe1, 0xf0,
    0xdd, 0x78, 0x37, 0x5d, 0x8d, 0xd7, 0xb1, 0x83, 0x83, 0x55, 0xe8, 0xd8, 0xd8, 0xf0, 0x3e, 0x0f,
    0xab, 0x07, 0x55, 0xd5, 0x5f, 0xc3, 0x07, 0x06, 0x6c, 0x75, 0x5b, 0xab, 0xa1, 0xd0, 0xdd, 0x5c,
    0x0c, 0x18, 0x3d, 0xaf, 0x6b, 0x43, 0x42, 0xfc, 0x3f, 0x56, 0xc3, 0x06, 0xbb, 0x1e, 0x07, 0x75,
    0x7a, 0x34, 0x1e, 0x0c, 0x1c, 0x18, 0x30, 0x65, 0x72, 0xb8, 0x3e, 0x1b, 0x1b, 0x1b, 0x19, 0x58,
    0x30, 0x4f, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0x8b, 0xb1, 0x99, 0x84,
];

fn squares() -> Vec<u8> {
    (0..600_u32)
        .map(|index| (index * index / 7 % 11) as u8 + b'a')
        .collect()
}

#[test]
fn a_bzip2_stream_is_decoded_and_a_damaged_one_is_not() {
    let mut input = BZIP2.to_vec();
    assert!(decode(Codec::Bzip2, &input, 600).unwrap() == squares());
    input.extend([0xff; 50]);
    assert!(decode(Codec::Bzip2, &input, 600).unwrap() == squares());
    assert_eq!(
        decode(Codec::Bzip2, &input, 601),
        Err(CodecError::ShortOutput)
    );
    assert!(decode(Codec::Bzip2, &input, 599).is_err());
    for at in 0..BZIP2.len() {
        let mut damaged = BZIP2.to_vec();
        damaged[at] ^= 0x10;
        let decoded = decode(Codec::Bzip2, &damaged, 600);
        assert!(decoded.is_err() || decoded == Ok(squares()), "byte {at}");
    }
    assert!(decode(Codec::Bzip2, &BZIP2[..BZIP2.len() / 2], 600).is_err());
}

#[test]
fn zstd_frames_are_joined_and_skippable_ones_skipped() {
    let bytes = content(4);
    let mut input = zstd_frame(&bytes[..1000]);
    // RFC 8878, 3.1.2: magic number, length, anything.
    input.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    input.extend(zstd_frame(&[]));
    input.extend(zstd_frame(&bytes[1000..]));
    input.extend([0; 100]);
    assert!(decode(Codec::Zstd, &input, CLUSTER).unwrap() == bytes);
}

#[test]
fn a_zstd_frame_must_not_hold_more_than_the_cluster() {
    let input = zstd_frame(&content(5));
    assert_eq!(
        decode(Codec::Zstd, &input, CLUSTER - 1),
        Err(CodecError::LongOutput)
    );
}

#[test]
fn bombs_fill_the_cluster_or_fail_and_nothing_more() {
    let zeros = vec![0; 64 << 20];
    assert!(decode(Codec::Deflate, &deflated(&zeros), CLUSTER).unwrap() == zeros[..CLUSTER]);
    assert_eq!(
        decode(Codec::Zstd, &zstd_frame(&zeros), CLUSTER),
        Err(CodecError::LongOutput)
    );
}

#[test]
fn damaged_streams_never_do_more_than_fail() {
    let mut state = 1_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize
    };
    let bytes = content(6);
    let mut decoder = Decoder::new();
    let mut output = vec![0; CLUSTER];
    for (codec, input) in [
        (Codec::Deflate, deflated(&bytes)),
        (Codec::Zlib, zlib(&bytes)),
        (Codec::Zstd, zstd_frame(&bytes)),
    ] {
        for _ in 0..500 {
            let mut damaged = input.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % damaged.len();
                damaged[at] ^= 1 << (random() % 8);
            }
            damaged.truncate(1 + random() % damaged.len());
            let _ = decoder.decode_cluster(codec, &damaged, &mut output);
        }
    }
}

#[test]
fn an_empty_output_is_full_at_once() {
    for (codec, input) in [
        (Codec::Deflate, deflated(&[])),
        (Codec::Zlib, zlib(&[])),
        (Codec::Zstd, zstd_frame(&[])),
        (Codec::Adc, Vec::new()),
    ] {
        assert_eq!(decode(codec, &input, 0), Ok(Vec::new()));
    }
}

/// What xz makes of the bytes; `None`, and a line in the log of skipped tests, where there is none.
fn xz(options: &[&str], bytes: &[u8], test: &str) -> Option<Vec<u8>> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let child = Command::new("xz")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        if let Some(log) = std::env::var_os("INSTAR_SKIP_LOG") {
            let log = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log);
            writeln!(log.unwrap(), "{test}: xz is not installed").unwrap();
        }
        return None;
    };
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

#[test]
fn an_xz_stream_is_decoded_and_a_damaged_one_is_not() {
    let bytes = content(9);
    let plain: &[&[&str]] = &[
        &[],
        &["-0"],
        &["--check=sha256"],
        &["--check=none"],
        &["--x86", "--lzma2"],
    ];
    for options in plain {
        let Some(input) = xz(options, &bytes, "an_xz_stream_is_decoded") else {
            return;
        };
        assert!(
            decode(Codec::Xz, &input, bytes.len()).unwrap() == bytes,
            "{options:?}"
        );
        let longer = decode(Codec::Xz, &input, bytes.len() + 1);
        assert_eq!(longer, Err(CodecError::ShortOutput));
        assert!(decode(Codec::Xz, &input, bytes.len() - 1).is_err());
        assert!(decode(Codec::Xz, &input[..input.len() / 2], bytes.len()).is_err());
        // A dictionary of the usual size takes its time each time.
        let count = if *options == ["-0"] { 300 } else { 5 };
        let mut random = 77_usize;
        for _ in 0..count {
            let mut damaged = input.clone();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (random >> 20) % damaged.len();
            damaged[at] ^= 1 << (random >> 61);
            let _ = decode(Codec::Xz, &damaged, bytes.len());
        }
    }
    // A dictionary of 64 MiB does not fit the guest.
    let large = xz(&["--lzma2=dict=64MiB"], &bytes, "an_xz_stream_is_decoded").unwrap();
    assert_eq!(
        decode(Codec::Xz, &large, bytes.len()),
        Err(CodecError::OutOfMemory)
    );
}

fn whole(codec: Codec, input: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut output = vec![0xee; CLUSTER];
    let length = Decoder::new().decode_whole(codec, input, &mut output)?;
    Some((length, output))
}

#[test]
fn a_whole_stream_is_told_from_what_follows_it() {
    let bytes = content(3);
    for (codec, stream) in [
        (Codec::Deflate, deflated(&bytes)),
        (Codec::Zstd, zstd_frame(&bytes)),
    ] {
        for behind in [&[][..], &[0; 300], &[0xff; 300], &stream] {
            let input = [&stream, behind].concat();
            let (length, output) = whole(codec, &input).unwrap();
            assert_eq!(length, stream.len(), "{codec:?}");
            assert!(output == bytes, "{codec:?}");
        }
    }
}

#[test]
fn streams_that_only_some_readers_take_are_not_whole() {
    let bytes = content(4);
    let [stream, frame] = [deflated(&bytes), zstd_frame(&bytes)];
    let half = bytes.len() / 2;
    let longer = [&bytes[..], &bytes[..9]].concat();
    let cases: [(&str, Codec, Vec<u8>); 9] = [
        (
            "without its end",
            Codec::Deflate,
            stream[..stream.len() - 1].to_vec(),
        ),
        ("of more", Codec::Deflate, deflated(&longer)),
        ("of less", Codec::Deflate, deflated(&bytes[..half])),
        ("in a wrapper", Codec::Zlib, zlib(&bytes)),
        (
            "without its end",
            Codec::Zstd,
            frame[..frame.len() - 1].to_vec(),
        ),
        ("of more", Codec::Zstd, zstd_frame(&longer)),
        (
            "in two frames",
            Codec::Zstd,
            [zstd_frame(&bytes[..half]), zstd_frame(&bytes[half..])].concat(),
        ),
        ("behind a frame to be skipped", Codec::Zstd, skipped(&frame)),
        ("of a large window", Codec::Zstd, with_window(&bytes, 27)),
    ];
    for (what, codec, input) in cases {
        assert!(whole(codec, &input).is_none(), "{codec:?} {what}");
    }
    assert!(whole(Codec::Zstd, &with_window(&bytes, 23)).is_some());
}

/// RFC 8878, 3.1.2: a frame of user data in front of another.
fn skipped(frame: &[u8]) -> Vec<u8> {
    let mut input = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    input.extend_from_slice(frame);
    input
}

/// A frame of raw blocks that says that its reader needs a window of 2 to the power of `log` (3.1.1.1.2, 3.1.1.2).
fn with_window(bytes: &[u8], log: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
    let count = bytes.chunks(1 << 15).count();
    for (index, block) in bytes.chunks(1 << 15).enumerate() {
        let last = u32::from(index + 1 == count);
        let header = u32::try_from(block.len()).unwrap() << 3 | last;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}
