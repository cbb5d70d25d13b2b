//! Where the bytes of the window go: a raw file, or the data area of a new qcow2 image.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{
    ChainDevice, Descriptor, OutputConfig, device_flag, error_kind, image_format, opcode,
};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::Format as ImageFormat;
use instar_image_formats::growing::{self, Given, Growing, Options, Packing, Part};
use instar_image_formats::qcow2::writer::{DenseLayout, LayoutError};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;

const SECTOR: u64 = 512;
/// Bytes of metadata of an output that grows which are written at once.
const METADATA_PIECE: usize = 64 << 10;

enum Format {
    Raw,
    Qcow2(DenseLayout),
    /// Only what is written takes room. Metadata goes out through the window.
    Growing(RefCell<(Box<dyn Growing>, Window)>),
}

/// A part of the window, and where in the output device it goes.
pub struct Placed {
    /// Byte offset from the start of what was to be placed.
    pub from: u64,
    /// Bytes.
    pub length: u64,
    /// Byte offset in the output device.
    pub offset: u64,
}

/// Where a compressed block goes with what stands around it.
pub struct PlacedStream {
    /// Byte offset in the output device.
    pub offset: u64,
    /// Bytes, with what stands in front of the stream and behind it.
    pub length: u64,
    /// What stands in front.
    pub prefix: Vec<u8>,
    /// Metadata of a stream, which goes out before: nothing can be written where other bytes are still on their way.
    pub settled: Vec<Part>,
}

/// The output device and its layout.
pub struct Output {
    device: u32,
    start: u64,
    stream: bool,
    format: Format,
    /// Bytes that come from the window.
    length: u64,
    /// Virtual size that the output declares.
    virtual_size: u64,
}

impl Output {
    /// Lays out an output for `length` bytes of guest data; `grows` leaves zeros out where the format can.
    pub fn new(
        (index, device): (u32, &ChainDevice),
        target_format: u32,
        identity: &OutputConfig,
        options: &Options<'_>,
        length: u64,
        grows: bool,
        windows: &mut WindowPool,
    ) -> Result<Self, OperationError> {
        let unsupported = |kind, detail| OperationError::plain(kind, index, detail);
        let exact = device.flags & device_flag::EXACT != 0;
        let virtual_size = if exact {
            length
        } else {
            length.checked_next_multiple_of(SECTOR).ok_or_else(|| {
                unsupported(
                    error_kind::OUTPUT_TOO_BIG,
                    "the output would be larger than 2^64 bytes",
                )
            })?
        };
        let refused = |error| refusal(index, error);
        let format = match target_format {
            image_format::RAW => Format::Raw,
            image_format::QCOW2 if !grows => {
                Format::Qcow2(DenseLayout::new(virtual_size, options.qcow2).map_err(refused)?)
            }
            code => {
                let layout = grown(index, code, virtual_size, identity, options)?;
                let window = windows.take(METADATA_PIECE).ok_or(unsupported(
                    error_kind::INTERNAL,
                    "no window for the tables",
                ))?;
                Format::Growing(RefCell::new((layout, window)))
            }
        };
        let stream = device.flags & device_flag::STREAM != 0;
        let virtual_size = match &format {
            // Where it must be one that a geometry comes to.
            Format::Growing(growing) => growing.borrow().0.virtual_size(),
            _ => virtual_size,
        };
        Ok(Self {
            device: index,
            start: device.start,
            stream,
            format,
            length,
            virtual_size,
        })
    }

    /// Whether commands must go out in the order of their offsets.
    pub fn is_stream(&self) -> bool {
        self.stream
    }

    /// Virtual size that the output declares (bytes).
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    /// Length that the file gets, from the output's start (bytes).
    pub fn file_length(&self) -> u64 {
        match &self.format {
            Format::Raw => self.virtual_size,
            Format::Qcow2(layout) => layout.file_length(),
            Format::Growing(growing) => growing.borrow().0.file_length(),
        }
    }

    /// Offset in the output device of the guest byte at `offset` of the window.
    fn place(&self, offset: u64) -> u64 {
        let inside = match &self.format {
            Format::Raw | Format::Growing(_) => offset,
            Format::Qcow2(layout) => layout.metadata_length().saturating_add(offset),
        };
        self.start.saturating_add(inside)
    }

    /// Whether zeros need no command at all.
    pub fn grows(&self) -> bool {
        matches!(self.format, Format::Growing(_))
    }

    /// Places bytes of an output, in pieces that lie together. What is complete of its metadata is written on the
    /// way.
    pub fn place_bytes(
        &self,
        commands: &SharedCommands,
        offset: u64,
        length: u64,
    ) -> Result<Vec<Placed>, OperationError> {
        let internal = |detail| OperationError::plain(error_kind::INTERNAL, self.device, detail);
        let Format::Growing(growing) = &self.format else {
            // Everything has its place from the start.
            return Ok(alloc::vec![Placed {
                from: 0,
                length,
                offset: self.place(offset),
            }]);
        };
        let (layout, window) = &mut *growing.borrow_mut();
        let mut placed: Vec<Placed> = Vec::new();
        let mut from = 0_u64;
        while from < length {
            let placement = layout
                .place(offset.saturating_add(from), length.saturating_sub(from))
                .map_err(|error| match error {
                    LayoutError::TooBig { .. } => OperationError::plain(
                        error_kind::OUTPUT_TOO_BIG,
                        self.device,
                        "the tables of the output need more memory than there is",
                    ),
                    _ => internal("a cluster could not be placed"),
                })?;
            let count = placement.length;
            self.write_parts(commands, window, &placement.settled)?;
            let host = self.start.saturating_add(placement.offset);
            match placed.last_mut() {
                Some(last) if last.offset.saturating_add(last.length) == host => {
                    last.length = last.length.saturating_add(count);
                }
                _ => placed.push(Placed {
                    from,
                    length: count,
                    offset: host,
                }),
            }
            from = from.saturating_add(count);
        }
        Ok(placed)
    }

    /// How compressed blocks stand in the output; `None` where they cannot.
    pub fn packing(&self) -> Option<Packing> {
        match &self.format {
            Format::Growing(growing) => growing.borrow().0.packing(),
            _ => None,
        }
    }

    /// Bytes of the disk that go out at once where all is written in order; `None` where it need not be.
    pub fn block_in_order(&self) -> Option<u64> {
        match &self.format {
            Format::Growing(growing) => growing.borrow().0.block_in_order(),
            _ => None,
        }
    }

    /// Places the bytes that the cluster at `offset` was compressed to, or those of a cluster of what is written in order. What is complete of the metadata is written on the
    /// way, but for a stream.
    pub fn place_compressed(
        &self,
        commands: &SharedCommands,
        offset: u64,
        length: u64,
    ) -> Result<PlacedStream, OperationError> {
        let internal = |detail| OperationError::plain(error_kind::INTERNAL, self.device, detail);
        let Format::Growing(growing) = &self.format else {
            return Err(internal("an output that does not grow"));
        };
        let (layout, window) = &mut *growing.borrow_mut();
        let prefix = layout.prefix(offset, length);
        let placement = layout
            .place_compressed(offset, length)
            .map_err(|error| match error {
                LayoutError::TooBig { .. } => OperationError::plain(
                    error_kind::OUTPUT_TOO_BIG,
                    self.device,
                    "the output would be larger than its format can be",
                ),
                _ => internal("a compressed cluster could not be placed"),
            })?;
        let settled = if self.stream {
            placement.settled
        } else {
            self.write_parts(commands, window, &placement.settled)?;
            Vec::new()
        };
        Ok(PlacedStream {
            offset: self.start.saturating_add(placement.offset),
            length: placement.length,
            prefix,
            settled,
        })
    }

    /// Makes the cluster at `offset` read as zeros whatever lies below. Returns for how many bytes that holds; `None` where
    /// zeros must be written.
    pub fn mark_zeros(
        &self,
        commands: &SharedCommands,
        offset: u64,
        most: u64,
    ) -> Result<Option<u64>, OperationError> {
        let internal = |detail| OperationError::plain(error_kind::INTERNAL, self.device, detail);
        let Format::Growing(growing) = &self.format else {
            return Ok(None);
        };
        let (layout, window) = &mut *growing.borrow_mut();
        let marked = layout
            .mark_zeros(offset, most)
            .map_err(|_| internal("a cluster could not be marked"))?;
        let Some(marked) = marked else {
            return Ok(None);
        };
        self.write_parts(commands, window, &marked.settled)?;
        Ok(Some(marked.length))
    }

    /// Writes bytes of a window to a place of the device.
    pub fn write_at(&self, address: u64, offset: u64, length: u64) -> Descriptor {
        Descriptor {
            target_device: self.device,
            target_offset: offset,
            length,
            window: address,
            ..descriptor(opcode::WRITE)
        }
    }

    /// Writes what the metadata of an output that grows still lacks, after all guest data was placed.
    pub fn finish(&self, commands: &SharedCommands) -> Result<(), OperationError> {
        let Format::Growing(growing) = &self.format else {
            return Ok(());
        };
        let (layout, window) = &mut *growing.borrow_mut();
        for part in layout.finish() {
            self.write_part(commands, window, &part)?;
        }
        Ok(())
    }

    fn write_parts(
        &self,
        commands: &SharedCommands,
        window: &mut Window,
        parts: &[Part],
    ) -> Result<(), OperationError> {
        parts
            .iter()
            .try_for_each(|part| self.write_part(commands, window, part))
    }

    fn write_part(
        &self,
        commands: &SharedCommands,
        window: &mut Window,
        part: &Part,
    ) -> Result<(), OperationError> {
        let mut offset = self.start.saturating_add(part.offset);
        for piece in part.bytes.chunks(window.len()) {
            if let Some(place) = window.bytes_mut().get_mut(..piece.len()) {
                place.copy_from_slice(piece);
            }
            let length = piece.len() as u64;
            let write = self.write_at(window.address(), offset, length);
            let mut commands = commands.borrow_mut();
            let ticket = commands.start(write);
            commands.wait(ticket)?;
            offset = offset.saturating_add(length);
        }
        Ok(())
    }

    /// A command that fills `length` bytes at `offset` of the window.
    fn target(&self, code: u32, offset: u64, length: u64) -> Descriptor {
        Descriptor {
            target_device: self.device,
            target_offset: self.place(offset),
            length,
            ..descriptor(code)
        }
    }

    /// Copies from an input, past the guest.
    pub fn copy(&self, source: u32, source_offset: u64, offset: u64, length: u64) -> Descriptor {
        Descriptor {
            device: source,
            offset: source_offset,
            ..self.target(opcode::COPY, offset, length)
        }
    }

    /// Writes bytes of a window.
    pub fn write(&self, address: u64, offset: u64, length: u64) -> Descriptor {
        Descriptor {
            window: address,
            ..self.target(opcode::WRITE, offset, length)
        }
    }

    /// Zeros.
    pub fn zero(&self, offset: u64, length: u64, hole: bool) -> Descriptor {
        let flags = if hole {
            instar_abi::command_flag::HOLE
        } else {
            0
        };
        Descriptor {
            flags,
            ..self.target(opcode::ZERO, offset, length)
        }
    }

    /// Writes the metadata, through `window`, before any guest data.
    pub fn write_metadata(
        &self,
        commands: &SharedCommands,
        window: &mut Window,
    ) -> Result<(), OperationError> {
        let Format::Qcow2(layout) = &self.format else {
            return Ok(());
        };
        let internal = |detail| OperationError::plain(error_kind::INTERNAL, self.device, detail);
        for (offset, length) in layout.pieces(window.len() as u64) {
            // A cluster may be larger than the window, through which it then goes in parts.
            let length = usize::try_from(length)
                .map_err(|_| internal("a metadata piece does not fit memory"))?;
            let mut bytes = Vec::new();
            bytes
                .try_reserve_exact(length)
                .map_err(|_| internal("no memory for a metadata piece"))?;
            bytes.resize(length, 0);
            layout
                .fill_metadata(offset, &mut bytes)
                .map_err(|_| internal("the qcow2 layout refused its own piece"))?;
            self.write_part(commands, window, &Part { offset, bytes })?;
        }
        Ok(())
    }

    /// What lies behind the guest data: the rest of the last sector or cluster, as zeros.
    pub fn tail(&self, hole: bool) -> Option<Descriptor> {
        if self.grows() {
            return None;
        }
        let end = self.start.saturating_add(self.file_length());
        let from = self.place(self.length);
        let length = end.checked_sub(from).filter(|length| *length > 0)?;
        Some(self.zero(self.length, length, hole))
    }
}

/// A layout for an output of a format that grows.
pub fn grown(
    index: u32,
    code: u32,
    virtual_size: u64,
    identity: &OutputConfig,
    options: &Options<'_>,
) -> Result<Box<dyn Growing>, OperationError> {
    let name_len = usize::try_from(identity.name_len).unwrap_or(usize::MAX);
    let given = Given {
        random: &identity.random,
        now: identity.time,
        name: identity.name.get(..name_len).unwrap_or_default(),
    };
    let layout = match ImageFormat::from_code(code) {
        Some(format) => growing::layout(format, virtual_size, given, options)
            .map_err(|error| refusal(index, error))?,
        None => None,
    };
    layout.ok_or(OperationError::plain(
        error_kind::UNSUPPORTED_OUTPUT,
        index,
        "this output format is not written yet",
    ))
}

/// Why an output cannot be laid out.
fn refusal(index: u32, error: LayoutError) -> OperationError {
    let unsupported = |kind, detail| OperationError::plain(kind, index, detail);
    match error {
        LayoutError::TooBig { .. } => unsupported(
            error_kind::OUTPUT_TOO_BIG,
            "an image of this format cannot have so many bytes",
        ),
        LayoutError::Empty => unsupported(
            error_kind::UNSUPPORTED_OUTPUT,
            "a disk of this format has at least one sector",
        ),
        LayoutError::NoRoomForName => unsupported(
            error_kind::UNSUPPORTED_OUTPUT,
            "the header has no room for the name of the backing file: use larger clusters or a shorter name",
        ),
        LayoutError::NotBeside => unsupported(
            error_kind::UNSUPPORTED_OUTPUT,
            "images of this format name a parent from their own directory on, without colons and backslashes",
        ),
        _ => unsupported(error_kind::INTERNAL, "the layout refused its options"),
    }
}
