//! What the parts of a file are used for, to scale.

use crate::arith::{to_u64, to_usize};
use crate::check::Findings;
use crate::error::FormatError;

/// What a cluster of a file is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing: it is not taken.
    #[default]
    Free,
    Header,
    Table,
    Data,
    Compressed,
    /// It is taken, and nothing names it.
    Leaked,
}

/// Bytes of one part by their use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilePart {
    /// Which part, from 0.
    pub number: u32,
    /// The header.
    pub header: u64,
    /// Tables, lists and bitmaps.
    pub tables: u64,
    /// Data as it is.
    pub data: u64,
    /// Compressed data.
    pub compressed: u64,
    /// Taken, and used by nothing.
    pub leaked: u64,
    /// Not taken.
    pub free: u64,
}

/// Divides a file into equal parts, and tells of each when it is complete.
pub(crate) struct FileParts {
    file_size: u64,
    /// How many; 0 tells of none.
    parts: u32,
    part: FilePart,
}

impl FileParts {
    pub fn new(file_size: u64, parts: u32) -> Self {
        Self {
            file_size,
            parts: if file_size == 0 { 0 } else { parts },
            part: FilePart::default(),
        }
    }

    /// Whether anybody asked.
    pub fn wanted(&self) -> bool {
        self.parts > 0
    }

    /// Where a part begins: rounded up, so that no byte is in two.
    fn start_of(&self, number: u32) -> u64 {
        let parts = u128::from(self.parts.max(1));
        let start = u128::from(self.file_size)
            .saturating_mul(u128::from(number))
            .div_ceil(parts);
        u64::try_from(start).unwrap_or(u64::MAX)
    }

    /// Takes a range that lies behind all that were taken before.
    pub fn take(
        &mut self,
        used: Use,
        offset: u64,
        length: u64,
        findings: &mut dyn Findings,
    ) -> Result<(), FormatError> {
        let end = offset.saturating_add(length).min(self.file_size);
        let mut at = offset;
        while at < end && self.part.number < self.parts {
            let next = self.start_of(self.part.number.saturating_add(1));
            let bytes = next.min(end).saturating_sub(at);
            let part = &mut self.part;
            let count = match used {
                Use::Free => &mut part.free,
                Use::Header => &mut part.header,
                Use::Table => &mut part.tables,
                Use::Data => &mut part.data,
                Use::Compressed => &mut part.compressed,
                Use::Leaked => &mut part.leaked,
            };
            *count = count.saturating_add(bytes);
            at = at.saturating_add(bytes);
            if at >= next || bytes == 0 {
                findings.take_part(&self.part)?;
                self.part = FilePart {
                    number: self.part.number.saturating_add(1),
                    ..FilePart::default()
                };
            }
        }
        Ok(())
    }
}

/// Uses of a range of clusters, where they are wanted.
#[derive(Default)]
pub(crate) struct Uses(alloc::vec::Vec<Use>);

impl Uses {
    /// # Errors
    /// How many bytes there are not.
    pub fn of(count: usize) -> Result<Self, u64> {
        let mut uses = alloc::vec::Vec::new();
        uses.try_reserve_exact(count).map_err(|_| to_u64(count))?;
        uses.resize(count, Use::default());
        Ok(Self(uses))
    }

    pub fn set(&mut self, index: u64, used: Use) {
        if let Some(place) = self.0.get_mut(to_usize(index)) {
            *place = used;
        }
    }

    pub fn get(&self, index: u64) -> Use {
        self.0.get(to_usize(index)).copied().unwrap_or_default()
    }
}
