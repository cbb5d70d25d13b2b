//! Outputs that have a backing file: what of a disk they hold of their own.

use alloc::vec::Vec;

use instar_image_formats::{Chain, Extent, ExtentKind, Image, Located};

use crate::cluster_writer::ClusterWriter;
use crate::disks::Disks;
use crate::error::OperationError;
use crate::fetch::{Fetched, Fetcher};
use crate::holes::Holes;
use crate::open_chain::GuestImage;
use crate::setup::internal;

/// Bytes of the disk that are compared at once, at least a cluster.
const PIECE: u64 = 2 << 20;

/// What lies below the output.
pub enum Below {
    /// The layers of the input from this one on: what those above it hold is the output's own.
    Layers(usize),
    /// Another image: what differs from it is the output's own.
    Image(Chain<GuestImage>),
}

/// Writes what an output holds of its own, in whole clusters.
pub struct Overlay<'a> {
    fetcher: Fetcher<'a>,
    writer: ClusterWriter<'a>,
    below: Below,
    /// Bytes of the disk, and of the image below it.
    pieces: [Vec<u8>; 2],
}

impl<'a> Overlay<'a> {
    pub fn new(fetcher: Fetcher<'a>, writer: ClusterWriter<'a>, below: Below) -> Self {
        Self {
            fetcher,
            writer,
            below,
            pieces: [Vec::new(), Vec::new()],
        }
    }

    /// Takes the clusters from `position` on, which begins one. Returns how many bytes of the disk those were.
    pub fn step(
        &mut self,
        disks: &mut Disks,
        holes: &mut Holes<'_>,
        position: u64,
        end: u64,
    ) -> Result<u64, OperationError> {
        match &mut self.below {
            Below::Layers(depth) => {
                let depth = *depth;
                self.step_over_layers(disks, holes, position, end, depth)
            }
            Below::Image(_) => self.step_over_image(disks, holes, position, end),
        }
    }

    /// Takes the end of the disk.
    pub fn finish(&mut self) -> Result<(), OperationError> {
        self.writer.finish()
    }

    fn step_over_layers(
        &mut self,
        disks: &mut Disks,
        holes: &mut Holes<'_>,
        position: u64,
        end: u64,
        below: usize,
    ) -> Result<u64, OperationError> {
        let cluster = self.writer.cluster_size();
        let left = end.saturating_sub(position);
        let first = disks.locate(position, left)?;
        let length = whole_clusters(first.extent.length, cluster, left);
        if length > 0 {
            if !is_own(&first, below) {
                self.writer.skip(length)?;
            } else {
                self.copy(disks, holes, position, length)?;
            }
            return Ok(length);
        }
        // A cluster of several extents is written as a whole where one of them is the output's own.
        let length = cluster.min(left);
        let mut seen = first.extent.length;
        let mut own = is_own(&first, below);
        while seen < length && !own {
            let next = disks.locate(position.saturating_add(seen), length.saturating_sub(seen))?;
            own = is_own(&next, below);
            seen = seen.saturating_add(next.extent.length);
        }
        if own {
            self.copy(disks, holes, position, length)?;
        } else {
            self.writer.skip(length)?;
        }
        Ok(length)
    }

    fn copy(
        &mut self,
        disks: &mut Disks,
        holes: &mut Holes<'_>,
        position: u64,
        length: u64,
    ) -> Result<(), OperationError> {
        let mut done = 0_u64;
        while done < length {
            let at = position.saturating_add(done);
            let located = disks.locate(at, length.saturating_sub(done))?;
            let extent = holes.see(located.extent)?;
            done = done.saturating_add(copy_extent(&mut self.fetcher, &mut self.writer, &extent)?);
        }
        Ok(())
    }

    fn step_over_image(
        &mut self,
        disks: &mut Disks,
        holes: &mut Holes<'_>,
        position: u64,
        end: u64,
    ) -> Result<u64, OperationError> {
        let Below::Image(image) = &mut self.below else {
            return Err(internal("no image lies below"));
        };
        let cluster = self.writer.cluster_size();
        let left = end.saturating_sub(position);
        let upper = holes.see(disks.locate(position, left)?.extent)?;
        let lower = holes.see(locate_below(image, position, left)?)?;
        let zeros = whole_clusters(upper.length.min(lower.length), cluster, left);
        if zeros > 0 && is_zeros(&upper) && is_zeros(&lower) {
            self.writer.skip(zeros)?;
            return Ok(zeros);
        }
        let whole = PIECE.saturating_sub(PIECE.checked_rem(cluster).unwrap_or(0));
        let length = whole.max(cluster).min(left);
        let [of_disk, of_image] = &mut self.pieces;
        let fetcher = &mut self.fetcher;
        read(
            fetcher,
            Of::Disk,
            of_disk,
            (position, length),
            |at, most| holes.see(disks.locate(at, most)?.extent),
        )?;
        read(
            fetcher,
            Of::ImageBelow,
            of_image,
            (position, length),
            |at, most| holes.see(locate_below(image, at, most)?),
        )?;
        let in_memory = usize::try_from(cluster).unwrap_or(usize::MAX);
        for (own, below) in of_disk.chunks(in_memory).zip(of_image.chunks(in_memory)) {
            if own == below {
                self.writer.skip(own.len() as u64)?;
            } else {
                self.writer.take(own)?;
            }
        }
        Ok(length)
    }
}

/// How many bytes of an extent are whole clusters; the last one may end with the disk.
fn whole_clusters(length: u64, cluster: u64, left: u64) -> u64 {
    if length >= left {
        return left;
    }
    length.saturating_sub(length.checked_rem(cluster).unwrap_or(0))
}

/// Whether the layers above `below` decide on what is read.
fn is_own(located: &Located, below: usize) -> bool {
    // Where no layer holds anything, the last one that reaches so far ends the search: if that is above the one before the
    // image below, what that image holds there does not show.
    let decides = if located.present { 0 } else { 1 };
    located.depth.saturating_add(decides) < below
}

fn is_zeros(extent: &Extent) -> bool {
    matches!(extent.kind, ExtentKind::Zero | ExtentKind::Unallocated)
}

/// What the image below holds; behind its end there are zeros.
fn locate_below(
    image: &mut Chain<GuestImage>,
    position: u64,
    most: u64,
) -> Result<Extent, OperationError> {
    if position >= image.virtual_size() {
        return Ok(Extent {
            start: position,
            length: most,
            kind: ExtentKind::Zero,
        });
    }
    Ok(image.map(position, most)?)
}

/// What is read.
enum Of {
    Disk,
    /// What is compared with it must be known.
    ImageBelow,
}

/// Reads a range into memory.
fn read(
    fetcher: &mut Fetcher<'_>,
    of: Of,
    into: &mut Vec<u8>,
    (position, length): (u64, u64),
    mut locate: impl FnMut(u64, u64) -> Result<Extent, OperationError>,
) -> Result<(), OperationError> {
    into.clear();
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    into.try_reserve_exact(room)
        .map_err(|_| internal("no memory for clusters"))?;
    while into.len() < room {
        let done = into.len() as u64;
        let extent = locate(position.saturating_add(done), length.saturating_sub(done))?;
        let count = fetcher.length(&extent);
        let extents = core::slice::from_ref(&extent);
        let fetched = match of {
            Of::Disk => fetcher.fetch(extents)?,
            Of::ImageBelow => fetcher.fetch_strictly(extents)?,
        };
        for fetched in fetched {
            match fetched {
                Fetched::Bytes(bytes) => into.extend_from_slice(bytes),
                Fetched::Zero => {
                    let end = usize::try_from(done.saturating_add(count)).unwrap_or(usize::MAX);
                    into.resize(end.min(room), 0);
                }
            }
        }
    }
    Ok(())
}

/// Sends the beginning of an extent to a writer of clusters; returns how many bytes that were.
pub fn copy_extent(
    fetcher: &mut Fetcher<'_>,
    writer: &mut ClusterWriter<'_>,
    extent: &Extent,
) -> Result<u64, OperationError> {
    let length = fetcher.length(extent);
    for fetched in fetcher.fetch(core::slice::from_ref(extent))? {
        match fetched {
            Fetched::Zero => writer.take_zeros(length)?,
            Fetched::Bytes(bytes) => writer.take(bytes)?,
        }
    }
    Ok(length)
}
