//! A host file that an edit reads and writes.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{COMMAND_MAX_LENGTH, Descriptor, opcode};
use instar_guest_runtime::Window;
use instar_image_formats::{ByteSource, DeviceIndex, EditTarget, SourceError};

use crate::commands::{SharedCommands, descriptor};
use crate::device_source::{DeviceSource, failed};

/// The file. Its length is what it was, and what was written behind that.
pub struct EditedFile {
    source: DeviceSource,
    commands: SharedCommands,
    window: Rc<RefCell<Window>>,
    device: u32,
    size: u64,
    gathered: Option<Gathered>,
}

/// Writes that follow each other, until they are one command.
struct Gathered {
    window: Window,
    /// Where they go, and how many bytes they are.
    offset: u64,
    length: usize,
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
            gathered: None,
        }
    }

    /// Has writes that follow each other become one, in a window of their own. They are carried out before anything that may
    /// depend on them, a flush at the latest.
    pub fn gathering(mut self, window: Window) -> Self {
        self.gathered = Some(Gathered {
            window,
            offset: 0,
            length: 0,
        });
        self
    }

    /// Carries out what was gathered.
    fn write_gathered(&mut self) -> Result<(), SourceError> {
        let Some(gathered) = self
            .gathered
            .as_mut()
            .filter(|gathered| gathered.length > 0)
        else {
            return Ok(());
        };
        let write = Descriptor {
            target_device: self.device,
            target_offset: gathered.offset,
            length: gathered.length as u64,
            window: gathered.window.address(),
            ..descriptor(opcode::WRITE)
        };
        gathered.length = 0;
        self.carry_out(write)
    }

    /// Takes bytes that are to be written; false where nothing is gathered.
    fn gather(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, SourceError> {
        let mut at = offset;
        let Some(room) = self.gathered.as_ref().map(|gathered| gathered.window.len()) else {
            return Ok(false);
        };
        for piece in bytes.chunks(room) {
            let follows = |gathered: &Gathered| {
                let end = gathered.offset.saturating_add(gathered.length as u64);
                end == at && gathered.length.saturating_add(piece.len()) <= room
            };
            if !self.gathered.as_ref().is_some_and(follows) {
                self.write_gathered()?;
            }
            let Some(gathered) = &mut self.gathered else {
                return Ok(false);
            };
            if gathered.length == 0 {
                gathered.offset = at;
            }
            let end = gathered.length.saturating_add(piece.len());
            let place = gathered.window.bytes_mut().get_mut(gathered.length..end);
            place.ok_or(SourceError::OutOfRange)?.copy_from_slice(piece);
            gathered.length = end;
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(true)
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
        // The file may be shorter without it.
        self.write_gathered()?;
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
        if self.gather(offset, bytes)? {
            self.grow_to(offset.saturating_add(bytes.len() as u64));
            return Ok(());
        }
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

    fn copy_at(
        &mut self,
        offset: u64,
        length: u64,
        (device, from): (DeviceIndex, u64),
    ) -> Result<bool, SourceError> {
        self.write_gathered()?;
        let mut done = 0_u64;
        while done < length {
            let piece = length
                .saturating_sub(done)
                .min(u64::from(COMMAND_MAX_LENGTH));
            let copy = self.carry_out(Descriptor {
                device: device.0,
                offset: from.saturating_add(done),
                target_device: self.device,
                target_offset: offset.saturating_add(done),
                length: piece,
                ..descriptor(opcode::COPY)
            });
            if copy.is_err() {
                // Which of the two files fails, and at what, shows where its bytes are read and written.
                return Ok(false);
            }
            done = done.saturating_add(piece);
        }
        self.grow_to(offset.saturating_add(length));
        Ok(true)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        if length == 0 {
            return Ok(());
        }
        self.write_gathered()?;
        self.carry_out(Descriptor {
            target_device: self.device,
            target_offset: offset,
            length,
            ..descriptor(opcode::ZERO)
        })?;
        self.grow_to(offset.saturating_add(length));
        Ok(())
    }

    fn release(&mut self, offset: u64, length: u64) -> Result<(), SourceError> {
        self.carry_out(Descriptor {
            target_device: self.device,
            target_offset: offset,
            length,
            ..descriptor(opcode::RELEASE)
        })
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        self.write_gathered()?;
        self.carry_out(Descriptor {
            target_device: self.device,
            ..descriptor(opcode::FLUSH)
        })
    }
}
