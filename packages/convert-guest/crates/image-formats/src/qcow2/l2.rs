//! L2 table entries, standard and extended (qcow2.txt "L2 table entry", "Extended L2 Entries").

use crate::arith::PowerOfTwo;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::qcow2::compressed::{self, CompressedAt};
use crate::qcow2::header::Header;
use crate::source::DeviceIndex;

/// Bits 9 to 55: the host cluster's byte offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 63: the refcount is exactly one; with an external data file also "offset 0 is an offset".
const COPIED: u64 = 1 << 63;
/// Bit 62: the rest is a compressed cluster descriptor.
const COMPRESSED: u64 = 1 << 62;
/// Bit 0 of a standard entry of a version 3 image: the cluster reads as zeros.
const ZERO: u64 = 1 << 0;

/// What one entry says about its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cluster {
    /// One compressed stream.
    Compressed(CompressedAt),
    /// Subclusters, bit 0 the first; a cluster of a standard entry has just one.
    Plain {
        /// Where the cluster's bytes lie, if anywhere.
        host: u64,
        /// Subclusters whose bytes lie there.
        allocated: u32,
        /// Subclusters that read as zeros. The others belong to the backing image.
        zero: u32,
    },
}

/// What a run of neighbouring subclusters is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Unallocated,
    Zero,
    /// Bytes at this host offset on.
    Data(u64),
    Compressed(CompressedAt),
}

impl Piece {
    /// Whether `next` goes on where this piece, `length` bytes long, ends.
    pub fn continues_as(self, length: u64, next: Self) -> bool {
        match (self, next) {
            (Self::Unallocated, Self::Unallocated) | (Self::Zero, Self::Zero) => true,
            (Self::Data(host), Self::Data(next)) => host.checked_add(length) == Some(next),
            _ => false,
        }
    }
}

/// An entry with what is needed to say what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub descriptor: u64,
    pub bitmap: u64,
    /// Its own place in the file.
    pub at: u64,
    pub device: DeviceIndex,
}

impl Entry {
    /// Decodes the entry of the cluster at `cluster_start`, with every check that QEMU makes before
    /// it reads such a cluster.
    pub fn decode(&self, header: &Header, cluster_start: u64) -> Result<Cluster, FormatError> {
        if self.descriptor & COMPRESSED != 0 {
            if header.has_data_file() {
                return Err(self.refuse("no compressed cluster in an image with a data file"));
            }
            let at = compressed::decode(self.descriptor, header.cluster);
            return Ok(Cluster::Compressed(at));
        }
        let host = self.descriptor & OFFSET;
        let has_host = host != 0 || (header.has_data_file() && self.descriptor & COPIED != 0);
        if has_host && !header.cluster.is_aligned(host) {
            let expected = Expected::MultipleOf(header.cluster.size());
            return Err(self.error("host cluster offset", host, expected));
        }
        if has_host && header.has_data_file() && host != cluster_start {
            // QEMU keeps external data files laid out as the virtual disk, raw or not.
            return Err(self.error("host cluster offset", host, Expected::Value(cluster_start)));
        }
        let (allocated, zero) = if header.has_extended_l2() {
            self.subclusters(has_host)?
        } else {
            self.whole_cluster(header, has_host)?
        };
        Ok(Cluster::Plain {
            host,
            allocated,
            zero,
        })
    }

    fn whole_cluster(&self, header: &Header, has_host: bool) -> Result<(u32, u32), FormatError> {
        if self.descriptor & ZERO == 0 {
            return Ok((u32::from(has_host), 0));
        }
        if header.version < 3 {
            return Err(self.refuse("no zero cluster in an image of version 2"));
        }
        Ok((0, 1))
    }

    fn subclusters(&self, has_host: bool) -> Result<(u32, u32), FormatError> {
        let [a, b, c, d, e, f, g, h] = self.bitmap.to_be_bytes();
        let zero = u32::from_be_bytes([a, b, c, d]);
        let allocated = u32::from_be_bytes([e, f, g, h]);
        if allocated & zero != 0 {
            return Err(self.refuse_bitmap("no subcluster both allocated and zero"));
        }
        if allocated != 0 && !has_host {
            return Err(self.refuse_bitmap("no allocated subcluster without a host cluster"));
        }
        Ok((allocated, zero))
    }

    fn refuse(&self, expected: &'static str) -> FormatError {
        self.error("L2 entry", self.descriptor, Expected::Sentence(expected))
    }

    fn refuse_bitmap(&self, expected: &'static str) -> FormatError {
        self.error(
            "L2 entry's subcluster bitmap",
            self.bitmap,
            Expected::Sentence(expected),
        )
    }

    fn error(&self, field: &'static str, value: u64, expected: Expected) -> FormatError {
        FormatError::new(
            ErrorKind::BadL2Entry,
            self.device,
            field,
            self.at,
            value,
            expected,
        )
    }
}

impl Cluster {
    /// What the byte at `within` (an offset in the cluster) is, and the offset in the cluster up to
    /// which that holds.
    pub fn piece_at(
        &self,
        within: u64,
        cluster: PowerOfTwo,
        subcluster: PowerOfTwo,
    ) -> (Piece, u64) {
        let (host, allocated, zero) = match *self {
            Self::Compressed(at) => return (Piece::Compressed(at), cluster.size()),
            Self::Plain {
                host,
                allocated,
                zero,
            } => (host, allocated, zero),
        };
        let index = u32::try_from(subcluster.index_of(within)).unwrap_or(31);
        let bit = 1_u32.wrapping_shl(index);
        let (piece, same) = if allocated & bit != 0 {
            (Piece::Data(host.saturating_add(within)), allocated)
        } else if zero & bit != 0 {
            (Piece::Zero, zero)
        } else {
            (Piece::Unallocated, !(allocated | zero))
        };
        let run = same.wrapping_shr(index).trailing_ones();
        let end = u64::from(index.saturating_add(run));
        (
            piece,
            subcluster
                .times(end)
                .unwrap_or(u64::MAX)
                .min(cluster.size()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_subclusters_end_where_the_bits_change() {
        let cluster = PowerOfTwo::from_bits(16);
        let subcluster = PowerOfTwo::from_bits(11);
        let plain = Cluster::Plain {
            host: 0x10000,
            allocated: 0b0110,
            zero: 0b1000,
        };
        let walk: Vec<_> = [0, 2048, 3000, 6144, 8192, 65535]
            .into_iter()
            .map(|within| plain.piece_at(within, cluster, subcluster))
            .collect();
        assert_eq!(
            walk,
            [
                (Piece::Unallocated, 2048),
                (Piece::Data(0x10800), 6144),
                (Piece::Data(0x10000 + 3000), 6144),
                (Piece::Zero, 8192),
                (Piece::Unallocated, 65536),
                (Piece::Unallocated, 65536),
            ]
        );
    }

    #[test]
    fn the_last_subcluster_does_not_overflow() {
        let sizes = (PowerOfTwo::from_bits(16), PowerOfTwo::from_bits(11));
        let plain = Cluster::Plain {
            host: 0,
            allocated: u32::MAX,
            zero: 0,
        };
        assert_eq!(
            plain.piece_at(65535, sizes.0, sizes.1),
            (Piece::Data(65535), 65536)
        );
    }
}
