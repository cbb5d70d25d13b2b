//! Ranges of files that the host compares: their bytes do not come here.

use alloc::rc::Rc;
use alloc::vec::Vec;

use instar_abi::{COMMAND_MAX_LENGTH, COMPARED_SECTOR, Descriptor, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::DeviceIndex;

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;
use crate::setup::internal;

/// Has the host compare ranges of files.
pub struct FileComparer {
    commands: SharedCommands,
    window: Window,
}

/// What differs in two ranges of the same length.
pub struct Differences {
    bits: Vec<u8>,
    /// Where the bits of zeros begin (bytes).
    zeros: usize,
}

const SECTOR: u64 = COMPARED_SECTOR as u64;

/// Bytes of one bit for each sector of a range.
const fn bytes_of_bits(length: u64) -> u64 {
    length.div_ceil(SECTOR).div_ceil(8)
}

impl FileComparer {
    /// Most bytes that are compared at once.
    pub const MOST: u64 = COMMAND_MAX_LENGTH as u64;

    /// A comparer with a window of its own.
    pub fn new(
        commands: &SharedCommands,
        windows: &mut WindowPool,
    ) -> Result<Self, OperationError> {
        let room = usize::try_from(bytes_of_bits(Self::MOST).saturating_mul(2));
        let window = room.ok().and_then(|room| windows.take(room));
        Ok(Self {
            commands: Rc::clone(commands),
            window: window.ok_or_else(|| internal("the windows region is too small"))?,
        })
    }

    /// Compares `length` bytes, at most [`MOST`](Self::MOST), of two files from an offset each on.
    pub fn compare(
        &mut self,
        one: (DeviceIndex, u64),
        two: (DeviceIndex, u64),
        length: u64,
    ) -> Result<Differences, OperationError> {
        let compare = Descriptor {
            device: one.0.0,
            offset: one.1,
            target_device: two.0.0,
            target_offset: two.1,
            length,
            window: self.window.address(),
            ..descriptor(opcode::COMPARE)
        };
        let mut commands = self.commands.borrow_mut();
        let ticket = commands.start(compare);
        commands.wait(ticket)?;
        let zeros = usize::try_from(bytes_of_bits(length)).unwrap_or(usize::MAX);
        let answer = self.window.bytes().get(..zeros.saturating_mul(2));
        let answer = answer.ok_or_else(|| internal("more is compared than its window tells"))?;
        let mut bits = Vec::new();
        bits.try_reserve_exact(answer.len())
            .map_err(|_| internal("no memory for what differs"))?;
        bits.extend_from_slice(answer);
        Ok(Differences { bits, zeros })
    }
}

impl Differences {
    /// The first byte of the first sector that differs, from the beginning of the ranges on.
    pub fn first(&self) -> Option<u64> {
        let differing = self.bits.get(..self.zeros)?;
        let byte = differing.iter().position(|byte| *byte != 0)?;
        let bit = differing.get(byte)?.trailing_zeros();
        let sector = (byte as u64)
            .saturating_mul(8)
            .saturating_add(u64::from(bit));
        Some(sector.saturating_mul(SECTOR))
    }

    /// Whether anything differs between two offsets from the beginning of the ranges, in whole sectors.
    pub fn any(&self, start: u64, end: u64) -> bool {
        sectors(start, end).any(|sector| self.bit(0, sector))
    }

    /// Whether the first range has nothing but zeros there.
    pub fn are_zeros(&self, start: u64, end: u64) -> bool {
        sectors(start, end).all(|sector| self.bit(self.zeros, sector))
    }

    fn bit(&self, from: usize, sector: u64) -> bool {
        let byte = usize::try_from(sector / 8).unwrap_or(usize::MAX);
        let byte = self.bits.get(from.saturating_add(byte)).copied();
        byte.is_some_and(|byte| byte >> (sector % 8) & 1 != 0)
    }
}

fn sectors(start: u64, end: u64) -> core::ops::Range<u64> {
    start / SECTOR..end.div_ceil(SECTOR)
}
