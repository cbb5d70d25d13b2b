//! What two disks hold in the same units, read side by side and compared where it lies.

use alloc::vec::Vec;

use instar_image_formats::{Chain, DeviceIndex, Extent, ExtentKind, Image};

use crate::disk_reader::DiskReader;
use crate::error::OperationError;
use crate::fetch::Fetched;
use crate::file_comparison::FileComparer;
use crate::open_chain::GuestImage;
use crate::setup::internal;
use crate::zeros::is_zero;

/// The contents of some whole units in two disks.
pub struct SideBySide<'a> {
    contents: [Fetched<'a>; 2],
    /// Byte offset of the first unit on both disks.
    pub start: u64,
    /// Bytes of the units.
    pub length: u64,
    unit: u64,
    /// Where the file begins that holds the first content as it is, in the order of the disk.
    source: Option<(DeviceIndex, u64)>,
}

/// Whole units that two files hold as they are, in the order of two disks.
pub struct InFiles {
    /// Byte offset of the first unit on both disks.
    pub start: u64,
    /// Bytes of the units.
    pub length: u64,
    /// The files, and the byte offset of the first unit in each.
    pub places: [(DeviceIndex, u64); 2],
}

/// A unit, and what the two disks hold in it.
pub struct Pair<'a> {
    /// Its byte offset on both disks.
    pub place: u64,
    /// What the first disk holds.
    pub before: &'a [u8],
    /// What the second one holds.
    pub after: &'a [u8],
}

impl SideBySide<'_> {
    /// The units in which the contents differ; `blank` is a unit of zeros.
    pub fn differing<'b>(&'b self, blank: &'b [u8]) -> Result<Vec<Pair<'b>>, OperationError> {
        let [before, after] = &self.contents;
        match (before, after) {
            (Fetched::Zero, Fetched::Zero) => return Ok(Vec::new()),
            (Fetched::Bytes(before), Fetched::Bytes(after)) if before == after => {
                return Ok(Vec::new());
            }
            _ => {}
        }
        let mut pairs = Vec::new();
        let mut done = 0_u64;
        while done < self.length {
            let behind = done.saturating_add(self.unit);
            let (before, after) = (
                self.unit_of(before, done, behind, blank)?,
                self.unit_of(after, done, behind, blank)?,
            );
            if before != after {
                let place = self.start.saturating_add(done);
                pairs.push(Pair {
                    place,
                    before,
                    after,
                });
            }
            done = behind;
        }
        Ok(pairs)
    }

    fn unit_of<'b>(
        &self,
        content: &'b Fetched<'_>,
        start: u64,
        end: u64,
        blank: &'b [u8],
    ) -> Result<&'b [u8], OperationError> {
        let small = |value| usize::try_from(value).unwrap_or(usize::MAX);
        match content {
            Fetched::Zero => Ok(blank),
            Fetched::Bytes(bytes) => bytes
                .get(small(start)..small(end))
                .ok_or_else(|| internal("fewer bytes were fetched than were asked for")),
        }
    }

    /// The file that holds what the first disk holds in a unit, as it is and where; `None` where none does, or it is zeros.
    pub fn source_of(&self, pair: &Pair<'_>) -> Option<(DeviceIndex, u64)> {
        let (device, offset) = self.source.filter(|_| !is_zero(pair.before))?;
        let within = pair.place.saturating_sub(self.start);
        Some((device, offset.saturating_add(within)))
    }
}

impl DiskReader<'_> {
    /// The whole units from `start` on, which is at a unit, that a file holds as they are for each of two disks: as many before `end` as
    /// lie in one piece there, and can be compared at once. `None` where that is not even one.
    pub fn in_files(
        &mut self,
        disks: [&mut Chain<GuestImage>; 2],
        (start, end): (u64, u64),
        unit: u64,
    ) -> Result<Option<InFiles>, OperationError> {
        let [first, second] = disks;
        let extents = [
            self.piece_of(first, start, end)?,
            self.piece_of(second, start, end)?,
        ];
        let [
            ExtentKind::Data { device, offset },
            ExtentKind::Data {
                device: other,
                offset: at,
            },
        ] = extents.map(|extent| extent.kind)
        else {
            return Ok(None);
        };
        let [one, two] = extents.map(|extent| extent.length);
        let length = one.min(two).min(FileComparer::MOST);
        let length = length.saturating_sub(length.checked_rem(unit).unwrap_or(length));
        Ok((length > 0).then_some(InFiles {
            start,
            length,
            places: [(device, offset), (other, at)],
        }))
    }

    /// Reads what two disks hold in whole units from `start` on, which is at a unit: as many before `end` as both hold in one piece.
    /// `None` where that is not even one.
    pub fn read_side_by_side(
        &mut self,
        disks: [&mut Chain<GuestImage>; 2],
        (start, end): (u64, u64),
        unit: u64,
    ) -> Result<Option<SideBySide<'_>>, OperationError> {
        let [first, second] = disks;
        let mut extents = [
            self.piece_of(first, start, end)?,
            self.piece_of(second, start, end)?,
        ];
        let lengths = extents.map(|extent| self.fetcher.length(&extent));
        let length = lengths.into_iter().min().unwrap_or(0);
        let length = length.saturating_sub(length.checked_rem(unit).unwrap_or(length));
        if length == 0 {
            return Ok(None);
        }
        for extent in &mut extents {
            extent.length = length;
        }
        let source = match extents[0].kind {
            ExtentKind::Data { device, offset } => Some((device, offset)),
            _ => None,
        };
        let mut fetched = self.fetcher.fetch(&extents)?.into_iter();
        let (Some(before), Some(after)) = (fetched.next(), fetched.next()) else {
            return Err(internal("two extents were asked for"));
        };
        Ok(Some(SideBySide {
            contents: [before, after],
            start,
            length,
            unit,
            source,
        }))
    }

    /// What a disk holds from `start` on; behind its end that is zeros.
    fn piece_of(
        &mut self,
        disk: &mut Chain<GuestImage>,
        start: u64,
        end: u64,
    ) -> Result<Extent, OperationError> {
        let left = disk.virtual_size().saturating_sub(start);
        let length = end.saturating_sub(start);
        if left == 0 {
            return Ok(Extent {
                start,
                length,
                kind: ExtentKind::Zero,
            });
        }
        let extent = disk.map(start, length.min(left))?;
        self.setup.holes.see(extent)
    }
}
