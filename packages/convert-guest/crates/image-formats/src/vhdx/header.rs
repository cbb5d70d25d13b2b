//! The two headers ([MS-VHDX] 2.2.2): of those that are valid, the one with the higher sequence number counts.

use alloc::vec::Vec;

use crate::edit::Shown;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::{Structure, put, put_bytes};
use crate::structures::vhdx::header;

use super::crc32c;
use super::guid::Guid;

pub(super) const MAGIC: &[u8; 8] = b"vhdxfile";
/// Where the headers lie.
pub(super) const PLACES: [u64; 2] = [64 << 10, 128 << 10];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub sequence: u64,
    /// Changes with the content: what differencing disks know it by.
    pub data_write_guid: Guid,
    /// All zeros where the log holds nothing.
    pub log_guid: Guid,
    /// Byte offset of the log.
    pub log_offset: u64,
    /// Bytes of the log.
    pub log_length: u64,
}

/// Reads a part of the file that every image has.
pub(super) fn read_part<S: ByteSource>(
    source: &mut S,
    device: DeviceIndex,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, FormatError> {
    let end = offset.saturating_add(crate::arith::to_u64(length));
    if source.size() < end {
        let expected = Expected::AtLeast(end);
        let kind = ErrorKind::BadHeader;
        let size = source.size();
        return Err(FormatError::new(
            kind,
            device,
            "file length",
            0,
            size,
            expected,
        ));
    }
    let mut bytes = alloc::vec![0; length];
    source
        .read_exact_at(offset, &mut bytes)
        .map_err(|error| FormatError::of_source(device, offset, error))?;
    Ok(bytes)
}

/// Another number for each number, in no order that leads back soon (the finaliser of SplitMix64, by S. Vigna).
fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Header {
    /// Reads the magic and both headers.
    ///
    /// # Errors
    /// `NotThisFormat`, `BadHeader` without a valid header, `UnsupportedVersion`.
    pub fn read<S: ByteSource>(source: &mut S, device: DeviceIndex) -> Result<Self, FormatError> {
        let magic = read_part(source, device, 0, MAGIC.len())?;
        if magic != MAGIC {
            let expected = Expected::Sentence("\"vhdxfile\"");
            let kind = ErrorKind::NotThisFormat;
            return Err(FormatError::new(kind, device, "signature", 0, 0, expected));
        }
        let mut best: Option<Self> = None;
        let mut reason = None;
        for at in PLACES {
            let bytes = read_part(source, device, at, header::BYTES)?;
            match Self::parse(&bytes, at, device) {
                Ok(header) if best.is_none_or(|best| best.sequence < header.sequence) => {
                    best = Some(header);
                }
                Ok(_) => {}
                Err(error) => reason = reason.or(Some(error)),
            }
        }
        best.ok_or_else(|| {
            let expected = Expected::Sentence("one valid header of two");
            let kind = ErrorKind::BadHeader;
            let none = FormatError::new(kind, device, "header", 64 << 10, 0, expected);
            reason.unwrap_or(none)
        })
    }

    /// The bytes of a header with another sequence number, whose log holds nothing.
    /// Where the disk shows something else, what identifies the content becomes another one.
    pub fn rewritten(bytes: &[u8], sequence: u64, shown: Shown) -> Vec<u8> {
        let mut next = bytes.to_vec();
        put(&mut next, header::SEQUENCE_NUMBER, sequence);
        put_bytes(&mut next, header::LOG_GUID, &[0; 16]);
        for id in [header::FILE_WRITE_GUID, header::DATA_WRITE_GUID] {
            let old = bytes.get(id.range()).and_then(<[u8]>::first_chunk);
            let old = u64::from_le_bytes(old.copied().unwrap_or_default());
            if let Shown::Changes { when } = shown {
                let new = scrambled(scrambled(old) ^ when);
                put_bytes(&mut next, id, &new.to_le_bytes());
            }
        }
        let sum = crc32c::of_structure(&next);
        put(&mut next, header::CHECKSUM, sum);
        next
    }

    pub fn parse(bytes: &[u8], at: u64, device: DeviceIndex) -> Result<Self, FormatError> {
        let head = Structure::new(bytes, at, device, ErrorKind::BadHeader);
        if head.bytes(header::SIGNATURE)? != b"head" {
            let expected = Expected::Sentence("\"head\"");
            let kind = ErrorKind::BadHeader;
            return Err(FormatError::new(
                kind,
                device,
                "header signature",
                at,
                0,
                expected,
            ));
        }
        let checksum = head.get(header::CHECKSUM)?;
        let sum = crc32c::of_structure(bytes);
        if checksum.value != sum {
            let expected = Expected::Value(sum.into());
            return Err(checksum.refuse(ErrorKind::ChecksumMismatch, expected));
        }
        let sequence = head.get(header::SEQUENCE_NUMBER)?.value;
        let data_write_guid = head.array(header::DATA_WRITE_GUID)?;
        let log_guid = head.array(header::LOG_GUID)?;
        let log_version = head.get(header::LOG_VERSION)?;
        if log_version.value != 0 {
            return Err(log_version.refuse(ErrorKind::UnsupportedVersion, Expected::Value(0)));
        }
        let version = head.get(header::VERSION)?;
        if version.value != 1 {
            return Err(version.refuse(ErrorKind::UnsupportedVersion, Expected::Value(1)));
        }
        Ok(Self {
            sequence,
            data_write_guid,
            log_guid,
            log_length: head.get(header::LOG_LENGTH)?.value.into(),
            log_offset: head.get(header::LOG_OFFSET)?.value,
        })
    }
}
