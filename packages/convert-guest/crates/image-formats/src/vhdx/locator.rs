//! What a differencing disk says of its parent, as it is written ([MS-VHDX] 2.6.2.6): the identity of its content, and a path
//! beside the disk.

use alloc::vec::Vec;

use super::guid;
use crate::arith::to_u64;
use crate::facts::Identity;
use crate::structure::Built;
use crate::structures::vhdx::{parent_locator, parent_locator_entry};
use crate::windows_name::to_windows;

/// Most bytes of a locator: what stands in a metadata region behind the other items.
pub(crate) const ROOM: usize = 64 << 10;

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn small<N: TryFrom<u64>>(value: usize, most: N) -> N {
    N::try_from(to_u64(value)).unwrap_or(most)
}

/// The locator of a parent; `None` for a name that Windows programs have no way to write, or that is too long.
pub(crate) fn locator(identity: &Identity, name: &[u8]) -> Option<Vec<u8>> {
    let path: Vec<u8> = to_windows(name)?
        .iter()
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    let pairs = [
        (units("parent_linkage"), units(&guid::text(identity))),
        (units("relative_path"), path),
    ];
    let mut head = Built::new(parent_locator::BYTES)
        .put_bytes(parent_locator::LOCATOR_TYPE, &guid::VHDX_PARENT)
        .put(
            parent_locator::KEY_VALUE_COUNT,
            small(pairs.len(), u16::MAX),
        )
        .done();
    let mut at = parent_locator::BYTES
        .saturating_add(pairs.len().saturating_mul(parent_locator_entry::BYTES));
    let mut texts: Vec<u8> = Vec::new();
    for (key, value) in &pairs {
        let entry = Built::new(parent_locator_entry::BYTES)
            .put(parent_locator_entry::KEY_OFFSET, small(at, u32::MAX))
            .put(
                parent_locator_entry::VALUE_OFFSET,
                small(at.saturating_add(key.len()), u32::MAX),
            )
            .put(parent_locator_entry::KEY_LENGTH, small(key.len(), u16::MAX))
            .put(
                parent_locator_entry::VALUE_LENGTH,
                small(value.len(), u16::MAX),
            );
        head.extend(entry.done());
        at = at.saturating_add(key.len()).saturating_add(value.len());
        texts.extend_from_slice(key);
        texts.extend_from_slice(value);
    }
    head.extend(texts);
    (head.len() <= ROOM).then_some(head)
}
