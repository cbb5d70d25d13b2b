//! Hyper-V disks (VHDX; [MS-VHDX]), fixed, dynamic and differencing.

mod bat;
mod check;
pub(crate) mod crc32c;
mod edit;
mod growth;
pub(crate) mod guid;
mod header;
pub(crate) mod locator;
mod log;
mod metadata;
mod parent;
mod regions;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::blocks::{BlockSize, TableDisk};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::facts::Facts;
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};

use bat::AllocationTable;
pub use edit::edit;
use header::Header;
use metadata::Metadata;
use regions::{Region, Regions};
pub use write::open_writer;

/// Whether a file begins with the signature.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(header::MAGIC)
}

/// Opens an image. A log that was left is replayed in memory.
///
/// # Errors
/// What the readers of the headers, the log, the regions and the metadata refuse.
pub fn open<'a, S: ByteSource + 'a>(
    mut source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let header = Header::read(&mut source, device)?;
    let source = log::replay(source, device, &header)?;
    let patches = source.patches().to_vec();
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let regions = Regions::read(&mut cache)?;
    let metadata = Metadata::read(&mut cache, regions.metadata)?;
    let block_bytes = u64::from(metadata.block_size);
    let block = BlockSize::new(block_bytes).ok_or_else(|| {
        let expected = Expected::AtLeast(1);
        let kind = ErrorKind::BadClusterSize;
        FormatError::new(kind, device, "BlockSize", 0, 0, expected)
    })?;
    let log = Region {
        offset: header.log_offset,
        length: header.log_length,
        field: 0,
    };
    let layout = AllocationTable::new(device, block, &metadata, regions, log, &patches)?;
    let (name, parent_identities) = match metadata.parent_locator {
        Some(locator) => {
            let parent = parent::read(&mut cache, locator)?;
            (Some(parent.name), parent.identities)
        }
        None => (None, Vec::new()),
    };
    let facts = Facts {
        version: 1,
        cluster_size: block_bytes,
        backing_format: name.is_some().then(|| b"vhdx".to_vec()),
        backing_file: name,
        identity: Some(header.data_write_guid),
        parent_identities,
        ..Facts::default()
    };
    Ok(Box::new(TableDisk {
        cache,
        layout,
        size: metadata.size,
        facts,
    }))
}
