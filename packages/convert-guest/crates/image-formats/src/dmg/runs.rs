//! Runs of sectors: the tables ("mish") in the property list, or in the resource fork.

use alloc::vec::Vec;

use crate::arith::{SECTOR, to_u64, to_usize};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::{ByteSource, DeviceIndex};
use crate::structure::Structure;
use crate::structures::dmg::{run, table};

use super::plist::{Event, Scanner};

const MAGIC: &[u8; 4] = b"mish";
/// Most runs: 10 MiB of the reader's memory, which is enough for 64 GiB in runs of 256 KiB.
const MOST_RUNS: usize = 1 << 18;
/// Most bytes of a compressed run, and of its stream: what passes through the reader's memory.
const MOST_PACKED: u64 = 2 << 20;

/// How a run is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zero,
    Raw,
    Adc,
    Zlib,
    Bzip2,
    Xz,
    Lzfse,
    /// Known by its number only.
    Other(u32),
}

/// A run of sectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sectors {
    pub kind: Kind,
    /// Virtual offset (bytes).
    pub start: u64,
    /// Bytes of the disk.
    pub length: u64,
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes there.
    pub stored: u64,
}

impl Sectors {
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// One table while its bytes arrive.
#[derive(Default)]
struct Gathering {
    bytes: Vec<u8>,
    /// First sector of the disk that the table is about, and byte offset of its data; once the header is complete.
    base: Option<(u64, u64)>,
    /// It is no table: its magic is another.
    foreign: bool,
}

/// Reads all runs, in the order of the disk.
///
/// # Errors
/// `BadTable` for runs that overlap or are too many, `UnsupportedVariant` for compressed ones that are too large.
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    plist: Field<u64>,
    length: u64,
    data_fork: u64,
) -> Result<Vec<Sectors>, FormatError> {
    let device = cache.device();
    let mut runs = Runs::new(plist, device, data_fork);
    let mut scanner = Scanner::default();
    let (mut at, end) = (plist.value, plist.value.saturating_add(length));
    while at < end {
        let text = cache.view(at, to_usize(end.saturating_sub(at)))?;
        for byte in text {
            match scanner.take(*byte) {
                Event::Begin => runs.begin_table(),
                Event::Byte(byte) => runs.take(byte)?,
                Event::End | Event::None => {}
            }
        }
        at = at.saturating_add(to_u64(text.len()));
    }
    runs.in_order()
}

/// The runs of all tables, while the tables' bytes arrive.
pub(super) struct Runs {
    /// What the tables are listed by.
    list: Field<u64>,
    device: DeviceIndex,
    data_fork: u64,
    table: Gathering,
    runs: Vec<Sectors>,
}

impl Runs {
    pub fn new(list: Field<u64>, device: DeviceIndex, data_fork: u64) -> Self {
        let (table, runs) = (Gathering::default(), Vec::new());
        Self {
            list,
            device,
            data_fork,
            table,
            runs,
        }
    }

    /// What follows belongs to another table.
    pub fn begin_table(&mut self) {
        self.table = Gathering::default();
    }

    /// Takes the next byte of a table.
    pub fn take(&mut self, byte: u8) -> Result<(), FormatError> {
        let (at, device) = (self.list.offset, self.device);
        if let Some(run) = self.table.take(byte, at, device, self.data_fork)? {
            if self.runs.len() >= MOST_RUNS {
                let expected = Expected::Sentence("at most 262144 runs");
                return Err(self.list.refuse(ErrorKind::BadTable, expected));
            }
            self.runs.push(run);
        }
        Ok(())
    }

    /// All runs, in the order of the disk.
    pub fn in_order(mut self) -> Result<Vec<Sectors>, FormatError> {
        self.runs.sort_by_key(|run| run.start);
        let overlap = self.runs.windows(2).any(|pair| match pair {
            [first, second] => first.end() > second.start,
            _ => false,
        });
        if overlap {
            let expected = Expected::Sentence("runs that do not overlap");
            return Err(self.list.refuse(ErrorKind::BadTable, expected));
        }
        Ok(self.runs)
    }
}

impl Gathering {
    /// Takes a byte; gives the run that it completes.
    fn take(
        &mut self,
        byte: u8,
        at: u64,
        device: DeviceIndex,
        data_fork: u64,
    ) -> Result<Option<Sectors>, FormatError> {
        if self.foreign {
            return Ok(None);
        }
        self.bytes.push(byte);
        let Some((first, data)) = self.base else {
            if self.bytes.len() == MAGIC.len() && self.bytes != MAGIC {
                self.foreign = true;
            }
            if self.bytes.len() == table::BYTES {
                let head = Structure::new(&self.bytes, at, device, ErrorKind::BadTable);
                let first = head.get(table::FIRST_SECTOR)?.value;
                let data = head.get(table::DATA_OFFSET)?.value;
                self.base = Some((first, data.saturating_add(data_fork)));
                self.bytes.clear();
            }
            return Ok(None);
        };
        if self.bytes.len() < run::BYTES {
            return Ok(None);
        }
        let run = parse(&self.bytes, at, device, first, data)?;
        self.bytes.clear();
        Ok(run)
    }
}

/// One run; `None` for comments and the end.
fn parse(
    bytes: &[u8],
    at: u64,
    device: DeviceIndex,
    first: u64,
    data: u64,
) -> Result<Option<Sectors>, FormatError> {
    let head = Structure::new(bytes, at, device, ErrorKind::BadTable);
    let code = head.get(run::TYPE)?;
    let sector = head.get(run::FIRST_SECTOR)?;
    let count = head.get(run::SECTOR_COUNT)?;
    let offset = head.get(run::OFFSET)?.value;
    let stored = head.get(run::LENGTH)?;
    let kind = match code.value {
        0 | 2 => Kind::Zero,
        1 => Kind::Raw,
        0x8000_0004 => Kind::Adc,
        0x8000_0005 => Kind::Zlib,
        0x8000_0006 => Kind::Bzip2,
        0x8000_0007 => Kind::Lzfse,
        // "LZMA": in streams of xz.
        0x8000_0008 => Kind::Xz,
        // A comment, and the end.
        0x7fff_fffe | 0xffff_ffff => return Ok(None),
        code => Kind::Other(code),
    };
    let start = first.saturating_add(sector.value);
    let end = start.saturating_add(count.value);
    let most = u64::MAX >> 10;
    if count.value == 0 || end > most {
        return match count.value {
            0 => Ok(None),
            _ => Err(count.refuse(ErrorKind::BadTable, Expected::AtMost(most))),
        };
    }
    let length = SECTOR.times(count.value).unwrap_or(u64::MAX);
    let packed = !matches!(kind, Kind::Zero | Kind::Raw | Kind::Other(_));
    if packed && (length > MOST_PACKED || stored.value > MOST_PACKED.saturating_mul(2)) {
        let expected = Expected::AtMost(SECTOR.index_of(MOST_PACKED));
        return Err(count.refuse(ErrorKind::UnsupportedVariant, expected));
    }
    Ok(Some(Sectors {
        kind,
        start: SECTOR.times(start).unwrap_or(u64::MAX),
        length,
        offset: data.saturating_add(offset),
        stored: stored.value,
    }))
}
