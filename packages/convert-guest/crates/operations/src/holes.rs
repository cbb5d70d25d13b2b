//! Holes of input files: they read as zeros, and are never read.

use instar_abi::{ChainConfig, Descriptor, FileExtent, device_flag, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{Extent, ExtentKind};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;
use crate::open_chain::devices;

/// Asks the host where files have holes, and remembers the last answer.
pub struct Holes<'a> {
    commands: &'a SharedCommands,
    chain: &'a ChainConfig,
    window: Window,
    known: Option<Known>,
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
            known: None,
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
        let covered = self.known.as_ref().is_some_and(|known| {
            known.device == device.0 && known.start <= offset && offset < known.end
        });
        if !covered {
            self.known = Some(self.ask(device.0, offset, left)?);
        }
        let Some(known) = &self.known else {
            return Ok(extent);
        };
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
