//! A disk in several files, side by side in the order of the descriptor.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::check::{CheckCounts, Findings, Teller};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::facts::{ExtentFile, ExtentFileKind, Facts, ListLimits};
use crate::raw::data_within;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::{Beyond, Within};

use super::descriptor::{Descriptor, is_of_files};

/// An extent file that is open.
enum Opened {
    /// Bytes as they are, from the offset of the extent on.
    Flat { device: DeviceIndex, size: u64 },
    /// Grains.
    Sparse(Box<dyn FormatImage>),
}

pub(super) struct FilesDisk {
    device: DeviceIndex,
    facts: Facts,
    size: u64,
    options: OpenOptions,
    /// One for each extent; `None` for those without a file and those that were not attached.
    opened: Vec<Option<Opened>>,
}

impl FilesDisk {
    /// The disk that a descriptor describes, with no extent attached yet.
    ///
    /// # Errors
    /// `UnsupportedVariant` for disks of other things than files, `BadDescriptor`, `ImageTooBig`.
    pub fn new(
        device: DeviceIndex,
        descriptor: Descriptor,
        options: OpenOptions,
    ) -> Result<Self, FormatError> {
        let refuse = |kind, field, value, expected| {
            let expected = Expected::Sentence(expected);
            FormatError::new(kind, device, field, 0, value, expected)
        };
        if !is_of_files(&descriptor.variant) {
            let expected = "a disk that lies in files: monolithicFlat, twoGbMaxExtentSparse, vmfs and the like";
            let error = refuse(ErrorKind::UnsupportedVariant, "createType", 0, expected);
            return Err(error.with_text(&descriptor.variant));
        }
        let mut size = 0_u64;
        for extent in &descriptor.extents {
            size = size.saturating_add(extent.virtual_size);
        }
        if size == 0 {
            let expected = "at least one extent";
            return Err(refuse(ErrorKind::BadDescriptor, "extent", 0, expected));
        }
        if size > i64::MAX.unsigned_abs() {
            let expected = "a disk of less than 2^63 bytes";
            return Err(refuse(ErrorKind::ImageTooBig, "extent", size, expected));
        }
        let opened = descriptor.extents.iter().map(|_| None).collect();
        let facts = Facts {
            extent_files: descriptor.extents.clone(),
            ..super::facts_of(&descriptor)
        };
        Ok(Self {
            device,
            facts,
            size,
            options,
            opened,
        })
    }

    /// The extent that holds the byte at `position`: its number, where it begins, and what the descriptor says of it.
    fn extent_at(&self, position: u64) -> Option<(usize, u64, &ExtentFile)> {
        let mut start = 0_u64;
        for (number, extent) in self.facts.extent_files.iter().enumerate() {
            let end = start.saturating_add(extent.virtual_size);
            if position < end {
                return Some((number, start, extent));
            }
            start = end;
        }
        None
    }

    fn missing(&self, extent: &ExtentFile) -> FormatError {
        let expected = Expected::Sentence("an extent file that may be opened");
        let kind = ErrorKind::ExtentMissing;
        FormatError::new(kind, self.device, "extent", 0, 0, expected).with_text(&extent.name)
    }
}

impl Image for FilesDisk {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.size, offset, max_length)?;
        let Some((number, start, extent)) = self.extent_at(offset) else {
            return Err(FormatError::out_of_range(offset, self.size));
        };
        let within = offset.saturating_sub(start);
        let length = length.min(extent.virtual_size.saturating_sub(within));
        if extent.kind == ExtentFileKind::Zero {
            let kind = ExtentKind::Zero;
            return Ok(Extent {
                start: offset,
                length,
                kind,
            });
        }
        let (missing, file_offset) = (self.missing(extent), extent.file_offset);
        match self.opened.get_mut(number).and_then(Option::as_mut) {
            None => Err(missing),
            Some(Opened::Flat { device, size }) => {
                let at = file_offset.saturating_add(within);
                Ok(data_within(*device, *size, offset, at, length))
            }
            Some(Opened::Sparse(image)) => {
                let left = image.virtual_size().saturating_sub(within);
                if left == 0 {
                    // The descriptor promises more than the file holds.
                    let kind = ExtentKind::Unallocated;
                    return Ok(Extent {
                        start: offset,
                        length,
                        kind,
                    });
                }
                let found = image.map(within, length.min(left))?;
                Ok(moved(found, start))
            }
        }
    }
}

/// An extent of one file as one of the whole disk.
fn moved(extent: Extent, start: u64) -> Extent {
    let kind = match extent.kind {
        ExtentKind::Compressed {
            device,
            codec,
            offset,
            max_length,
            cluster_start,
            cluster_size,
        } => ExtentKind::Compressed {
            device,
            codec,
            offset,
            max_length,
            cluster_start: cluster_start.saturating_add(start),
            cluster_size,
        },
        same => same,
    };
    Extent {
        start: extent.start.saturating_add(start),
        kind,
        ..extent
    }
}

impl FormatImage for FilesDisk {
    fn facts(&mut self, limits: ListLimits) -> Result<Facts, FormatError> {
        let mut facts = self.facts.clone();
        for (extent, opened) in facts.extent_files.iter_mut().zip(&mut self.opened) {
            if let Some(Opened::Sparse(image)) = opened {
                let own = image.facts(limits)?;
                extent.cluster_size = own.cluster_size;
                extent.compressed = own.extent_files.iter().any(|part| part.compressed);
                facts.cluster_size = own.cluster_size;
            }
        }
        Ok(facts)
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        for (extent, opened) in self.facts.extent_files.iter().zip(&mut self.opened) {
            match opened {
                None if extent.kind == ExtentFileKind::Zero => {}
                None => return Ok(Within::TooMany),
                Some(Opened::Flat { size, .. }) => {
                    let end = extent.file_offset.saturating_add(extent.virtual_size);
                    if end > *size {
                        let field = "flat extent";
                        return Ok(Within::Beyond(Beyond { field, at: 0, end }));
                    }
                }
                Some(Opened::Sparse(image)) => match image.within_file(budget)? {
                    Within::Whole(tails) if tails.is_empty() => {}
                    // Streams of several files are not told apart.
                    Within::Whole(_) => return Ok(Within::TooMany),
                    other => return Ok(other),
                },
            }
        }
        Ok(Within::Whole(Vec::new()))
    }

    fn keeps_holes(&self) -> bool {
        let flat = |opened: &Option<Opened>| matches!(opened, Some(Opened::Flat { .. }));
        self.opened.iter().all(flat)
    }

    fn backing_name(&self) -> Option<&[u8]> {
        self.facts.backing_file.as_deref()
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        let mut teller = Teller::new(findings);
        for number in 0..self.opened.len() {
            let Some(extent) = self.facts.extent_files.get(number) else {
                break;
            };
            let (missing, wanted) = (self.missing(extent), extent.virtual_size);
            let end = extent.file_offset.saturating_add(wanted);
            match self.opened.get_mut(number).and_then(Option::as_mut) {
                None if extent.kind == ExtentFileKind::Zero => {}
                None => return Err(missing),
                Some(Opened::Flat { size, .. }) if end > *size => {
                    let text = alloc::format!(
                        "ERROR: extent {number} ends at offset {end} of its file, which has {size} bytes"
                    );
                    teller.corrupt(*size, end, *size, text)?;
                }
                Some(Opened::Flat { .. }) => {}
                Some(Opened::Sparse(image)) => {
                    let found = image.virtual_size();
                    if found < wanted {
                        let text = alloc::format!(
                            "ERROR: extent {number} has {wanted} bytes by the descriptor and {found} by its file"
                        );
                        teller.corrupt(0, found, wanted, text)?;
                    }
                    if let Some(counts) = image.check(teller.findings())? {
                        teller.add(counts);
                    }
                }
            }
        }
        Ok(Some(teller.counts))
    }

    fn content_id(&self) -> Option<u32> {
        self.facts.content_id
    }

    fn parent_content_id(&self) -> Option<u32> {
        self.facts.parent_content_id
    }

    fn attach_extent(
        &mut self,
        number: usize,
        device: DeviceIndex,
        source: Box<dyn ByteSource>,
    ) -> Result<(), FormatError> {
        let mut with_files = self
            .facts
            .extent_files
            .iter()
            .zip(&mut self.opened)
            .filter(|(extent, _)| extent.kind != ExtentFileKind::Zero);
        let Some((extent, place)) = with_files.nth(number) else {
            let expected = Expected::Sentence("as many files as the descriptor names");
            let kind = ErrorKind::DataFileUnexpected;
            return Err(FormatError::new(kind, device, "extent", 0, 0, expected));
        };
        *place = Some(match extent.kind {
            ExtentFileKind::Flat | ExtentFileKind::Vmfs => Opened::Flat {
                device,
                size: source.size(),
            },
            _ => Opened::Sparse(super::open_grains(source, device, self.options)?),
        });
        Ok(())
    }
}
