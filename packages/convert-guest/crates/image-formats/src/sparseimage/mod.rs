//! Apple's sparse images before ASIF (`.sparseimage`, "UDSP"): a header that says of each band of the file which band of the
//! disk it is, and the bands. Apple documents nothing; the structures are those of libyal's working document.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::blocks::{self, BlockDisk, BlockSize, Piece, Run, read_header};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, Image};
use crate::facts::{Facts, ListLimits};
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::sparseimage::header;
use crate::within::{Beyond, Within};

const MAGIC: &[u8] = b"sprs";
const VERSION: u32 = 3;
/// Bytes of an entry.
const ENTRY: usize = 4;
/// Entries that the header has room for; how images with more bands go on, nobody has told.
const MOST_BANDS: u64 = 1008;
/// A band of the disk that the file does not have.
const NONE: u32 = u32::MAX;

/// Whether a file begins like a sparse image.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.head.starts_with(MAGIC)
}

/// Opens an image.
///
/// # Errors
/// `NotThisFormat`, `UnsupportedVersion`, `BadClusterSize`, `UnsupportedVariant` where there are more bands than are known to be
/// described, `BadTable` for a band that is not of the disk, or is there twice.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let bytes = read_header(&mut cache, 0, header::BYTES)?;
    let head = Structure::new(&bytes, 0, device, ErrorKind::BadHeader);
    if head.bytes(header::MAGIC)? != MAGIC {
        let expected = Expected::Sentence("\"sprs\"");
        return Err(head.refuse(header::MAGIC, ErrorKind::NotThisFormat, 0, expected));
    }
    let version = head.get(header::VERSION)?;
    if version.value != VERSION {
        let expected = Expected::Value(VERSION.into());
        return Err(version.refuse(ErrorKind::UnsupportedVersion, expected));
    }
    let sectors = head.get(header::SECTORS_PER_BAND)?;
    let band = BlockSize::new(SECTOR.size().saturating_mul(sectors.value.into()))
        .ok_or_else(|| sectors.refuse(ErrorKind::BadClusterSize, Expected::AtLeast(1)))?;
    let count = head.get(header::SECTOR_COUNT)?;
    let size = SECTOR.size().saturating_mul(count.value.into());
    let bands = band.count_for(size);
    if bands > MOST_BANDS {
        let most = SECTOR.index_of(band.times(MOST_BANDS));
        return Err(count.refuse(ErrorKind::UnsupportedVariant, Expected::AtMost(most)));
    }
    let places = places(&head, bands)?;
    Ok(Box::new(SparseImage {
        cache,
        band,
        places,
        size,
    }))
}

/// Which band of the file each band of the disk is.
fn places(head: &Structure<'_>, bands: u64) -> Result<Vec<u32>, FormatError> {
    let mut places = vec![NONE; to_usize(bands)];
    let (entries, _) = head.bytes(header::BANDS)?.as_chunks::<ENTRY>();
    for (slot, entry) in (0_u32..).zip(entries) {
        let number = u32::from_be_bytes(*entry);
        let Some(index) = number.checked_sub(1) else {
            continue;
        };
        match places.get_mut(to_usize(index.into())) {
            Some(place @ &mut NONE) => *place = slot,
            _ => {
                let at = header::BANDS
                    .offset()
                    .saturating_add(to_usize(slot.into()).saturating_mul(ENTRY));
                let expected = Expected::Sentence("a band of the disk that is in the file once");
                return Err(head.refuse_at(
                    "band",
                    at,
                    ErrorKind::BadTable,
                    number.into(),
                    expected,
                ));
            }
        }
    }
    Ok(places)
}

struct SparseImage<S> {
    cache: MetadataCache<S>,
    band: BlockSize,
    /// Bands of the file by those of the disk.
    places: Vec<u32>,
    /// Bytes of the disk.
    size: u64,
}

impl<S> SparseImage<S> {
    /// Where a band of the disk lies in the file; `None` where it does not.
    fn place(&self, band: u64) -> Option<u64> {
        let slot = self.places.get(to_usize(band)).copied();
        let slot = slot.filter(|slot| *slot != NONE)?;
        Some(to_u64(header::BYTES).saturating_add(self.band.times(slot.into())))
    }
}

impl<S: ByteSource> BlockDisk for SparseImage<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn file(&self) -> (DeviceIndex, u64) {
        (self.cache.device(), self.cache.file_size())
    }

    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let band = self.band.index_of(position);
        let within = self.band.within(position);
        let end = self.band.times(band.saturating_add(1)).min(limit);
        Ok(Run {
            piece: self.place(band).map_or(Piece::Zero, |place| {
                Piece::Data(place.saturating_add(within))
            }),
            length: end.saturating_sub(position),
            cost: to_u64(ENTRY),
        })
    }

    fn entry(&mut self, position: u64) -> Result<(&'static str, u64), FormatError> {
        let band = self.band.index_of(position);
        let slot = self.places.get(to_usize(band)).copied().unwrap_or(0);
        let at = header::BANDS.place(0);
        Ok((
            "band",
            at.saturating_add(u64::from(slot).saturating_mul(to_u64(ENTRY))),
        ))
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: "bands",
            at: header::BANDS.place(0),
            end: to_u64(header::BYTES),
        }]
    }
}

impl<S: ByteSource> Image for SparseImage<S> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        blocks::map(self, offset, max_length)
    }
}

impl<S: ByteSource> FormatImage for SparseImage<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts {
            version: VERSION,
            cluster_size: self.band.bytes(),
            ..Facts::default()
        })
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        blocks::within_file(self, budget)
    }
}
