//! The resource fork, in which images of old lay their tables down instead of in a property list.
//!
//! A fork begins with where its data lie and how long they are; the data are pieces, each behind its length ("Inside
//! Macintosh: More Macintosh Toolbox", Resource Manager).

use alloc::vec::Vec;

use crate::arith::{to_u64, to_usize};
use crate::cursor::Cursor;
use crate::error::{ErrorKind, Expected, FormatError};
use crate::field::Field;
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;
use crate::structure::Structure;
use crate::structures::dmg::resource_fork;

use super::runs::{Runs, Sectors};

const MOST_FORK: u64 = 64 << 20;
const LENGTH_BYTES: u64 = 4;

/// Reads all runs, in the order of the disk.
///
/// # Errors
/// `UnsupportedVariant` for a fork that is too long, `BadTable` for one that is not inside the file or contradicts itself,
/// and what is wrong with the runs.
pub(super) fn read<S: ByteSource>(
    cache: &mut MetadataCache<S>,
    fork: Field<u64>,
    length: Field<u64>,
    data_fork: u64,
) -> Result<Vec<Sectors>, FormatError> {
    if length.value > MOST_FORK {
        return Err(length.refuse(ErrorKind::UnsupportedVariant, Expected::AtMost(MOST_FORK)));
    }
    let end = fork.value.saturating_add(length.value);
    if end > cache.file_size() || length.value < to_u64(resource_fork::BYTES) {
        let expected = Expected::Sentence("a resource fork inside the file");
        return Err(fork.refuse(ErrorKind::BadTable, expected));
    }
    let device = cache.device();
    let header = cache.read_vec(fork.value, resource_fork::BYTES)?;
    let head = Structure::new(&header, fork.value, device, ErrorKind::BadTable);
    let data = head.get(resource_fork::DATA_OFFSET)?;
    let data_length = head.get(resource_fork::DATA_LENGTH)?;
    let mut at = fork.value.saturating_add(data.value.into());
    let data_end = at.saturating_add(data_length.value.into());
    if data_end > end {
        let expected = Expected::Sentence("data inside the resource fork");
        return Err(data_length.refuse(ErrorKind::BadTable, expected));
    }

    let mut runs = Runs::new(fork, device, data_fork);
    while at < data_end {
        let bytes = cache.read_vec(at, to_usize(LENGTH_BYTES))?;
        let piece =
            Cursor::new(&bytes, at, device, ErrorKind::BadTable).be32("length of a resource")?;
        at = at.saturating_add(LENGTH_BYTES);
        let piece_end = at.saturating_add(piece.value.into());
        if piece_end > data_end {
            let expected = Expected::Sentence("a resource inside the resource data");
            return Err(piece.refuse(ErrorKind::BadTable, expected));
        }
        runs.begin_table();
        while at < piece_end {
            let text = cache.view(at, to_usize(piece_end.saturating_sub(at)))?;
            for byte in text {
                runs.take(*byte)?;
            }
            at = at.saturating_add(to_u64(text.len()));
        }
    }
    runs.in_order()
}
