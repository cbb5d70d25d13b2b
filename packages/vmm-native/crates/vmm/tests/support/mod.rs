//! Temporary files and guest images that tests make from code.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use instar_abi::{
    fault_code, segment_flag, GuestImageHeader, GuestSegment, ProcessRecord, ABI_VERSION_MAJOR, ABI_VERSION_MINOR,
    FINGERPRINT, GUEST_IMAGE_MAGIC, GUEST_IMAGE_VERSION, PAGE_SIZE, REGION_IMAGE,
};

/// A directory that goes away with its value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("instar-vmm-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tells `npm test` why a test did nothing. In CI nothing may be skipped.
pub fn skip(reason: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must not skip this test: {reason}");
    eprintln!("skipped: {reason}");
    if let Ok(log) = std::env::var("INSTAR_SKIP_LOG") {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(file, "{reason}").unwrap();
    }
}

/// A guest image in parts, so that a test can bend one of them.
#[derive(Clone)]
pub struct ImageParts {
    pub header: GuestImageHeader,
    pub segments: Vec<GuestSegment>,
    pub record: ProcessRecord,
    pub data: Vec<u8>,
}

pub fn segment(index: u64, flags: u32, file_offset: u64, file_size: u64) -> GuestSegment {
    let page = u64::from(PAGE_SIZE);
    GuestSegment {
        flags: flags | segment_flag::READ,
        pad: 0,
        address: REGION_IMAGE.start + index * 2 * page,
        memory_size: page,
        file_offset,
        file_size,
    }
}

impl ImageParts {
    /// Text, constants and data, each of one page, with a page between them.
    pub fn good() -> Self {
        let data: Vec<u8> = (0..300_u32).map(|index| (index % 251) as u8).collect();
        let table = (GuestImageHeader::SIZE + 3 * GuestSegment::SIZE + ProcessRecord::SIZE) as u64;
        let segments = vec![
            segment(0, segment_flag::EXECUTE, table, 100),
            segment(1, 0, table + 100, 100),
            segment(2, segment_flag::WRITE, table + 200, 100),
        ];
        let header = GuestImageHeader {
            magic: GUEST_IMAGE_MAGIC,
            header_version: GUEST_IMAGE_VERSION,
            abi_major: ABI_VERSION_MAJOR,
            abi_minor: ABI_VERSION_MINOR,
            segment_count: 3,
            segments_offset: GuestImageHeader::SIZE as u64,
            process_record_offset: (GuestImageHeader::SIZE + 3 * GuestSegment::SIZE) as u64,
            process_record_size: ProcessRecord::SIZE as u64,
            fingerprint: FINGERPRINT,
            file_size: table + data.len() as u64,
            ..GuestImageHeader::ZERO
        };
        let record = ProcessRecord { fault_code: fault_code::STARTUP, pad: 0, fault_info: REGION_IMAGE.start + 16 };
        Self { header, segments, record, data }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.to_bytes().to_vec();
        for segment in &self.segments {
            bytes.extend_from_slice(&segment.to_bytes());
        }
        bytes.extend_from_slice(&self.record.to_bytes());
        bytes.extend_from_slice(&self.data);
        bytes
    }
}
