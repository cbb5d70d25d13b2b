//! What the loader of guest images accepts and refuses.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::path::Path;

use instar_abi::{
    fault_code, segment_flag, GuestImageHeader, ProcessRecord, ABI_VERSION_MAJOR, ABI_VERSION_MINOR,
    GUEST_IMAGE_MAX_SEGMENTS, OLDER_FINGERPRINTS, PAGE_SIZE, REGION_HEAP, REGION_IMAGE, REGION_PROCESS_RECORD,
};
use instar_vmm::guest_image::{startup_entry, GuestImage, ImageError};
use instar_vmm::memory::GuestMemory;
use proptest::prelude::*;
use support::{segment, skip, ImageParts};

const PAGE: u64 = PAGE_SIZE as u64;

fn bent(change: impl FnOnce(&mut ImageParts)) -> Vec<u8> {
    let mut parts = ImageParts::good();
    change(&mut parts);
    parts.bytes()
}

fn refused(bytes: &[u8], words: &str) {
    let text = GuestImage::parse(bytes).unwrap_err().to_string();
    assert!(text.contains(words), "`{text}` does not contain `{words}`");
}

#[test]
fn loads_segments_and_the_head_of_the_process_record_and_nothing_else() {
    let parts = ImageParts::good();
    let bytes = parts.bytes();
    let image = GuestImage::parse(&bytes).unwrap();
    let memory = GuestMemory::anonymous().unwrap();
    image.load(&memory).unwrap();
    let mut page = vec![0xff; PAGE as usize];
    for (index, segment) in parts.segments.iter().enumerate() {
        memory.read(segment.address, &mut page).unwrap();
        assert_eq!(page[..100], parts.data[index * 100..][..100]);
        assert!(page[100..].iter().all(|byte| *byte == 0), "what the file lacks is zero");
    }
    memory.read(REGION_PROCESS_RECORD.start, &mut page).unwrap();
    assert_eq!(page[..ProcessRecord::SIZE], parts.record.to_bytes());
    assert!(page[ProcessRecord::SIZE..].iter().all(|byte| *byte == 0), "the register tail is not written");
    assert_eq!(startup_entry(&memory, &image).unwrap(), REGION_IMAGE.start + 16);
}

#[test]
fn refuses_every_cut() {
    let bytes = ImageParts::good().bytes();
    for length in 0..bytes.len() {
        assert!(GuestImage::parse(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    refused(&longer, "file_size");
}

#[test]
fn refuses_every_bent_field_of_the_header() {
    for (words, bytes) in [
        ("magic", bent(|parts| parts.header.magic ^= 1)),
        ("header_version", bent(|parts| parts.header.header_version += 1)),
        ("file_size", bent(|parts| parts.header.file_size -= 1)),
        ("file_size", bent(|parts| parts.header.file_size = u64::MAX)),
        ("segment_count", bent(|parts| parts.header.segment_count = 0)),
        ("segment_count", bent(|parts| parts.header.segment_count = GUEST_IMAGE_MAX_SEGMENTS + 1)),
        ("segment_count", bent(|parts| parts.header.segment_count = u32::MAX)),
        ("segment", bent(|parts| parts.header.segments_offset = u64::MAX)),
        ("segment", bent(|parts| parts.header.segments_offset = u64::MAX - 39)),
        ("segment", bent(|parts| parts.header.segments_offset = parts.header.file_size)),
        ("reserved", bent(|parts| parts.header.reserved = 1)),
        ("process_record", bent(|parts| parts.header.process_record_offset = u64::MAX)),
        ("process_record", bent(|parts| parts.header.process_record_offset = parts.header.file_size - 15)),
        ("process_record_size", bent(|parts| parts.header.process_record_size = 0)),
        ("process_record_size", bent(|parts| parts.header.process_record_size = 160)),
        ("process_record_size", bent(|parts| parts.header.process_record_size = u64::MAX)),
    ] {
        refused(&bytes, words);
    }
}

#[test]
fn names_both_versions_of_a_foreign_abi() {
    let (major, minor) = (ABI_VERSION_MAJOR, ABI_VERSION_MINOR);
    for (foreign, bytes) in [
        ((major + 1, minor), bent(|parts| parts.header.abi_major = major + 1)),
        ((0, minor), bent(|parts| parts.header.abi_major = 0)),
        ((major, minor), bent(|parts| parts.header.fingerprint[31] ^= 1)),
        ((major, 99), bent(|parts| (parts.header.abi_minor, parts.header.fingerprint[0]) = (99, 0))),
    ] {
        refused(&bytes, &format!("built for ABI {}.{} (", foreign.0, foreign.1));
        refused(&bytes, &format!("this host has ABI {major}.{minor} ("));
        assert!(matches!(GuestImage::parse(&bytes), Err(ImageError::ForeignAbi { .. })));
    }
}

#[test]
fn takes_a_guest_of_an_older_minor_version() {
    let bytes = bent(|parts| (parts.header.abi_minor, parts.header.fingerprint) = (0, OLDER_FINGERPRINTS[0]));
    assert!(GuestImage::parse(&bytes).is_ok());
}

#[test]
fn refuses_segments_that_break_the_map() {
    let end = REGION_IMAGE.start + REGION_IMAGE.size;
    for (words, bytes) in [
        ("segment.flags", bent(|parts| parts.segments[0].flags |= segment_flag::WRITE)),
        ("segment.flags", bent(|parts| parts.segments[2].flags |= segment_flag::EXECUTE)),
        ("segment.flags", bent(|parts| parts.segments[1].flags = 1 << 3)),
        ("segment.flags", bent(|parts| parts.segments[1].flags = 0)),
        ("segment.pad", bent(|parts| parts.segments[1].pad = 1)),
        ("segment.address", bent(|parts| parts.segments[0].address += 1)),
        ("segment.address", bent(|parts| parts.segments[0].address = 0)),
        ("segment.address", bent(|parts| parts.segments[0].address = REGION_IMAGE.start - PAGE)),
        ("segment.address", bent(|parts| parts.segments[0].address = REGION_HEAP.start)),
        ("segment.address", bent(|parts| parts.segments[0].address = end)),
        ("segment.address", bent(|parts| parts.segments[0].address = 0u64.wrapping_sub(PAGE))),
        ("segment.address", bent(|parts| parts.segments[1].address = parts.segments[0].address)),
        ("segment.address", bent(|parts| parts.segments[0].memory_size = 2 * PAGE + 1)),
        ("segment.address", bent(|parts| parts.segments[2].memory_size = REGION_IMAGE.size)),
        ("segment.address", bent(|parts| parts.segments[2].memory_size = u64::MAX)),
        ("segment.address", bent(|parts| (parts.segments[1].memory_size, parts.segments[1].file_size) = (0, 0))),
        ("segment.file_size", bent(|parts| parts.segments[0].file_size = PAGE + 1)),
        ("segment data", bent(|parts| parts.segments[0].file_offset = u64::MAX)),
        ("segment data", bent(|parts| parts.segments[0].file_offset = parts.header.file_size - 99)),
        ("segment data", bent(|parts| parts.segments[0].file_size = 500)),
    ] {
        refused(&bytes, words);
    }
}

#[test]
fn takes_a_segment_up_to_the_last_page_of_its_region() {
    let bytes = bent(|parts| {
        parts.segments[2].address = REGION_IMAGE.start + REGION_IMAGE.size - PAGE;
        parts.segments[2].memory_size = PAGE - 1;
    });
    let image = GuestImage::parse(&bytes).unwrap();
    assert_eq!(image.segments()[2].size, PAGE);
}

#[test]
fn refuses_an_entry_that_is_not_in_text() {
    let text = REGION_IMAGE.start;
    for (record, words) in [
        (ProcessRecord { fault_code: fault_code::NONE, pad: 0, fault_info: text }, "fault_code"),
        (ProcessRecord { fault_code: 77, pad: 0, fault_info: text }, "fault_code"),
        (ProcessRecord { fault_code: fault_code::STARTUP, pad: 0, fault_info: 0 }, "fault_info"),
        (ProcessRecord { fault_code: fault_code::STARTUP, pad: 0, fault_info: text + PAGE }, "fault_info"),
        (ProcessRecord { fault_code: fault_code::STARTUP, pad: 0, fault_info: text + 2 * PAGE }, "fault_info"),
        (ProcessRecord { fault_code: fault_code::STARTUP, pad: 0, fault_info: u64::MAX }, "fault_info"),
    ] {
        let bytes = bent(|parts| parts.record = record);
        let image = GuestImage::parse(&bytes).unwrap();
        let memory = GuestMemory::anonymous().unwrap();
        image.load(&memory).unwrap();
        let text = startup_entry(&memory, &image).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

/// Whatever is accepted must load, lie in its region, be W^X and not overlap.
fn check_whatever_is_accepted(bytes: &[u8]) {
    let Ok(image) = GuestImage::parse(bytes) else { return };
    let end = REGION_IMAGE.start + REGION_IMAGE.size;
    for (index, one) in image.segments().iter().enumerate() {
        assert!(one.address >= REGION_IMAGE.start && one.address + one.size <= end);
        assert!(!(one.write && one.execute));
        for other in &image.segments()[..index] {
            assert!(one.address + one.size <= other.address || other.address + other.size <= one.address);
        }
    }
    let memory = GuestMemory::anonymous().unwrap();
    image.load(&memory).unwrap();
    let _ = startup_entry(&memory, &image);
}

/// The guest image that the package ships, where it was built.
fn real_image() -> Option<Vec<u8>> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../convert-guest/guests/attack.img")).ok()
}

/// Overwrites a few numbers of the header, segment table or record, with values near the ones that are checked.
fn mutations() -> impl Strategy<Value = Vec<(usize, u64, bool)>> {
    let values = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(REGION_IMAGE.start),
        (0_u64..64).prop_map(|shift| 1 << shift),
        0_u64..0x1000,
        any::<u64>(),
    ];
    prop::collection::vec((0_usize..280, values, any::<bool>()), 1..4)
}

fn mutate(bytes: &mut [u8], mutations: &[(usize, u64, bool)]) {
    for (offset, value, wide) in mutations {
        let offset = if *wide { offset & !7 } else { *offset };
        let value = value.to_le_bytes();
        let value = if *wide { &value[..] } else { &value[..1] };
        if let Some(place) = bytes.get_mut(offset..offset + value.len()) {
            place.copy_from_slice(value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_image_never_panics(mutations in mutations()) {
        let mut bytes = ImageParts::good().bytes();
        mutate(&mut bytes, &mutations);
        check_whatever_is_accepted(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header_never_panic(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut parts = ImageParts::good();
        parts.header.file_size = (GuestImageHeader::SIZE + tail.len()) as u64;
        let mut bytes = parts.header.to_bytes().to_vec();
        bytes.extend_from_slice(&tail);
        check_whatever_is_accepted(&bytes);
    }
}

#[test]
fn a_mutated_real_image_never_panics() {
    let Some(image) = real_image() else {
        return skip("the guest images are not built (npm run build)");
    };
    assert!(GuestImage::parse(&image).is_ok());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&mutations(), |mutations| {
            let mut bytes = image.clone();
            mutate(&mut bytes, &mutations);
            check_whatever_is_accepted(&bytes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_segment_may_have_no_bytes_in_the_file() {
    let bytes = bent(|parts| parts.segments[2] = segment(2, segment_flag::WRITE, 0, 0));
    assert!(GuestImage::parse(&bytes).is_ok());
}
