//! References to clusters, counted for a range of them at a time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::arith::{PowerOfTwo, to_u64, to_usize};
use crate::check::{CheckCounts, Finding, FindingKind, Findings, Remedy};
use crate::error::FormatError;
use crate::file_parts::{Use, Uses};
use crate::source::DeviceIndex;

/// Bytes behind the end of the file that can be left free when something is appended.
const A_LITTLE: u64 = 64 << 20;
/// An entry of the active tables says that the cluster's refcount is exactly one.
const COPIED_SAID: u32 = 1 << 31;
/// An entry of the active tables says that it is not.
const SHARED_SAID: u32 = 1 << 30;
/// References that were counted.
const COUNTED: u32 = SHARED_SAID.wrapping_sub(1);

/// Which clusters a range has, and what of its image it has to know.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub device: DeviceIndex,
    pub first: u64,
    /// How many clusters it has at most.
    pub most: u64,
    /// How many clusters there are in all ranges.
    pub all: u64,
    pub file_size: u64,
    pub cluster: PowerOfTwo,
    pub refcount_bits: u32,
}

/// References to a range of clusters.
pub(super) struct Range<'a> {
    pub place: Place,
    /// For each cluster the references that were counted, and what entries say of it ([`COPIED_SAID`], [`SHARED_SAID`]).
    references: Vec<u32>,
    /// What they are used for, where that is wanted.
    pub uses: Uses,
    pub counts: &'a mut CheckCounts,
    pub findings: &'a mut dyn Findings,
    /// What is found while tables are walked is told once.
    pub tells: bool,
    /// Whether all refcounts of the range are what was counted, and what entries say of them.
    pub agrees: bool,
    /// Largest refcount of the image's width, as far as references are counted.
    most: u32,
}

impl Range<'_> {
    /// The range of `length` clusters from `first` on, of `all`; nothing is counted yet.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new<'a>(
        place: Place,
        counts: &'a mut CheckCounts,
        findings: &'a mut dyn Findings,
    ) -> Result<Range<'a>, FormatError> {
        let length = to_usize(place.all.saturating_sub(place.first).min(place.most));
        let out_of_memory = |bytes| FormatError::out_of_memory(place.device, 0, bytes);
        let mut references = Vec::new();
        references
            .try_reserve_exact(length)
            .map_err(|_| out_of_memory(to_u64(length)))?;
        references.resize(length, 0);
        let uses = if findings.parts() > 0 { length } else { 0 };
        Ok(Range {
            references,
            uses: Uses::of(uses).map_err(out_of_memory)?,
            counts,
            findings,
            tells: place.first == 0,
            agrees: true,
            most: u32::MAX
                .wrapping_shr(u32::BITS.saturating_sub(place.refcount_bits.min(32)))
                .min(COUNTED),
            place,
        })
    }

    pub fn out_of_memory(&self, bytes: u64) -> FormatError {
        FormatError::out_of_memory(self.place.device, 0, bytes)
    }

    pub fn end(&self) -> u64 {
        self.place
            .first
            .saturating_add(to_u64(self.references.len()))
    }

    pub fn tell(
        &mut self,
        kind: FindingKind,
        offset: u64,
        value: u64,
        expected: u64,
        text: String,
        remedy: Remedy,
    ) -> Result<(), FormatError> {
        let count = match kind {
            FindingKind::Corruption => &mut self.counts.corruptions,
            FindingKind::Leak => &mut self.counts.leaks,
        };
        *count = count.saturating_add(1);
        self.findings.take(&Finding {
            kind,
            offset,
            value,
            expected,
            text,
            remedy,
        })
    }

    pub fn corrupt(&mut self, at: u64, value: u64, text: String) -> Result<(), FormatError> {
        self.mendable(at, value, text, Remedy::None)
    }

    pub fn mendable(
        &mut self,
        at: u64,
        value: u64,
        text: String,
        remedy: Remedy,
    ) -> Result<(), FormatError> {
        if !self.tells {
            return Ok(());
        }
        self.tell(FindingKind::Corruption, at, value, 0, text, remedy)
    }

    /// References to a cluster so far; `None` outside the range.
    pub fn references_to(&self, number: u64) -> Option<u32> {
        let index = number.checked_sub(self.place.first)?;
        let said = self.references.get(to_usize(index))?;
        Some(said & COUNTED)
    }

    /// Counts a reference to every cluster of a table.
    pub fn refer(&mut self, at: u64, offset: u64, length: u64) -> Result<(), FormatError> {
        self.refer_to(Use::Table, at, offset, length)
    }

    /// Counts a reference to every cluster of a part of the file.
    pub fn refer_to(
        &mut self,
        used: Use,
        at: u64,
        offset: u64,
        length: u64,
    ) -> Result<(), FormatError> {
        if length == 0 {
            return Ok(());
        }
        let end = offset.saturating_add(length);
        if end
            >= self
                .place
                .file_size
                .saturating_add(self.place.cluster.size())
        {
            if end < self.place.file_size.saturating_add(A_LITTLE) {
                self.counts.named_end = self.counts.named_end.max(end);
            }
            let text = format!(
                "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset {offset:#x} size {length:#x}"
            );
            return self.corrupt(at, end, text);
        }
        let first = self.place.cluster.index_of(offset).max(self.place.first);
        let last = self.place.cluster.index_of(end.saturating_sub(1));
        let mut number = first;
        while number <= last && number < self.end() {
            self.uses.set(number.saturating_sub(self.place.first), used);
            let index = to_usize(number.saturating_sub(self.place.first));
            match self.references.get_mut(index) {
                Some(references) if *references & COUNTED < self.most => {
                    *references = references.saturating_add(1);
                }
                _ => {
                    let offset = self.place.cluster.times(number).unwrap_or(u64::MAX);
                    let text = format!("ERROR: overflow cluster offset={offset:#x}");
                    self.tell(FindingKind::Corruption, at, offset, 0, text, Remedy::None)?;
                }
            }
            number = number.saturating_add(1);
        }
        Ok(())
    }

    /// Counts a reference to one cluster with data: the same as [`refer_to`](Self::refer_to), for what nearly all entries are.
    pub fn refer_to_data(&mut self, at: u64, host: u64) -> Result<(), FormatError> {
        let index = self
            .place
            .cluster
            .index_of(host)
            .checked_sub(self.place.first);
        match index.and_then(|index| self.references.get_mut(to_usize(index))) {
            Some(references)
                if *references & COUNTED < self.most && host < self.place.file_size =>
            {
                *references = references.saturating_add(1);
                self.uses.set(index.unwrap_or(u64::MAX), Use::Data);
                Ok(())
            }
            _ => self.refer_to(Use::Data, at, host, self.place.cluster.size()),
        }
    }

    /// Keeps what an entry of the active tables says of a cluster: that its refcount is exactly one, or that it is not.
    pub fn said(&mut self, number: u64, copied: bool) {
        let index = number.checked_sub(self.place.first);
        match index.and_then(|index| self.references.get_mut(to_usize(index))) {
            Some(references) if copied => *references |= COPIED_SAID,
            Some(references) => *references |= SHARED_SAID,
            // No range has it.
            None => self.agrees &= number < self.place.all,
        }
    }

    /// Whether all that was said of a cluster is so by what was counted.
    pub fn is_as_said(&self, number: u64) -> bool {
        let index = number.checked_sub(self.place.first);
        let said = index.and_then(|index| self.references.get(to_usize(index)));
        said.is_none_or(|said| {
            let wrong = if said & COUNTED == 1 {
                SHARED_SAID
            } else {
                COPIED_SAID
            };
            said & wrong == 0
        })
    }
}
