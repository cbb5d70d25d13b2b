//! Records on their way to the output device, in the order in which they come.

use instar_abi::{ChainConfig, Descriptor, opcode};
use instar_guest_runtime::{Window, WindowPool};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;
use crate::open_chain::output;
use crate::setup::internal;

/// Bytes of records that are written at once.
const WINDOW: usize = 1 << 18;

/// Gathers records, and writes them through a window.
pub struct RecordWriter<'a> {
    commands: &'a SharedCommands,
    window: Window,
    device: u32,
    /// Bytes that the output may take.
    limit: u64,
    /// Bytes of the window that are filled.
    used: usize,
    /// Bytes that were written.
    written: u64,
    /// Records that were taken.
    count: u64,
}

impl<'a> RecordWriter<'a> {
    /// A writer to the output of the chain.
    pub fn new(
        chain: &ChainConfig,
        commands: &'a SharedCommands,
        windows: &mut WindowPool,
    ) -> Result<Self, OperationError> {
        let (device, entry) = output(chain).ok_or_else(|| internal("no device is the output"))?;
        let window = windows
            .take(WINDOW)
            .ok_or_else(|| internal("no window for records"))?;
        Ok(Self {
            commands,
            window,
            device,
            limit: entry.file_size,
            used: 0,
            written: 0,
            count: 0,
        })
    }

    /// Records that were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes one record.
    pub fn put(&mut self, record: &[u8]) -> Result<(), OperationError> {
        if self.used.saturating_add(record.len()) > self.window.len() {
            self.flush()?;
        }
        let end = self.used.saturating_add(record.len());
        let place = self
            .window
            .bytes_mut()
            .get_mut(self.used..end)
            .ok_or_else(|| internal("a record does not fit its window"))?;
        place.copy_from_slice(record);
        self.used = end;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> Result<(), OperationError> {
        let length = self.used as u64;
        if length == 0 {
            return Ok(());
        }
        if self.written.saturating_add(length) > self.limit {
            let detail = "there is more to list than can be listed";
            let kind = instar_abi::error_kind::OUTPUT_TOO_BIG;
            return Err(OperationError::plain(kind, self.device, detail));
        }
        let write = Descriptor {
            target_device: self.device,
            target_offset: self.written,
            length,
            window: self.window.address(),
            ..descriptor(opcode::WRITE)
        };
        let mut commands = self.commands.borrow_mut();
        let ticket = commands.start(write);
        commands.wait(ticket)?;
        self.written = self.written.saturating_add(length);
        self.used = 0;
        Ok(())
    }
}
