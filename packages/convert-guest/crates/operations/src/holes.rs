//! Holes of input files: they read as zeros, and are never read.

use alloc::vec::Vec;

use instar_abi::{ChainConfig, Descriptor, FileExtent, device_flag, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{Extent, ExtentKind};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;
use crate::open_chain::devices;
use crate::setup::internal;

/// Asks the host where files have holes, and remembers the last answer for each.
pub struct Holes<'a> {
    commands: &'a SharedCommands,
    chain: &'a ChainConfig,
    window: Window,
    /// One of a file at most: two files that are read side by side would take each other's answer away.
    known: Vec<Known>,
}

/// A range of a file that is all data, or all a hole.
struct Known {
    device: u32,
    start: u64,
    end: u64,
    data: bool,
}

impl<'a> Holes<'a> {
    /// `None` without room for a window.
    pub fn new(
        commands: &'a SharedCommands,
        chain: &'a ChainConfig,
        windows: &mut WindowPool,
    ) -> Option<Self> {
        let window = windows.take(FileExtent::SIZE)?;
        Some(Self {
            commands,
            chain,
            window,
            known: Vec::new(),
        })
    }

    /// The beginning of an extent: of one that lies in a hole, its zeros; of another, what comes before the next hole.
    pub fn see(&mut self, extent: Extent) -> Result<Extent, OperationError> {
        let ExtentKind::Data { device, offset } = extent.kind else {
            return Ok(extent);
        };
        let size = devices(self.chain)
            .find(|(index, entry)| *index == device.0 && entry.flags & device_flag::HOLES != 0)
            .map(|(_, entry)| entry.file_size);
        let Some(left) = size.and_then(|size| size.checked_sub(offset)) else {
            return Ok(extent);
        };
        if left == 0 {
            return Ok(extent);
        }
        let known = self.known_of(device.0, offset, left)?;
        let length = extent.length.min(known.end.saturating_sub(offset));
        let kind = if known.data {
            extent.kind
        } else {
            ExtentKind::Zero
        };
        Ok(Extent {
            length,
            kind,
            ..extent
        })
    }

    /// What is known of a file at `offset`, which has `left` bytes behind that.
    fn known_of(&mut self, device: u32, offset: u64, left: u64) -> Result<&Known, OperationError> {
        let covers =
            |known: &Known| known.device == device && known.start <= offset && offset < known.end;
        if !self.known.iter().any(covers) {
            let answer = self.ask(device, offset, left)?;
            self.known.retain(|known| known.device != device);
            self.known.push(answer);
        }
        let known = self.known.iter().find(|known| known.device == device);
        known.ok_or_else(|| internal("an answer is not kept"))
    }

    fn ask(&self, device: u32, offset: u64, length: u64) -> Result<Known, OperationError> {
        let ask = Descriptor {
            device,
            offset,
            length,
            window: self.window.address(),
            ..descriptor(opcode::EXTENT)
        };
        let mut commands = self.commands.borrow_mut();
        let ticket = commands.start(ask);
        commands.wait(ticket)?;
        let answer = self
            .window
            .bytes()
            .first_chunk()
            .map(FileExtent::from_bytes)
            .unwrap_or(FileExtent::ZERO);
        // Whatever the answer, something is known of the next byte.
        let known = answer.length.clamp(1, length);
        Ok(Known {
            device,
            start: offset,
            end: offset.saturating_add(known),
            data: answer.data != 0 || answer.length == 0,
        })
    }
}
