//! Which units of a file are used by something, in bounded memory: a window of them at a time.

use alloc::vec::Vec;

use crate::arith::{to_u64, to_usize};
use crate::error::FormatError;
use crate::source::DeviceIndex;

/// Most units that are looked at in one go: 16 MiB of bits.
pub(crate) const MOST_UNITS: u64 = 128 << 20;
const BITS: u64 = 64;

/// A window of units. Whoever marks all that is used, window after window, finds everything that is used twice.
pub(crate) struct UsedUnits {
    /// Bytes of a unit.
    unit: u64,
    first: u64,
    words: Vec<u64>,
    /// Units that are used in part, by things that share them; empty where nothing does.
    shared: Vec<u64>,
    /// The lowest unit behind the window that was to be marked.
    later: Option<u64>,
}

impl UsedUnits {
    /// The first window of a file of `units` units.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: DeviceIndex, unit: u64, units: u64) -> Result<Self, FormatError> {
        Ok(Self {
            unit: unit.max(1),
            first: 0,
            words: bits(device, units)?,
            shared: Vec::new(),
            later: None,
        })
    }

    /// The same, of a file in which some things are packed so that they share units ([`mark_shared`](Self::mark_shared)).
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn with_shared(device: DeviceIndex, unit: u64, units: u64) -> Result<Self, FormatError> {
        let units = units.min(MOST_UNITS / 2);
        Ok(Self {
            shared: bits(device, units)?,
            ..Self::new(device, unit, units)?
        })
    }

    /// Whether nothing lies before the window.
    pub fn is_first(&self) -> bool {
        self.first == 0
    }

    /// Unit behind the window.
    fn end(&self) -> u64 {
        self.first
            .saturating_add(to_u64(self.words.len()).saturating_mul(BITS))
    }

    /// Marks the units of a part of the file (bytes); says whether one of them, inside the window, was marked before.
    pub fn mark(&mut self, offset: u64, length: u64) -> bool {
        self.mark_as(offset, length, false)
    }

    /// The same, of a part that may share units with others of its kind.
    pub fn mark_shared(&mut self, offset: u64, length: u64) -> bool {
        self.mark_as(offset, length, true)
    }

    fn mark_as(&mut self, offset: u64, length: u64, shares: bool) -> bool {
        let mut unit = offset.checked_div(self.unit).unwrap_or(0);
        let end = offset.saturating_add(length).div_ceil(self.unit);
        let mut found = false;
        while unit < end {
            if unit < self.first {
                unit = self.first;
                continue;
            }
            if unit >= self.end() {
                self.later = Some(self.later.map_or(unit, |later| later.min(unit)));
                break;
            }
            let index = unit.saturating_sub(self.first);
            let bit = 1_u64.wrapping_shl(u32::try_from(index % BITS).unwrap_or(0));
            let index = to_usize(index / BITS);
            let shared = self.shared.get_mut(index);
            if let Some(word) = self.words.get_mut(index) {
                found |= *word & bit != 0;
                match (shared, shares) {
                    (Some(shared), true) => *shared |= bit,
                    (Some(shared), false) => {
                        found |= *shared & bit != 0;
                        *word |= bit;
                    }
                    (None, _) => *word |= bit,
                }
            }
            unit = unit.saturating_add(1);
        }
        found
    }

    /// Moves on to the next window in which something is used; false where there is none.
    pub fn advance(&mut self) -> bool {
        let Some(first) = self.later.take() else {
            return false;
        };
        self.first = first;
        self.words.fill(0);
        self.shared.fill(0);
        true
    }

    /// The first unit of the window, from `unit` on, that is marked (or is not): `None` where there is none before `end`.
    pub fn find(&self, mut unit: u64, end: u64, marked: bool) -> Option<u64> {
        let end = end.min(self.end());
        let dull = if marked { 0 } else { u64::MAX };
        while unit < end {
            let index = unit.checked_sub(self.first)?;
            let word = *self.words.get(to_usize(index / BITS))?;
            if word == dull {
                unit = unit.saturating_add(BITS.saturating_sub(index % BITS));
                continue;
            }
            let shift = u32::try_from(index % BITS).unwrap_or(0);
            if (word.wrapping_shr(shift) & 1 != 0) == marked {
                return Some(unit);
            }
            unit = unit.saturating_add(1);
        }
        None
    }
}

/// Bits of so many units, or of a window of them.
fn bits(device: DeviceIndex, units: u64) -> Result<Vec<u64>, FormatError> {
    let count = to_usize(units.clamp(1, MOST_UNITS).div_ceil(BITS));
    let mut words = Vec::new();
    words
        .try_reserve_exact(count)
        .map_err(|_| FormatError::out_of_memory(device, 0, to_u64(count)))?;
    words.resize(count, 0);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(units: u64) -> UsedUnits {
        UsedUnits::new(DeviceIndex(0), 512, units).unwrap()
    }

    #[test]
    fn what_is_used_twice_is_found_whatever_part_of_it_is() {
        let mut used = used(200);
        assert!(!used.mark(0, 512));
        assert!(!used.mark(64 * 512, 512 * 3));
        assert!(!used.mark(512, 63 * 512));
        assert!(used.mark(66 * 512 + 511, 2));
        assert_eq!(used.find(0, 200, false), Some(68));
        assert_eq!(used.find(69, 200, true), None);
        assert!(!used.advance());
    }

    #[test]
    fn what_is_packed_shares_units_with_its_kind_only() {
        let mut used = UsedUnits::with_shared(DeviceIndex(0), 512, 200).unwrap();
        assert!(!used.mark_shared(0, 700));
        assert!(!used.mark_shared(700, 100));
        assert!(used.mark(512, 512));
        assert!(!used.mark(1024, 512));
        assert!(used.mark_shared(1535, 1));
    }

    #[test]
    fn the_next_window_begins_with_the_next_part_that_is_used() {
        let mut used = used(u64::MAX);
        let far = (MOST_UNITS + 1_000) * 512;
        for _ in 0..2 {
            assert!(!used.mark(far * 4, 512));
        }
        assert!(!used.mark((MOST_UNITS - 1) * 512, 1024));
        assert!(!used.mark(far, 512));
        assert!(used.advance() && !used.is_first());
        assert_eq!(used.first, MOST_UNITS);
        assert!(!used.mark(0, 512));
        assert!(!used.mark(far, 512));
        assert!(used.mark(far + 100, 1));
        assert!(!used.mark(far * 4, 512));
        assert!(used.advance());
        assert!(!used.mark(far * 4, 512));
        assert!(!used.advance());
    }
}
