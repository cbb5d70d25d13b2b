//! Tables of blocks that contradict themselves are made to agree: what a check finds and knows a remedy for is mended, until it
//! finds nothing more of that kind.

use alloc::vec::Vec;

use crate::check::{CheckCounts, Finding, FindingKind, Findings, Remedy};
use crate::disk_image::OpenOptions;
use crate::driver;
use crate::edit::{Borrowed, EditTarget};
use crate::error::FormatError;
use crate::probe::Format;
use crate::source::DeviceIndex;
use crate::staged_file::{StagedFile, zeros};

/// Findings that are remembered at a time.
const MOST_FINDINGS: usize = 1 << 16;
/// Times that everything is checked: what is mended may bring other things to light, but not for ever.
const MOST_PASSES: usize = 64;
/// Bytes of a block that are copied at a time.
const COPIED: u64 = 1 << 20;

/// What a format's entries are.
pub(crate) trait Mender {
    /// Bytes of an entry, and of a field that is replaced; little-endian.
    const WIDTH: usize;
    /// The entry that names no block.
    const NOTHING: u64;

    /// Bytes of a block.
    fn block(&self) -> u64;

    /// A place where no block lies (byte offset in the file) and the entry that names it, for a file all of which is used up
    /// to `end`; `None` where there is no room.
    fn place(&mut self, end: u64) -> Option<(u64, u64)>;
}

/// What was mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mended {
    pub corruptions: u64,
    pub leaks: u64,
    /// What the last check counted.
    pub left: CheckCounts,
    /// Where the file is to be cut.
    pub keep: Option<u64>,
}

/// What can be mended of what a check found.
#[derive(Default)]
struct Mendable {
    leaks_only: bool,
    found: Vec<(Remedy, u64, u64, u64)>,
    cut: Option<(u64, u64)>,
}

impl Findings for Mendable {
    fn take(&mut self, finding: &Finding) -> Result<(), FormatError> {
        let Finding {
            kind,
            offset,
            value,
            expected,
            remedy,
            ..
        } = *finding;
        if remedy == Remedy::Cut {
            self.cut = Some((offset, value));
        } else if remedy != Remedy::None
            && (kind == FindingKind::Leak || !self.leaks_only)
            && self.found.len() < MOST_FINDINGS
        {
            self.found.push((remedy, offset, value, expected));
        }
        Ok(())
    }
}

/// Mends what can be mended; leaks only, where that is wished.
///
/// # Errors
/// What the reader of the format refuses, and what the host reports.
pub(crate) fn mend<T: EditTarget, M: Mender>(
    target: &mut T,
    device: DeviceIndex,
    (format, mender): (Format, &mut M),
    leaks_only: bool,
) -> Result<Mended, FormatError> {
    let mut mended = Mended::default();
    let mut previous = None;
    for _ in 0..MOST_PASSES {
        let mut list = Mendable {
            leaks_only,
            ..Mendable::default()
        };
        let source = Borrowed(&mut *target);
        let mut image = driver::open(format, source, device, OpenOptions::default())?;
        mended.left = image.check(&mut list)?.unwrap_or_default();
        drop(image);
        if let Some((offset, clusters)) = list.cut
            && mended.keep.is_none()
        {
            mended.keep = Some(offset);
            mended.leaks = clusters;
        }
        let end = mended.keep.unwrap_or(target.size());
        let mut file = StagedFile::new(&mut *target, device);
        let in_vain = previous == Some(list.found.clone());
        if in_vain || list.found.is_empty() {
            file.flush()?;
            mended.left.leaks = mended.left.leaks.saturating_sub(mended.leaks);
            return Ok(mended);
        }
        previous = Some(list.found.clone());
        let mut work = Work { file, end };
        for (remedy, at, value, expected) in list.found {
            if work.apply(mender, (remedy, at, value, expected))? {
                mended.corruptions = mended.corruptions.saturating_add(1);
            }
        }
        mended.keep = mended.keep.map(|keep| keep.max(work.end));
        work.file.flush()?;
    }
    Ok(mended)
}

struct Work<T> {
    file: StagedFile<T>,
    /// Where all that is used ends (byte offset in the file).
    end: u64,
}

impl<T: EditTarget> Work<T> {
    /// Carries out one remedy; false where there is no room for that.
    fn apply<M: Mender>(
        &mut self,
        mender: &mut M,
        (remedy, at, value, expected): (Remedy, u64, u64, u64),
    ) -> Result<bool, FormatError> {
        let entry = match remedy {
            Remedy::Unallocate => M::NOTHING,
            Remedy::Replace => expected,
            Remedy::Separate => {
                let Some((place, entry)) = mender.place(self.end) else {
                    return Ok(false);
                };
                self.copy(value, place, mender.block())?;
                entry
            }
            _ => return Ok(false),
        };
        let bytes = entry.to_le_bytes();
        self.file
            .write(at, bytes.get(..M::WIDTH).unwrap_or_default())?;
        Ok(true)
    }

    fn copy(&mut self, from: u64, to: u64, length: u64) -> Result<(), FormatError> {
        let mut done = 0;
        while done < length {
            let part = COPIED.min(length.saturating_sub(done));
            let mut bytes = zeros(self.file.device(), from, part)?;
            self.file.read(from.saturating_add(done), &mut bytes)?;
            self.file.write(to.saturating_add(done), &bytes)?;
            done = done.saturating_add(part);
        }
        self.end = self.end.max(to.saturating_add(length));
        Ok(())
    }
}
