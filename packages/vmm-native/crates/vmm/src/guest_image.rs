//! Loads a guest image file (made by mkimage) into guest memory.

use std::fmt;

use instar_abi::{
    fault_code, segment_flag, GuestImageHeader, GuestSegment, ProcessRecord, ABI_VERSION_MAJOR, ABI_VERSION_MINOR,
    FINGERPRINT, GUEST_IMAGE_MAGIC, GUEST_IMAGE_MAX_SEGMENTS, GUEST_IMAGE_VERSION, OLDER_FINGERPRINTS, PAGE_SIZE,
    REGION_IMAGE, REGION_PROCESS_RECORD,
};

use crate::memory::GuestMemory;

/// A guest image that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// The file is shorter than what it says.
    Truncated { field: &'static str, offset: u64 },
    /// A field has a value that no image of this version has.
    BadField { field: &'static str, offset: u64, value: u64, expected: String },
    /// Built against another ABI.
    ForeignAbi { image: String, host: String },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Truncated { field, offset } => {
                write!(f, "guest image: the file ends inside {field} (at byte {offset})")
            }
            ImageError::BadField { field, offset, value, expected } => {
                write!(f, "guest image: {field} at byte {offset} is {value:#x}, expected {expected}")
            }
            ImageError::ForeignAbi { image, host } => write!(
                f,
                "guest image: built for ABI {image}, this host has ABI {host}; install packages of the same release"
            ),
        }
    }
}

impl std::error::Error for ImageError {}

/// Protection of a loaded segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte, page-aligned.
    pub address: u64,
    /// Bytes, rounded up to whole pages.
    pub size: u64,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    file_offset: u64,
    file_size: u64,
}

/// A checked guest image.
#[derive(Clone, Debug)]
pub struct GuestImage<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
    process_record: &'a [u8],
    /// The build id that mkimage took over the linked program.
    pub build_id: [u8; 32],
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn slice<'a>(bytes: &'a [u8], offset: u64, length: u64, field: &'static str) -> Result<&'a [u8], ImageError> {
    let bad = ImageError::Truncated { field, offset };
    let start = usize::try_from(offset).map_err(|_| bad.clone())?;
    let length = usize::try_from(length).map_err(|_| bad.clone())?;
    let end = start.checked_add(length).ok_or_else(|| bad.clone())?;
    bytes.get(start..end).ok_or(bad)
}

fn fixed<const N: usize>(bytes: &[u8], offset: u64, field: &'static str) -> Result<[u8; N], ImageError> {
    let found = slice(bytes, offset, N as u64, field)?;
    <[u8; N]>::try_from(found).map_err(|_| ImageError::Truncated { field, offset })
}

impl<'a> GuestImage<'a> {
    /// Checks a whole image file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let header = GuestImageHeader::from_bytes(&fixed(bytes, 0, "header")?);
        check("magic", 0, header.magic, header.magic == GUEST_IMAGE_MAGIC, || format!("{GUEST_IMAGE_MAGIC:#x}"))?;
        check(
            "header_version",
            GuestImageHeader::OFFSET_HEADER_VERSION,
            u64::from(header.header_version),
            header.header_version == GUEST_IMAGE_VERSION,
            || GUEST_IMAGE_VERSION.to_string(),
        )?;
        // A minor version only appends, so a guest of an older one finds all that it knows; a newer one may not.
        let known = header.fingerprint == FINGERPRINT || OLDER_FINGERPRINTS.contains(&header.fingerprint);
        if header.abi_major != ABI_VERSION_MAJOR || !known {
            return Err(ImageError::ForeignAbi {
                image: format!("{}.{} ({})", header.abi_major, header.abi_minor, hex(&header.fingerprint)),
                host: format!("{ABI_VERSION_MAJOR}.{ABI_VERSION_MINOR} ({})", hex(&FINGERPRINT)),
            });
        }
        check(
            "file_size",
            GuestImageHeader::OFFSET_FILE_SIZE,
            header.file_size,
            header.file_size == bytes.len() as u64,
            || format!("{} (the size of the file)", bytes.len()),
        )?;
        check("reserved", GuestImageHeader::OFFSET_RESERVED, header.reserved, header.reserved == 0, || "0".into())?;
        check(
            "segment_count",
            GuestImageHeader::OFFSET_SEGMENT_COUNT,
            u64::from(header.segment_count),
            (1..=GUEST_IMAGE_MAX_SEGMENTS).contains(&header.segment_count),
            || format!("1 to {GUEST_IMAGE_MAX_SEGMENTS}"),
        )?;
        let mut segments: Vec<Segment> = Vec::new();
        for index in 0..u64::from(header.segment_count) {
            let offset = index
                .checked_mul(GuestSegment::SIZE as u64)
                .and_then(|by| by.checked_add(header.segments_offset))
                .ok_or(ImageError::Truncated { field: "segments", offset: header.segments_offset })?;
            let segment = checked_segment(bytes, offset)?;
            let end = segment.address.saturating_add(segment.size);
            let overlaps = segments
                .iter()
                .any(|other| segment.address < other.address.saturating_add(other.size) && other.address < end);
            check("segment.address", at(offset, GuestSegment::OFFSET_ADDRESS), segment.address, !overlaps, || {
                "a range that no other segment has".into()
            })?;
            segments.push(segment);
        }
        let record_limit = ProcessRecord::SIZE as u64;
        check(
            "process_record_size",
            GuestImageHeader::OFFSET_PROCESS_RECORD_SIZE,
            header.process_record_size,
            header.process_record_size == record_limit,
            || format!("{record_limit} (the leading part; registers are not in the file)"),
        )?;
        let process_record = slice(bytes, header.process_record_offset, header.process_record_size, "process_record")?;
        Ok(Self { bytes, segments, process_record, build_id: header.build_id })
    }

    /// Segments in the order of the file.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Writes the segments and the leading part of the process record to fresh (zero) memory, and returns the record's
    /// place. The register tail stays zero: the backend sets registers when it takes the startup fault.
    pub fn load(&self, memory: &GuestMemory) -> Result<(), ImageError> {
        for segment in &self.segments {
            let data = slice(self.bytes, segment.file_offset, segment.file_size, "segment data")?;
            memory
                .write(segment.address, data)
                .map_err(|_| ImageError::Truncated { field: "guest memory", offset: segment.address })?;
        }
        memory
            .write(REGION_PROCESS_RECORD.start, self.process_record)
            .map_err(|_| ImageError::Truncated { field: "process record", offset: REGION_PROCESS_RECORD.start })
    }
}

/// Takes the startup fault of a loaded process record: its entry PC, checked to lie in an executable segment.
pub fn startup_entry(memory: &GuestMemory, image: &GuestImage<'_>) -> Result<u64, ImageError> {
    let mut bytes = [0; ProcessRecord::SIZE];
    memory
        .read(REGION_PROCESS_RECORD.start, &mut bytes)
        .map_err(|_| ImageError::Truncated { field: "process record", offset: 0 })?;
    let record = ProcessRecord::from_bytes(&bytes);
    check(
        "process_record.fault_code",
        0,
        u64::from(record.fault_code),
        record.fault_code == fault_code::STARTUP,
        || format!("{} (STARTUP)", fault_code::STARTUP),
    )?;
    let inside = image.segments.iter().any(|segment| {
        segment.execute
            && record.fault_info >= segment.address
            && record.fault_info < segment.address.saturating_add(segment.size)
    });
    check("process_record.fault_info", ProcessRecord::OFFSET_FAULT_INFO, record.fault_info, inside, || {
        "an entry PC in an executable segment".into()
    })?;
    Ok(record.fault_info)
}

fn at(base: u64, field: usize) -> usize {
    usize::try_from(base).unwrap_or(usize::MAX).saturating_add(field)
}

fn check(
    field: &'static str,
    offset: usize,
    value: u64,
    good: bool,
    expected: impl Fn() -> String,
) -> Result<(), ImageError> {
    if good {
        return Ok(());
    }
    Err(ImageError::BadField { field, offset: offset as u64, value, expected: expected() })
}

fn checked_segment(bytes: &[u8], offset: u64) -> Result<Segment, ImageError> {
    let record = GuestSegment::from_bytes(&fixed(bytes, offset, "segment")?);
    let page = u64::from(PAGE_SIZE);
    let known = segment_flag::READ | segment_flag::WRITE | segment_flag::EXECUTE;
    let write = record.flags & segment_flag::WRITE != 0;
    let execute = record.flags & segment_flag::EXECUTE != 0;
    check(
        "segment.flags",
        at(offset, GuestSegment::OFFSET_FLAGS),
        u64::from(record.flags),
        record.flags & !known == 0 && record.flags & segment_flag::READ != 0 && !(write && execute),
        || "READ, with at most one of WRITE and EXECUTE".into(),
    )?;
    check("segment.pad", at(offset, GuestSegment::OFFSET_PAD), u64::from(record.pad), record.pad == 0, || "0".into())?;
    let size = record.memory_size.checked_next_multiple_of(page).unwrap_or(u64::MAX);
    let end = record.address.checked_add(size);
    let inside = record.address >= REGION_IMAGE.start
        && record.address.is_multiple_of(page)
        && size > 0
        && end.is_some_and(|end| end <= REGION_IMAGE.start.saturating_add(REGION_IMAGE.size));
    check("segment.address", at(offset, GuestSegment::OFFSET_ADDRESS), record.address, inside, || {
        format!(
            "a page-aligned range of {:#x}..{:#x}",
            REGION_IMAGE.start,
            REGION_IMAGE.start.saturating_add(REGION_IMAGE.size)
        )
    })?;
    check(
        "segment.file_size",
        at(offset, GuestSegment::OFFSET_FILE_SIZE),
        record.file_size,
        record.file_size <= record.memory_size,
        || format!("at most the memory size {:#x}", record.memory_size),
    )?;
    slice(bytes, record.file_offset, record.file_size, "segment data")?;
    Ok(Segment {
        address: record.address,
        size,
        write,
        execute,
        file_offset: record.file_offset,
        file_size: record.file_size,
    })
}
