//! Refcounts as the image has them (qcow2.txt "Host cluster management").

use crate::arith::PowerOfTwo;
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
    if index >= table_entries(header) {
        return Ok(0);
    }
    let at = index.saturating_mul(TABLE_ENTRY);
    let entry = cache.be64(header.refcount_table_offset.saturating_add(at))?;
    let block = entry & BLOCK;
    if block == 0 || !header.cluster.is_aligned(block) {
        return Ok(0);
    }
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
