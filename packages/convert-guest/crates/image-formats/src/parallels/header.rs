//! The header: 64 bytes, little-endian; the block allocation table follows it.

use crate::arith::SECTOR;
use crate::blocks::{BlockSize, read_header};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::parallels::header;

/// Entries count sectors, and the disk's size has 32 bits.
pub(super) const MAGIC: &[u8; 16] = b"WithoutFreeSpace";
/// Entries count clusters.
pub(super) const MAGIC_EXT: &[u8; 16] = b"WithouFreSpacExt";

const VERSION: u32 = 2;
/// QEMU's limit: a cluster's bytes fit 31 bits.
const MOST_TRACKS: u32 = 0x7fff_ffff / 513;
/// QEMU's limit: the bytes of the table fit 31 bits.
const MOST_ENTRIES: u32 = 0x7fff_ffff / 4;
/// The image is open for writing, or was not closed.
const IN_USE: u32 = 0x746f_6e59;

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub version: u32,
    pub cluster: BlockSize,
    /// Entries of the block allocation table.
    pub entries: u64,
    /// What an entry of 1 stands for (sectors).
    pub sectors_of_entry: u64,
    /// Bytes of the disk.
    pub size: u64,
    pub in_use: bool,
    /// Where the first cluster may lie (sectors); 0 where an image with entries in sectors does not say.
    pub data_offset: Field<u32>,
    /// Entries count clusters.
    pub extended: bool,
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// `NotThisFormat`, `UnsupportedVersion`, `BadClusterSize`, `BadTable` or `ImageTooBig`.
    pub fn read<S: ByteSource>(cache: &mut MetadataCache<S>) -> Result<Self, FormatError> {
        let device = cache.device();
        let bytes = read_header(cache, 0, header::BYTES)?;
        let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
        let magic = head.bytes(header::MAGIC)?;
        let extended = magic == MAGIC_EXT;
        if !extended && magic != MAGIC {
            let expected = Expected::Sentence("\"WithoutFreeSpace\" or \"WithouFreSpacExt\"");
            let kind = ErrorKind::NotThisFormat;
            return Err(FormatError::new(kind, device, "magic", 0, 0, expected));
        }
        let version = head.get(header::VERSION)?;
        if version.value != VERSION {
            let expected = Expected::Value(VERSION.into());
            return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
        }
        let tracks = head.get(header::TRACKS)?;
        let cluster = BlockSize::new(SECTOR.size().saturating_mul(tracks.value.into()))
            .filter(|_| tracks.value <= MOST_TRACKS)
            .ok_or_else(|| {
                let expected = Expected::Between(1, MOST_TRACKS.into());
                tracks.refuse(ErrorKind::BadClusterSize, expected)
            })?;
        let entries = head.get(header::BAT_ENTRIES)?;
        if entries.value > MOST_ENTRIES {
            let expected = Expected::AtMost(MOST_ENTRIES.into());
            return Err(entries.refuse(ErrorKind::BadTable, expected));
        }
        let sectors = head.get(header::NB_SECTORS)?;
        let in_use = head.get(header::INUSE)?;
        let count = if extended {
            sectors.value
        } else {
            sectors.value & 0xffff_ffff
        };
        let most = u64::MAX >> 10;
        if count > most {
            return Err(sectors.refuse(ErrorKind::ImageTooBig, Expected::AtMost(most)));
        }
        Ok(Self {
            version: version.value,
            cluster,
            entries: entries.value.into(),
            sectors_of_entry: if extended { tracks.value.into() } else { 1 },
            size: SECTOR.times(count).unwrap_or(0),
            in_use: in_use.value == IN_USE,
            data_offset: head.get(header::DATA_OFF)?,
            extended,
        })
    }
}
