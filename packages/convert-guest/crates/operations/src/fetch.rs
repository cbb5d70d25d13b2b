//! The bytes of extents, read into windows and decoded.

use alloc::vec;
use alloc::vec::Vec;

use instar_abi::{Descriptor, opcode};
use instar_codecs::Decoder;
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{Extent, ExtentKind};

use crate::commands::{SharedCommands, Ticket, descriptor};
use crate::error::OperationError;
use crate::setup::internal;

/// Most bytes of one extent that are fetched at once.
const PIECE: usize = 2 << 20;
/// Bytes of a window: a compressed cluster of 2 MiB may be stored in a little more.
const WINDOW: usize = 4 << 20;
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
    decoder: Decoder,
}

impl<'a> Fetcher<'a> {
    /// A fetcher with windows of its own.
    pub fn new(
        commands: &'a SharedCommands,
        windows: &mut WindowPool,
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
            decoder: Decoder::new(),
        })
    }

    /// How much of an extent is fetched at once (bytes).
    pub fn length(&self, extent: &Extent) -> u64 {
        match extent.kind {
            ExtentKind::Zero | ExtentKind::Unallocated => extent.length,
            _ => extent.length.min(PIECE as u64),
        }
    }

    /// Fetches the beginning of each extent, at most two: as many bytes as [`length`](Self::length) says.
    pub fn fetch(&mut self, extents: &[Extent]) -> Result<Vec<Fetched<'_>>, OperationError> {
        let mut tickets: Vec<Option<Ticket>> = Vec::new();
        for (extent, window) in extents.iter().zip(&self.windows) {
            let (device, offset, length) = match extent.kind {
                ExtentKind::Data { device, offset } => (device, offset, self.length(extent)),
                ExtentKind::Compressed {
                    device,
                    offset,
                    max_length,
                    ..
                } => (device, offset, max_length),
                ExtentKind::Zero | ExtentKind::Unallocated => {
                    tickets.push(None);
                    continue;
                }
            };
            if length > WINDOW as u64 || length == 0 {
                return Err(broken(extent));
            }
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
        for ((extent, window), decoded) in extents.iter().zip(&self.windows).zip(&mut self.decoded)
        {
            let ExtentKind::Compressed {
                codec,
                max_length,
                cluster_size,
                ..
            } = extent.kind
            else {
                continue;
            };
            let size = usize::try_from(cluster_size).unwrap_or(usize::MAX);
            decoded.clear();
            decoded
                .try_reserve_exact(size)
                .map_err(|_| internal("no memory for a cluster"))?;
            decoded.resize(size, 0);
            let length = usize::try_from(max_length).unwrap_or(usize::MAX);
            let input = window.bytes().get(..length).ok_or_else(|| broken(extent))?;
            self.decoder
                .decode_cluster(codec, input, decoded)
                .map_err(|_| broken(extent))?;
        }
        let mut fetched = Vec::new();
        for (index, extent) in extents.iter().enumerate() {
            let length = usize::try_from(self.length(extent)).unwrap_or(usize::MAX);
            let bytes = match extent.kind {
                ExtentKind::Zero | ExtentKind::Unallocated => {
                    fetched.push(Fetched::Zero);
                    continue;
                }
                ExtentKind::Data { .. } => self
                    .windows
                    .get(index)
                    .and_then(|window| window.bytes().get(..length)),
                ExtentKind::Compressed { cluster_start, .. } => {
                    let start = extent.start.saturating_sub(cluster_start);
                    let start = usize::try_from(start).unwrap_or(usize::MAX);
                    let end = start.saturating_add(length);
                    self.decoded
                        .get(index)
                        .and_then(|decoded| decoded.get(start..end))
                }
            };
            fetched.push(Fetched::Bytes(bytes.ok_or_else(|| broken(extent))?));
        }
        Ok(fetched)
    }
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
