//! Old holes: a record of one is as short as it can be, whatever the hole's length. So where one is written into, it is saved as a
//! whole, and others behind it too: what is written next often lies in them, and finds that on the disk already.

use std::io;
use std::os::fd::RawFd;

use super::{Logged, Saved, UndoLog, OLD_HOLE, UNIT};
use crate::files;

/// Holes that are saved together, at most.
const MOST_HOLES: usize = 256;

impl UndoLog {
    /// Appends what a range held of which nothing is saved, and which is one record at most.
    pub(super) fn save_gap(&mut self, file: Logged, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let saved = self.saved(file)?;
            if let Some(saved_to) = saved.saved_from(at) {
                at = saved_to;
                continue;
            }
            if saved.hole_from(file.fd, at) > 0 {
                let holes = saved.holes_from(file.fd, at);
                self.appender()?.append_heads(OLD_HOLE, file, &holes)?;
                let saved = self.saved(file)?;
                holes.into_iter().for_each(|(start, length)| saved.note(start, start.saturating_add(length)));
            } else {
                // Where a hole begins in it, that is not looked for: a file may be data to its end.
                let end = saved.next_saved(at).map_or(to, |start| start.min(to));
                self.appender()?.append(file, at, end.saturating_sub(at))?;
                self.saved(file)?.note(at, end);
                at = end;
            }
        }
        Ok(())
    }
}

impl Saved {
    /// Where the range ends of which all is saved and which holds this byte.
    fn saved_from(&self, at: u64) -> Option<u64> {
        let next = self.ranges.partition_point(|(start, _)| *start <= at);
        let before = next.checked_sub(1).and_then(|before| self.ranges.get(before));
        before.map(|(_, saved_to)| *saved_to).filter(|saved_to| *saved_to > at)
    }

    /// Where the first range behind this byte begins that is saved.
    fn next_saved(&self, at: u64) -> Option<u64> {
        let next = self.ranges.partition_point(|(start, _)| *start <= at);
        self.ranges.get(next).map(|(start, _)| *start)
    }

    /// Bytes of the hole that begins at `at`, in whole units; 0 where there is data in the first of these.
    fn hole_from(&self, file: RawFd, at: u64) -> u64 {
        let left = self.end().saturating_sub(at);
        match files::hole(file, at, left) {
            all if all == left => all,
            length => length - length % UNIT,
        }
    }

    /// The end of the data that begins at `at`, in whole units; `at` where there is a hole.
    pub(super) fn data_from(&mut self, file: RawFd, at: u64) -> u64 {
        let (start, end) = self.data;
        if (start..end).contains(&at) {
            return end;
        }
        if self.hole_from(file, at) > 0 {
            return at;
        }
        let left = self.end().saturating_sub(at);
        let (is_data, length) = files::extent(file, at, left);
        // The unit in which a hole begins, or a shorter one lies, counts as data.
        let length = if is_data { length } else { UNIT };
        let end = at.saturating_add(length).checked_next_multiple_of(UNIT).unwrap_or(u64::MAX).min(self.end());
        self.data = (at, end);
        end
    }

    /// The hole at `at`, which is not saved, and the next ones as far as none of these is (start and length of each).
    fn holes_from(&mut self, file: RawFd, at: u64) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let mut at = at;
        while at < self.end() && holes.len() < MOST_HOLES {
            let data_to = self.data_from(file, at);
            if data_to > at {
                at = data_to;
                continue;
            }
            if self.saved_from(at).is_some() {
                break;
            }
            let end = at.saturating_add(self.hole_from(file, at));
            let end = self.next_saved(at).map_or(end, |start| start.min(end));
            holes.push((at, end.saturating_sub(at)));
            at = end;
        }
        holes
    }
}
