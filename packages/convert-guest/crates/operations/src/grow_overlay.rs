//! An image over another one grows whose disk ends within a unit: what the other one has behind that end is not to show.

use instar_abi::device_role;
use instar_image_formats::{Chain, DiskWriter, Edited};

use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit::bad_config;
use crate::edit_content::OpenWriter;
use crate::error::OperationError;
use crate::open_chain::GuestImage;
use crate::zeros::is_zero;

/// Gives the disk of the edited image, whose chain is COMPARED, `size` bytes, with a place in the file where `preallocate` says so.
pub fn grow_overlay(
    size: u64,
    preallocate: bool,
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
) -> Result<Edited, OperationError> {
    let mut own = reader.setup.open(device_role::COMPARED)?;
    let mut writer = writer()?;
    if size <= writer.virtual_size() {
        return Err(bad_config("the disk does not become larger"));
    }
    pad(&mut *writer, reader, &mut own)?;
    writer.grow(size, preallocate)?;
    Ok(writer.finish()?)
}

/// Writes the last unit of a disk as a whole, where the disk ends within it: what the disk shows there, and zeros behind its end.
/// `own` is the chain of the image that is written.
pub fn pad(
    writer: &mut dyn DiskWriter,
    reader: &mut DiskReader<'_>,
    own: &mut Chain<GuestImage>,
) -> Result<(), OperationError> {
    let (unit, end) = (writer.unit(), writer.virtual_size());
    let length = end.checked_rem(unit).unwrap_or(0);
    if length == 0 {
        return Ok(());
    }
    let start = end.saturating_sub(length);
    let mut content = buffer_of(length)?;
    reader.read(own, start, &mut content)?;
    if is_zero(&content) {
        writer.zero(start, length)?;
    } else {
        writer.write(start, &content)?;
    }
    Ok(())
}
