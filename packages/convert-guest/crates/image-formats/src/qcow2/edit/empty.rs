//! An image that is emptied: it shows what its backing file does.

use super::Editor;
use super::allocate::Change;
use super::replace::MOST_RUNS;
use crate::arith::to_usize;
use crate::edit::EditTarget;
use crate::error::FormatError;
use crate::qcow2::l1;

impl<T: EditTarget> Editor<T> {
    /// Gives all that the active state holds back to the backing file. What is free then is cut off at the end of the file, and released
    /// before that.
    pub(super) fn empty(&mut self) -> Result<(), FormatError> {
        let (offset, entries) = (self.header.l1_table_offset, self.header.l1_entries);
        let length = entries.saturating_mul(l1::ENTRY_BYTES);
        let old = self.read_l1(offset, entries)?;
        if self.is_alone(offset, length)? {
            // Where it is: a new one would be at the end of the file, which would stay as long as it is.
            self.file.write(offset, &alloc::vec![0; to_usize(length)])?;
            self.file.flush()?;
            self.count_l1(&old, Change::Less)?;
        } else {
            let new = self.new_l1(&alloc::vec![0; to_usize(entries)])?;
            self.file.flush()?;
            self.put_active_l1(new, entries)?;
            self.file.flush()?;
            self.count_l1(&old, Change::Less)?;
            self.free(offset, length)?;
        }
        self.file.flush()?;
        let end = self.used_length()?;
        self.release_unused(end)?;
        self.keep = Some(end);
        Ok(())
    }

    /// Releases the clusters before `end` that nothing refers to, as many runs of them as are remembered of places that are left.
    fn release_unused(&mut self, end: u64) -> Result<(), FormatError> {
        let mut begun = None;
        let mut runs = 0_usize;
        for number in 0..self.header.cluster.index_of(end) {
            let is_free = self.refcount(number)? == 0;
            match begun {
                None if is_free => begun = Some(self.offset_of(number)?),
                Some(start) if !is_free => {
                    let behind = self.offset_of(number)?;
                    self.release(Some((start, behind)))?;
                    begun = None;
                    runs = runs.saturating_add(1);
                    if runs >= MOST_RUNS {
                        break;
                    }
                }
                _ => {}
            }
        }
        self.file.flush()
    }
}
