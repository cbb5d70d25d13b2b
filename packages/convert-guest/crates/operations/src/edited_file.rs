//! A host file that an edit reads and writes.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{COMMAND_MAX_LENGTH, Descriptor, opcode};
use instar_guest_runtime::Window;
use instar_image_formats::{ByteSource, EditTarget, SourceError};

use crate::commands::{SharedCommands, descriptor};
use crate::device_source::{DeviceSource, failed};

/// The file. Its length is what it was, and what was written behind that.
pub struct EditedFile {
    source: DeviceSource,
    commands: SharedCommands,
    window: Rc<RefCell<Window>>,
    device: u32,
    size: u64,
}

impl EditedFile {
    /// A file of `size` bytes.
    pub fn new(
        commands: &SharedCommands,
        window: &Rc<RefCell<Window>>,
        device: u32,
        size: u64,
    ) -> Self {
        Self {
            source: DeviceSource::new(commands, window, device, size),
            commands: Rc::clone(commands),
            window: Rc::clone(window),
            device,
            size,
        }
    }

    fn carry_out(&self, command: Descriptor) -> Result<(), SourceError> {
        let mut commands = self.commands.borrow_mut();
        let ticket = commands.start(command);
        commands.wait(ticket).map_err(|error| failed(&error))
    }

    fn grow_to(&mut self, end: u64) {
        if end > self.size {
            self.size = end;
            self.source = DeviceSource::new(&self.commands, &self.window, self.device, end);
        }
    }
}

impl ByteSource for EditedFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.source.read_exact_at(offset, buffer)
    }
}

impl EditTarget for EditedFile {
    fn preserve(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let piece = end.saturating_sub(at).min(u64::from(COMMAND_MAX_LENGTH));
            self.carry_out(Descriptor {
                target_device: self.device,
                target_offset: at,
                length: piece,
                ..descriptor(opcode::PRESERVE)
            })?;
            at = at.saturating_add(piece);
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        let mut at = offset;
        let room = self.window.borrow().len();
        for piece in bytes.chunks(room) {
            let address = {
                let mut window = self.window.borrow_mut();
                let place = window.bytes_mut().get_mut(..piece.len());
                place.ok_or(SourceError::OutOfRange)?.copy_from_slice(piece);
                window.address()
            };
            let length = piece.len() as u64;
            self.carry_out(Descriptor {
                target_device: self.device,
                target_offset: at,
                length,
                window: address,
                ..descriptor(opcode::WRITE)
            })?;
            at = at.saturating_add(length);
        }
        self.grow_to(at);
        Ok(())
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        if length == 0 {
            return Ok(());
        }
        self.carry_out(Descriptor {
            target_device: self.device,
            target_offset: offset,
            length,
            ..descriptor(opcode::ZERO)
        })?;
        self.grow_to(offset.saturating_add(length));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        self.carry_out(Descriptor {
            target_device: self.device,
            ..descriptor(opcode::FLUSH)
        })
    }
}
