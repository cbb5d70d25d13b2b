//! Pieces of input that are read, decoded where they are compressed, and written together. Several batches are in
//! flight: the host reads ahead while the guest decodes.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use instar_abi::{Descriptor, error_kind, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::{DeviceIndex, Extent, ExtentKind};

use crate::commands::{SharedCommands, Ticket, descriptor};
use crate::decode::{Cluster, Decoders};
use crate::error::OperationError;
use crate::output::Output;
use crate::transform::{SharedKeys, Transform, Transformer};
use crate::zeros::runs;

/// Buffers of batches: of those that are read, of one that is looked at, and of those that are written.
const DEPTH: usize = 5;
/// Batches that are read ahead. The others may still be written while these come.
const READS: usize = 3;
/// Most bytes that a batch reads; a cluster of 2 MiB may be stored in a little more.
const INPUT_SIZE: usize = 4 << 20;
/// Most bytes that a batch writes.
const OUTPUT_SIZE: usize = 2 << 20;
/// Bytes of the output at which a batch is full: so few are still in the cache of a processor when they are written.
const BATCH_SIZE: usize = 1 << 20;

/// Most writes of one batch whose end is awaited only later.
const MAX_TICKETS: usize = 12;

/// One compressed or plain piece of a batch.
struct Piece {
    transform: Transform,
    /// Byte offset in the device.
    offset: u64,
    /// Bytes there.
    length: u64,
    /// Virtual offset, for errors.
    virtual_offset: u64,
    /// Bytes to leave out at the beginning of what it transforms to.
    skip: usize,
    /// Bytes that it transforms to.
    whole: usize,
    /// Bytes that go to the output.
    output_length: usize,
}

/// Memory of one batch.
struct Buffers {
    input: Window,
    output: Window,
}

/// A batch that is gathered or in flight.
struct Batch {
    device: DeviceIndex,
    /// Range of the device that is read.
    low: u64,
    high: u64,
    /// Offset of the first byte in the window.
    output_offset: u64,
    output_length: usize,
    pieces: Vec<Piece>,
}

impl Batch {
    /// Whether the bytes of the device are those of the output: they are read to where they are written from.
    fn is_plain(&self) -> bool {
        let mut next = self.low;
        let in_order = |piece: &Piece| {
            let fits = matches!(piece.transform, Transform::None) && piece.offset == next;
            next = next.saturating_add(piece.length);
            fits
        };
        self.pieces.iter().all(in_order)
    }

    fn takes(&self, device: DeviceIndex, piece: &Piece, output_offset: u64) -> bool {
        let low = self.low.min(piece.offset);
        let high = self.high.max(piece.offset.saturating_add(piece.length));
        let length = self.output_length.saturating_add(piece.output_length);
        self.device == device
            && self.output_offset.saturating_add(self.output_length as u64) == output_offset
            && high.saturating_sub(low) <= INPUT_SIZE as u64
            && length <= BATCH_SIZE
    }

    fn add(&mut self, piece: Piece) {
        self.low = self.low.min(piece.offset);
        self.high = self.high.max(piece.offset.saturating_add(piece.length));
        self.output_length = self.output_length.saturating_add(piece.output_length);
        self.pieces.push(piece);
    }
}

/// The pipeline of batches.
pub struct Pipeline<'a> {
    commands: &'a SharedCommands,
    output: &'a Output,
    /// Least zeros that are left out (bytes); none are without it.
    least_zeros: Option<usize>,
    transformer: Transformer,
    decoders: Decoders,
    gathering: Option<Batch>,
    flying: VecDeque<(Batch, Buffers, Ticket)>,
    /// Buffers, with the writes that still use them.
    idle: VecDeque<(Buffers, Vec<Ticket>)>,
    /// Bytes that came out of compressed clusters.
    pub decoded: u64,
}

fn internal(detail: &'static str) -> OperationError {
    OperationError::plain(error_kind::INTERNAL, 0, detail)
}

impl<'a> Pipeline<'a> {
    /// A pipeline with windows of its own.
    pub fn new(
        commands: &'a SharedCommands,
        output: &'a Output,
        windows: &mut WindowPool,
        keys: &SharedKeys,
        least_zeros: Option<usize>,
    ) -> Result<Self, OperationError> {
        let mut idle = VecDeque::new();
        for _ in 0..DEPTH {
            let input = windows.take(INPUT_SIZE);
            let output = windows.take(OUTPUT_SIZE);
            let (Some(input), Some(output)) = (input, output) else {
                return Err(internal("the windows region is too small"));
            };
            idle.push_back((Buffers { input, output }, Vec::new()));
        }
        Ok(Self {
            commands,
            output,
            least_zeros,
            transformer: Transformer::new(keys),
            decoders: Decoders::new(),
            gathering: None,
            flying: VecDeque::new(),
            idle,
            decoded: 0,
        })
    }

    /// Whether nothing is gathered or in flight.
    pub fn is_empty(&self) -> bool {
        self.gathering.is_none() && self.flying.is_empty()
    }

    /// Most bytes of an extent that one piece holds: all of a cluster that has to be decoded as a whole.
    fn largest(extent: &Extent) -> usize {
        match extent.kind {
            ExtentKind::Compressed { .. } => OUTPUT_SIZE,
            _ => BATCH_SIZE,
        }
    }

    /// Takes an extent that must pass through the guest; returns how many of its bytes were taken.
    pub fn take(&mut self, extent: &Extent, output_offset: u64) -> Result<u64, OperationError> {
        let most = extent.length.min(Self::largest(extent) as u64);
        let small = |value: u64| {
            usize::try_from(value).map_err(|_| internal("a cluster does not fit memory"))
        };
        let (device, piece) = match extent.kind {
            ExtentKind::Data { device, offset } => {
                let piece = Piece {
                    transform: Transform::None,
                    offset,
                    length: most,
                    virtual_offset: extent.start,
                    skip: 0,
                    whole: small(most)?,
                    output_length: small(most)?,
                };
                (device, piece)
            }
            ExtentKind::Encrypted {
                device,
                key,
                offset,
                position,
                skip,
            } => {
                let length = self
                    .transformer
                    .sectors(key, skip, most)
                    .ok_or(internal("an extent has no key"))?;
                let piece = Piece {
                    transform: Transform::Decrypt { key, position },
                    offset,
                    length,
                    virtual_offset: extent.start,
                    skip: small(skip)?,
                    whole: small(length)?,
                    output_length: small(most)?,
                };
                (device, piece)
            }
            ExtentKind::Compressed {
                device,
                codec,
                offset,
                max_length,
                cluster_start,
                cluster_size,
            } => {
                let piece = Piece {
                    transform: Transform::Decode(codec),
                    offset,
                    length: max_length,
                    virtual_offset: cluster_start,
                    skip: small(extent.start.saturating_sub(cluster_start))?,
                    whole: small(cluster_size)?,
                    output_length: small(most)?,
                };
                (device, piece)
            }
            ExtentKind::Zero | ExtentKind::Unallocated | ExtentKind::Packed { .. } => {
                return Err(internal("an extent without data of its own"));
            }
        };
        if piece.length == 0 {
            return Err(OperationError::Decompress {
                device: device.0,
                offset: piece.offset,
                virtual_offset: piece.virtual_offset,
            });
        }
        if piece.length > INPUT_SIZE as u64 {
            return Err(internal("a cluster is larger than its window"));
        }
        if self
            .gathering
            .as_ref()
            .is_some_and(|batch| !batch.takes(device, &piece, output_offset))
        {
            self.launch()?;
        }
        match &mut self.gathering {
            Some(batch) => batch.add(piece),
            none => {
                *none = Some(Batch {
                    device,
                    low: piece.offset,
                    high: piece.offset.saturating_add(piece.length),
                    output_offset,
                    output_length: piece.output_length,
                    pieces: vec![piece],
                });
            }
        }
        Ok(most)
    }

    /// Takes the beginning of an extent of a packed file, which is unpacked at once: nothing of it can be read ahead. Returns
    /// how many of its bytes were taken.
    pub fn take_packed(
        &mut self,
        extent: &Extent,
        output_offset: u64,
    ) -> Result<u64, OperationError> {
        self.flush()?;
        let (mut buffers, writes) = self
            .idle
            .pop_front()
            .ok_or(internal("no buffers are idle"))?;
        for ticket in writes {
            self.commands.borrow_mut().wait(ticket)?;
        }
        let most = extent.length.min(OUTPUT_SIZE as u64);
        let length = usize::try_from(most).unwrap_or(OUTPUT_SIZE);
        let target = buffers
            .output
            .bytes_mut()
            .get_mut(..length)
            .ok_or(internal("a batch is larger than its window"))?;
        let streams = self.commands.borrow().streams();
        streams.borrow_mut().read(self.commands, extent, target)?;
        self.decoded = self.decoded.saturating_add(most);
        let mut tickets = Vec::new();
        self.emit(&buffers.output, output_offset, length, &mut tickets)?;
        self.idle.push_back((buffers, tickets));
        Ok(most)
    }

    /// Starts reading what was gathered.
    fn launch(&mut self) -> Result<(), OperationError> {
        let Some(batch) = self.gathering.take() else {
            return Ok(());
        };
        while self.flying.len() >= READS {
            self.land()?;
        }
        let (buffers, writes) = self
            .idle
            .pop_front()
            .ok_or(internal("no buffers are idle"))?;
        let mut commands = self.commands.borrow_mut();
        for ticket in writes {
            commands.wait(ticket)?;
        }
        let window = if batch.is_plain() {
            &buffers.output
        } else {
            &buffers.input
        };
        let read = Descriptor {
            device: batch.device.0,
            offset: batch.low,
            length: batch.high.saturating_sub(batch.low),
            window: window.address(),
            ..descriptor(opcode::READ)
        };
        let ticket = commands.start(read);
        drop(commands);
        self.flying.push_back((batch, buffers, ticket));
        Ok(())
    }

    /// Waits for the oldest batch, decodes it and starts its writes.
    fn land(&mut self) -> Result<(), OperationError> {
        let Some((batch, mut buffers, ticket)) = self.flying.pop_front() else {
            return Ok(());
        };
        self.commands.borrow_mut().wait(ticket)?;
        if !batch.is_plain() {
            self.transform(&batch, &mut buffers)?;
        }
        let mut tickets = Vec::new();
        self.emit(
            &buffers.output,
            batch.output_offset,
            batch.output_length,
            &mut tickets,
        )?;
        self.idle.push_back((buffers, tickets));
        Ok(())
    }

    /// Brings what was read to where it is written from.
    fn transform(&mut self, batch: &Batch, buffers: &mut Buffers) -> Result<(), OperationError> {
        let Buffers { input, output } = buffers;
        let mut rest = output.bytes_mut();
        let mut clusters = Vec::new();
        let mut decoded = Vec::new();
        // Clusters before one that is broken come first, and so do their errors.
        let mut outcome = Ok(());
        for piece in &batch.pieces {
            let start =
                usize::try_from(piece.offset.saturating_sub(batch.low)).unwrap_or(usize::MAX);
            let length = usize::try_from(piece.length).unwrap_or(usize::MAX);
            let stream = input
                .bytes()
                .get(start..start.saturating_add(length))
                .ok_or(internal("a piece lies outside its window"))?;
            let (target, behind) = mem::take(&mut rest)
                .split_at_mut_checked(piece.output_length)
                .ok_or(internal("a batch is larger than its window"))?;
            rest = behind;
            if let Transform::Decode(_) = piece.transform {
                self.decoded = self.decoded.saturating_add(piece.output_length as u64);
            }
            match piece.transform {
                Transform::Decode(codec)
                    if piece.skip == 0
                        && piece.whole == piece.output_length
                        && Decoders::shares(codec) =>
                {
                    clusters.push(Cluster {
                        codec,
                        stream,
                        target,
                        done: false,
                    });
                    decoded.push(piece);
                }
                transform => {
                    let part = (piece.skip, piece.whole);
                    let done = self.transformer.apply(transform, stream, part, target);
                    if done.is_err() {
                        outcome = Err(broken(batch, piece));
                        break;
                    }
                }
            }
        }
        let failed = self.decoders.decode(&mut clusters);
        match failed.and_then(|index| decoded.get(index)) {
            Some(piece) => Err(broken(batch, piece)),
            None => outcome,
        }
    }

    /// Writes a window to the output; under SKIP_ZEROS leaves whole grains of zeros as holes.
    fn emit(
        &self,
        window: &Window,
        offset: u64,
        length: usize,
        tickets: &mut Vec<Ticket>,
    ) -> Result<(), OperationError> {
        let bytes = window
            .bytes()
            .get(..length)
            .ok_or(internal("a batch is larger than its window"))?;
        let mut commands = self.commands.borrow_mut();
        let Some(least) = self.least_zeros else {
            tickets.push(commands.start(self.output.write(
                window.address(),
                offset,
                length as u64,
            )));
            return Ok(());
        };
        drop(commands);
        let mut at = 0_usize;
        for (zeros, run_length) in runs(bytes, least) {
            let place = offset.saturating_add(at as u64);
            let address = window.address().saturating_add(at as u64);
            at = at.saturating_add(run_length);
            if !self.output.grows() {
                let command = if zeros {
                    self.output.zero(place, run_length as u64, true)
                } else {
                    self.output.write(address, place, run_length as u64)
                };
                self.start_write(command, tickets)?;
            } else if !zeros {
                let placed = self
                    .output
                    .place_bytes(self.commands, place, run_length as u64)?;
                for piece in placed {
                    let address = address.saturating_add(piece.from);
                    let write = self.output.write_at(address, piece.offset, piece.length);
                    self.start_write(write, tickets)?;
                }
            }
        }
        Ok(())
    }

    /// Starts a write. Tickets hold ring slots: there are never so many that none is left for reading.
    fn start_write(
        &self,
        write: Descriptor,
        tickets: &mut Vec<Ticket>,
    ) -> Result<(), OperationError> {
        let mut commands = self.commands.borrow_mut();
        tickets.push(commands.start(write));
        if tickets.len() >= MAX_TICKETS {
            for ticket in tickets.drain(..) {
                commands.wait(ticket)?;
            }
        }
        Ok(())
    }

    /// Brings everything that was taken to the output queue.
    pub fn flush(&mut self) -> Result<(), OperationError> {
        self.launch()?;
        while !self.flying.is_empty() {
            self.land()?;
        }
        Ok(())
    }

    /// Brings everything that was taken to the output, and waits until all of it was written.
    pub fn finish(&mut self) -> Result<(), OperationError> {
        self.flush()?;
        let mut commands = self.commands.borrow_mut();
        for (_, writes) in &mut self.idle {
            for ticket in writes.drain(..) {
                commands.wait(ticket)?;
            }
        }
        Ok(())
    }
}

/// A piece that cannot be decoded.
fn broken(batch: &Batch, piece: &Piece) -> OperationError {
    OperationError::Decompress {
        device: batch.device.0,
        offset: piece.offset,
        virtual_offset: piece.virtual_offset,
    }
}
