//! Clusters that are compressed together, by both processors where there are two.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use instar_abi::error_kind;
use instar_codecs::{Compressor, Effort};
use instar_guest_runtime::share;
use instar_image_formats::growing::Packing;

use crate::error::OperationError;
use crate::setup::internal;

/// Bytes of clusters that are compressed together: enough that both processors have something to do.
const BATCH: usize = 2 << 20;
/// Least and most clusters of a batch.
const BATCH_CLUSTERS: (usize, usize) = (2, 64);
/// Bytes of the heap that a second encoder leaves to everybody else.
const RESERVE: usize = 12 << 20;

/// A cluster, and what it was compressed to.
pub struct Slot {
    /// Where it begins on the disk (byte offset).
    pub offset: u64,
    pub cluster: Vec<u8>,
    /// Bytes that the stream may take, its place, and its length where it fits.
    room: usize,
    stream: Vec<u8>,
    length: Option<usize>,
}

/// Compresses clusters, several at a time.
pub struct Packer {
    pub packing: Packing,
    first: Compressor,
    /// That of the second processor, where there is memory for it.
    second: Option<Box<Compressor>>,
    slots: Vec<Slot>,
    /// Slots of earlier batches.
    spare: Vec<Slot>,
    /// Clusters of a batch.
    most: usize,
}

impl Slot {
    /// What the cluster was compressed to, where that fits.
    pub fn stream(&self) -> Option<&[u8]> {
        self.stream.get(..self.length?)
    }

    /// For a cluster of so many bytes.
    fn of(cluster: usize) -> Self {
        Self {
            offset: 0,
            cluster: Vec::with_capacity(cluster),
            room: 0,
            stream: vec![0; room_of(cluster)],
            length: None,
        }
    }
}

fn compress(compressor: &mut Compressor, slot: &mut Slot) {
    let Slot {
        cluster,
        room,
        stream,
        length,
        ..
    } = slot;
    *length = stream
        .get_mut(..*room)
        .and_then(|room| compressor.compress(cluster, room));
}

impl Packer {
    pub fn new(packing: Packing, effort: Effort) -> Result<Self, OperationError> {
        let memory = |_| OperationError::plain(error_kind::INTERNAL, 0, "no memory for an encoder");
        let block = usize::try_from(packing.block)
            .map_err(|_| internal("a cluster does not fit memory"))?;
        let (least, most) = BATCH_CLUSTERS;
        let most = BATCH.checked_div(block).unwrap_or(0).clamp(least, most);
        let mut packer = Self {
            first: Compressor::new(packing.codec, effort).map_err(memory)?,
            second: None,
            slots: Vec::with_capacity(most),
            spare: (0..most).map(|_| Slot::of(block)).collect(),
            most,
            packing,
        };
        let block = vec![0; block];
        let mut room = vec![0; room_of(block.len())];
        // Each takes all the memory that it will ever need now: the second processor has none.
        packer.first.compress(&block, &mut room);
        let second = Compressor::new(packing.codec, effort).ok().map(Box::new);
        packer.second = second.and_then(|mut second| {
            let works = second.compress(&block, &mut room).is_some();
            works.then_some(second)
        });
        drop((block, room));
        if Vec::<u8>::new().try_reserve_exact(RESERVE).is_err() {
            packer.second = None;
        }
        if packer.second.is_none() {
            // Nothing is gained by having several ready.
            packer.most = 1;
            packer.spare.truncate(1);
        }
        Ok(packer)
    }

    /// Takes slots back.
    pub fn reuse(&mut self, mut slots: Vec<Slot>) {
        self.spare.append(&mut slots);
    }

    /// Takes a cluster. Returns whether the batch is full.
    pub fn take(&mut self, offset: u64, cluster: &[u8]) -> bool {
        let mut slot = self.spare.pop().unwrap_or_else(|| Slot::of(cluster.len()));
        slot.offset = offset;
        slot.cluster.clear();
        slot.cluster.extend_from_slice(cluster);
        // A stream that takes as much as its cluster gains nothing.
        slot.room = if self.packing.plain {
            cluster.len().saturating_sub(1)
        } else {
            slot.stream.len()
        };
        self.slots.push(slot);
        self.slots.len() >= self.most
    }

    /// Compresses what was taken.
    pub fn pack(&mut self) -> Vec<Slot> {
        let second = self.second.as_mut();
        share(&mut self.slots, &mut self.first, second, compress);
        mem::take(&mut self.slots)
    }
}

/// Bytes of the longest stream of a cluster: of what cannot be compressed it is a little longer than that.
fn room_of(cluster: usize) -> usize {
    cluster.saturating_add(cluster / 512).saturating_add(512)
}
