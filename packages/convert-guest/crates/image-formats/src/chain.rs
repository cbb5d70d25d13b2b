//! An image with its backing images below it, read as one disk.

use alloc::vec::Vec;

use crate::error::{ErrorKind, Expected, FormatError};
use crate::extent::{Extent, ExtentKind, Image, clamp_request};
use crate::source::DeviceIndex;

/// Images in a chain when the caller has no opinion.
pub const DEFAULT_MAX_DEPTH: usize = 16;

/// Layers from the image that was named down to its last backing image.
#[derive(Debug)]
pub struct Chain<I> {
    layers: Vec<I>,
    max_depth: usize,
}

impl<I: Image> Chain<I> {
    /// A chain without images that refuses to grow beyond `max_depth`.
    pub fn new(max_depth: usize) -> Self {
        Self {
            layers: Vec::new(),
            max_depth,
        }
    }

    /// Puts `image` below those that are there; `device` is only for the error.
    ///
    /// # Errors
    /// `ChainTooDeep` when the limit is reached.
    pub fn push(&mut self, image: I, device: DeviceIndex) -> Result<(), FormatError> {
        let depth = crate::arith::to_u64(self.layers.len()).saturating_add(1);
        let limit = crate::arith::to_u64(self.max_depth);
        if depth > limit {
            return Err(FormatError::new(
                ErrorKind::ChainTooDeep,
                device,
                "backing chain depth",
                0,
                depth,
                Expected::AtMost(limit),
            ));
        }
        self.layers
            .try_reserve(1)
            .map_err(|_| FormatError::out_of_memory(device, 0, depth))?;
        self.layers.push(image);
        Ok(())
    }

    /// The layers, top first.
    pub fn layers(&self) -> &[I] {
        &self.layers
    }

    /// The layers, top first.
    pub fn layers_mut(&mut self) -> &mut [I] {
        &mut self.layers
    }
}

/// What a range of a chain holds, and which layer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// As [`Image::map`] of a chain gives it.
    pub extent: Extent,
    /// The layer that says so, 0 for the top; for a range that no layer holds, the last one that reaches so far.
    pub depth: usize,
    /// Whether a layer holds the range.
    pub present: bool,
}

impl<I: Image> Chain<I> {
    /// As [`map`](Image::map), with the layer that the answer comes from.
    ///
    /// # Errors
    /// As for [`map`](Image::map).
    pub fn locate(&mut self, offset: u64, max_length: u64) -> Result<Located, FormatError> {
        let mut length = clamp_request(self.virtual_size(), offset, max_length)?;
        let mut depth = 0;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let left = layer.virtual_size().saturating_sub(offset);
            if left == 0 {
                break;
            }
            let extent = layer.map(offset, length.min(left))?;
            length = extent.length;
            depth = index;
            if extent.kind != ExtentKind::Unallocated {
                let present = true;
                return Ok(Located {
                    extent,
                    depth,
                    present,
                });
            }
        }
        let extent = Extent {
            start: offset,
            length,
            kind: ExtentKind::Zero,
        };
        let present = false;
        Ok(Located {
            extent,
            depth,
            present,
        })
    }
}

impl<I: Image> Image for Chain<I> {
    /// The size of the top image; 0 for a chain without images.
    fn virtual_size(&self) -> u64 {
        self.layers.first().map_or(0, Image::virtual_size)
    }

    /// As [`Image::map`] says, with one promise more: the kind is never `Unallocated`. Ranges that no
    /// layer holds, and ranges beyond the end of a shorter backing image, are zero.
    fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
        Ok(self.locate(offset, max_length)?.extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that holds data in `[hole_end, size)` and nothing below.
    struct Fake {
        size: u64,
        hole_end: u64,
        device: DeviceIndex,
    }

    impl Image for Fake {
        fn virtual_size(&self) -> u64 {
            self.size
        }

        fn map(&mut self, offset: u64, max_length: u64) -> Result<Extent, FormatError> {
            let length = clamp_request(self.size, offset, max_length)?;
            Ok(if offset < self.hole_end {
                let length = length.min(self.hole_end - offset);
                Extent {
                    start: offset,
                    length,
                    kind: ExtentKind::Unallocated,
                }
            } else {
                let kind = ExtentKind::Data {
                    device: self.device,
                    offset,
                };
                Extent {
                    start: offset,
                    length,
                    kind,
                }
            })
        }
    }

    fn chain_of(parts: &[(u64, u64)]) -> Chain<Fake> {
        let mut chain = Chain::new(DEFAULT_MAX_DEPTH);
        for (index, (size, hole_end)) in parts.iter().enumerate() {
            let device = DeviceIndex(index as u32);
            chain
                .push(
                    Fake {
                        size: *size,
                        hole_end: *hole_end,
                        device,
                    },
                    device,
                )
                .unwrap();
        }
        chain
    }

    #[test]
    fn holes_fall_through_and_end_as_zeros() {
        let mut chain = chain_of(&[(4096, 4096), (2048, 1024), (8192, 512)]);
        let kinds: Vec<_> = [0, 512, 1024, 2048, 4095]
            .into_iter()
            .map(|offset| {
                let extent = chain.map(offset, u64::MAX).unwrap();
                (extent.length, extent.kind)
            })
            .collect();
        let data = |device, offset| ExtentKind::Data {
            device: DeviceIndex(device),
            offset,
        };
        assert_eq!(
            kinds,
            [
                (512, ExtentKind::Zero),
                (512, data(2, 512)),
                (1024, data(1, 1024)),
                // The middle layer is shorter, so what lies deeper below it does not show.
                (2048, ExtentKind::Zero),
                (1, ExtentKind::Zero),
            ]
        );
    }

    #[test]
    fn depth_is_limited() {
        let mut chain = Chain::new(2);
        for expected in [true, true, false] {
            let layer = Fake {
                size: 512,
                hole_end: 0,
                device: DeviceIndex(0),
            };
            let result = chain.push(layer, DeviceIndex(7));
            assert_eq!(result.is_ok(), expected);
            if let Err(error) = result {
                assert_eq!((error.kind, error.value), (ErrorKind::ChainTooDeep, 3));
                assert_eq!(error.device, DeviceIndex(7));
            }
        }
    }

    #[test]
    fn a_chain_without_images_is_an_empty_disk() {
        let mut chain: Chain<Fake> = Chain::new(1);
        assert_eq!(chain.virtual_size(), 0);
        assert_eq!(chain.map(0, 1).unwrap_err().kind, ErrorKind::OutOfRange);
    }
}
