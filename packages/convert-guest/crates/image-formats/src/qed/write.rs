//! QED images are written to: new clusters and tables get their places behind the last.

use alloc::boxed::Box;

use super::QedTables;
use super::header::Header;
use crate::blocks::{Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

/// The entry of a cluster of zeros.
const ZEROS: u64 = 1;
/// Bytes of an entry.
const ENTRY: u64 = 8;

impl Writable for QedTables {
    fn place(&self, end: u64) -> Option<u64> {
        let cluster = self.header.cluster;
        Some(cluster.times(cluster.count_for(end)))
    }

    fn name(&self, place: u64) -> Option<u64> {
        Some(place)
    }

    fn zeros(&self) -> Option<u64> {
        Some(ZEROS)
    }

    fn new_table(&self, place: u64) -> Option<(u64, u64)> {
        Some((self.header.entries.saturating_mul(ENTRY), place))
    }

    fn reach(&mut self, end: u64) {
        self.file_size = self.file_size.max(end);
    }
}

/// Opens the image in `target` for writing its disk.
///
/// # Errors
/// What [`Header::read`] refuses, `RepairFirst`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    require_sound(&mut target, device, Format::Qed)?;
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let header = Header::read(&mut cache)?;
    let is_above = header.read_backing_name(&mut cache)?.is_some();
    drop(cache);
    let end = target.size();
    let shape = (header.size, header.cluster.bytes());
    let layout = QedTables {
        device,
        file_size: end,
        header,
    };
    let file = StagedFile::new(target, device);
    Ok(open_blocks(file, layout, shape, is_above, end))
}
