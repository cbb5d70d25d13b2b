//! Which commands failed. The host keeps this for itself, because a guest may forget a failure, or be made to.

use std::sync::Mutex;

use crate::executor::lock;
use crate::report::CommandFailure;

/// Entries that are kept: far more than the devices of a run times the errors that a file system gives.
const MOST: usize = 256;

/// The first failure of each device, direction and error number.
#[derive(Default)]
pub struct Ledger {
    failures: Mutex<Vec<CommandFailure>>,
}

impl Ledger {
    /// Keeps a failure. One that is written is kept whatever there is already.
    pub fn enter(&self, failure: CommandFailure) {
        let mut failures = lock(&self.failures);
        let same = |known: &CommandFailure| {
            (known.device, known.errno, known.write) == (failure.device, failure.errno, failure.write)
        };
        let first_write = failure.write && !failures.iter().any(|known| known.write);
        if failures.len() < MOST && !failures.iter().any(same) || first_write {
            failures.push(failure);
        }
    }

    /// Takes all that was kept, in the order of the failures.
    pub fn take(&self) -> Vec<CommandFailure> {
        std::mem::take(&mut *lock(&self.failures))
    }

    /// All that was kept, in the order of the failures.
    pub fn into_failures(self) -> Vec<CommandFailure> {
        self.failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(device: u32, errno: i32, write: bool) -> CommandFailure {
        CommandFailure { device, offset: 0, errno, write }
    }

    #[test]
    fn keeps_the_first_failure_of_each_kind() {
        let ledger = Ledger::default();
        ledger.enter(CommandFailure { offset: 1, ..failure(1, libc::EIO, true) });
        ledger.enter(CommandFailure { offset: 2, ..failure(1, libc::EIO, true) });
        ledger.enter(failure(1, libc::ENOSPC, true));
        let kept = ledger.into_failures();
        assert_eq!(
            kept.iter().map(|one| (one.offset, one.errno)).collect::<Vec<_>>(),
            [(1, libc::EIO), (0, libc::ENOSPC)]
        );
    }

    #[test]
    fn keeps_a_failed_write_behind_any_number_of_failed_reads() {
        let ledger = Ledger::default();
        for device in 0..1000 {
            ledger.enter(failure(device, libc::EIO, false));
        }
        ledger.enter(failure(0, libc::ENOSPC, true));
        let kept = ledger.into_failures();
        assert_eq!(kept.last(), Some(&failure(0, libc::ENOSPC, true)));
        assert_eq!(kept.len(), MOST + 1);
    }
}
