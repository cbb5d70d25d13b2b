//! Metadata of host files, read through a small window.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{Descriptor, opcode};
use instar_guest_runtime::Window;
use instar_image_formats::{ByteSource, SourceError};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;

/// The bytes of one host file. All sources of a chain share one window, since they read one after the other.
pub struct DeviceSource {
    commands: SharedCommands,
    window: Rc<RefCell<Window>>,
    device: u32,
    size: u64,
}

impl DeviceSource {
    /// A source over device `device` of `size` bytes.
    pub fn new(
        commands: &SharedCommands,
        window: &Rc<RefCell<Window>>,
        device: u32,
        size: u64,
    ) -> Self {
        Self {
            commands: Rc::clone(commands),
            window: Rc::clone(window),
            device,
            size,
        }
    }
}

impl ByteSource for DeviceSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let end = offset
            .checked_add(buffer.len() as u64)
            .ok_or(SourceError::OutOfRange)?;
        if end > self.size {
            return Err(SourceError::OutOfRange);
        }
        let window = self.window.borrow();
        let mut at = offset;
        for piece in buffer.chunks_mut(window.len()) {
            let length = piece.len() as u64;
            let read = Descriptor {
                device: self.device,
                offset: at,
                length,
                window: window.address(),
                ..descriptor(opcode::READ)
            };
            let mut commands = self.commands.borrow_mut();
            {
                let ticket = commands.start(read);
                commands.wait(ticket)
            }
            .map_err(|error| failed(&error))?;
            let bytes = window
                .bytes()
                .get(..piece.len())
                .ok_or(SourceError::OutOfRange)?;
            piece.copy_from_slice(bytes);
            at = at.saturating_add(length);
        }
        Ok(())
    }
}

/// A failed command as readers know it.
pub fn failed(error: &OperationError) -> SourceError {
    match error {
        OperationError::Command { errno, .. } => SourceError::Failed { code: *errno },
        _ => SourceError::Failed { code: 0 },
    }
}
