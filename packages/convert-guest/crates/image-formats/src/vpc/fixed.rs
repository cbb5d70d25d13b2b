//! Fixed disks: the disk's bytes, then the footer.

use alloc::vec::Vec;

use crate::arith::to_u64;
use crate::check::{CheckCounts, Findings, Teller};
use crate::driver::FormatImage;
use crate::error::FormatError;
use crate::extent::{Extent, Image, clamp_request};
use crate::facts::{Facts, Identity, ListLimits};
use crate::metadata_cache::MetadataCache;
use crate::raw::data_within;
use crate::source::{ByteSource, DeviceIndex};
use crate::structures;
use crate::within::{Beyond, Within};

use super::check::check_fixed;
use super::footer::Footer;

pub(super) struct FixedDisk {
    device: DeviceIndex,
    file_size: u64,
    size: u64,
    unique_id: Identity,
}

impl FixedDisk {
    pub fn new<S: ByteSource>(cache: &MetadataCache<S>, footer: &Footer) -> Self {
        Self {
            device: cache.device(),
            file_size: cache.file_size(),
            size: footer.size,
            unique_id: footer.unique_id,
        }
    }
}

impl Image for FixedDisk {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        let length = clamp_request(self.size, offset, max_length)?;
        let (device, size) = (self.device, self.file_size);
        Ok(data_within(device, size, offset, offset, length))
    }
}

impl FormatImage for FixedDisk {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            identity: Some(self.unique_id),
            ..Facts::default()
        })
    }

    fn check(&mut self, findings: &mut dyn Findings) -> Result<Option<CheckCounts>, FormatError> {
        let mut teller = Teller::new(findings);
        check_fixed(self.file_size, self.size, &mut teller)?;
        Ok(Some(teller.counts))
    }

    fn identity(&self) -> Option<Identity> {
        Some(self.unique_id)
    }

    fn keeps_holes(&self) -> bool {
        true
    }

    fn within_file(&mut self, _: u64) -> Result<Within, FormatError> {
        let end = self
            .size
            .saturating_add(to_u64(structures::vpc::footer::BYTES));
        Ok(if end > self.file_size {
            let at = self
                .file_size
                .saturating_sub(to_u64(structures::vpc::footer::BYTES));
            let field = "disk before the footer";
            Within::Beyond(Beyond { field, at, end })
        } else {
            Within::Whole(Vec::new())
        })
    }
}
