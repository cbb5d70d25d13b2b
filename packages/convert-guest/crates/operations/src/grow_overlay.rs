//! An image over another one grows whose disk ends within a unit: what the other one has behind that end is not to show.

use instar_abi::device_role;
use instar_image_formats::Edited;

use crate::disk_reader::{DiskReader, buffer_of};
use crate::edit::bad_config;
use crate::edit_content::OpenWriter;
use crate::error::OperationError;
use crate::zeros::is_zero;

/// Gives the disk of the edited image, whose chain is COMPARED, `size` bytes: the last unit is written as a whole first, with what the
/// disk shows there and zeros behind its end.
pub fn grow_overlay(
    size: u64,
    writer: OpenWriter<'_>,
    reader: &mut DiskReader<'_>,
) -> Result<Edited, OperationError> {
    let mut own = reader.setup.open(device_role::COMPARED)?;
    let mut writer = writer()?;
    let (unit, end) = (writer.unit(), writer.virtual_size());
    if size <= end {
        return Err(bad_config("the disk does not become larger"));
    }
    let length = end.checked_rem(unit).unwrap_or(0);
    if length > 0 {
        let start = end.saturating_sub(length);
        let mut content = buffer_of(length)?;
        reader.read(&mut own, start, &mut content)?;
        if is_zero(&content) {
            writer.zero(start, length)?;
        } else {
            writer.write(start, &content)?;
        }
    }
    writer.grow(size)?;
    Ok(writer.finish()?)
}
