//! The bitmap chunk of a chunk group: two bits for each sector, the first sector in the lowest bits of a byte.

use crate::arith::to_usize;
use crate::blocks::{Piece, Run, Table};
use crate::error::{ErrorKind, Expected, FormatError};
use crate::metadata_cache::MetadataCache;
use crate::source::ByteSource;

use super::NUMBER;
use super::header::Header;

const SECTORS_A_BYTE: u64 = 4;
/// Never written: zeros.
const UNTOUCHED: u8 = 0;
const WRITTEN: u8 = 1;

/// The part of a run of data inside one chunk whose sectors are all written, or all untouched.
///
/// # Errors
/// `BadTableEntry` when the bitmap is not there, `UnsupportedVariant` for a state that nobody has seen, what the source
/// reports, or no memory.
pub(super) fn refine<S: ByteSource>(
    header: &Header,
    cache: &mut MetadataCache<S>,
    group: &Table,
    position: u64,
    run: Run,
) -> Result<Run, FormatError> {
    let (chunk, sector) = (header.chunk, header.sector);
    let entry_at = group.file_end();
    let entry = cache.be64(entry_at)?;
    let bitmap = chunk.times(entry & NUMBER);
    let bitmap_end = bitmap.saturating_add(chunk.bytes());
    if entry & NUMBER == 0 || entry & !NUMBER != 0 || bitmap_end > cache.file_size() {
        let expected = Expected::Sentence("the number of a chunk inside the file, without flags");
        let (kind, device) = (ErrorKind::BadTableEntry, header.device);
        let field = "bitmap entry of a chunk group";
        return Err(FormatError::new(
            kind, device, field, entry_at, entry, expected,
        ));
    }

    let left = chunk.bytes().saturating_sub(chunk.within(position));
    let left = left.min(run.length);
    let first = sector.index_of(position.saturating_sub(group.start));
    let count = sector.count_for(sector.within(position).saturating_add(left));
    let at = bitmap.saturating_add(first / SECTORS_A_BYTE);
    let wanted = first
        .saturating_add(count)
        .div_ceil(SECTORS_A_BYTE)
        .saturating_sub(first / SECTORS_A_BYTE);
    let bytes = cache.view(at, to_usize(wanted))?;
    let cost = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut states = bytes
        .iter()
        .flat_map(|byte| [0_u32, 2, 4, 6].map(|shift| byte.wrapping_shr(shift) & 3))
        .skip(to_usize(first % SECTORS_A_BYTE))
        .take(to_usize(count));
    let state = states.next().unwrap_or(UNTOUCHED);
    if state != UNTOUCHED && state != WRITTEN {
        let (kind, device) = (ErrorKind::UnsupportedVariant, header.device);
        let field = "state of a sector";
        let expected = Expected::Sentence("0 or 1");
        return Err(FormatError::new(
            kind,
            device,
            field,
            at,
            state.into(),
            expected,
        ));
    }
    let mut same = 1_u64;
    for next in states {
        if next != state {
            break;
        }
        same = same.saturating_add(1);
    }
    let length = sector
        .times(same)
        .saturating_sub(sector.within(position))
        .min(left);
    let piece = if state == WRITTEN {
        run.piece
    } else {
        Piece::Zero
    };
    Ok(Run {
        piece,
        length,
        cost: run.cost.saturating_add(cost),
    })
}
