//! The bytes of extents, read into windows and decoded.

use alloc::vec;
use alloc::vec::Vec;

use instar_abi::{Descriptor, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{DeviceIndex, Extent, ExtentKind};

use crate::commands::{SharedCommands, Ticket, descriptor};
use crate::error::OperationError;
use crate::lost::{SharedLost, can_be_left, to_next_sector};
use crate::setup::internal;
use crate::transform::{SharedKeys, Transform, Transformer};

/// Most bytes of one extent that are fetched at once.
const PIECE: usize = 2 << 20;
/// Bytes of a window: a compressed cluster of 2 MiB may be stored in a little more.
const WINDOW: usize = 4 << 20;
/// Bytes between two streams of which one follows the other: tables may lie there.
const NEAR: u64 = 256 << 10;
/// Extents that can be fetched at once.
const SIDES: usize = 2;

/// What an extent holds.
pub enum Fetched<'a> {
    /// Zeros.
    Zero,
    /// These bytes, as many as the extent has.
    Bytes(&'a [u8]),
}

/// Reads up to two extents at a time.
pub struct Fetcher<'a> {
    commands: &'a SharedCommands,
    windows: [Window; SIDES],
    decoded: [Vec<u8>; SIDES],
    /// What has come in pieces lies where others lie decoded.
    in_pieces: [bool; SIDES],
    transformer: Transformer,
    /// What of a device lies in the first window: from its first byte to the one behind its last.
    ahead: Option<(DeviceIndex, u64, u64)>,
    /// Takes what cannot be read, in a copy that goes on.
    lost: Option<SharedLost>,
}

impl<'a> Fetcher<'a> {
    /// A fetcher with windows of its own.
    pub fn new(
        commands: &'a SharedCommands,
        windows: &mut WindowPool,
        keys: &SharedKeys,
    ) -> Result<Self, OperationError> {
        let mut take = || {
            windows
                .take(WINDOW)
                .ok_or_else(|| internal("the windows region is too small"))
        };
        Ok(Self {
            commands,
            windows: [take()?, take()?],
            decoded: [vec![], vec![]],
            in_pieces: [false; SIDES],
            transformer: Transformer::new(keys),
            ahead: None,
            lost: None,
        })
    }

    /// Has zeros in the place of what cannot be read, and notes where.
    pub fn salvaging(mut self, lost: Option<SharedLost>) -> Self {
        self.lost = lost;
        self
    }

    /// How much of an extent is fetched at once (bytes).
    pub fn length(&self, extent: &Extent) -> u64 {
        match extent.kind {
            ExtentKind::Zero | ExtentKind::Unallocated => extent.length,
            _ => extent.length.min(PIECE as u64),
        }
    }

    /// The device, offset and length (bytes) of what must be read for the beginning of an extent.
    fn place(&self, extent: &Extent) -> Result<Option<(DeviceIndex, u64, u64)>, OperationError> {
        Ok(match extent.kind {
            ExtentKind::Data { device, offset } => Some((device, offset, self.length(extent))),
            ExtentKind::Compressed {
                device,
                offset,
                max_length,
                ..
            } => Some((device, offset, max_length)),
            ExtentKind::Encrypted {
                device,
                key,
                offset,
                skip,
                ..
            } => {
                let sectors = self.transformer.sectors(key, skip, self.length(extent));
                Some((device, offset, sectors.ok_or_else(|| broken(extent))?))
            }
            ExtentKind::Zero | ExtentKind::Unallocated | ExtentKind::Packed { .. } => None,
        })
    }

    /// Fetches the beginning of each extent of a disk, at most two: as many bytes as [`length`](Self::length) says.
    pub fn fetch(&mut self, extents: &[Extent]) -> Result<Vec<Fetched<'_>>, OperationError> {
        match (self.bring(extents), self.lost.clone()) {
            (Err(error), Some(lost)) if can_be_left(&error) => {
                for (side, extent) in extents.iter().enumerate() {
                    self.bring_in_pieces(side, extent, &lost)?;
                }
            }
            (brought, _) => brought?,
        }
        self.fetched(extents)
    }

    /// The same where nothing may be left out.
    pub fn fetch_strictly(
        &mut self,
        extents: &[Extent],
    ) -> Result<Vec<Fetched<'_>>, OperationError> {
        self.bring(extents)?;
        self.fetched(extents)
    }

    /// Brings the beginning of an extent sector by sector, and zeros in the place of those that cannot be read.
    fn bring_in_pieces(
        &mut self,
        side: usize,
        extent: &Extent,
        lost: &SharedLost,
    ) -> Result<(), OperationError> {
        if matches!(extent.kind, ExtentKind::Zero | ExtentKind::Unallocated) {
            return Ok(());
        }
        let length = self.length(extent);
        let mut bytes = Vec::new();
        make_room(&mut bytes, length)?;
        let mut done = 0_u64;
        while done < length {
            let at = extent.start.saturating_add(done);
            let left = length.saturating_sub(done);
            let part = self.part(extent, done, to_next_sector(at, left))?;
            let brought = self.bring(core::slice::from_ref(&part));
            match brought.and_then(|()| self.fetched(core::slice::from_ref(&part))) {
                Ok(fetched) => {
                    let from = usize::try_from(done).unwrap_or(usize::MAX);
                    let room = bytes.get_mut(from..).unwrap_or_default();
                    if let [Fetched::Bytes(piece)] = fetched[..]
                        && let Some(room) = room.get_mut(..piece.len())
                    {
                        room.copy_from_slice(piece);
                    }
                }
                Err(error) if can_be_left(&error) => lost.borrow_mut().note(at, part.length),
                Err(error) => return Err(error),
            }
            done = done.saturating_add(part.length);
        }
        if let (Some(decoded), Some(in_pieces)) =
            (self.decoded.get_mut(side), self.in_pieces.get_mut(side))
        {
            (*decoded, *in_pieces) = (bytes, true);
        }
        Ok(())
    }

    /// `most` bytes of an extent from `skipped` on. What stands in one stream is left as a whole.
    fn part(&self, extent: &Extent, skipped: u64, most: u64) -> Result<Extent, OperationError> {
        let mut part = *extent;
        part.start = extent.start.saturating_add(skipped);
        part.length = most;
        match &mut part.kind {
            ExtentKind::Data { offset, .. } => *offset = offset.saturating_add(skipped),
            ExtentKind::Encrypted {
                key,
                offset,
                position,
                skip,
                ..
            } => {
                let behind = skip.saturating_add(skipped);
                let sector = self.transformer.sectors(*key, 0, 1);
                let sector = sector.ok_or_else(|| broken(extent))?;
                *skip = behind.checked_rem(sector).unwrap_or(0);
                let whole = behind.saturating_sub(*skip);
                *offset = offset.saturating_add(whole);
                *position = position.saturating_add(whole);
            }
            ExtentKind::Packed { .. } => {
                part.length = self.length(extent).saturating_sub(skipped);
            }
            _ => {}
        }
        Ok(part)
    }

    /// The stream of a compressed cluster, with what follows it up to the end of its last sector. Where it follows the one before, more
    /// is read than it takes.
    /// The device has `file` bytes.
    pub fn stream(
        &mut self,
        (device, offset, length): (DeviceIndex, u64, u64),
        file: u64,
    ) -> Result<&[u8], OperationError> {
        let outside = || internal("a stream does not fit its window");
        let end = offset.checked_add(length).ok_or_else(outside)?;
        let (low, high) = match self.ahead {
            Some((of, low, high)) if of == device && low <= offset && end <= high => (low, high),
            before => {
                let follows = before.is_some_and(|(of, low, high)| {
                    of == device && low <= offset && offset <= high.saturating_add(NEAR)
                });
                let most = if follows { PIECE as u64 } else { length };
                let until = offset.saturating_add(most).min(file).max(end);
                self.read_ahead(device, offset, until)?;
                (offset, until)
            }
        };
        self.ahead = Some((device, low, high));
        let small = |value| usize::try_from(value).unwrap_or(usize::MAX);
        let [window, _] = &self.windows;
        window
            .bytes()
            .get(small(offset.saturating_sub(low))..small(end.saturating_sub(low)))
            .ok_or_else(outside)
    }

    fn read_ahead(
        &mut self,
        device: DeviceIndex,
        low: u64,
        high: u64,
    ) -> Result<(), OperationError> {
        self.ahead = None;
        let length = high.saturating_sub(low);
        if length > WINDOW as u64 || length == 0 {
            return Err(internal("a stream does not fit its window"));
        }
        let [window, _] = &self.windows;
        let read = Descriptor {
            device: device.0,
            offset: low,
            length,
            window: window.address(),
            ..descriptor(opcode::READ)
        };
        let mut commands = self.commands.borrow_mut();
        let ticket = commands.start(read);
        commands.wait(ticket)
    }

    /// Has the beginning of each extent lie in a window, or decoded.
    fn bring(&mut self, extents: &[Extent]) -> Result<(), OperationError> {
        self.in_pieces = [false; SIDES];
        self.ahead = None;
        let mut tickets: Vec<Option<Ticket>> = Vec::new();
        let mut lengths = [0_usize; SIDES];
        for ((extent, window), read_length) in extents.iter().zip(&self.windows).zip(&mut lengths) {
            let Some((device, offset, length)) = self.place(extent)? else {
                tickets.push(None);
                continue;
            };
            if length > WINDOW as u64 || length == 0 {
                return Err(broken(extent));
            }
            *read_length = usize::try_from(length).unwrap_or(usize::MAX);
            let read = Descriptor {
                device: device.0,
                offset,
                length,
                window: window.address(),
                ..descriptor(opcode::READ)
            };
            tickets.push(Some(self.commands.borrow_mut().start(read)));
        }
        let mut outcome = Ok(());
        for ticket in tickets.into_iter().flatten() {
            let ended = self.commands.borrow_mut().wait(ticket);
            outcome = outcome.and(ended);
        }
        outcome?;
        for (((extent, window), decoded), read_length) in extents
            .iter()
            .zip(&self.windows)
            .zip(&mut self.decoded)
            .zip(lengths)
        {
            let (transform, skip, whole) = match extent.kind {
                ExtentKind::Compressed {
                    codec,
                    cluster_start,
                    cluster_size,
                    ..
                } => {
                    let skip = extent.start.saturating_sub(cluster_start);
                    (Transform::Decode(codec), skip, cluster_size)
                }
                ExtentKind::Encrypted {
                    key,
                    position,
                    skip,
                    ..
                } => {
                    let most = extent.length.min(PIECE as u64);
                    let whole = self.transformer.sectors(key, skip, most);
                    let transform = Transform::Decrypt { key, position };
                    (transform, skip, whole.ok_or_else(|| broken(extent))?)
                }
                ExtentKind::Packed { .. } => {
                    make_room(decoded, extent.length.min(PIECE as u64))?;
                    let streams = self.commands.borrow().streams();
                    streams.borrow_mut().read(self.commands, extent, decoded)?;
                    continue;
                }
                _ => continue,
            };
            let small = |value| usize::try_from(value).unwrap_or(usize::MAX);
            make_room(decoded, extent.length.min(PIECE as u64))?;
            let part = (small(skip), small(whole));
            let input = window
                .bytes()
                .get(..read_length)
                .ok_or_else(|| broken(extent))?;
            self.transformer
                .apply(transform, input, part, decoded)
                .map_err(|_| broken(extent))?;
        }
        Ok(())
    }

    /// What was brought.
    fn fetched(&self, extents: &[Extent]) -> Result<Vec<Fetched<'_>>, OperationError> {
        let mut fetched = Vec::new();
        for (index, extent) in extents.iter().enumerate() {
            let in_pieces = self.in_pieces.get(index).copied().unwrap_or(false);
            let length = usize::try_from(self.length(extent)).unwrap_or(usize::MAX);
            let bytes = match extent.kind {
                ExtentKind::Zero | ExtentKind::Unallocated => {
                    fetched.push(Fetched::Zero);
                    continue;
                }
                ExtentKind::Data { .. } if !in_pieces => self
                    .windows
                    .get(index)
                    .and_then(|window| window.bytes().get(..length)),
                ExtentKind::Data { .. }
                | ExtentKind::Compressed { .. }
                | ExtentKind::Encrypted { .. }
                | ExtentKind::Packed { .. } => self
                    .decoded
                    .get(index)
                    .and_then(|decoded| decoded.get(..length)),
            };
            fetched.push(Fetched::Bytes(bytes.ok_or_else(|| broken(extent))?));
        }
        Ok(fetched)
    }
}

/// Makes a buffer so long.
fn make_room(buffer: &mut Vec<u8>, length: u64) -> Result<(), OperationError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    buffer.clear();
    buffer
        .try_reserve_exact(length)
        .map_err(|_| internal("no memory for a cluster"))?;
    buffer.resize(length, 0);
    Ok(())
}

/// A compressed cluster that does not decode.
fn broken(extent: &Extent) -> OperationError {
    match extent.kind {
        ExtentKind::Compressed {
            device,
            offset,
            cluster_start,
            ..
        } => OperationError::Decompress {
            device: device.0,
            offset,
            virtual_offset: cluster_start,
        },
        _ => internal("an extent does not fit its window"),
    }
}
