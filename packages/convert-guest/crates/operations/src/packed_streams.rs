//! Packed files that are being read. They are unpacked from front to back, so a guest keeps its place in each from request to
//! request: whoever reads a disk piece by piece would begin anew with every piece otherwise.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use instar_codecs::{LARGE_WINDOW, SMALL_WINDOW};
use instar_guest_runtime::{Window, key_memory};
use instar_image_formats::{
    ByteSource, DeviceIndex, Extent, ExtentKind, FormatError, PackedStream, SourceError,
};

use crate::commands::SharedCommands;
use crate::device_source::DeviceSource;

/// Bytes that are unpacked at once where nobody wants them.
const SKIPPED: usize = 64 << 10;

/// Most bytes that a dictionary may have: more where the host gave this guest memory for it.
pub fn largest_window() -> u64 {
    if key_memory() > LARGE_WINDOW {
        LARGE_WINDOW
    } else {
        SMALL_WINDOW
    }
}

/// Window for the metadata of an operation, through which packed files are read as well.
type MetadataWindow = Rc<RefCell<Window>>;

/// What a guest knows of its packed files.
#[derive(Default)]
pub struct PackedStreams {
    /// Set while an operation runs: its windows go with it.
    window: Rc<RefCell<Option<MetadataWindow>>>,
    /// Bytes that devices unpack to.
    sizes: Vec<(u32, u64)>,
    open: Vec<(DeviceIndex, PackedStream<Source>)>,
}

/// One set for a guest.
pub type SharedStreams = Rc<RefCell<PackedStreams>>;

impl PackedStreams {
    /// Takes the window that an operation has.
    pub fn begin(&mut self, window: &MetadataWindow) {
        *self.window.borrow_mut() = Some(Rc::clone(window));
    }

    /// Lets go of the window when the operation has ended.
    pub fn end(&mut self) {
        *self.window.borrow_mut() = None;
    }

    /// What an earlier look has told of a device.
    pub fn known_size(&self, device: u32) -> Option<u64> {
        let known = self.sizes.iter().find(|(index, _)| *index == device);
        known.map(|(_, size)| *size)
    }

    /// Remembers what a device unpacks to (bytes).
    pub fn remember(&mut self, device: u32, size: u64) {
        if self.known_size(device).is_none() {
            self.sizes.push((device, size));
        }
    }

    /// Fills a buffer with the beginning of an extent of a packed file.
    pub fn read(
        &mut self,
        commands: &SharedCommands,
        extent: &Extent,
        buffer: &mut [u8],
    ) -> Result<(), FormatError> {
        let ExtentKind::Packed {
            device, unpacked, ..
        } = extent.kind
        else {
            return Err(of_source(DeviceIndex(0), extent.start));
        };
        let mut stream = self.take(commands, extent)?;
        let mut skipped = vec![];
        while stream.position() < extent.start {
            let left = extent.start.saturating_sub(stream.position());
            let length = usize::try_from(left).unwrap_or(SKIPPED).min(SKIPPED);
            skipped.resize(length, 0);
            fill(&mut stream, &mut skipped)?;
        }
        fill(&mut stream, buffer)?;
        if stream.position() == unpacked {
            // Only its end tells whether all was right.
            stream.read(&mut [0])?;
        }
        // One that failed is not used again.
        self.open.push((device, stream));
        Ok(())
    }

    /// A stream that can give the beginning of an extent: one that has not passed it, or a new one.
    fn take(
        &mut self,
        commands: &SharedCommands,
        extent: &Extent,
    ) -> Result<PackedStream<Source>, FormatError> {
        let ExtentKind::Packed {
            device,
            packing,
            file_size,
            unpacked,
        } = extent.kind
        else {
            return Err(of_source(DeviceIndex(0), extent.start));
        };
        let found = self.open.iter().position(|(index, _)| *index == device);
        if let Some(at) = found {
            let (_, stream) = self.open.swap_remove(at);
            if stream.position() <= extent.start {
                return Ok(stream);
            }
        }
        let source = Source {
            commands: Rc::clone(commands),
            window: Rc::clone(&self.window),
            device: device.0,
            size: file_size,
        };
        PackedStream::new(source, device, packing, Some(unpacked), largest_window())
    }
}

fn of_source(device: DeviceIndex, offset: u64) -> FormatError {
    FormatError::of_source(device, offset, SourceError::OutOfRange)
}

/// Fills a buffer that the stream has bytes for.
fn fill(stream: &mut PackedStream<Source>, buffer: &mut [u8]) -> Result<(), FormatError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match stream.read(rest)? {
            0 => return Err(of_source(stream.device(), stream.position())),
            length => filled = filled.saturating_add(length),
        }
    }
    Ok(())
}

/// The bytes of a device, for longer than an operation.
struct Source {
    commands: SharedCommands,
    window: Rc<RefCell<Option<MetadataWindow>>>,
    device: u32,
    size: u64,
}

impl ByteSource for Source {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let window = self.window.borrow();
        let window = window.as_ref().ok_or(SourceError::OutOfRange)?;
        DeviceSource::new(&self.commands, window, self.device, self.size)
            .read_exact_at(offset, buffer)
    }
}
