//! How long an output becomes: its layout is asked for the place of everything that would be written, and nothing is.

use instar_abi::error_kind;
use instar_image_formats::ExtentKind;
use instar_image_formats::growing::{Growing, Packing};
use instar_image_formats::qcow2::writer::LayoutError;

use crate::disks::Disks;
use crate::error::OperationError;
use crate::holes::Holes;
use crate::setup::internal;

/// What counts as written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// What is no hole and no zeros, as far as that is known without reading.
    Data,
    /// All of the disk.
    All,
}

/// Bytes of the file for a part of the disks; for formats that compress everything, at most.
pub fn length(
    layout: &mut dyn Growing,
    disks: &mut Disks,
    holes: &mut Holes<'_>,
    (start, end): (u64, u64),
    counted: Counted,
) -> Result<u64, OperationError> {
    let mut places = Places {
        packing: layout.packing().filter(|packing| !packing.plain),
        layout,
        placed: 0,
    };
    let mut position = start;
    while position < end {
        let left = end.saturating_sub(position);
        let offset = position.saturating_sub(start);
        if counted == Counted::All {
            places.put(offset, left)?;
            break;
        }
        let extent = holes.see(disks.locate(position, left)?.extent)?;
        if !matches!(extent.kind, ExtentKind::Zero | ExtentKind::Unallocated) {
            places.put(offset, extent.length)?;
        }
        position = position.saturating_add(extent.length);
    }
    places.layout.finish().for_each(drop);
    Ok(places.layout.file_length())
}

struct Places<'a> {
    layout: &'a mut dyn Growing,
    /// How blocks are compressed where all are.
    packing: Option<Packing>,
    /// End of the last block that was compressed (byte offset in the disk).
    placed: u64,
}

impl Places<'_> {
    fn put(&mut self, offset: u64, length: u64) -> Result<(), OperationError> {
        let end = offset.saturating_add(length);
        let Some(packing) = self.packing else {
            let mut at = offset;
            while at < end {
                let placed = self
                    .layout
                    .place(at, end.saturating_sub(at))
                    .map_err(refused)?;
                at = at.saturating_add(placed.length.max(1));
            }
            return Ok(());
        };
        let block = packing.block;
        // What cannot be compressed becomes a little longer.
        let most = block.saturating_add(block / 512).saturating_add(64);
        let mut at = offset
            .saturating_sub(offset.checked_rem(block).unwrap_or(0))
            .max(self.placed);
        while at < end {
            self.layout.place_compressed(at, most).map_err(refused)?;
            at = at.saturating_add(block);
        }
        self.placed = at;
        Ok(())
    }
}

fn refused(error: LayoutError) -> OperationError {
    match error {
        LayoutError::TooBig { .. } => OperationError::plain(
            error_kind::OUTPUT_TOO_BIG,
            0,
            "the output would be larger than its format can be",
        ),
        _ => internal("a block could not be placed"),
    }
}
