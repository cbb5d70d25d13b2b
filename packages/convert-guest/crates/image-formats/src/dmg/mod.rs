//! Apple disk images (UDIF): a trailer names a property list or a resource fork, whose data says where each run of sectors
//! lies and how it is compressed. Nothing of the format is documented by Apple; the structures are those that QEMU, libyal's `libmodi` and
//! `dmg2img` agree on.

mod plist;
mod resource_fork;
mod runs;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::arith::SECTOR;
use crate::blocks::{self, BlockDisk, Piece, Run, Stream, read_header};
use crate::disk_image::OpenOptions;
use crate::driver::FormatImage;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Codec, Extent, Image};
use crate::facts::{Facts, ListLimits};
use crate::metadata_cache::MetadataCache;
use crate::probe::Ends;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::dmg::trailer;
use crate::within::{Beyond, Within};

use runs::{Kind, Sectors};

const MAGIC: &[u8; 4] = b"koly";
/// Most bytes of a property list that are looked at.
const MOST_PLIST: u64 = 64 << 20;
const MOST_SECTORS: u64 = i64::MAX.unsigned_abs() >> 9;

/// Whether a file has the trailer.
pub fn probe(ends: &Ends<'_>) -> bool {
    ends.trailer.starts_with(MAGIC)
}

/// Opens an image.
///
/// # Errors
/// `NotThisFormat`, `UnsupportedVariant`, `BadTable`, `ImageTooBig`.
pub fn open<'a, S: ByteSource + 'a>(
    source: S,
    device: DeviceIndex,
    options: OpenOptions,
) -> Result<Box<dyn FormatImage + 'a>, FormatError> {
    let mut cache = MetadataCache::new(source, device, options.cache_blocks);
    let at = cache.file_size().saturating_sub(SECTOR.size());
    let bytes = read_header(&mut cache, at, trailer::BYTES)?;
    let head = Structure::new(&bytes, at, device, ErrorKind::BadHeader);
    if head.bytes(trailer::MAGIC)? != MAGIC {
        let expected = Expected::Sentence("\"koly\"");
        let kind = ErrorKind::NotThisFormat;
        return Err(FormatError::new(kind, device, "magic", at, 0, expected));
    }
    let data_fork = head.get(trailer::DATA_FORK_OFFSET)?;
    let fork = head.get(trailer::RESOURCE_FORK_OFFSET)?;
    let fork_length = head.get(trailer::RESOURCE_FORK_LENGTH)?;
    let plist = head.get(trailer::PROPERTY_LIST_OFFSET)?;
    let length = head.get(trailer::PROPERTY_LIST_LENGTH)?;
    let count = head.get(trailer::SECTOR_COUNT)?;
    if count.value > MOST_SECTORS {
        return Err(count.refuse(ErrorKind::ImageTooBig, Expected::AtMost(MOST_SECTORS)));
    }
    let size = SECTOR.times(count.value).unwrap_or(0);
    if fork_length.value != 0 {
        let runs = resource_fork::read(&mut cache, fork, fork_length, data_fork.value)?;
        return Ok(Box::new(DmgDisk {
            cache,
            runs,
            list: ("resource fork", fork.offset),
            list_end: fork.value.saturating_add(fork_length.value),
            size,
        }));
    }
    if length.value == 0 || length.value > MOST_PLIST {
        let expected = Expected::Sentence("a property list of at most 64 MiB");
        return Err(length.refuse(ErrorKind::UnsupportedVariant, expected));
    }
    let end = plist.value.saturating_add(length.value);
    if end > cache.file_size() {
        let expected = Expected::Sentence("a property list inside the file");
        return Err(plist.refuse(ErrorKind::BadTable, expected));
    }
    let runs = runs::read(&mut cache, plist, length.value, data_fork.value)?;
    Ok(Box::new(DmgDisk {
        cache,
        runs,
        list: ("property list", plist.offset),
        list_end: end,
        size,
    }))
}

struct DmgDisk<S> {
    cache: MetadataCache<S>,
    /// In the order of the disk, without overlaps.
    runs: Vec<Sectors>,
    /// What lists the tables of runs: its name, where its offset stands, and where it ends (byte offsets in the file).
    list: (&'static str, u64),
    list_end: u64,
    size: u64,
}

impl<S: ByteSource> DmgDisk<S> {
    /// The run around `position`.
    fn run_at(&self, position: u64) -> Result<Sectors, FormatError> {
        let behind = self.runs.partition_point(|run| run.start <= position);
        let run = behind.checked_sub(1).and_then(|index| self.runs.get(index));
        let run = run.filter(|run| position < run.end());
        run.copied().ok_or_else(|| {
            let expected = Expected::Sentence("a run for every sector of the disk");
            let kind = ErrorKind::BadTableEntry;
            let device = self.cache.device();
            FormatError::new(kind, device, "runs", self.list.1, position, expected)
        })
    }
}

impl<S: ByteSource> BlockDisk for DmgDisk<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn file(&self) -> (DeviceIndex, u64) {
        (self.cache.device(), self.cache.file_size())
    }

    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError> {
        let run = self.run_at(position)?;
        let within = position.saturating_sub(run.start);
        let packed = |codec| {
            Piece::Compressed(Stream {
                codec,
                offset: run.offset,
                max_length: run.stored,
                start: run.start,
                size: run.length,
            })
        };
        let piece = match run.kind {
            Kind::Zero => Piece::Zero,
            Kind::Raw => Piece::Data(run.offset.saturating_add(within)),
            Kind::Adc => packed(Codec::Adc),
            Kind::Zlib => packed(Codec::Zlib),
            Kind::Bzip2 => packed(Codec::Bzip2),
            Kind::Xz => packed(Codec::Xz),
            Kind::Lzfse => packed(Codec::Lzfse),
            Kind::Other(code) => {
                let expected = Expected::Sentence("raw, zeros, ADC, zlib, bzip2, LZMA or LZFSE");
                let device = self.cache.device();
                let kind = ErrorKind::UnsupportedVariant;
                let field = "compression of a run";
                let code = u64::from(code);
                return Err(FormatError::new(
                    kind,
                    device,
                    field,
                    self.list.1,
                    code,
                    expected,
                ));
            }
        };
        Ok(Run {
            piece,
            length: run.end().min(limit).saturating_sub(position),
            cost: 40,
        })
    }

    fn entry(&mut self, _: u64) -> Result<(&'static str, u64), FormatError> {
        Ok(("run", self.list.1))
    }

    fn tables(&self) -> Vec<Beyond> {
        vec![Beyond {
            field: self.list.0,
            at: self.list.1,
            end: self.list_end,
        }]
    }

    fn refuses_beyond(&self) -> bool {
        true
    }
}

impl<S: ByteSource> Image for DmgDisk<S> {
    fn virtual_size(&self) -> u64 {
        self.size
    }

    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        blocks::map(self, offset, max_length)
    }
}

impl<S: ByteSource> FormatImage for DmgDisk<S> {
    fn facts(&mut self, _: ListLimits) -> Result<Facts, FormatError> {
        Ok(Facts::default())
    }

    fn within_file(&mut self, budget: u64) -> Result<Within, FormatError> {
        blocks::within_file(self, budget)
    }
}
