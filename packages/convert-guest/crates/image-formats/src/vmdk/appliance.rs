//! Appliances in one file (OVA; DMTF DSP0243, "OVF package"): a tar archive whose first file is the description, `*.ovf`,
//! and in which the disk lies.

use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::source::{ByteSource, DeviceIndex};

/// Bytes of a header of tar.
const HEADER: usize = 512;
/// Most files of an archive that are looked at.
const MOST_MEMBERS: u32 = 1024;
/// Most bytes of a long name, or of the records in front of a file.
const MOST_RECORDS: u64 = 64 << 10;
/// Names of files that are disks.
const DISKS: [&str; 8] = [
    ".vmdk", ".vhd", ".vhdx", ".vdi", ".qcow2", ".img", ".raw", ".vmdk.gz",
];

/// A file of the archive.
pub(super) struct Member {
    pub name: Vec<u8>,
    /// Byte offset in the archive.
    pub start: u64,
    /// Bytes.
    pub length: u64,
}

/// Whether a file begins as an appliance does.
pub(super) fn probe(head: &[u8]) -> bool {
    let name = text(head.get(..100).unwrap_or(&[]));
    head.get(257..)
        .is_some_and(|rest| rest.starts_with(b"ustar"))
        && has_suffix(name, ".ovf")
}

/// A field of text ends at its first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(&[])
}

fn has_suffix(name: &[u8], suffix: &str) -> bool {
    let start = name.len().checked_sub(suffix.len());
    let end = start.and_then(|start| name.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
}

/// The number of a field: octal digits, or, with the highest bit set, big-endian bytes (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && *first & 0x80 != 0
    {
        let (high, low) = rest.split_last_chunk::<8>()?;
        let is_small = *first == 0x80 && high.iter().all(|byte| *byte == 0);
        return is_small.then(|| u64::from_be_bytes(*low));
    }
    let digits = core::str::from_utf8(text(field)).ok()?;
    u64::from_str_radix(digits.trim_matches(' '), 8).ok()
}

/// The value of a key in the records of a pax header: lines of `length key=value`.
fn record<'a>(mut records: &'a [u8], key: &str) -> Option<&'a [u8]> {
    loop {
        let space = records.iter().position(|byte| *byte == b' ')?;
        let length = core::str::from_utf8(records.get(..space)?).ok()?;
        let length: usize = length.parse().ok()?;
        let line = records.get(space.checked_add(1)?..length)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let value = line.strip_prefix(key.as_bytes());
        if let Some(value) = value.and_then(|rest| rest.strip_prefix(b"=")) {
            return Some(value);
        }
        records = records.get(length..)?;
    }
}

/// The one disk of an appliance.
///
/// # Errors
/// `BadHeader` for a damaged archive, `UnsupportedVariant` where there is no disk, or where there are several.
pub(super) fn find_disk<S: ByteSource>(
    source: &mut S,
    device: DeviceIndex,
) -> Result<Member, FormatError> {
    let mut disks = Vec::new();
    let mut walk = Walk {
        source,
        device,
        at: 0,
    };
    for _ in 0..MOST_MEMBERS {
        let Some(member) = walk.next()? else {
            break;
        };
        if DISKS.iter().any(|suffix| has_suffix(&member.name, suffix)) {
            disks.push(member);
        }
    }
    let refuse = |value, expected| {
        let expected = Expected::Sentence(expected);
        let kind = ErrorKind::UnsupportedVariant;
        FormatError::new(kind, device, "disks of the appliance", 0, value, expected)
    };
    let count = to_u64(disks.len());
    let several = "one disk; unpack the archive (tar -xf) and name one of them";
    if count > 1 {
        let mut names = String::new();
        for disk in &disks {
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(&String::from_utf8_lossy(&disk.name));
        }
        return Err(refuse(count, several).with_text(names.as_bytes()));
    }
    disks.pop().ok_or_else(|| refuse(0, "one disk"))
}

struct Walk<'a, S> {
    source: &'a mut S,
    device: DeviceIndex,
    /// Where the next header stands (byte offset).
    at: u64,
}

impl<S: ByteSource> Walk<'_, S> {
    fn refuse(
        &self,
        field: &'static str,
        offset: u64,
        value: u64,
        expected: Expected,
    ) -> FormatError {
        let kind = ErrorKind::BadHeader;
        let at = self.at.saturating_add(offset);
        FormatError::new(kind, self.device, field, at, value, expected)
    }

    fn read(&mut self, at: u64, length: u64) -> Result<Vec<u8>, FormatError> {
        let mut bytes = alloc::vec![0; to_usize(length)];
        let read = self.source.read_exact_at(at, &mut bytes);
        read.map_err(|error| FormatError::of_source(self.device, at, error))?;
        Ok(bytes)
    }

    /// The next file; `None` at the end of the archive.
    fn next(&mut self) -> Result<Option<Member>, FormatError> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            let end = self.at.saturating_add(to_u64(HEADER));
            if end > self.source.size() {
                return Ok(None);
            }
            let header = self.read(self.at, to_u64(HEADER))?;
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if header.get(257..262) != Some(b"ustar") {
                let expected = Expected::Sentence("\"ustar\"");
                return Err(self.refuse("tar magic", 257, 0, expected));
            }
            let sum = header.iter().enumerate().fold(0_u64, |sum, (place, byte)| {
                let byte = if (148..156).contains(&place) {
                    b' '
                } else {
                    *byte
                };
                sum.saturating_add(byte.into())
            });
            let stored = header.get(148..156).and_then(number).unwrap_or(0);
            if stored != sum {
                return Err(self.refuse("tar checksum", 148, stored, Expected::Value(sum)));
            }
            let kind = header.get(156).copied().unwrap_or(0);
            let size = header.get(124..136).and_then(number);
            let size = size.or(long_size).ok_or_else(|| {
                self.refuse("tar size", 124, 0, Expected::Sentence("an octal number"))
            })?;
            let records = matches!(kind, b'L' | b'x');
            let size = if records {
                size
            } else {
                long_size.unwrap_or(size)
            };
            let left = self.source.size().saturating_sub(end);
            if size > left || (records && size > MOST_RECORDS) {
                let most = if records {
                    left.min(MOST_RECORDS)
                } else {
                    left
                };
                return Err(self.refuse("tar size", 124, size, Expected::AtMost(most)));
            }
            let next = SECTOR
                .round_up(end.saturating_add(size))
                .unwrap_or(u64::MAX);
            match kind {
                b'L' => long_name = Some(text(&self.read(end, size)?).to_vec()),
                b'x' => {
                    let bytes = self.read(end, size)?;
                    if let Some(path) = record(&bytes, "path") {
                        long_name = Some(path.to_vec());
                    }
                    let size =
                        record(&bytes, "size").and_then(|size| core::str::from_utf8(size).ok());
                    long_size = size.and_then(|size| size.parse().ok()).or(long_size);
                }
                b'0' | 0 => {
                    let name = text(header.get(..100).unwrap_or(&[])).to_vec();
                    self.at = next;
                    return Ok(Some(Member {
                        name: long_name.unwrap_or(name),
                        start: end,
                        length: size,
                    }));
                }
                _ => (long_name, long_size) = (None, None),
            }
            self.at = next;
        }
    }
}
