//! Whole clusters of the disk, taken in order and written one behind the other: compressed one by one, or as they are.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use instar_codecs::{Codec, Effort};
use instar_guest_runtime::{Window, WindowPool};

use crate::commands::{SharedCommands, Ticket};
use crate::error::OperationError;
use crate::output::Output;
use crate::output_cipher::OutputCipher;
use crate::packer::{Origin, Packer};
use crate::setup::internal;
use crate::zeros::is_zero;

/// Bytes that are written at once.
const WINDOW: usize = 4 << 20;
/// What stands behind a stream up to the next sector.
const PADDING: [u8; 512] = [0; 512];

/// Clusters that lie one behind the other, and are not written yet.
struct Gathered {
    /// Byte offset in the device.
    offset: u64,
    /// Bytes.
    length: usize,
}

/// What becomes of clusters.
#[derive(Clone, Copy)]
pub struct Clusters {
    /// Bytes of a cluster that is not compressed.
    pub size: u64,
    /// Compress what becomes smaller by it, or all where the format has nothing else.
    pub compress: Option<Effort>,
    /// What is not written does not read as zeros: they must be said.
    pub says_zeros: bool,
    /// Nothing is written behind the end of the disk, be that within a cluster.
    pub ends_with_disk: bool,
}

/// Takes the bytes of a disk in order and writes its clusters.
pub struct ClusterWriter<'a> {
    commands: &'a SharedCommands,
    output: &'a Output,
    packer: Option<Packer>,
    says_zeros: bool,
    ends_with_disk: bool,
    /// Clusters go out one behind the other, each with what stands in front of it.
    in_order: bool,
    cipher: Option<OutputCipher>,
    cluster_size: usize,
    /// Bytes of the disk that were taken.
    position: u64,
    /// The beginning of a cluster.
    partial: Vec<u8>,
    /// The window that is being filled, and the one that may be on its way.
    windows: [Window; 2],
    gathered: Option<Gathered>,
    writing: Option<Ticket>,
}

impl<'a> ClusterWriter<'a> {
    /// A writer with windows of its own.
    pub fn new(
        commands: &'a SharedCommands,
        output: &'a Output,
        windows: &mut WindowPool,
        clusters: Clusters,
        cipher: Option<OutputCipher>,
    ) -> Result<Self, OperationError> {
        let mut take = || {
            windows
                .take(WINDOW)
                .ok_or_else(|| internal("the windows region is too small"))
        };
        let packer = match (clusters.compress, output.packing()) {
            (None, _) => None,
            (Some(effort), Some(packing)) => Some(Packer::new(packing, effort)?),
            (Some(_), None) => return Err(internal("a format without compressed clusters")),
        };
        let in_order = output.block_in_order();
        let cluster_size = match &packer {
            Some(packer) => packer.packing.block,
            None => in_order.unwrap_or(clusters.size),
        };
        let cluster_size =
            usize::try_from(cluster_size).map_err(|_| internal("a cluster does not fit memory"))?;
        Ok(Self {
            commands,
            output,
            packer,
            says_zeros: clusters.says_zeros,
            ends_with_disk: cipher
                .as_ref()
                .map_or(clusters.ends_with_disk, OutputCipher::ends_with_disk),
            in_order: in_order.is_some(),
            cipher,
            cluster_size,
            position: 0,
            partial: Vec::with_capacity(cluster_size),
            windows: [take()?, take()?],
            gathered: None,
            writing: None,
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

    /// Makes ready for clusters that come with their streams; false where it takes none.
    pub fn take_streams(&mut self) -> Result<bool, OperationError> {
        // What is not written must read as zeros, and what does not become smaller is written as it is.
        let takes = |packer: &&mut Packer| packer.packing.plain;
        match self.packer.as_mut().filter(takes) {
            Some(packer) if !self.says_zeros => packer.take_streams().map(|()| true),
            _ => Ok(false),
        }
    }

    /// Whether this writer's next cluster is the one that lies at an offset of the disk, has so many bytes and was made by this codec.
    pub fn continues_with(&self, offset: u64, size: u64, codec: Codec) -> bool {
        let codecs = self.packer.as_ref().map(|packer| packer.packing.codec);
        self.partial.is_empty()
            && self.position == offset
            && self.cluster_size as u64 == size
            && codecs == Some(codec)
    }

    /// Takes the next cluster with its stream, which has further bytes behind its end. Returns whether it was taken.
    pub fn take_stream(&mut self, stream: &[u8], origin: Origin) -> Result<bool, OperationError> {
        let Some(packer) = &mut self.packer else {
            return Ok(false);
        };
        let taken = packer.take_stream(self.position, self.cluster_size, stream, origin);
        let Some(full) = taken else {
            return Ok(false);
        };
        self.position = self.position.saturating_add(self.cluster_size as u64);
        if full {
            self.put_packed()?;
        }
        Ok(true)
    }

    /// Bytes of a cluster.
    pub fn cluster_size(&self) -> u64 {
        self.cluster_size as u64
    }

    /// Takes zeros.
    pub fn take_zeros(&mut self, length: u64) -> Result<(), OperationError> {
        let mut left = length;
        while left > 0 {
            if self.partial.is_empty() && left >= self.cluster_size as u64 {
                // Whole clusters of zeros need no bytes.
                let whole =
                    left.saturating_sub(left.checked_rem(self.cluster_size as u64).unwrap_or(0));
                self.put_zeros(whole)?;
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
        self.put_packed()?;
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
        if is_zero(cluster) {
            self.position = offset;
            return self.put_zeros(cluster.len() as u64);
        }
        match &mut self.packer {
            None => self.put_plain(offset, cluster),
            Some(packer) => {
                if packer.take(offset, cluster) {
                    self.put_packed()?;
                }
                Ok(())
            }
        }
    }

    /// Compresses the clusters that were taken for that, and writes them in their order.
    fn put_packed(&mut self) -> Result<(), OperationError> {
        let Some(packer) = &mut self.packer else {
            return Ok(());
        };
        let plain = packer.packing.plain;
        let slots = packer.pack()?;
        for slot in &slots {
            if slot.is_needless() {
                continue;
            }
            match (slot.stream(), plain) {
                (Some(stream), _) => self.put_stream(slot.offset, stream)?,
                (None, true) => self.put_plain(slot.offset, &slot.cluster)?,
                (None, false) => return Err(internal("a cluster could not be compressed")),
            }
        }
        if let Some(packer) = &mut self.packer {
            packer.reuse(slots);
        }
        Ok(())
    }

    /// Writes what a cluster was compressed to, with what stands around it.
    fn put_stream(&mut self, offset: u64, stream: &[u8]) -> Result<(), OperationError> {
        let placed = self
            .output
            .place_compressed(self.commands, offset, stream.len() as u64)?;
        for part in &placed.settled {
            self.gather(part.offset, &part.bytes)?;
        }
        let mut place = placed.offset;
        for part in [&placed.prefix[..], stream] {
            self.gather(place, part)?;
            place = place.saturating_add(part.len() as u64);
        }
        let end = placed.offset.saturating_add(placed.length);
        let padding = usize::try_from(end.saturating_sub(place)).unwrap_or(usize::MAX);
        let zeros = PADDING
            .get(..padding)
            .ok_or_else(|| internal("a stream ends before its place does"))?;
        self.gather(place, zeros)
    }

    /// Leaves whole clusters to the image below.
    pub fn skip(&mut self, length: u64) -> Result<(), OperationError> {
        if !self.partial.is_empty() {
            return Err(internal("a cluster is left out in its middle"));
        }
        self.put_packed()?;
        self.position = self.position.saturating_add(length);
        Ok(())
    }

    /// Takes whole clusters of zeros, which are not there unless something lies below.
    fn put_zeros(&mut self, length: u64) -> Result<(), OperationError> {
        let mut offset = self.position;
        self.position = offset.saturating_add(length);
        let end = self.position.min(self.output.virtual_size());
        if !self.says_zeros {
            return Ok(());
        }
        // What is taken is placed in order.
        self.put_packed()?;
        while offset < end {
            let left = end.saturating_sub(offset);
            offset = match self.output.mark_zeros(self.commands, offset, left)? {
                Some(marked) => offset.saturating_add(marked),
                None => {
                    let zeros = vec![0; self.cluster_size];
                    self.put_plain(offset, &zeros)?;
                    offset.saturating_add(zeros.len() as u64)
                }
            };
        }
        Ok(())
    }

    fn put_plain(&mut self, offset: u64, cluster: &[u8]) -> Result<(), OperationError> {
        let left = self.output.virtual_size().saturating_sub(offset);
        let length = left.min(cluster.len() as u64);
        if self.in_order {
            let cut = usize::try_from(length).unwrap_or(usize::MAX);
            return self.put_stream(offset, cluster.get(..cut).unwrap_or(cluster));
        }
        for placed in self.output.place_bytes(self.commands, offset, length)? {
            let from = usize::try_from(placed.from).unwrap_or(usize::MAX);
            // The cluster counts in full, whatever part of it the disk reaches, but where the file ends with the disk.
            let end = if self.ends_with_disk {
                usize::try_from(length).unwrap_or(usize::MAX)
            } else {
                cluster.len()
            };
            let bytes = cluster
                .get(from..end)
                .ok_or_else(|| internal("a cluster lies outside itself"))?;
            self.gather(placed.offset, bytes)?;
            self.encrypt(
                placed.offset,
                offset.saturating_add(placed.from),
                bytes.len(),
            );
        }
        Ok(())
    }

    /// Encrypts the last bytes that were gathered.
    fn encrypt(&mut self, host: u64, disk: u64, length: usize) {
        let (Some(cipher), Some(gathered)) = (&self.cipher, &self.gathered) else {
            return;
        };
        let [filling, _] = &mut self.windows;
        let start = gathered.length.saturating_sub(length);
        if let Some(bytes) = filling.bytes_mut().get_mut(start..gathered.length) {
            cipher.encrypt(host, disk, bytes);
        }
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
