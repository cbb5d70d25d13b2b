//! Disks that are made of blocks of one size, which tables lead to: what VDI, VHD, Parallels, QED, VMDK and others share.
//!
//! A driver says where its tables lie and what an entry means ([`Layout`]); merging neighbours, cutting at the end of the
//! file and the look at everything that must lie inside the file are here.

mod check;
mod mend;
mod table;
mod table_disk;
mod within_file;
mod writer;

use alloc::vec::Vec;
use core::num::NonZeroU64;

use crate::arith::to_u64;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Codec, Extent, ExtentKind, clamp_request};
use crate::metadata_cache::MetadataCache;
use crate::raw::data_within;
use crate::source::{ByteSource, DeviceIndex};
use crate::within::Beyond;

pub(crate) use check::{Blocks, check_blocks, tables_end};
pub(crate) use mend::{Mender, mend};
pub(crate) use table::{Entry, Table, Width, scan};
pub(crate) use table_disk::{Check, Layout, Place, TableDisk, TakePart, one_table};
pub(crate) use within_file::within_file;
pub(crate) use writer::{Part, Writable, open_blocks};

/// Stretches of tables that one call looks at before it is content with the extent that it has.
const MAX_LOOKS: u32 = 64;

/// Bytes of a block; not always a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockSize(NonZeroU64);

impl BlockSize {
    /// A sector of 512 bytes.
    pub const SECTOR: Self = Self(NonZeroU64::MIN.saturating_add(511));

    /// `None` for 0.
    pub fn new(bytes: u64) -> Option<Self> {
        NonZeroU64::new(bytes).map(Self)
    }

    pub fn bytes(self) -> u64 {
        self.0.get()
    }

    pub fn index_of(self, offset: u64) -> u64 {
        offset / self.0
    }

    pub fn within(self, offset: u64) -> u64 {
        offset % self.0
    }

    /// Blocks that `length` bytes fill, counting a part as a whole one.
    pub fn count_for(self, length: u64) -> u64 {
        self.index_of(length)
            .saturating_add(u64::from(self.within(length) != 0))
    }

    /// Bytes of `count` blocks; saturates.
    pub fn times(self, count: u64) -> u64 {
        self.bytes().saturating_mul(count)
    }
}

/// Where a compressed block's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub codec: Codec,
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes that may belong to it.
    pub max_length: u64,
    /// Virtual offset of the block.
    pub start: u64,
    /// Bytes that it decodes to.
    pub size: u64,
}

/// What a virtual offset is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Unallocated,
    Zero,
    /// Byte offset in the file.
    Data(u64),
    Compressed(Stream),
}

impl Piece {
    /// The same, `distance` bytes further on inside the block.
    fn advanced(self, distance: u64) -> Self {
        match self {
            Self::Data(offset) => Self::Data(offset.saturating_add(distance)),
            same => same,
        }
    }

    fn continues_as(self, length: u64, next: Self) -> bool {
        match (self, next) {
            (Self::Data(offset), Self::Data(next)) => offset.checked_add(length) == Some(next),
            (Self::Compressed(_), _) => false,
            (same, next) => same == next,
        }
    }
}

/// Neighbouring pieces that continue each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub piece: Piece,
    /// Bytes of the disk; never 0.
    pub length: u64,
    /// Bytes of tables that were looked at.
    pub cost: u64,
}

/// A disk of blocks.
pub(crate) trait BlockDisk {
    /// Bytes of the disk.
    fn size(&self) -> u64;

    /// The file that everything lies in, and its length (bytes).
    fn file(&self) -> (DeviceIndex, u64);

    /// What the byte at `position` is, as far as one stretch of one table shows it continuing, but not beyond `limit`.
    fn look(&mut self, position: u64, limit: u64) -> Result<Run, FormatError>;

    /// The name of the table entry that decides on the byte at `position`, and where it stands (byte offset in the file).
    fn entry(&mut self, position: u64) -> Result<(&'static str, u64), FormatError>;

    /// Tables that every look needs: what names them, where that stands, and where they end in the file.
    fn tables(&self) -> Vec<Beyond>;

    /// The table that the entry for `position` lies in, where another one names it.
    fn lower_table(&mut self, _position: u64) -> Result<Option<Beyond>, FormatError> {
        Ok(None)
    }

    /// Whether a block behind the end of the file is an error and not zeros. QEMU refuses such images of some formats.
    fn refuses_beyond(&self) -> bool {
        false
    }
}

/// As [`Image::map`](crate::Image::map).
pub(crate) fn map<D: BlockDisk>(
    disk: &mut D,
    offset: u64,
    max_length: u64,
) -> Result<Extent, FormatError> {
    let length = clamp_request(disk.size(), offset, max_length)?;
    let limit = offset.saturating_add(length);
    let mut run = disk.look(offset, limit)?;
    for _ in 1..MAX_LOOKS {
        let position = offset.saturating_add(run.length);
        if position >= limit || matches!(run.piece, Piece::Compressed(_)) {
            break;
        }
        // A fault further on is reported when the caller gets there.
        let Ok(next) = disk.look(position, limit) else {
            break;
        };
        if !run.piece.continues_as(run.length, next.piece) {
            break;
        }
        run.length = run.length.saturating_add(next.length);
    }
    let run = Run {
        length: run.length.min(length),
        ..run
    };
    if disk.refuses_beyond()
        && let Piece::Data(host) = run.piece
        && host >= disk.file().1
    {
        let (field, at) = disk.entry(offset)?;
        let (device, size) = disk.file();
        let expected = Expected::AtMost(size);
        let kind = ErrorKind::BadTableEntry;
        return Err(FormatError::new(kind, device, field, at, host, expected));
    }
    Ok(extent_of(disk.file(), offset, run))
}

fn extent_of((device, file_size): (DeviceIndex, u64), start: u64, run: Run) -> Extent {
    let length = run.length;
    let kind = match run.piece {
        Piece::Unallocated => ExtentKind::Unallocated,
        Piece::Zero => ExtentKind::Zero,
        Piece::Data(host) => return data_within(device, file_size, start, host, length),
        Piece::Compressed(stream) => ExtentKind::Compressed {
            device,
            codec: stream.codec,
            offset: stream.offset,
            max_length: stream
                .max_length
                .min(file_size.saturating_sub(stream.offset)),
            cluster_start: stream.start,
            cluster_size: stream.size,
        },
    };
    Extent {
        start,
        length,
        kind,
    }
}

/// The `length` bytes at `offset` that every image of the format has.
///
/// # Errors
/// `BadHeader` when the file is shorter.
pub(crate) fn read_header<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, FormatError> {
    let end = offset.saturating_add(to_u64(length));
    let size = cache.file_size();
    if size < end {
        let expected = Expected::AtLeast(end);
        let kind = ErrorKind::BadHeader;
        let device = cache.device();
        return Err(FormatError::new(
            kind,
            device,
            "file length",
            0,
            size,
            expected,
        ));
    }
    cache.read_vec(offset, length)
}
