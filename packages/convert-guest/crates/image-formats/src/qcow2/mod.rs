//! qcow2, versions 2 and 3, for reading (the QEMU documentation's `interop/qcow2.txt`).

pub mod bitmap;
mod bitmap_bits;
mod check;
mod compressed;
mod edit;
mod encryption;
pub mod extensions;
mod facts;
pub mod features;
pub mod header;
mod l1;
mod l2;
mod map;
mod other_bitmaps;
mod refcounts;
pub mod snapshot;
mod within;
pub mod writer;

use alloc::vec::Vec;

use crate::arith::{SECTOR, to_usize};
use crate::encrypted::ClusterKey;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::luks;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};

pub use bitmap::Bitmap;
pub use edit::{edit, edit_key_slots, open_writer, take_bitmaps};
pub use extensions::Extensions;
pub use facts::{open, probe};
pub use header::{Encryption, Header};
pub use other_bitmaps::bitmaps_of;
pub use snapshot::Snapshot;
pub use writer::{DenseLayout, LayoutError, LayoutOptions};

/// The host file that guest data lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DataFile {
    device: DeviceIndex,
    /// Bytes.
    size: u64,
}

/// An open qcow2 image.
///
/// Opening checks what QEMU checks when it opens an image for reading, without the files that the
/// image names: those are the caller's to open, after a look at their names.
#[derive(Debug)]
pub struct Qcow2Image<S> {
    cache: MetadataCache<S>,
    header: Header,
    extensions: Extensions,
    backing_name: Option<Vec<u8>>,
    data_file: Option<DataFile>,
    /// The header of the encryption.
    luks: Option<luks::Header>,
    /// Opens encrypted clusters, once a passphrase has fitted.
    key: Option<ClusterKey>,
    virtual_size: u64,
}

impl<S: ByteSource> Qcow2Image<S> {
    /// Reads and checks the header, its extensions, and the lists of snapshots and bitmaps.
    ///
    /// # Errors
    /// Everything that QEMU refuses, as one [`ErrorKind`] for each rule. An encrypted image and one
    /// whose data file has not been attached open (for information) and fail when they are mapped.
    pub fn open(source: S, device: DeviceIndex, cache_blocks: usize) -> Result<Self, FormatError> {
        let mut cache = MetadataCache::new(source, device, cache_blocks);
        let header = Header::read(&mut cache)?;
        let extensions = Extensions::read(&mut cache, &header)?;
        let luks = encryption::read_header(&mut cache, &header, &extensions)?;
        let backing_name = read_backing_name(&mut cache, &header)?;
        if header.is_data_file_raw() && !header.has_data_file() {
            let expected = Expected::Sentence("no raw data file without a data file");
            return Err(header
                .autoclear
                .refuse(ErrorKind::DataFileUnexpected, expected));
        }
        let data_file = (!header.has_data_file()).then(|| DataFile {
            device,
            size: cache.file_size(),
        });
        let virtual_size = SECTOR.round_down(header.size);
        let mut snapshots = snapshot::Walk::new(&header, virtual_size);
        while snapshots.next(&mut cache, false)?.is_some() {}
        if let Some(directory) = extensions.bitmaps {
            let mut bitmaps = bitmap::Walk::new(directory);
            while bitmaps
                .next(&mut cache, &header, virtual_size, false)?
                .is_some()
            {}
        }
        Ok(Self {
            cache,
            header,
            extensions,
            backing_name,
            data_file,
            luks,
            key: None,
            virtual_size,
        })
    }

    /// Says which host file is the external data file, and how many bytes it has.
    ///
    /// # Errors
    /// `DataFileUnexpected` when the image keeps its data in itself.
    pub fn attach_data_file(&mut self, device: DeviceIndex, size: u64) -> Result<(), FormatError> {
        if !self.header.has_data_file() {
            let field = Field {
                value: self.header.incompatible,
                name: "incompatible_features",
                offset: 72,
                device: self.cache.device(),
            };
            let expected = Expected::Sentence("the data-file bit");
            return Err(field.refuse(ErrorKind::DataFileUnexpected, expected));
        }
        self.data_file = Some(DataFile { device, size });
        Ok(())
    }

    /// The image file.
    pub fn device(&self) -> DeviceIndex {
        self.cache.device()
    }

    /// Bytes of the image file.
    pub fn file_size(&self) -> u64 {
        self.cache.file_size()
    }

    /// The checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the header extensions say.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The backing file's name as written, never empty; `None` for an image without one.
    pub fn backing_name(&self) -> Option<&[u8]> {
        self.backing_name.as_deref()
    }

    /// Whether the image needs an external data file that has not been attached.
    pub fn lacks_data_file(&self) -> bool {
        self.data_file.is_none()
    }

    /// Lists the internal snapshots, at most `limit` of them.
    ///
    /// # Errors
    /// `SourceFailed` or `OutOfMemory`; the list itself was checked when the image was opened.
    pub fn snapshots(&mut self, limit: usize) -> Result<Vec<Snapshot>, FormatError> {
        let mut walk = snapshot::Walk::new(&self.header, self.virtual_size);
        let mut list = Vec::new();
        while list.len() < limit {
            let Some(snapshot) = walk.next(&mut self.cache, true)? else {
                break;
            };
            list.push(snapshot);
        }
        Ok(list)
    }

    /// Lists the persistent bitmaps, at most `limit` of them.
    ///
    /// # Errors
    /// As for [`snapshots`](Self::snapshots).
    pub fn bitmaps(&mut self, limit: usize) -> Result<Vec<Bitmap>, FormatError> {
        let Some(directory) = self.extensions.bitmaps else {
            return Ok(Vec::new());
        };
        let mut walk = bitmap::Walk::new(directory);
        let mut list = Vec::new();
        while list.len() < limit {
            let size = self.virtual_size;
            let next = walk.next(&mut self.cache, &self.header, size, true)?;
            let Some(bitmap) = next else { break };
            list.push(bitmap);
        }
        Ok(list)
    }
}

/// qcow2.txt "Header", bytes 8 to 19. A name of no bytes is no name.
fn read_backing_name<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
) -> Result<Option<Vec<u8>>, FormatError> {
    let offset = header.backing_name_offset.value;
    if offset == 0 {
        return Ok(None);
    }
    let length = header.backing_name_length;
    let most = header.max_backing_name();
    if u64::from(length.value) > most {
        return Err(length.refuse(ErrorKind::BadBackingName, Expected::AtMost(most)));
    }
    let name = cache.read_vec(offset, to_usize(u64::from(length.value)))?;
    Ok(Some(extensions::until_nul(name)).filter(|name| !name.is_empty()))
}
