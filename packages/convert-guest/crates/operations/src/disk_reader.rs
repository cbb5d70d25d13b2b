//! Reads of disks into memory.

use alloc::vec::Vec;

use instar_image_formats::{Chain, Image};

use crate::error::OperationError;
use crate::fetch::{Fetched, Fetcher};
use crate::open_chain::GuestImage;
use crate::setup::{Setup, internal};
use crate::zeros::is_zero;

/// What is needed to read disks.
pub struct DiskReader<'a> {
    pub setup: Setup<'a>,
    pub fetcher: Fetcher<'a>,
}

impl DiskReader<'_> {
    /// Fills a buffer from a disk, whose end is followed by zeros. Returns whether all of it is zeros.
    pub fn read(
        &mut self,
        chain: &mut Chain<GuestImage>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<bool, OperationError> {
        let mut all_zero = true;
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            let left = chain.virtual_size().saturating_sub(at);
            if left == 0 {
                rest.fill(0);
                break;
            }
            let extent = chain.map(at, left.min(rest.len() as u64))?;
            let mut extent = self.setup.holes.see(extent)?;
            let length = self.fetcher.length(&extent).min(extent.length);
            extent.length = length;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (to, _) = rest.split_at_mut_checked(length).unwrap_or_default();
            let fetched = self.fetcher.fetch(&[extent])?;
            match &fetched[..] {
                [Fetched::Bytes(bytes)] if bytes.len() >= to.len() => {
                    let (from, _) = bytes.split_at(to.len());
                    to.copy_from_slice(from);
                    all_zero = all_zero && is_zero(from);
                }
                _ => to.fill(0),
            }
            done = done.saturating_add(length);
        }
        Ok(all_zero)
    }
}

/// A buffer for a unit of an image (bytes).
pub fn buffer_of(unit: u64) -> Result<Vec<u8>, OperationError> {
    let length = usize::try_from(unit).unwrap_or(usize::MAX);
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(length)
        .map_err(|_| internal("no memory for a unit of the image"))?;
    buffer.resize(length, 0);
    Ok(buffer)
}
