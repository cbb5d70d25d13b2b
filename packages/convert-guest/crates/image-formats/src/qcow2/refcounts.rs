//! Refcounts as the image has them (qcow2.txt "Host cluster management").

use crate::arith::{PowerOfTwo, to_usize};
use crate::error::FormatError;
use crate::metadata_cache::MetadataCache;
use crate::qcow2::header::Header;
use crate::source::ByteSource;

/// Bits 9 to 63 of an entry of the refcount table: the block's offset.
pub(super) const BLOCK: u64 = !0x1ff;
/// Bytes of an entry of the refcount table.
pub(super) const TABLE_ENTRY: u64 = 8;

/// Clusters whose refcounts lie in one block.
pub(super) fn per_block(header: &Header) -> PowerOfTwo {
    let width = header.refcount_bits.trailing_zeros();
    PowerOfTwo::from_bits(
        header
            .cluster
            .bits()
            .saturating_add(3)
            .saturating_sub(width),
    )
}

/// Entries of the refcount table.
pub(super) fn table_entries(header: &Header) -> u64 {
    let bytes = header.cluster.times(header.refcount_table_clusters);
    bytes.unwrap_or(u64::MAX) / TABLE_ENTRY
}

/// Reads the refcounts of clusters from `first` on: at least one, up to where the block or what is cached of it ends. Says how many.
pub(super) fn read_run<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    first: u64,
    counts: &mut [u64],
) -> Result<usize, FormatError> {
    let per_block = per_block(header);
    let (index, within) = (per_block.index_of(first), per_block.offset_within(first));
    let rest = to_usize(per_block.size().saturating_sub(within)).min(counts.len());
    let counts = counts.get_mut(..rest).unwrap_or_default();
    let Some(block) = block_at(cache, header, index)? else {
        counts.fill(0);
        return Ok(rest);
    };
    let bits = u64::from(header.refcount_bits);
    if bits < 8 {
        for (number, count) in (first..).zip(counts) {
            *count = refcount(cache, header, number)?;
        }
        return Ok(rest);
    }
    let width = to_usize(bits / 8).clamp(1, 8);
    let at = block.saturating_add(within.saturating_mul(bits / 8));
    let bytes = cache.view(at, rest.saturating_mul(width))?;
    Ok(decode(bytes, width, counts))
}

/// Decodes refcounts of `width` bytes each. Says how many.
pub(super) fn decode(bytes: &[u8], width: usize, counts: &mut [u64]) -> usize {
    let read = counts.iter_mut().zip(bytes.chunks_exact(width.max(1)));
    let done = read.len();
    if width == 2 {
        for (count, bytes) in read {
            *count = bytes
                .first_chunk()
                .map_or(0, |two| u64::from(u16::from_be_bytes(*two)));
        }
    } else {
        for (count, bytes) in read {
            let number = |number: u64, byte: &u8| number.wrapping_shl(8) | u64::from(*byte);
            *count = bytes.iter().fold(0, number);
        }
    }
    done
}

/// Where the block of this index lies, if there is one that can be.
fn block_at<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    index: u64,
) -> Result<Option<u64>, FormatError> {
    if index >= table_entries(header) {
        return Ok(None);
    }
    let at = index.saturating_mul(TABLE_ENTRY);
    let entry = cache.be64(header.refcount_table_offset.saturating_add(at))?;
    let block = entry & BLOCK;
    Ok((block != 0 && header.cluster.is_aligned(block)).then_some(block))
}

/// The refcount of a cluster; 0 where there is no block for it, or none that can be.
pub(super) fn refcount<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    header: &Header,
    cluster: u64,
) -> Result<u64, FormatError> {
    let per_block = per_block(header);
    let (index, within) = (
        per_block.index_of(cluster),
        per_block.offset_within(cluster),
    );
    let Some(block) = block_at(cache, header, index)? else {
        return Ok(0);
    };
    let bits = u64::from(header.refcount_bits);
    let bit = within.saturating_mul(bits);
    let at = block.saturating_add(bit / 8);
    if bits < 8 {
        let mut byte = [0];
        cache.read(at, &mut byte)?;
        let mask = 1_u64.wrapping_shl(header.refcount_bits).wrapping_sub(1);
        let shift = u32::try_from(bit % 8).unwrap_or(0);
        return Ok(u64::from(byte[0]).wrapping_shr(shift) & mask);
    }
    let mut bytes = [0; 8];
    let length = usize::try_from(bits / 8).unwrap_or(8).min(8);
    let from = bytes.len().saturating_sub(length);
    cache.read(at, bytes.get_mut(from..).unwrap_or_default())?;
    Ok(u64::from_be_bytes(bytes))
}
