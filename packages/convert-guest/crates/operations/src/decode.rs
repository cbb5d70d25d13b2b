//! Compressed clusters that are decoded together, by both processors where there are two.

use alloc::boxed::Box;
use alloc::vec::Vec;

use instar_codecs::{Codec, Decoder};
use instar_guest_runtime::share;

/// A compressed cluster, and where its bytes belong.
pub struct Cluster<'a> {
    pub codec: Codec,
    pub stream: &'a [u8],
    pub target: &'a mut [u8],
    /// Whether it has been decoded.
    pub done: bool,
}

/// A decoder for each processor.
pub struct Decoders {
    first: Decoder,
    /// That of the second processor, where there is memory for it.
    second: Option<Box<Decoder>>,
}

impl Decoders {
    /// Decoders that have allocated nothing yet.
    pub fn new() -> Self {
        Self {
            first: Decoder::new(),
            second: Some(Box::default()),
        }
    }

    /// Whether clusters of a codec can be decoded by the second processor, which has no memory to allocate.
    pub fn shares(codec: Codec) -> bool {
        matches!(codec, Codec::Deflate | Codec::Zlib | Codec::Zstd)
    }

    /// Decodes clusters of codecs that [`shares`](Self::shares) names. Returns the place of the first that could not be.
    pub fn decode(&mut self, clusters: &mut Vec<Cluster<'_>>) -> Option<usize> {
        // All clusters of an image are of one codec.
        if let (Some(codec), Some(second)) =
            (clusters.first().map(|one| one.codec), &mut self.second)
            && second.prepare(codec).is_err()
        {
            self.second = None;
        }
        share(clusters, &mut self.first, self.second.as_mut(), decode);
        clusters.iter().position(|cluster| !cluster.done)
    }
}

fn decode(decoder: &mut Decoder, cluster: &mut Cluster<'_>) {
    let decoded = decoder.decode_cluster(cluster.codec, cluster.stream, cluster.target);
    cluster.done = decoded.is_ok();
}
