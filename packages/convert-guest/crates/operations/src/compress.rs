//! Whole clusters of the disk that are compressed one by one and written one behind the other.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use instar_abi::error_kind;
use instar_codecs::{Codec, Compressor};
use instar_guest_runtime::{Window, WindowPool};

use crate::commands::{SharedCommands, Ticket};
use crate::error::OperationError;
use crate::output::Output;
use crate::setup::internal;

/// Bytes that are written at once.
const WINDOW: usize = 4 << 20;

/// Compressed clusters that lie one behind the other, and are not written yet.
struct Gathered {
    /// Byte offset in the device.
    offset: u64,
    /// Bytes.
    length: usize,
}

/// Takes the bytes of a disk in order and writes what they are compressed to.
pub struct CompressingWriter<'a> {
    commands: &'a SharedCommands,
    output: &'a Output,
    compressor: Compressor,
    cluster_size: usize,
    /// Bytes of the disk that were taken.
    position: u64,
    /// The beginning of a cluster.
    partial: Vec<u8>,
    /// The window that is being filled, and the one that may be on its way.
    windows: [Window; 2],
    gathered: Option<Gathered>,
    writing: Option<Ticket>,
    /// A cluster that was compressed.
    packed: Vec<u8>,
}

impl<'a> CompressingWriter<'a> {
    /// A writer with windows of its own.
    pub fn new(
        commands: &'a SharedCommands,
        output: &'a Output,
        windows: &mut WindowPool,
        codec: Codec,
        cluster_size: usize,
    ) -> Result<Self, OperationError> {
        let mut take = || {
            windows
                .take(WINDOW)
                .ok_or_else(|| internal("the windows region is too small"))
        };
        let memory = |_| OperationError::plain(error_kind::INTERNAL, 0, "no memory for an encoder");
        Ok(Self {
            commands,
            output,
            compressor: Compressor::new(codec).map_err(memory)?,
            cluster_size,
            position: 0,
            partial: Vec::with_capacity(cluster_size),
            windows: [take()?, take()?],
            gathered: None,
            writing: None,
            packed: vec![0; cluster_size],
        })
    }

    /// Takes bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), OperationError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let missing = self.cluster_size.saturating_sub(self.partial.len());
            let (now, later) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            rest = later;
            if self.partial.is_empty() && now.len() == self.cluster_size {
                self.put(now)?;
                continue;
            }
            self.partial.extend_from_slice(now);
            if self.partial.len() == self.cluster_size {
                self.put_partial()?;
            }
        }
        Ok(())
    }

    /// Takes zeros.
    pub fn take_zeros(&mut self, length: u64) -> Result<(), OperationError> {
        let mut left = length;
        while left > 0 {
            if self.partial.is_empty() && left >= self.cluster_size as u64 {
                // Whole clusters of zeros are not there.
                let whole =
                    left.saturating_sub(left.checked_rem(self.cluster_size as u64).unwrap_or(0));
                self.position = self.position.saturating_add(whole);
                left = left.saturating_sub(whole);
                continue;
            }
            let missing = self.cluster_size.saturating_sub(self.partial.len());
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(missing);
            self.partial
                .resize(self.partial.len().saturating_add(now), 0);
            left = left.saturating_sub(now as u64);
            if self.partial.len() == self.cluster_size {
                self.put_partial()?;
            }
        }
        Ok(())
    }

    /// Takes the end of the disk, and waits until everything was written.
    pub fn finish(&mut self) -> Result<(), OperationError> {
        if !self.partial.is_empty() {
            self.partial.resize(self.cluster_size, 0);
            self.put_partial()?;
        }
        self.launch()?;
        self.wait()
    }

    fn put_partial(&mut self) -> Result<(), OperationError> {
        let mut cluster = mem::take(&mut self.partial);
        self.put(&cluster)?;
        cluster.clear();
        self.partial = cluster;
        Ok(())
    }

    /// Takes a whole cluster.
    fn put(&mut self, cluster: &[u8]) -> Result<(), OperationError> {
        let offset = self.position;
        self.position = offset.saturating_add(cluster.len() as u64);
        let mut words = cluster.chunks_exact(8);
        if words.all(|word| word == [0; 8]) {
            return Ok(());
        }
        let mut packed = mem::take(&mut self.packed);
        // A stream that takes as much as its cluster gains nothing.
        let room = cluster.len().saturating_sub(1);
        let length = packed
            .get_mut(..room)
            .and_then(|room| self.compressor.compress(cluster, room));
        let done = match length.and_then(|length| packed.get(..length)) {
            Some(stream) => {
                let place =
                    self.output
                        .place_compressed(self.commands, offset, stream.len() as u64)?;
                self.gather(place, stream)
            }
            None => self.put_plain(offset, cluster),
        };
        self.packed = mem::take(&mut packed);
        done
    }

    fn put_plain(&mut self, offset: u64, cluster: &[u8]) -> Result<(), OperationError> {
        let left = self.output.virtual_size().saturating_sub(offset);
        let length = left.min(cluster.len() as u64);
        for placed in self.output.place_growing(self.commands, offset, length)? {
            let from = usize::try_from(placed.from).unwrap_or(usize::MAX);
            // The cluster counts in full, whatever part of it the disk reaches.
            let bytes = cluster
                .get(from..)
                .ok_or_else(|| internal("a cluster lies outside itself"))?;
            self.gather(placed.offset, bytes)?;
        }
        Ok(())
    }

    /// Takes bytes for a place in the device.
    fn gather(&mut self, offset: u64, bytes: &[u8]) -> Result<(), OperationError> {
        let goes_on = self.gathered.as_ref().is_some_and(|gathered| {
            gathered.offset.saturating_add(gathered.length as u64) == offset
                && gathered.length.saturating_add(bytes.len()) <= WINDOW
        });
        if !goes_on {
            self.launch()?;
        }
        let gathered = self.gathered.get_or_insert(Gathered { offset, length: 0 });
        let end = gathered.length.saturating_add(bytes.len());
        let [filling, _] = &mut self.windows;
        filling
            .bytes_mut()
            .get_mut(gathered.length..end)
            .ok_or_else(|| internal("a cluster is larger than its window"))?
            .copy_from_slice(bytes);
        gathered.length = end;
        Ok(())
    }

    /// Starts to write what was gathered, and takes the other window.
    fn launch(&mut self) -> Result<(), OperationError> {
        let Some(gathered) = self.gathered.take() else {
            return Ok(());
        };
        self.wait()?;
        let [filled, _] = &self.windows;
        let write = self
            .output
            .write_at(filled.address(), gathered.offset, gathered.length as u64);
        self.writing = Some(self.commands.borrow_mut().start(write));
        self.windows.reverse();
        Ok(())
    }

    fn wait(&mut self) -> Result<(), OperationError> {
        match self.writing.take() {
            Some(ticket) => self.commands.borrow_mut().wait(ticket),
            None => Ok(()),
        }
    }
}
