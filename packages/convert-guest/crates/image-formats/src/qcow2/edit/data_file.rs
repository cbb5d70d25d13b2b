//! Content in an external data file (qcow2.txt "Header extensions", "Cluster mapping"): every cluster has there the place that it has
//! on the disk, and no refcount.

use super::{COMPRESSED, COPIED, Editor, OFFSET, ZERO};
use crate::arith::to_u64;
use crate::edit::EditTarget;
use crate::error::FormatError;
use crate::source::DeviceIndex;

/// The file.
pub(super) struct DataFile<T> {
    pub target: T,
    pub device: DeviceIndex,
}

impl<T: EditTarget> DataFile<T> {
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let written = self.target.write_at(offset, bytes);
        written.map_err(|error| FormatError::of_source(self.device, offset, error))
    }

    pub fn preserve(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let kept = self.target.preserve(offset, length);
        kept.map_err(|error| FormatError::of_source(self.device, offset, error))
    }

    pub fn zero(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let zeroed = self.target.zero_at(offset, length);
        zeroed.map_err(|error| FormatError::of_source(self.device, offset, error))
    }

    /// Has the file reach to `size` bytes at least.
    pub fn reach(&mut self, size: u64) -> Result<(), FormatError> {
        match size.checked_sub(1) {
            Some(last) if self.target.size() < size => self.write(last, &[0]),
            _ => Ok(()),
        }
    }

    pub fn flush(&mut self) -> Result<(), FormatError> {
        let flushed = self.target.flush();
        flushed.map_err(|error| FormatError::of_source(self.device, 0, error))
    }
}

impl<T: EditTarget> Editor<T> {
    /// The place of a cluster in the data file. An entry that names another one is refused: nobody knows which of the two is meant.
    pub(super) fn place_in_data(
        &self,
        at: u64,
        number: u64,
        entry: u64,
    ) -> Result<u64, FormatError> {
        let place = self.offset_of(number)?;
        let has_place = entry & (OFFSET | COPIED) != 0;
        if entry & COMPRESSED != 0 || (has_place && entry & OFFSET != place) {
            return Err(self.repair_first("L2 entry of a data file", at, entry));
        }
        Ok(place)
    }

    /// Brings to the disk what was written: content before what names it.
    pub(super) fn flush_all(&mut self) -> Result<(), FormatError> {
        if let Some(data) = &mut self.data {
            data.flush()?;
        }
        self.file.flush()
    }

    /// Makes a part of a cluster's place in a raw data file zeros, before its entry says so: that file is the disk for whoever reads
    /// it alone. Others need not hold what reads as zeros.
    pub(super) fn zero_in_data(
        &mut self,
        at: u64,
        number: u64,
        entry: u64,
        length: u64,
    ) -> Result<(), FormatError> {
        let place = self.place_in_data(at, number, entry)?;
        let is_raw = self.header.is_data_file_raw();
        match &mut self.data {
            Some(data) if is_raw => data.zero(place, length),
            _ => Ok(()),
        }
    }

    /// Writes whole content of a cluster to its place in the data file.
    pub(super) fn write_in_data(
        &mut self,
        (at, entry): (u64, u64),
        number: u64,
        bytes: &[u8],
    ) -> Result<u64, FormatError> {
        let place = self.place_in_data(at, number, entry)?;
        let encrypted = self.encrypted(place, place, bytes)?;
        let bytes = encrypted.as_deref().unwrap_or(bytes);
        if let Some(data) = &mut self.data {
            data.write(place, bytes)?;
        }
        Ok(place)
    }

    /// Where a cluster lies in the data file, if all that it shows lies there.
    pub(super) fn whole_in_data(&mut self, number: u64) -> Result<Option<u64>, FormatError> {
        let (at, entry) = self.own_entry(number)?;
        let place = self.place_in_data(at, number, entry)?;
        let is_whole = if self.header.has_extended_l2() {
            self.file
                .be64(at.saturating_add(to_u64(size_of::<u64>())))?
                == super::write::ALL_ALLOCATED
        } else {
            entry & ZERO == 0
        };
        Ok((is_whole && entry & (OFFSET | COPIED) != 0).then_some(place))
    }
}
