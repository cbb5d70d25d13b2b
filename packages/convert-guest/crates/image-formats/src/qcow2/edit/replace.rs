//! Clusters that get another place when they are overwritten. Their old content stays where it is until the edit is complete, so that
//! it need not be written a second time to be kept; then their places are free, and are given back to the file system.

use alloc::vec::Vec;

use super::Editor;
use super::allocate::Change;
use crate::edit::EditTarget;
use crate::error::FormatError;

/// Runs of old places that are remembered (16 bytes each); once there are so many, clusters are overwritten where they are.
pub(super) const MOST_RUNS: usize = 1 << 16;

/// Old places of clusters: nothing refers to them any more, and they are still counted, so that nobody takes them.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// First number and the number behind the last of clusters that follow each other, in the order in which they were left.
    runs: Vec<(u64, u64)>,
}

impl Replaced {
    fn has_room(&self) -> bool {
        self.runs.len() < MOST_RUNS
    }

    fn take(&mut self, number: u64) {
        let behind = number.saturating_add(1);
        match self.runs.last_mut() {
            Some((_, end)) if *end == number => *end = behind,
            _ => self.runs.push((number, behind)),
        }
    }
}

impl<T: EditTarget> Editor<T> {
    /// Where what an entry names is overwritten as a whole; `None` where that gets another place.
    pub(super) fn place_to_overwrite(&mut self, entry: u64) -> Result<Option<u64>, FormatError> {
        if self.replaced.as_ref().is_some_and(Replaced::has_room) {
            return Ok(None);
        }
        self.place_alone(entry)
    }

    /// Takes back the reference of an entry (as it was, at `at`) which names something else by now.
    pub(super) fn leave(&mut self, at: u64, entry: u64) -> Result<(), FormatError> {
        let old = match self.replaced.as_ref().is_some_and(Replaced::has_room) {
            true => self.place_alone(entry)?,
            false => None,
        };
        match (old, &mut self.replaced) {
            (Some(host), Some(replaced)) => {
                replaced.take(self.header.cluster.index_of(host));
                Ok(())
            }
            _ => self.count_entry(at, entry, Change::Less),
        }
    }

    /// Frees the old places of all that got another one, once nothing on the disk refers to them, and releases them; what they were at
    /// the end of the file is cut off.
    pub(super) fn free_replaced(&mut self) -> Result<(), FormatError> {
        let Some(mut runs) = self.replaced.take().map(|replaced| replaced.runs) else {
            return Ok(());
        };
        if runs.is_empty() {
            return Ok(());
        }
        runs.sort_unstable();
        let cluster = self.header.cluster;
        let before = self.used_length()?;
        for (first, end) in &runs {
            let length = cluster.times(end.saturating_sub(*first));
            let offset = self.offset_of(*first)?;
            self.free(offset, length.unwrap_or(u64::MAX))?;
        }
        let after = self.used_length()?;
        if after < before && before >= self.file.size() {
            self.keep = Some(after);
        }
        let mut released: Option<(u64, u64)> = None;
        for (first, end) in runs {
            let (first, end) = (self.offset_of(first)?, self.offset_of(end)?.min(after));
            match &mut released {
                Some((_, last)) if *last == first => *last = end,
                _ => {
                    self.release(released)?;
                    released = Some((first, end));
                }
            }
        }
        self.release(released)?;
        self.file.flush()
    }

    /// Releases the bytes from the first of two offsets up to the second.
    pub(super) fn release(&mut self, range: Option<(u64, u64)>) -> Result<(), FormatError> {
        match range {
            Some((start, end)) if start < end => {
                self.file.release(start, end.saturating_sub(start))
            }
            _ => Ok(()),
        }
    }
}
