//! Compressed images whose disks become one: their clusters go on as they are where the output would have the like.

use instar_abi::{ChainConfig, OutputLayout, output_layout_flag};
use instar_image_formats::{Extent, ExtentKind};

use crate::cluster_writer::ClusterWriter;
use crate::error::OperationError;
use crate::fetch::Fetcher;
use crate::overlay::copy_extent;
use crate::packer::Origin;

/// Whether the streams of an output need not be made anew: nobody asked for how small they are to become, and several images
/// become one, which most likely are parts of what was compressed once already.
///
/// Of a single image all is compressed again. What an image holds has been written by a stranger; who converts it gets
/// streams that this program has made.
pub fn keeps_streams(images: usize, layout: &OutputLayout) -> bool {
    let efforts = output_layout_flag::BEST_COMPRESSION | output_layout_flag::FAST_COMPRESSION;
    images > 1 && layout.flags & efforts == 0
}

/// Sends the beginning of an extent to a writer of clusters, with the stream that it has; returns how many bytes that were. It
/// begins at `offset` of the output's disk.
pub fn join_extent(
    chain: &ChainConfig,
    fetcher: &mut Fetcher<'_>,
    writer: &mut ClusterWriter<'_>,
    extent: &Extent,
    offset: u64,
) -> Result<u64, OperationError> {
    if let ExtentKind::Compressed {
        device,
        codec,
        offset: place,
        max_length,
        cluster_start,
        cluster_size,
    } = extent.kind
        && extent.start == cluster_start
        && extent.length == cluster_size
        && writer.continues_with(offset, cluster_size, codec)
    {
        let index = usize::try_from(device.0).unwrap_or(usize::MAX);
        let file = chain.devices.get(index).map_or(0, |file| file.file_size);
        let origin = Origin {
            device: device.0,
            offset: place,
            virtual_offset: cluster_start,
        };
        // What is longer than that is compressed anew.
        if max_length > 0 && max_length <= cluster_size.saturating_add(SECTOR) {
            let stream = fetcher.stream((device, place, max_length), file)?;
            if writer.take_stream(stream, origin)? {
                return Ok(cluster_size);
            }
        }
    }
    copy_extent(fetcher, writer, extent)
}

/// A stream ends within its last sector.
const SECTOR: u64 = 512;
