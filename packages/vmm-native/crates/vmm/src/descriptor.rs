//! Checks a descriptor. Works on a private copy: the guest cannot change what was checked.

use instar_abi::{command_flag, opcode, Descriptor, FileExtent, COMMAND_MAX_LENGTH, LOG_MAX_LENGTH, REGION_WINDOWS};

use crate::comparison;
use crate::device::{Access, DeviceTable};

/// A range of a device that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRange {
    /// Index in the device table.
    pub device: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A command that may be executed as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Device to window.
    Read { source: DeviceRange, window: u64 },
    /// Window to device.
    Write { target: DeviceRange, window: u64 },
    /// Device to device.
    Copy { source: DeviceRange, target: DeviceRange },
    /// Zeros to device.
    Zero { target: DeviceRange, hole: bool },
    /// Device to disk.
    Flush { device: u32 },
    /// Text for the log.
    Log { window: u64, length: u64 },
    /// How far the guest is.
    Progress { done: u64, total: u64 },
    /// The old content of a range to the undo log of its device.
    Preserve { target: DeviceRange },
    /// A range of a device that nobody needs once its edit is complete.
    Release { target: DeviceRange },
    /// Which sectors of two ranges of devices differ, to window.
    Compare { source: DeviceRange, other: DeviceRange, window: u64 },
    /// Whether a range of a device begins with data or with a hole, to window.
    Extent { source: DeviceRange, window: u64 },
    /// The guest has left a result and asks for another request.
    Next,
}

struct Checker<'a> {
    descriptor: &'a Descriptor,
    devices: &'a DeviceTable,
}

impl Checker<'_> {
    fn fail<T>(&self, field: &str, value: u64, expected: &str) -> Result<T, String> {
        let name = opcode_name(self.descriptor.opcode);
        Err(format!("{name}: {field} is {value:#x}, expected {expected}"))
    }

    fn unused(&self, fields: &[(&str, u64)]) -> Result<(), String> {
        for (name, value) in fields {
            if *value != 0 {
                return self.fail(name, *value, "0 (not used by this command)");
            }
        }
        Ok(())
    }

    fn flags(&self, allowed: u32) -> Result<(), String> {
        if self.descriptor.flags & !allowed != 0 {
            return self.fail("flags", u64::from(self.descriptor.flags), "only flags of this command");
        }
        Ok(())
    }

    fn length(&self, most: u64) -> Result<u64, String> {
        let length = self.descriptor.length;
        if length == 0 || length > most {
            return self.fail("length", length, &format!("1 to {most:#x}"));
        }
        Ok(length)
    }

    fn window(&self, length: u64) -> Result<u64, String> {
        let window = self.descriptor.window;
        let end = REGION_WINDOWS.start.saturating_add(REGION_WINDOWS.size);
        let fits =
            window >= REGION_WINDOWS.start && window.checked_add(length).is_some_and(|window_end| window_end <= end);
        if !fits {
            return self.fail(
                "window",
                window,
                &format!("{length:#x} bytes inside {:#x}..{end:#x}", REGION_WINDOWS.start),
            );
        }
        Ok(window)
    }

    fn source(&self, length: u64) -> Result<DeviceRange, String> {
        let Descriptor { device, offset, .. } = *self.descriptor;
        match self.devices.get(device) {
            Some(found) if found.access.reads() => {
                if offset.checked_add(length).is_none_or(|end| end > found.size) {
                    return self.fail(
                        "offset",
                        offset,
                        &format!("{length:#x} bytes inside the {:#x} bytes of device {device}", found.size),
                    );
                }
                Ok(DeviceRange { device, offset, length })
            }
            Some(_) => self.fail("device", u64::from(device), "an input"),
            None => self.fail("device", u64::from(device), "a device of the table"),
        }
    }

    /// The range at `target_offset` of `target_device` where that is read.
    fn other_source(&self, length: u64) -> Result<DeviceRange, String> {
        let Descriptor { target_device: device, target_offset: offset, .. } = *self.descriptor;
        match self.devices.get(device) {
            Some(found) if found.access.reads() => {
                if offset.checked_add(length).is_none_or(|end| end > found.size) {
                    let expected = format!("{length:#x} bytes inside the {:#x} bytes of device {device}", found.size);
                    return self.fail("target_offset", offset, &expected);
                }
                Ok(DeviceRange { device, offset, length })
            }
            Some(_) => self.fail("target_device", u64::from(device), "an input"),
            None => self.fail("target_device", u64::from(device), "a device of the table"),
        }
    }

    fn target(&self, length: u64) -> Result<DeviceRange, String> {
        let Descriptor { target_device: device, target_offset: offset, .. } = *self.descriptor;
        match self.devices.get(device) {
            Some(found) if found.access.writes() => {
                if offset.checked_add(length).is_none_or(|end| end > found.size) {
                    return self.fail(
                        "target_offset",
                        offset,
                        &format!("{length:#x} bytes within the output limit {:#x}", found.size),
                    );
                }
                Ok(DeviceRange { device, offset, length })
            }
            Some(_) => self.fail("target_device", u64::from(device), "an output (inputs are never written)"),
            None => self.fail("target_device", u64::from(device), "a device of the table"),
        }
    }

    fn edited(&self, length: u64) -> Result<DeviceRange, String> {
        let target = self.target(length)?;
        match self.devices.get(target.device) {
            Some(found) if found.access == Access::Edited => Ok(target),
            _ => self.fail("target_device", u64::from(target.device), "an edited device"),
        }
    }
}

fn opcode_name(value: u32) -> &'static str {
    match value {
        opcode::READ => "READ",
        opcode::WRITE => "WRITE",
        opcode::COPY => "COPY",
        opcode::ZERO => "ZERO",
        opcode::FLUSH => "FLUSH",
        opcode::LOG => "LOG",
        opcode::PROGRESS => "PROGRESS",
        opcode::EXTENT => "EXTENT",
        opcode::NEXT => "NEXT",
        opcode::PRESERVE => "PRESERVE",
        opcode::RELEASE => "RELEASE",
        opcode::COMPARE => "COMPARE",
        _ => "command",
    }
}

/// Turns a private copy of a descriptor into a command, or says which field no working guest would have sent.
pub fn validate(descriptor: &Descriptor, devices: &DeviceTable) -> Result<Command, String> {
    let d = descriptor;
    let checker = Checker { descriptor, devices };
    checker.unused(&[("reserved", d.reserved)])?;
    let device = ("device", u64::from(d.device));
    let target_device = ("target_device", u64::from(d.target_device));
    let offset = ("offset", d.offset);
    let target_offset = ("target_offset", d.target_offset);
    let window = ("window", d.window);
    match d.opcode {
        opcode::READ => {
            checker.flags(0)?;
            checker.unused(&[target_device, target_offset])?;
            let length = checker.length(u64::from(COMMAND_MAX_LENGTH))?;
            Ok(Command::Read { source: checker.source(length)?, window: checker.window(length)? })
        }
        opcode::WRITE => {
            checker.flags(0)?;
            checker.unused(&[device, offset])?;
            let length = checker.length(u64::from(COMMAND_MAX_LENGTH))?;
            Ok(Command::Write { target: checker.target(length)?, window: checker.window(length)? })
        }
        opcode::COPY => {
            checker.flags(0)?;
            checker.unused(&[window])?;
            let length = checker.length(u64::from(COMMAND_MAX_LENGTH))?;
            Ok(Command::Copy { source: checker.source(length)?, target: checker.target(length)? })
        }
        opcode::ZERO => {
            checker.flags(command_flag::HOLE)?;
            checker.unused(&[device, offset, window])?;
            let length = checker.length(u64::MAX >> 1)?;
            let hole = d.flags & command_flag::HOLE != 0;
            Ok(Command::Zero { target: checker.target(length)?, hole })
        }
        opcode::FLUSH => {
            checker.flags(0)?;
            checker.unused(&[device, offset, target_offset, window, ("length", d.length)])?;
            Ok(Command::Flush { device: checker.target(0)?.device })
        }
        opcode::LOG => {
            checker.flags(0)?;
            checker.unused(&[device, target_device, offset, target_offset])?;
            let length = checker.length(u64::from(LOG_MAX_LENGTH))?;
            Ok(Command::Log { window: checker.window(length)?, length })
        }
        opcode::PROGRESS => {
            checker.flags(0)?;
            checker.unused(&[device, target_device, target_offset, window])?;
            Ok(Command::Progress { done: d.offset, total: d.length })
        }
        opcode::EXTENT => {
            checker.flags(0)?;
            checker.unused(&[target_device, target_offset])?;
            let length = checker.length(u64::MAX >> 1)?;
            Ok(Command::Extent { source: checker.source(length)?, window: checker.window(FileExtent::SIZE as u64)? })
        }
        opcode::NEXT => {
            checker.flags(0)?;
            checker.unused(&[device, target_device, offset, target_offset, window, ("length", d.length)])?;
            Ok(Command::Next)
        }
        opcode::PRESERVE => {
            checker.flags(0)?;
            checker.unused(&[device, offset, window])?;
            let length = checker.length(u64::from(COMMAND_MAX_LENGTH))?;
            Ok(Command::Preserve { target: checker.edited(length)? })
        }
        opcode::RELEASE => {
            checker.flags(0)?;
            checker.unused(&[device, offset, window])?;
            let length = checker.length(u64::MAX >> 1)?;
            Ok(Command::Release { target: checker.edited(length)? })
        }
        opcode::COMPARE => {
            checker.flags(0)?;
            let length = checker.length(u64::from(COMMAND_MAX_LENGTH))?;
            let (source, other) = (checker.source(length)?, checker.other_source(length)?);
            let window = checker.window(comparison::bytes_of_answer(length))?;
            Ok(Command::Compare { source, other, window })
        }
        other => checker.fail("opcode", u64::from(other), "1 to 12"),
    }
}
