//! qcow images are written to: new clusters and tables get their places behind the last.

use alloc::boxed::Box;

use super::header::Header;
use crate::blocks::{Layout, Writable, open_blocks};
use crate::edit::{Borrowed, DiskWriter, EditTarget};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::probe::Format;
use crate::resizing::require_sound;
use crate::source::DeviceIndex;
use crate::staged_file::StagedFile;

/// Bytes of an entry.
const ENTRY: u64 = 8;

impl Writable for Header {
    fn place(&self, end: u64) -> Option<u64> {
        self.cluster.round_up(end)
    }

    fn name(&self, place: u64) -> Option<u64> {
        // The highest bit says that a cluster is compressed.
        (place < 1 << 63).then_some(place)
    }

    fn new_table(&self, place: u64) -> Option<(u64, u64)> {
        let entries = self.cluster.index_of(self.l1_span.bytes());
        Some((entries.saturating_mul(ENTRY), place))
    }
}

/// Opens the image in `target` for writing its disk.
///
/// # Errors
/// What [`Header::read`] refuses, `Encrypted`, `RepairFirst`, and `SourceFailed`.
pub fn open_writer<'a, T: EditTarget + 'a>(
    mut target: T,
    device: DeviceIndex,
) -> Result<Box<dyn DiskWriter + 'a>, FormatError> {
    let mut cache = MetadataCache::new(Borrowed(&mut target), device, 2);
    let header = Header::read(&mut cache)?;
    if let Some(error) = header.refusal() {
        return Err(error);
    }
    let is_above = header.read_backing_name(&mut cache)?.is_some();
    drop(cache);
    require_sound(&mut target, device, Format::Qcow)?;
    let end = target.size().max(header.l1().file_end());
    let file = StagedFile::new(target, device);
    let shape = (header.size, header.cluster.size());
    Ok(open_blocks(file, header, shape, is_above, end))
}
