//! Where the bytes of the window go: a raw file, or the data area of a new qcow2 image.

use alloc::vec::Vec;
use core::cell::RefCell;

use instar_abi::{ChainDevice, Descriptor, device_flag, error_kind, image_format, opcode};
use instar_guest_runtime::{Window, WindowPool};
use instar_image_formats::qcow2::writer::{
    DenseLayout, LayoutError, LayoutOptions, Metadata, SparseLayout,
};

use crate::commands::{SharedCommands, descriptor};
use crate::error::OperationError;

const SECTOR: u64 = 512;

enum Format {
    Raw,
    Qcow2(DenseLayout),
    /// Only what is written takes room. The window holds one cluster of metadata at a time.
    ThinQcow2(RefCell<(SparseLayout, Window)>),
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
    /// Lays out an output for `length` bytes of guest data; `thin` leaves zeros out where the format can.
    pub fn new(
        index: u32,
        device: &ChainDevice,
        target_format: u32,
        length: u64,
        thin: Option<&mut WindowPool>,
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
            image_format::QCOW2 => {
                let refused = |error| match error {
                    LayoutError::TooBig { .. } => unsupported(
                        error_kind::OUTPUT_TOO_BIG,
                        "a qcow2 image with clusters of 64 KiB cannot have so many bytes",
                    ),
                    _ => unsupported(error_kind::INTERNAL, "the qcow2 layout refused its options"),
                };
                let options = LayoutOptions::default();
                match thin {
                    None => {
                        Format::Qcow2(DenseLayout::new(virtual_size, options).map_err(refused)?)
                    }
                    Some(windows) => {
                        let layout = SparseLayout::new(virtual_size, options).map_err(refused)?;
                        let cluster = usize::try_from(layout.cluster_size()).unwrap_or(usize::MAX);
                        let window = windows.take(cluster).ok_or(unsupported(
                            error_kind::INTERNAL,
                            "no window for the tables",
                        ))?;
                        Format::ThinQcow2(RefCell::new((layout, window)))
                    }
                }
            }
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
            Format::ThinQcow2(thin) => thin.borrow().0.file_length(),
        }
    }

    /// Offset in the output device of the guest byte at `offset` of the window.
    fn place(&self, offset: u64) -> u64 {
        let inside = match &self.format {
            Format::Raw | Format::ThinQcow2(_) => offset,
            Format::Qcow2(layout) => layout.metadata_length().saturating_add(offset),
        };
        self.start.saturating_add(inside)
    }

    /// Whether zeros need no command at all.
    pub fn is_thin(&self) -> bool {
        matches!(self.format, Format::ThinQcow2(_))
    }

    /// Places bytes of a thin output, in pieces that lie together. A table that is complete is written on the way.
    pub fn place_thin(
        &self,
        commands: &SharedCommands,
        offset: u64,
        length: u64,
    ) -> Result<Vec<Placed>, OperationError> {
        let internal = |detail| OperationError::plain(error_kind::INTERNAL, self.device, detail);
        let Format::ThinQcow2(thin) = &self.format else {
            return Err(internal("an output that is not thin"));
        };
        let (layout, window) = &mut *thin.borrow_mut();
        let mut placed: Vec<Placed> = Vec::new();
        let mut from = 0_u64;
        while from < length {
            let (host, count, table) = layout
                .place(offset.saturating_add(from), length.saturating_sub(from))
                .map_err(|_| internal("a cluster could not be placed"))?;
            if let Some(table) = table {
                self.write_thin_metadata(commands, window, &table)?;
            }
            let host = self.start.saturating_add(host);
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

    /// Writes what a thin output's metadata still lacks, after all guest data was placed.
    pub fn finish(&self, commands: &SharedCommands) -> Result<(), OperationError> {
        let Format::ThinQcow2(thin) = &self.format else {
            return Ok(());
        };
        let (layout, window) = &mut *thin.borrow_mut();
        for metadata in layout.finish() {
            self.write_thin_metadata(commands, window, &metadata)?;
        }
        Ok(())
    }

    fn write_thin_metadata(
        &self,
        commands: &SharedCommands,
        window: &mut Window,
        metadata: &Metadata,
    ) -> Result<(), OperationError> {
        metadata.fill(window.bytes_mut());
        let offset = self.start.saturating_add(metadata.offset);
        let write = self.write_at(window.address(), offset, window.len() as u64);
        let mut commands = commands.borrow_mut();
        let ticket = commands.start(write);
        commands.wait(ticket)
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
        if self.is_thin() {
            return None;
        }
        let end = self.start.saturating_add(self.file_length());
        let from = self.place(self.length);
        let length = end.checked_sub(from).filter(|length| *length > 0)?;
        Some(self.zero(self.length, length, hole))
    }
}
