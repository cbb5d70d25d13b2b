//! Pages there and back, and stored pages that no compressor wrote.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use instar_page_codecs::{
    compress_pages, decompress_pages, Decompressor, PackedPages, PageCodec, PageError, StoredPages, ZstdStream,
};
use proptest::prelude::*;

const CODECS: [(PageCodec, u8); 4] =
    [(PageCodec::Zlib, 1), (PageCodec::Lzo, 2), (PageCodec::Snappy, 3), (PageCodec::Zstd, 4)];

/// Pages of all kinds: zeros, runs, text, far repetitions and noise.
fn pages(page_size: usize, count: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    let mut pages = Vec::with_capacity(page_size * count);
    for kind in 0..count {
        let start = pages.len();
        match kind % 5 {
            0 => pages.resize(start + page_size, 0),
            1 => pages.resize(start + page_size, 0xa5),
            2 => pages.extend(b"guest memory, one line after the other\n".iter().cycle().take(page_size)),
            3 => {
                pages.extend((0..page_size / 2).map(|_| noise()));
                pages.extend_from_within(start..);
            }
            _ => pages.extend((0..page_size).map(|_| noise())),
        }
    }
    pages
}

fn there_and_back(page_size: usize, codec: PageCodec, number: u8, threads: usize) -> (Vec<u32>, Vec<u8>) {
    let pages = pages(page_size, 333);
    let mut output = vec![0; pages.len()];
    let mut sizes = vec![0; 333];
    let batch = PackedPages { pages: &pages, output: &mut output, sizes: &mut sizes };
    let used = compress_pages(batch, page_size, codec, threads).unwrap();
    assert_eq!(used, sizes.iter().map(|size| *size as usize).sum::<usize>());
    output.truncate(used);

    let mut offsets = Vec::new();
    let mut codecs = Vec::new();
    let mut kept = Vec::new();
    let mut at = 0;
    for (size, page) in sizes.iter().zip(pages.chunks(page_size)) {
        assert_eq!(*size == 0, page.iter().all(|byte| *byte == 0));
        if *size > 0 {
            offsets.push(at);
            codecs.push(if *size as usize == page_size { 0 } else { number });
            kept.extend_from_slice(page);
        }
        at += size;
    }
    let stored: Vec<u32> = sizes.iter().copied().filter(|size| *size > 0).collect();
    let mut back = vec![0xee; kept.len()];
    let batch = StoredPages { data: &output, offsets: &offsets, sizes: &stored, codecs: &codecs, output: &mut back };
    decompress_pages(batch, page_size, threads).unwrap();
    assert!(back == kept);
    (sizes, output)
}

#[test]
fn pages_come_back_whichever_the_codec_the_page_size_and_the_threads() {
    for page_size in [512, 4096, 65_536] {
        for (codec, number) in CODECS {
            let one = there_and_back(page_size, codec, number, 1);
            assert!(one == there_and_back(page_size, codec, number, 3), "threads change what is stored");
        }
        there_and_back(page_size, PageCodec::Raw, 0, 2);
    }
}

#[test]
fn noise_is_stored_as_it_is() {
    for (codec, _) in CODECS {
        let pages = pages(4096, 5);
        let mut output = vec![0; pages.len()];
        let mut sizes = [0; 5];
        let batch = PackedPages { pages: &pages, output: &mut output, sizes: &mut sizes };
        let used = compress_pages(batch, 4096, codec, 1).unwrap();
        assert_eq!(sizes[0], 0);
        assert_eq!(sizes[4], 4096);
        assert!(output[used - 4096..used] == pages[4 * 4096..]);
    }
}

#[test]
fn the_first_bad_page_is_named() {
    let data = [0xff; 64];
    let offsets = [0; 300];
    let mut sizes = [64; 300];
    sizes[7] = 65;
    for (_, number) in CODECS {
        let mut output = vec![0; 300 * 4096];
        let codecs = [number; 300];
        let batch = StoredPages { data: &data, offsets: &offsets, sizes: &sizes, codecs: &codecs, output: &mut output };
        assert!(matches!(decompress_pages(batch, 4096, 2), Err(PageError::BadPage { page: 0, .. })));
    }
    let page = vec![7; 4096];
    let mut codecs = [0; 300];
    codecs[200] = 9;
    let mut output = vec![0; 300 * 4096];
    let sizes = [4096; 300];
    let batch = StoredPages { data: &page, offsets: &offsets, sizes: &sizes, codecs: &codecs, output: &mut output };
    assert!(matches!(decompress_pages(batch, 4096, 2), Err(PageError::BadPage { page: 200, .. })));
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let mut output = vec![0; 8192];
    for (bytes, count, page_size) in [(8192, 1, 4096), (8192, 2, 4095), (8192, 0, 0), (100, 1, 100)] {
        let pages = vec![1; bytes];
        let mut sizes = vec![0; count];
        let batch = PackedPages { pages: &pages, output: &mut output, sizes: &mut sizes };
        assert!(matches!(compress_pages(batch, page_size, PageCodec::Zlib, 1), Err(PageError::BadArgument(_))));
    }
    let mut short = vec![0; 4095];
    let batch = PackedPages { pages: &[1; 4096], output: &mut short, sizes: &mut [0] };
    assert!(matches!(compress_pages(batch, 4096, PageCodec::Zlib, 1), Err(PageError::BadArgument(_))));
    let batch = StoredPages { data: &[], offsets: &[0], sizes: &[], codecs: &[0], output: &mut short };
    assert!(decompress_pages(batch, 4096, 1).is_err());
}

#[test]
fn a_page_that_holds_more_or_less_than_one_page_is_refused() {
    for (codec, number) in CODECS {
        let two = vec![0xa5; 8192];
        let mut output = vec![0; 8192];
        let mut sizes = [0];
        let batch = PackedPages { pages: &two, output: &mut output, sizes: &mut sizes };
        let used = compress_pages(batch, 8192, codec, 1).unwrap();
        for page_size in [4096, 16_384] {
            let mut page = vec![0; page_size];
            let batch = StoredPages {
                data: &output[..used],
                offsets: &[0],
                sizes: &sizes,
                codecs: &[number],
                output: &mut page,
            };
            assert!(matches!(decompress_pages(batch, page_size, 1), Err(PageError::BadPage { page: 0, .. })));
        }
    }
}

#[test]
fn a_zstd_stream_is_one_frame() {
    let bytes = pages(4096, 50);
    let mut stream = ZstdStream::new(3).unwrap();
    let mut frame = Vec::new();
    for chunk in bytes.chunks(10_000) {
        frame.extend(stream.compress(chunk, false).unwrap());
    }
    frame.extend(stream.compress(&[], true).unwrap());
    assert!(stream.compress(&[], true).is_err());
    let mut back = vec![0; bytes.len()];
    assert_eq!(zstd_safe::decompress(back.as_mut_slice(), &frame), Ok(bytes.len()));
    assert!(back == bytes);
}

proptest! {
    #[test]
    fn stored_bytes_of_any_kind_fill_one_page_or_fail(
        mut stored in proptest::collection::vec(any::<u8>(), 0..600),
        number in 0_u8..6,
        head in 0_u8..3,
    ) {
        // A plausible head gets random bytes past the first check of each format.
        if head > 0 && stored.len() > 4 {
            match number {
                1 => stored[..2].copy_from_slice(&[0x78, 0x01]),
                2 => stored[0] = 0x15,
                3 => stored[..2].copy_from_slice(&[0x80, 0x20]),
                4 => stored[..4].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]),
                _ => {}
            }
        }
        let Some(codec) = PageCodec::from_number(number) else { return Ok(()) };
        let mut memory = vec![0x5a; 4096 + 64];
        let _ = Decompressor::default().decompress(codec, &stored, &mut memory[..4096]);
        prop_assert!(memory[4096..].iter().all(|byte| *byte == 0x5a));
    }

    #[test]
    fn damaged_pages_fill_one_page_or_fail(kind in 1_usize..4, place in 0_usize..4096, bit in 0_u8..8, cut in 0_usize..40) {
        let page = &pages(4096, 5)[kind * 4096..][..4096];
        for (codec, number) in CODECS {
            let mut output = vec![0; 4096];
            let mut sizes = [0];
            let batch = PackedPages { pages: page, output: &mut output, sizes: &mut sizes };
            let mut used = compress_pages(batch, 4096, codec, 1).unwrap();
            output[place % used] ^= 1 << bit;
            used = used.saturating_sub(cut);
            let mut back = vec![0; 4096];
            let batch = StoredPages {
                data: &output[..used], offsets: &[0], sizes: &[u32::try_from(used).unwrap()], codecs: &[number], output: &mut back,
            };
            let _ = decompress_pages(batch, 4096, 1);
        }
    }

    #[test]
    fn any_page_comes_back_from_lzo(unit in proptest::collection::vec(any::<u8>(), 1..700), spread in 1_usize..5000) {
        let page: Vec<u8> = (0..65_536).map(|at| if at % spread == 0 { at.to_le_bytes()[0] } else { unit[at % unit.len()] }).collect();
        let mut output = vec![0; page.len()];
        let mut sizes = [0];
        let batch = PackedPages { pages: &page, output: &mut output, sizes: &mut sizes };
        let used = compress_pages(batch, 65_536, PageCodec::Lzo, 1).unwrap();
        if used < page.len() && used > 0 {
            let mut back = vec![0; page.len()];
            Decompressor::default().decompress(PageCodec::Lzo, &output[..used], &mut back).unwrap();
            prop_assert!(back == page);
        }
    }
}
