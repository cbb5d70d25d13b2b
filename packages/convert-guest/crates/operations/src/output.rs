//! Where the bytes of the window go: a raw file, or the data area of a new qcow2 image.

use instar_abi::{ChainDevice, Descriptor, device_flag, error_kind, image_format, opcode};
use instar_guest_runtime::Window;
use instar_image_formats::qcow2::writer::{DenseLayout, LayoutError, LayoutOptions};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;

const SECTOR: u64 = 512;

enum Format {
    Raw,
    Qcow2(DenseLayout),
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
    /// Lays out an output for `length` bytes of guest data.
    pub fn new(
        index: u32,
        device: &ChainDevice,
        target_format: u32,
        length: u64,
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
        let format = match target_format {
            image_format::RAW => Format::Raw,
            image_format::QCOW2 => Format::Qcow2(
                DenseLayout::new(virtual_size, LayoutOptions::default()).map_err(|error| {
                    match error {
                        LayoutError::TooBig { .. } => unsupported(
                            error_kind::OUTPUT_TOO_BIG,
                            "a qcow2 image with clusters of 64 KiB cannot have so many bytes",
                        ),
                        _ => unsupported(
                            error_kind::INTERNAL,
                            "the qcow2 layout refused its options",
                        ),
                    }
                })?,
            ),
            _ => {
                return Err(unsupported(
                    error_kind::UNSUPPORTED_OUTPUT,
                    "this output format is not written yet",
                ));
            }
        };
        let stream = device.flags & device_flag::STREAM != 0;
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
        }
    }

    /// Offset in the output device of the guest byte at `offset` of the window.
    fn place(&self, offset: u64) -> u64 {
        let inside = match &self.format {
            Format::Raw => offset,
            Format::Qcow2(layout) => layout.metadata_length().saturating_add(offset),
        };
        self.start.saturating_add(inside)
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
            let address = window.address();
            let bytes = usize::try_from(length)
                .ok()
                .and_then(|length| window.bytes_mut().get_mut(..length))
                .ok_or_else(|| internal("a metadata piece is larger than its window"))?;
            layout
                .fill_metadata(offset, bytes)
                .map_err(|_| internal("the qcow2 layout refused its own piece"))?;
            let write = Descriptor {
                target_device: self.device,
                target_offset: self.start.saturating_add(offset),
                length,
                window: address,
                ..descriptor(opcode::WRITE)
            };
            let mut commands = commands.borrow_mut();
            let ticket = commands.start(write);
            commands.wait(ticket)?;
        }
        Ok(())
    }

    /// What lies behind the guest data: the rest of the last sector or cluster, as zeros.
    pub fn tail(&self, hole: bool) -> Option<Descriptor> {
        let end = self.start.saturating_add(self.file_length());
        let from = self.place(self.length);
        let length = end.checked_sub(from).filter(|length| *length > 0)?;
        Some(self.zero(self.length, length, hole))
    }
}
