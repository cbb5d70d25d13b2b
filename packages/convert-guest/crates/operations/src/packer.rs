//! Clusters that are compressed together, by both processors where there are two; and clusters that come with their stream, which
//! is decoded and, where it is whole, goes on as it is.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use instar_abi::error_kind;
use instar_codecs::{Codec, CodecError, Compressor, Decoder, Effort};
use instar_guest_runtime::share;
use instar_image_formats::growing::Packing;

use crate::error::OperationError;
use crate::setup::internal;
use crate::zeros::is_zero;

/// Bytes of clusters that are compressed together: enough that both processors have something to do.
const BATCH: usize = 2 << 20;
/// Least and most clusters of a batch.
const BATCH_CLUSTERS: (usize, usize) = (2, 64);
/// Bytes of the heap that a second encoder leaves to everybody else.
const RESERVE: usize = 12 << 20;

/// Where an image has the stream of a cluster.
#[derive(Clone, Copy)]
pub struct Origin {
    pub device: u32,
    /// Byte offset in the device.
    pub offset: u64,
    /// Virtual offset of the cluster on the disk that is read.
    pub virtual_offset: u64,
}

/// A cluster, and what it was compressed to.
pub struct Slot {
    /// Where it begins on the disk (byte offset).
    pub offset: u64,
    pub cluster: Vec<u8>,
    /// Bytes that the stream may take, its place, and its length where it fits.
    room: usize,
    stream: Vec<u8>,
    length: Option<usize>,
    /// The cluster came with its stream: so many bytes at the beginning of `stream`, of which the last may be none of it.
    given: Option<(usize, Origin)>,
}

/// What a processor does its work with.
struct Encoder {
    codec: Codec,
    compressor: Compressor,
    decoder: Decoder,
}

/// Compresses clusters, several at a time.
pub struct Packer {
    pub packing: Packing,
    first: Encoder,
    /// That of the second processor, where there is memory for it.
    second: Option<Box<Encoder>>,
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
            given: None,
        }
    }

    /// Whether what came with its stream is a cluster of zeros, for which no stream is needed. (Of others it is known before.)
    pub fn is_needless(&self) -> bool {
        self.given.is_some() && is_zero(&self.cluster)
    }
}

impl Encoder {
    fn new(codec: Codec, effort: Effort) -> Result<Self, CodecError> {
        Ok(Self {
            codec,
            compressor: Compressor::new(codec, effort)?,
            decoder: Decoder::new(),
        })
    }
}

/// Compresses a cluster, or finds out how long the stream is that it came with.
fn pack(encoder: &mut Encoder, slot: &mut Slot) {
    if slot.given.is_some() {
        verify(encoder, slot);
    } else {
        compress(encoder, slot);
    }
}

fn compress(encoder: &mut Encoder, slot: &mut Slot) {
    let Slot {
        cluster,
        room,
        stream,
        length,
        ..
    } = slot;
    *length = stream
        .get_mut(..*room)
        .and_then(|room| encoder.compressor.compress(cluster, room));
}

/// Decodes a stream that came with its cluster. It has a length where it is whole, and none where it cannot go on as it is.
fn verify(encoder: &mut Encoder, slot: &mut Slot) {
    let Slot {
        cluster,
        room,
        stream,
        length,
        given,
        ..
    } = slot;
    *length = given
        .and_then(|(most, _)| stream.get(..most))
        .and_then(|stream| encoder.decoder.decode_whole(encoder.codec, stream, cluster))
        .filter(|length| length <= room);
}

impl Packer {
    pub fn new(packing: Packing, effort: Effort) -> Result<Self, OperationError> {
        let memory = |_| OperationError::plain(error_kind::INTERNAL, 0, "no memory for an encoder");
        let block = usize::try_from(packing.block)
            .map_err(|_| internal("a cluster does not fit memory"))?;
        let (least, most) = BATCH_CLUSTERS;
        let most = BATCH.checked_div(block).unwrap_or(0).clamp(least, most);
        let mut packer = Self {
            first: Encoder::new(packing.codec, effort).map_err(memory)?,
            second: None,
            slots: Vec::with_capacity(most),
            spare: (0..most).map(|_| Slot::of(block)).collect(),
            most,
            packing,
        };
        let block = vec![0; block];
        let mut room = vec![0; room_of(block.len())];
        // Each takes all the memory that it will ever need now: the second processor has none.
        packer.first.compressor.compress(&block, &mut room);
        let second = Encoder::new(packing.codec, effort).ok().map(Box::new);
        packer.second = second.and_then(|mut second| {
            let works = second.compressor.compress(&block, &mut room).is_some();
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

    /// Makes ready for clusters that come with their streams.
    pub fn take_streams(&mut self) -> Result<(), OperationError> {
        let codec = self.packing.codec;
        let ready = |encoder: &mut Encoder| encoder.decoder.prepare(codec);
        ready(&mut self.first).map_err(|_| internal("no memory for a decoder"))?;
        if self
            .second
            .as_deref_mut()
            .map(ready)
            .is_some_and(|ready| ready.is_err())
        {
            self.second = None;
        }
        Ok(())
    }

    /// Takes slots back.
    pub fn reuse(&mut self, mut slots: Vec<Slot>) {
        self.spare.append(&mut slots);
    }

    /// Takes a cluster. Returns whether the batch is full.
    pub fn take(&mut self, offset: u64, cluster: &[u8]) -> bool {
        let mut slot = self.slot(offset, cluster.len());
        slot.cluster.extend_from_slice(cluster);
        self.push(slot)
    }

    /// Takes a cluster of so many bytes with its stream, which has further bytes behind its end. Returns whether the batch is full;
    /// `None` where the stream is longer than any that is kept, and was not taken.
    pub fn take_stream(
        &mut self,
        offset: u64,
        cluster: usize,
        stream: &[u8],
        origin: Origin,
    ) -> Option<bool> {
        if stream.len() > room_of(cluster) {
            return None;
        }
        let mut slot = self.slot(offset, cluster);
        slot.cluster.resize(cluster, 0);
        slot.stream.get_mut(..stream.len())?.copy_from_slice(stream);
        slot.given = Some((stream.len(), origin));
        Some(self.push(slot))
    }

    /// An empty one, for a cluster of so many bytes.
    fn slot(&mut self, offset: u64, cluster: usize) -> Slot {
        let mut slot = self.spare.pop().unwrap_or_else(|| Slot::of(cluster));
        slot.offset = offset;
        slot.cluster.clear();
        slot.given = None;
        // A stream that takes as much as its cluster gains nothing.
        slot.room = if self.packing.plain {
            cluster.saturating_sub(1)
        } else {
            slot.stream.len()
        };
        slot
    }

    fn push(&mut self, slot: Slot) -> bool {
        self.slots.push(slot);
        self.slots.len() >= self.most
    }

    /// Compresses what was taken.
    pub fn pack(&mut self) -> Result<Vec<Slot>, OperationError> {
        let second = self.second.as_mut();
        share(&mut self.slots, &mut self.first, second, pack);
        let mut slots = mem::take(&mut self.slots);
        for slot in &mut slots {
            if slot.length.is_none() {
                self.pack_again(slot)?;
            }
        }
        Ok(slots)
    }

    /// Decodes a stream that does not go on as it is in the way of all readers of images, and compresses what it holds.
    fn pack_again(&mut self, slot: &mut Slot) -> Result<(), OperationError> {
        let Some((most, origin)) = slot.given else {
            return Ok(());
        };
        let Encoder { codec, decoder, .. } = &mut self.first;
        let stream = slot.stream.get(..most).unwrap_or_default();
        decoder
            .decode_cluster(*codec, stream, &mut slot.cluster)
            .map_err(|_| OperationError::Decompress {
                device: origin.device,
                offset: origin.offset,
                virtual_offset: origin.virtual_offset,
            })?;
        compress(&mut self.first, slot);
        Ok(())
    }
}

/// Bytes of the longest stream of a cluster: of what cannot be compressed it is a little longer than that.
fn room_of(cluster: usize) -> usize {
    cluster.saturating_add(cluster / 512).saturating_add(512)
}
