//! What every operation on images is given, and how its result is left.

use alloc::boxed::Box;

use instar_abi::{
    BENCH_RESULT_MAGIC, BenchResult, CHECK_RESULT_MAGIC, COMPARE_RESULT_MAGIC,
    CONVERT_RESULT_MAGIC, ChainConfig, CheckResult, CompareResult, ConvertResult,
    EDIT_RESULT_MAGIC, EditResult, ErrorRecord, INFO_RESULT_MAGIC, InfoResult, MAP_RESULT_MAGIC,
    MapResult,
};
use instar_guest_runtime::{WindowPool, put_result};

use crate::commands::SharedCommands;
use crate::error::{OperationError, ending};

/// What an operation is given.
pub struct Request<'a> {
    /// The config page, which begins with the operation's config struct.
    pub config: &'a [u8],
    pub chain: &'a ChainConfig,
    pub commands: &'a SharedCommands,
    pub windows: WindowPool,
}

/// The result struct of an operation.
pub trait Answer {
    /// One that says nothing yet.
    const EMPTY: Self;

    /// Writes it to the result region, with what has become of the operation.
    fn leave(&mut self, status: u32, error: ErrorRecord);
}

macro_rules! answers {
    ($($result:ident: $magic:ident,)*) => {$(
        impl Answer for $result {
            const EMPTY: Self = {
                let mut empty = Self::ZERO;
                empty.magic = $magic;
                empty
            };

            fn leave(&mut self, status: u32, error: ErrorRecord) {
                self.status = status;
                self.error = error;
                put_result(&self.to_bytes());
            }
        }
    )*};
}

answers! {
    BenchResult: BENCH_RESULT_MAGIC,
    CheckResult: CHECK_RESULT_MAGIC,
    CompareResult: COMPARE_RESULT_MAGIC,
    ConvertResult: CONVERT_RESULT_MAGIC,
    EditResult: EDIT_RESULT_MAGIC,
    InfoResult: INFO_RESULT_MAGIC,
    MapResult: MAP_RESULT_MAGIC,
}

impl Request<'_> {
    /// Carries an operation out and leaves its result. Returns the exit code of the guest.
    pub fn answer<R: Answer>(
        self,
        operation: fn(Self, &mut R) -> Result<(), OperationError>,
    ) -> u32 {
        let commands = self.commands;
        let mut result = Box::new(R::EMPTY);
        let done = operation(self, &mut result);
        let (status, error, code) = ending(done, commands);
        result.leave(status, error);
        code
    }
}
