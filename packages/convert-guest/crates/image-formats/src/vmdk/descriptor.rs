//! The descriptor ("Virtual Disk Format 5.0", "The Descriptor File"): lines of text, in a file of its own or embedded.

use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::{ExtentFile, ExtentFileKind};
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};

/// Most bytes of a descriptor that are read, as QEMU reads them.
const MOST_BYTES: u64 = (1 << 20) - 1;
/// The content number of an image without a parent.
const NO_PARENT: u32 = 0xffff_ffff;
/// Most extents: so many files can be open at once.
pub(super) const MOST_EXTENTS: usize = 60;
/// Most bytes of the name of an extent.
const MOST_NAME: usize = 256;

/// What a descriptor says.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptor {
    /// `createType`, as written.
    pub variant: Vec<u8>,
    /// `CID`.
    pub content_id: u32,
    /// `parentCID`; `None` for an image without a parent.
    pub parent_content_id: Option<u32>,
    /// `parentFileNameHint`.
    pub parent: Option<Vec<u8>>,
    /// The extents, in the order of the disk.
    pub extents: Vec<ExtentFile>,
}

/// A line, and where it stands.
struct Line<'a> {
    text: &'a [u8],
    at: u64,
    device: DeviceIndex,
}

impl Line<'_> {
    fn refuse(&self, field: &'static str, expected: &'static str) -> FormatError {
        let expected = Expected::Sentence(expected);
        let kind = ErrorKind::BadDescriptor;
        let shown = self.text.get(..self.text.len().min(80)).unwrap_or(&[]);
        FormatError::new(kind, self.device, field, self.at, 0, expected).with_text(shown)
    }
}

impl Descriptor {
    /// Reads the text at `offset`, of which at most `length` bytes are looked at; a zero byte ends it.
    ///
    /// # Errors
    /// `BadDescriptor` for a line that cannot be.
    pub fn read<S: ByteSource>(
        cache: &mut MetadataCache<S>,
        offset: u64,
        length: u64,
    ) -> Result<Self, FormatError> {
        let inside = cache.file_size().saturating_sub(offset);
        let length = length.min(MOST_BYTES).min(inside);
        let mut text = cache.read_vec(offset, to_usize(length))?;
        let end = text.iter().position(|byte| *byte == 0);
        text.truncate(end.unwrap_or(text.len()));
        let mut descriptor = Self {
            content_id: NO_PARENT,
            ..Self::default()
        };
        let mut at = offset;
        for text in text.split(|byte| *byte == b'\n') {
            let line = Line {
                text: text.trim_ascii(),
                at,
                device: cache.device(),
            };
            descriptor.take(&line)?;
            at = at.saturating_add(to_u64(text.len())).saturating_add(1);
        }
        Ok(descriptor)
    }

    fn take(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        if line.text.is_empty() || line.text.starts_with(b"#") {
            return Ok(());
        }
        if let Some(extent) = extent_of(line)? {
            if self.extents.len() >= MOST_EXTENTS {
                return Err(line.refuse("extent", "at most 60 extents"));
            }
            self.extents.push(extent);
            return Ok(());
        }
        let Some(equals) = line.text.iter().position(|byte| *byte == b'=') else {
            return Ok(());
        };
        let (key, value) = line.text.split_at(equals);
        let value = value.get(1..).unwrap_or(&[]).trim_ascii();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        let is = |name: &[u8]| key.trim_ascii().eq_ignore_ascii_case(name);
        if is(b"createType") {
            self.variant = value.to_vec();
        } else if is(b"CID") {
            self.content_id = number_of(value, 16)
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| line.refuse("CID", "a hexadecimal number of 32 bits"))?;
        } else if is(b"parentCID") {
            let id = number_of(value, 16)
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| line.refuse("parentCID", "a hexadecimal number of 32 bits"))?;
            self.parent_content_id = (id != NO_PARENT).then_some(id);
        } else if is(b"parentFileNameHint") {
            self.parent = Some(value.to_vec()).filter(|name| !name.is_empty());
        }
        Ok(())
    }
}

fn number_of(text: &[u8], radix: u32) -> Option<u64> {
    let text = core::str::from_utf8(text).ok()?;
    u64::from_str_radix(text, radix).ok()
}

/// `RW 4192256 SPARSE "disk-s001.vmdk"`, with an offset behind it for flat extents.
fn extent_of(line: &Line<'_>) -> Result<Option<ExtentFile>, FormatError> {
    let (before, quoted) = match line.text.iter().position(|byte| *byte == b'"') {
        Some(quote) => line.text.split_at(quote),
        None => (line.text, &[][..]),
    };
    let mut words = before
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let access = words.next().unwrap_or(&[]);
    if !["RW", "RDONLY", "NOACCESS"]
        .iter()
        .any(|word| access == word.as_bytes())
    {
        return Ok(None);
    }
    if access == b"NOACCESS" {
        return Err(line.refuse("extent", "an extent that may be read (RW or RDONLY)"));
    }
    let sectors = words
        .next()
        .and_then(|word| number_of(word, 10))
        .filter(|sectors| (1..=u64::MAX >> 12).contains(sectors))
        .ok_or_else(|| line.refuse("extent", "a number of sectors from 1 on"))?;
    let kind = match words.next().unwrap_or(&[]) {
        b"FLAT" => ExtentFileKind::Flat,
        b"VMFS" => ExtentFileKind::Vmfs,
        b"SPARSE" => ExtentFileKind::Sparse,
        b"VMFSSPARSE" => ExtentFileKind::VmfsSparse,
        b"SESPARSE" => ExtentFileKind::SeSparse,
        b"ZERO" => ExtentFileKind::Zero,
        _ => {
            let known = "an extent of type FLAT, VMFS, SPARSE, VMFSSPARSE, SESPARSE or ZERO";
            return Err(line.refuse("extent", known));
        }
    };
    let quoted = quoted.get(1..).unwrap_or(&[]);
    let name = quoted.split(|byte| *byte == b'"').next().unwrap_or(&[]);
    let needs_name = kind != ExtentFileKind::Zero;
    if needs_name && (name.is_empty() || name.len() > MOST_NAME) {
        return Err(line.refuse("extent", "a file name of 1 to 256 bytes in quotation marks"));
    }
    let rest = quoted.get(name.len().saturating_add(1)..).unwrap_or(&[]);
    let mut rest = rest
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let offset = match (rest.next(), kind) {
        (Some(word), ExtentFileKind::Flat | ExtentFileKind::Vmfs) => number_of(word, 10)
            .filter(|sectors| *sectors <= u64::MAX >> 12)
            .ok_or_else(|| line.refuse("extent", "an offset in sectors behind the name"))?,
        _ => 0,
    };
    Ok(Some(ExtentFile {
        name: name.to_vec(),
        kind,
        virtual_size: SECTOR.times(sectors).unwrap_or(0),
        file_offset: SECTOR.times(offset).unwrap_or(0),
        cluster_size: 0,
        compressed: false,
    }))
}

/// Whether a `createType` is one whose extents are files.
pub(super) fn is_of_files(variant: &[u8]) -> bool {
    const OF_FILES: [&str; 8] = [
        "monolithicFlat",
        "monolithicSparse",
        "twoGbMaxExtentFlat",
        "twoGbMaxExtentSparse",
        "vmfs",
        "vmfsSparse",
        "seSparse",
        "custom",
    ];
    let variant = String::from_utf8_lossy(variant);
    OF_FILES
        .iter()
        .any(|name| variant.eq_ignore_ascii_case(name))
}
